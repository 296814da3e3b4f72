"""Animated WebP, which FFmpeg cannot decode: libwebp does, through Pillow.

Sources: the WebP container specification (RFC 9649, section 2.7).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError, MemoryLimitError, MissingDependencyError, OptionError, PixelLimitError
from ..spec import Resize, Sampling
from ..system.extras import pip_install
from .box import Box, crop_rgb
from .completeness import cut_off
from .decoder import Clip, Limits, VideoInfo
from .limits import Deadline, check_duration, check_pixels
from .picture import blended
from .resize import output_size, rgb_to_rgb
from .sampling import frame_ranks, last_shown, uniform_times
from .sources import Media
from .streams import check_stream

_SHORTEST, _INSTEAD = 10, 100
"""Browsers show a frame that is to last up to 10 ms for 100 ms."""
_MOST_FRAMES = 1 << 20
_USED = (b"VP8X", b"ANIM", b"ANMF")
"""Chunks that say what is seen; colour profiles and metadata do not."""


class WebpReader:
    """One open animation; see ``Reader``. Decodes from the first frame on: each only knows what changed.

    What is cut off at its end is left out, and ``VideoInfo.damaged`` says so.

    Args:
        media: the file, recognised as an animated WebP.
        limits: what it may cost.
        stream: 0 or None: there is but one.

    Raises:
        VideoError: it cannot be read.
        MissingDependencyError: Pillow is not installed.
    """

    def __init__(self, media: Media, limits: Limits, stream: int | None = None) -> None:
        check_stream(stream)
        if stream:
            raise OptionError(f"{media.name}: stream={stream}; allowed: 0, for it has one video stream")
        _pillow()
        self.name, self._limits = media.name, limits
        self._deadline = Deadline(limits, media.name)
        try:
            with media.raw() as file:
                self._data, size, lasting = _complete(file, self.name, self._deadline)
        except MemoryError as error:
            raise MemoryLimitError(
                f"{self.name}: no memory to read it; free some, or leave it out"
            ) from error
        check_pixels(*size, limits, self.name)
        self._times = np.cumsum([0, *lasting[:-1]], dtype=np.int64)
        end = int(self._times[-1]) + lasting[-1]
        check_duration(end / 1000, limits, self.name)
        self._info = VideoInfo(
            *size, end / 1000, len(lasting), 1000 * len(lasting) / end, "webp",
            damaged=cut_off(media),
        )  # fmt: skip

    @property
    def info(self) -> VideoInfo:
        """Size, duration in seconds, number of frames, mean rate; the codec is ``webp``."""
        return self._info

    def sample(self, sampling: Sampling, resize: Resize, *, box: Box | None = None) -> Clip:
        """Frames by the sampling rule, or a box of each, scaled. Raises VideoError."""
        if sampling.kind == "uniform":
            bounds = uniform_times(0, round(1000 * self._info.duration), sampling.frames)
            return self._clip(last_shown(self._times, bounds), resize, box)
        return self._clip(frame_ranks(sampling, len(self._times)), resize, box)

    def frames_at(self, times: NDArray[np.float64], resize: Resize, *, box: Box | None = None) -> Clip:
        """For each time (seconds after the first frame) the last frame shown at or before it."""
        seconds = np.asarray(times, np.float64).reshape(-1)
        if not np.isfinite(seconds).all():
            raise OptionError(f"times={times!r}; allowed: finite seconds after the first frame")
        # a thousandth of a tick: Clip.times, given back, must name the same frames
        bounds = np.floor(np.clip(seconds, 0, 1e9) * 1000 + 1e-3).astype(np.int64)
        return self._clip(last_shown(self._times, bounds.tolist()), resize, box)

    def _clip(self, ranks: list[int], resize: Resize, box: Box | None) -> Clip:
        self._deadline = Deadline(self._limits, self.name)
        wanted, out = set(ranks), None
        try:
            for rank, rgb in enumerate(self._pictures(max(ranks, default=-1) + 1, resize.picture)):
                if rank not in wanted:
                    continue
                shown = rgb if box is None else crop_rgb(rgb, box)
                if out is None:
                    out = np.empty((len(ranks), *output_size(resize, *shown.shape[:2]), 3), np.uint8)
                rows = [row for row, each in enumerate(ranks) if each == rank]
                rgb_to_rgb(shown, resize, out=out[rows[0]])
                out[rows[1:]] = out[rows[0]]
        except MemoryError as error:
            raise MemoryLimitError(
                f"{self.name}: decoding ran out of memory; free some, or leave the file out"
            ) from error
        if out is None:
            out = np.empty((0, *output_size(resize, self._info.height, self._info.width), 3), np.uint8)
        return Clip(out, self._times[ranks] / 1000, self._info)

    def _pictures(self, count: int, rule: int) -> Iterator[NDArray[np.uint8]]:
        """The first ``count`` pictures ``uint8[H, W, 3]``, in order."""
        pillow = _pillow()
        try:
            with pillow.open(io.BytesIO(self._data), formats=("WEBP",)) as image:
                for rank in range(count):
                    self._deadline.check()
                    image.seek(rank)
                    image.load()
                    if image.mode == "RGBA" and rule > 1:
                        rgba = np.asarray(image)
                        yield blended(rgba[..., :3], rgba[..., 3:])
                    else:
                        yield np.asarray(image.convert("RGB"))
        except pillow.DecompressionBombError as error:
            raise PixelLimitError(f"{self.name}: {error}; set PIL.Image.MAX_IMAGE_PIXELS higher") from error
        except (OSError, EOFError, ValueError, SyntaxError) as error:
            raise DecodeError(
                f"{self.name}: its frames cannot be decoded ({error}); the file is damaged"
            ) from error

    def close(self) -> None:
        """Free the file."""
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            f"decoding animated WebP needs Pillow ({error}): {pip_install('webp')}"
        ) from error
    return Image


def _complete(file: BinaryIO, name: str, deadline: Deadline) -> tuple[bytes, tuple[int, int], list[int]]:
    """The animation without what is cut off, its (width, height), and the milliseconds that each frame lasts.

    libwebp takes whole animations only: so the length in the header becomes that of what is there.
    """
    file.seek(0)
    head = file.read(12)
    promised = 8 + struct.unpack("<I", head[4:8])[0] if len(head) == 12 else 0
    chunks, size, lasting = [], None, []
    at, end = 12, file.seek(0, io.SEEK_END)
    while at + 8 <= min(end, promised):
        deadline.check()  # gigabytes of empty chunks
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        after = at + 8 + length + length % 2
        if after > end:
            break
        file.seek(at)
        chunk = file.read(after - at)
        if kind == b"VP8X" and length >= 10:
            size = tuple(1 + int.from_bytes(chunk[place : place + 3], "little") for place in (12, 15))
        elif kind == b"ANMF" and length >= 16:
            shown = int.from_bytes(chunk[20:23], "little")
            lasting.append(shown if shown > _SHORTEST else _INSTEAD)
        if kind in _USED:
            chunks.append(chunk)
        at = after
        if len(lasting) > _MOST_FRAMES:
            raise DecodeError(f"{name} has more than {_MOST_FRAMES} frames; it is no film")
    if size is None or not lasting:
        raise DecodeError(f"{name} looks like an animated WebP but holds no frame; it is damaged or cut off")
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body, (size[0], size[1]), lasting
