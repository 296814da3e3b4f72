"""Film strips for the report: a few frames of a video side by side in one JPEG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from ..encoding.stream import ordered_map
from ..errors import VideoError
from ..library.records import Entry
from ..library.shared_parts import CommonPart
from ..spec import Resize, Sampling
from ..video import Limits
from ..video.isolation.pool import DecodePool

_QUALITY = 9  # mjpeg's quantiser, 2 (best) to 31
_TRIED = 3  # videos that a common part's picture is taken from
_WIDEST = 2.5  # sides of a frame; what is wider or narrower is squashed to that


@dataclass(frozen=True)
class Strip:
    """Frames of one video, uniformly spread, as one JPEG of ``width`` × ``height`` pixels."""

    jpeg: bytes
    width: int
    height: int


def strip_size(videos: int) -> tuple[int, int]:
    """(frames, height in pixels) of the strips of a report: the more videos, the smaller.

    >>> strip_size(300), strip_size(3000), strip_size(15_000)
    ((6, 160), (6, 96), (4, 64))
    """
    for most, size in ((400, (6, 160)), (3000, (6, 96)), (10_000, (5, 80))):
        if videos <= most:
            return size
    return 4, 64


def film_strips(
    entries: Sequence[Entry], *, frames: int, height: int, picture: int, workers: int, limits: Limits
) -> Iterator[Strip | None]:
    """A strip of each video, in order; None where the file cannot be read (any more).

    Decoding is isolated, as in ``Library.add``. ``picture`` is the rule that says what the picture is
    (``Resize.picture``): with that of the library's model, people see what the model has seen.
    """
    with DecodePool(workers, limits) as decoders, ThreadPoolExecutor(workers) as pool:

        def work(entry: Entry) -> Strip | None:
            resize = Resize("exact", height, strip_width(entry, height), picture=picture)
            try:
                clip = decoders.decode(entry.path, Sampling("uniform", frames), resize)
            except VideoError:
                return None
            strip = np.concatenate(list(clip.frames), axis=1)
            return Strip(jpeg(strip), strip.shape[1], strip.shape[0])

        yield from ordered_map(pool, work, entries, window=8 * workers)


def part_strip(part: CommonPart, decoders: DecodePool, *, picture: int) -> Strip | None:
    """Frames of a part that many videos have, from the first of them that can be read; None: none can."""
    frames, height = strip_size(1)
    for place in part.places[:_TRIED]:
        times = place.start + (np.arange(frames) + 0.5) / frames * (place.end - place.start)
        resize = Resize("exact", height, strip_width(place.entry, height), picture=picture)
        try:
            clip = decoders.frames_at(place.entry.path, times, resize)
        except VideoError:
            continue
        strip = np.concatenate(list(clip.frames), axis=1)
        return Strip(jpeg(strip), strip.shape[1], strip.shape[0])
    return None


def strip_width(entry: Entry, height: int) -> int:
    """Pixels, even, of one frame that is ``height`` high."""
    ratio = entry.width / entry.height if entry.width and entry.height else 16 / 9
    return 2 * round(height * min(max(ratio, 1 / _WIDEST), _WIDEST) / 2)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A JPEG of ``uint8[height, width, 3]`` RGB, both sides even.

    >>> jpeg(np.zeros((16, 16, 3), np.uint8))[:2].hex()
    'ffd8'
    """
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.qmin = encoder.qmax = _QUALITY
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuvj420p", dst_color_range=av.video.reformatter.ColorRange.JPEG
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
