"""Pictures and short previews of videos, made when they are asked for, in processes of their own."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ..report.pictures import jpeg
from ..spec import Resize
from ..video import Limits
from ..video.isolation.pool import DecodePool
from .problems import busy

_KEPT_BYTES = 96 << 20
_WAITING = 24
_WIDEST = 2.5  # sides of a frame; what is wider or narrower is squashed to that
_PREVIEW_RATE = 10  # frames a second
WALL_SECONDS = 60.0
"""Decoding for one picture or preview is given up after so long."""


class Shown(NamedTuple):
    """What pictures are made of: a file, what identifies its content, and what is known of it."""

    path: str
    digest: str
    seconds: float
    width: int | None
    height: int | None


@dataclass(frozen=True)
class Picture:
    """Encoded bytes.

    Attributes:
        content: a JPEG, or WebM.
        frames, width: side by side, and pixels of each.
    """

    content: bytes
    frames: int
    width: int


class Pictures:
    """Makes them, and keeps the last ones.

    Args:
        rule: that says what the picture of a video is (``Resize.picture``): as the model has seen it.
    """

    def __init__(self, rule: int) -> None:
        self._rule = rule
        self._decoders = DecodePool(1, Limits(stills=True, wall_time=WALL_SECONDS))
        self._kept: OrderedDict[tuple[object, ...], Picture] = OrderedDict()
        self._bytes = 0
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._waiting = 0

    def still(self, shown: Shown, time: float | None, height: int) -> Picture:
        """One frame. Raises VideoError, or Problem where too many wait."""
        at = 0.5 * shown.seconds if time is None else time
        return self._made(
            (shown.digest, "still", at, height), lambda: self._strip(shown, np.array([at]), height)
        )

    def strip(self, shown: Shown, frames: int, height: int) -> Picture:
        """Frames, evenly spread, side by side. Raises as ``still``."""
        times = (np.arange(frames) + 0.5) / frames * shown.seconds
        return self._made((shown.digest, "strip", frames, height), lambda: self._strip(shown, times, height))

    def preview(self, shown: Shown, start: float, seconds: float, height: int) -> Picture:
        """Some seconds as WebM (VP8) without sound, which every browser plays. Raises as ``still``."""
        count = max(1, round(min(seconds, max(shown.seconds - start, 0.1)) * _PREVIEW_RATE))
        times = start + np.arange(count) / _PREVIEW_RATE
        key = (shown.digest, "preview", start, count, height)
        return self._made(key, lambda: self._preview(shown, times, height))

    def _made(self, key: tuple[object, ...], make: Callable[[], Picture]) -> Picture:
        found = self._known(key)
        if found is not None:
            return found
        with self._lock:
            if self._waiting >= _WAITING:
                raise busy(f"{self._waiting} pictures are being made; try again in a moment")
            self._waiting += 1
        try:
            with self._turn:
                found = self._known(key)  # somebody else may have asked for the same
                if found is None:
                    found = make()
                    self._keep(key, found)
                return found
        finally:
            with self._lock:
                self._waiting -= 1

    def _known(self, key: tuple[object, ...]) -> Picture | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[object, ...], picture: Picture) -> None:
        with self._lock:
            self._kept[key] = picture
            self._bytes += len(picture.content)
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1].content)

    def _frames(self, shown: Shown, times: NDArray[np.float64], height: int) -> NDArray[np.uint8]:
        height -= height % 2
        ratio = shown.width / shown.height if shown.width and shown.height else 16 / 9
        width = 2 * round(height * min(max(ratio, 1 / _WIDEST), _WIDEST) / 2)
        resize = Resize("exact", height, width, picture=self._rule)
        return self._decoders.frames_at(shown.path, times, resize).frames

    def _strip(self, shown: Shown, times: NDArray[np.float64], height: int) -> Picture:
        frames = self._frames(shown, times, height)
        return Picture(jpeg(np.concatenate(list(frames), axis=1)), len(frames), frames.shape[2])

    def _preview(self, shown: Shown, times: NDArray[np.float64], height: int) -> Picture:
        frames = self._frames(shown, times, height)
        return Picture(webm(frames, _PREVIEW_RATE), len(frames), frames.shape[2])

    def close(self) -> None:
        """End the process that decodes."""
        self._decoders.close()


def webm(frames: NDArray[np.uint8], rate: int) -> bytes:
    """Frames ``uint8[n, height, width, 3]`` with even sides as WebM (VP8).

    >>> webm(np.zeros((3, 16, 16, 3), np.uint8), 10)[:4].hex()
    '1a45dfa3'
    """
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "600k"}
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
