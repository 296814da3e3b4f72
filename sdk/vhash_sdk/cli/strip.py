"""Frames of two videos one above the other, as a picture or a page."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..system.files import write_text, write_whole
from ..video.outputs import check_output
from .output import printable
from .spans import span_text

if TYPE_CHECKING:
    from ..matching.alignment import Span
    from ..video import VideoInfo
    from ..video.isolation.pool import DecodePool

SUFFIXES = (".png", ".html")
_FRAMES, _HEIGHT = 8, 120


class Side(NamedTuple):
    """One video of a comparison."""

    path: str
    info: VideoInfo


def check_strip(file: Path, inputs: Sequence[str], *, force: bool) -> None:
    """Raise OptionError for a file of another kind, or one that is not ours to overwrite."""
    if file.suffix.lower() not in SUFFIXES:
        raise OptionError(f"--strip {file}: expected a name that ends in {' or '.join(SUFFIXES)}")
    kind = "picture" if file.suffix.lower() == ".png" else "page"
    check_output(file, kind, option="--strip", inputs=inputs, force=force)


def write_strip(file: Path, a: Side, b: Side, spans: Sequence[Span], decoders: DecodePool) -> None:
    """Draw frames at the same moments of both videos: of each span, or spread over all where there is none.

    Raises:
        VideoError: a video cannot be read (any more).
        OSError: the file cannot be written.
    """
    parts = [(span.query_start, span.query_end, span.ref_start, span.ref_end) for span in spans]
    parts = parts or [(0.0, a.info.duration, 0.0, b.info.duration)]
    width = max(_size(a)[1], _size(b)[1])
    gap = np.full((6, width * _FRAMES, 3), 128, np.uint8)
    pictures = [
        np.concatenate([_row(a, part[:2], width, decoders), gap, _row(b, part[2:], width, decoders)])
        for part in parts
    ]
    if file.suffix.lower() == ".png":
        rows = [row for picture in pictures for row in (picture, gap, gap)]
        with write_whole(file) as stream:
            stream.write(png(np.concatenate(rows[:-2])))
        return
    blocks = []
    for i, (part, picture) in enumerate(zip(parts, pictures, strict=True), start=1):
        title = f"span {i}, score {spans[i - 1].score:.1f}" if spans else "nothing in common was found"
        data = base64.b64encode(png(picture)).decode("ascii")
        blocks.append(
            f"<h2>{title}</h2><p>{html.escape(printable(a.path))} {span_text(*part[:2])}</p>"
            f'<img src="data:image/png;base64,{data}" alt="frames of both videos">'
            f"<p>{html.escape(printable(b.path))} {span_text(*part[2:])}</p>"
        )
    write_text(file, _PAGE.format(body="\n".join(blocks)))


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="generator" content="vhash"><title>vhash compare</title>
<meta name="color-scheme" content="light dark"><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 110rem; padding: 0 1rem }}
img {{ max-width: 100%; display: block }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem }}
p {{ margin: .3rem 0; overflow-wrap: anywhere }}</style><h1>vhash compare</h1>
{body}</html>
"""


def _size(side: Side) -> tuple[int, int]:
    """Height and width of a frame in the strip."""
    ratio = side.info.width / max(1, side.info.height)
    if ratio <= 2:
        return _HEIGHT, max(16, round(_HEIGHT * ratio))
    return max(16, round(2 * _HEIGHT / ratio)), 2 * _HEIGHT


def _row(side: Side, part: tuple[float, float], width: int, decoders: DecodePool) -> NDArray[np.uint8]:
    """Frames spread over a part of one video, side by side, each in the middle of ``width`` pixels."""
    from ..spec import Resize

    fit = _size(side)
    times = part[0] + (np.arange(_FRAMES) + 0.5) / _FRAMES * (part[1] - part[0])
    clip = decoders.frames_at(side.path, times, Resize("exact", *fit))
    row = np.zeros((_FRAMES, _HEIGHT, width, 3), np.uint8)
    top, left = (_HEIGHT - fit[0]) // 2, (width - fit[1]) // 2
    row[:, top : top + fit[0], left : left + fit[1]] = clip.frames
    return np.concatenate(list(row), axis=1)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG of ``uint8[height, width, 3]`` RGB.

    >>> png(np.zeros((4, 4, 3), np.uint8))[1:4]
    b'PNG'
    """
    import av

    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    # who made it, behind the header of 33 bytes, so that the file is known as ours when it is written again
    chunk = b"tEXtSoftware\0vhash"
    made = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + made + data[33:]
