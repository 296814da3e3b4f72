"""Makes files that players show and decoders get wrong: several streams, joined pieces, encryption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def scene(count: int, *, seed: int, width: int = 96, height: int = 64) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures that pan over a field of blocks, another one for each seed."""
    rng = np.random.default_rng(seed)
    field = rng.integers(0, 256, ((height + 80) // 8, (width + 160) // 8, 3), dtype=np.uint8)
    field = np.kron(field, np.ones((8, 8, 1), np.uint8))
    for i in range(count):
        top, left = i % 40, (3 * i) % 60
        yield field[top : top + height, left : left + width].copy()


@dataclass(frozen=True)
class Part:
    """One video stream of a file to be made."""

    frames: int
    seed: int
    codec: str = "libx264"
    pixels: str = "yuv420p"
    width: int = 96
    height: int = 64
    default: bool | None = None
    rate: int = 25
    start: int = 0


def write(
    path: Path, *parts: Part, format: str | None = None, muxer: dict[str, str] | None = None, gop: int = 12
) -> Path:
    """A file with these video streams."""
    from av.stream import Disposition

    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(path), "w", format=format, options=muxer or {}))
        streams = []
        for part in parts:
            options = {"g": str(gop)} if part.codec in ("libx264", "mpeg2video", "mpeg4", "libvpx") else {}
            if part.codec == "libx264":  # its kernels for AVX-512 do not write the same twice
                options["x264-params"] = "no-asm=1"
            stream = out.add_stream(part.codec, rate=part.rate, options=options)
            stream.width, stream.height, stream.pix_fmt = part.width, part.height, part.pixels
            if part.default is not None:
                stream.disposition = Disposition.default if part.default else Disposition(0)
            streams.append(stream)
        packets = []
        for part, stream in zip(parts, streams, strict=True):
            found = []
            for i, picture in enumerate(
                scene(part.frames, seed=part.seed, width=part.width, height=part.height)
            ):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = part.start + i, Fraction(1, part.rate)
                found += stream.encode(frame)
            packets += [*found, *stream.encode()]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def joined(path: Path, *pieces: Path) -> Path:
    """The files one after the other, as ``cat`` does it."""
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path


def shifted(source: Path, target: Path, seconds: int, **muxer: str) -> Path:
    """A transport stream's packets, that many seconds later."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=muxer) as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.pts += seconds * 90_000
                packet.dts += seconds * 90_000
                packet.stream = stream
                out.mux(packet)
    return target
