"""Makes small videos with PyAV, one for each thing that decoders get wrong, and decodes them slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vhash_sdk.spec import Resize
from vhash_sdk.video.picture import render
from vhash_sdk.video.sources import open_media
from vhash_sdk.video.track import fraction


def pictures(count: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures that move and are all different."""
    rng = np.random.default_rng(7)
    scene = rng.integers(0, 256, ((height + 80) // 8, (width + 160) // 8, 3), dtype=np.uint8)
    scene = np.kron(scene, np.ones((8, 8, 1), np.uint8))
    for i in range(count):
        top, left = i % 40, (3 * i) % 60
        picture = scene[top : top + height, left : left + width].copy()
        picture[:8, :8] = (i * 7) % 256
        yield picture


@dataclass(frozen=True)
class Case:
    """How to make one file.

    Attributes:
        short: whether the short way must do it (None: it may).
        rotation: degrees counter-clockwise; flips: left to right, upside down, after it.
        times: pts of the frames in units of 1/rate, where they are not 0, 1, 2, ...
    """

    name: str
    suffix: str = "mp4"
    codec: str = "libx264"
    frames: int = 75
    width: int = 96
    height: int = 64
    rate: Fraction | int = 25
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    rotation: int = 0
    flips: tuple[bool, bool] = (False, False)
    times: tuple[int, ...] | None = None
    interlaced: bool = False
    short: bool | None = True


def make(case: Case, folder: Path) -> Path:
    """Write the file; skips the test where the encoder is not in this build of PyAV."""
    if case.codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {case.codec}")
    path = folder / f"{case.name}.{case.suffix}"
    with av.open(str(path), "w", options=case.muxer) as out:
        stream = out.add_stream(case.codec, rate=case.rate, options=case.options)
        stream.width, stream.height, stream.pix_fmt = case.width, case.height, case.pixels
        if case.rotation or any(case.flips):
            stream.set_display_rotation(case.rotation, *case.flips)
        if case.interlaced:
            stream.codec_context.flags |= (
                av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
            )
        times = case.times or range(case.frames)
        for time, picture in zip(times, pictures(len(times), case.width, case.height), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, 1 / Fraction(case.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def remux(source: Path, target: Path, change: Callable[[int, av.Packet], bool], **muxer: str) -> Path:
    """Copy the packets for which ``change`` (which may alter them) is true."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=muxer) as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for i, packet in enumerate(read.demux(video=0)):
            if packet.size and change(i, packet):
                packet.stream = stream
                out.mux(packet)
    return target


def repeat(source: Path, target: Path, *, times: int) -> Path:
    """Copy the packets of a file several times, one after the other."""
    with av.open(str(source)) as read, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        step = round(1 / (read.streams.video[0].average_rate * packets[0].time_base))
        for i in range(times):
            for k, packet in enumerate(packets):
                copy = av.Packet(bytes(packet))
                copy.pts = packet.pts + i * step * len(packets)
                copy.dts = (k + i * len(packets) - 4) * step
                copy.duration, copy.time_base = step, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                out.mux(copy)
    return target


@dataclass(frozen=True)
class Truth:
    """All frames of a file by plain decoding of everything, and the times by its packets."""

    frames: list[NDArray[np.uint8]]
    times: list[int]
    start: int
    end: int
    tick: Fraction

    def at(self, bound: Fraction) -> int:
        """Rank of the last frame at or before a time in ticks, the slow way."""
        found = 0
        for rank, time in enumerate(self.times):
            if time <= bound:
                found = rank
        return found

    def uniform(self, count: int) -> list[int]:
        """Ranks by the rule of the design, in fractions."""
        span = self.end - self.start
        return [self.at(self.start + Fraction(2 * j + 1, 2 * count) * span) for j in range(count)]

    def middle(self, count: int) -> list[int]:
        first = max(0, (len(self.times) - count) // 2)
        return [(first + j) % len(self.times) for j in range(count)]

    def seconds(self, ranks: Iterable[int]) -> NDArray[np.float64]:
        return np.array([float((self.times[rank] - self.start) * self.tick) for rank in ranks])


def decode_everything(source: Path | bytes, resize: Resize) -> Truth:
    """The oracle: no seeking, no skipping."""
    media = open_media(source)
    frames, times = [], []
    with media.open({}) as read:
        tick = fraction(read.streams.video[0].time_base)
        for frame in read.decode(video=0):
            out = np.empty((*resize.output, 3), np.uint8)
            render(frame, resize, out)
            frames.append(out)
            times.append(frame.pts)
    with media.open({}) as read:
        durations = [p.duration for p in read.demux(video=0) if p.size and p.pts == max(times)]
    assert tick is not None
    return Truth(frames, times, times[0], times[-1] + (durations[0] or times[-1] - times[-2]), tick)
