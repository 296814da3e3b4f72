"""Makes a file for each property that a video may have; what a player shows of it is known.

A ``Property`` has a maker that writes the file and gives the pictures that a person sees, at the
uniform times of a model. Pictures are those of two clips that come with vhash.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

import vhash_sdk

Frames = NDArray[np.uint8]
RATE = 25
FRAMES = 50
_COARSE = ("mpeg1video", "mpeg2video", "mpeg4", "wmv2", "rv20", "mjpeg", "libvpx")


@dataclass(frozen=True)
class Property:
    """One row of the table.

    Attributes:
        kind: what is varied, e.g. ``container``.
        value: how.
        suffix: of the file.
        make: writes the file, gives the frames that are shown, ``uint8[n, H, W, 3]``, n of equal duration.
        policy: why the distance may be more than a few bits; empty: it may not.
    """

    kind: str
    value: str
    suffix: str
    make: Callable[[Path], Frames]
    policy: str = ""


@cache
def clip(name: str = "bunny", width: int = 320, height: int = 180) -> Frames:
    """Pictures of a clip that comes with vhash."""
    path = Path(vhash_sdk.__file__).parent / "samples" / f"{name}.mp4"
    frames: list[Any] = []
    with av.open(str(path)) as read:
        for frame in read.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24", width=width, height=height))
            if len(frames) == FRAMES:
                break
    while len(frames) < FRAMES:
        frames += frames[: FRAMES - len(frames)]
    return np.stack(frames)


@dataclass(frozen=True)
class Track:
    """A video stream to be written.

    Attributes:
        convert: arguments of ``VideoFrame.reformat`` beside the pixel format.
        tags: attributes of the codec context: ``colorspace`` and the like, FFmpeg's numbers.
        times: pts in frames, where they are not 0, 1, 2, …
        turn: degrees clockwise, then whether it is mirrored.
    """

    frames: Frames
    codec: str = "libx264"
    pixels: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = (("g", "12"),)
    convert: tuple[tuple[str, Any], ...] = ()
    tags: tuple[tuple[str, Any], ...] = ()
    times: tuple[int, ...] = ()
    turn: tuple[int, bool] = (0, False)
    default: bool | None = None
    interlaced: bool = False
    rate: int = RATE


def write(path: Path, *tracks: Track, format: str | None = None, **muxer: str) -> None:
    """A file of some streams, interleaved."""
    with av.open(str(path), "w", format=format, options=muxer) as out:
        streams = [_add(out, track) for track in tracks]
        packets = []
        for track, stream in zip(tracks, streams, strict=True):
            for i, picture in enumerate(track.frames):
                packets += stream.encode(_frame(track, picture, track.times[i] if track.times else i))
            packets += stream.encode()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)


def _add(out: Any, track: Track) -> Any:
    options = dict(track.options)
    if track.codec in _COARSE:  # else what is lost is more than what is asked about
        options["b"] = "8000000"
    stream = out.add_stream(track.codec, rate=track.rate, options=options)
    stream.height, stream.width, stream.pix_fmt = *track.frames.shape[1:3], track.pixels
    for name, value in track.tags:
        setattr(stream.codec_context, name, value)
    if track.turn != (0, False):
        stream.set_display_rotation(-track.turn[0], hflip=track.turn[1])
    if track.default is not None:
        stream.disposition = av.stream.Disposition.default if track.default else av.stream.Disposition(0)
    if track.interlaced:
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_me
    return stream


def _frame(track: Track, picture: NDArray[Any], time: int) -> Any:
    if picture.dtype == np.uint16:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb48le")
    else:
        kind = "rgb24" if picture.shape[-1] == 3 else "rgba"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)
    frame = frame.reformat(format=track.pixels, **dict(track.convert))
    for name, value in track.tags:
        if name in ("colorspace", "color_range"):
            setattr(frame, name, value)
    frame.pts, frame.time_base = time, Fraction(1, track.rate)
    return frame


def plain(codec: str = "libx264", pixels: str = "yuv420p", **more: Any) -> Callable[[Path], Frames]:
    """One stream of the clip."""
    muxer = more.pop("muxer", {})
    format = more.pop("format", None)

    def make(path: Path) -> Frames:
        frames = more.pop("frames", None)
        frames = clip() if frames is None else frames
        write(path, Track(frames, codec, pixels, **more), format=format, **muxer)
        return frames

    return make


def turned(degrees: int, mirrored: bool) -> Callable[[Path], Frames]:
    """The header turns the pictures clockwise, then mirrors them."""

    def make(path: Path) -> Frames:
        write(path, Track(clip(), turn=(degrees, mirrored)))
        shown = np.rot90(clip(), -(degrees // 90), axes=(1, 2))
        return shown[:, :, ::-1] if mirrored else shown

    return make


def uneven(path: Path) -> Frames:
    """Pictures of very different durations."""
    steps = [1, 1, 5, 2, 30, 1, 1, 3, 12, 1] * 3
    times = [0, *np.cumsum(steps)[:-1].tolist()]
    frames = clip()[: len(times)]
    write(path, Track(frames, times=tuple(times)))
    lasts = np.diff([*times, times[-1] + 1])
    return np.repeat(frames, lasts, axis=0)


def edited(path: Path) -> Frames:
    """An edit list hides the first pictures."""
    whole, hidden = path.with_name("whole.mp4"), 20
    write(whole, Track(clip()))
    with av.open(str(whole)) as read:
        options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
        with av.open(str(path), "w", options=options) as out:
            stream = out.add_stream_from_template(read.streams.video[0])
            for packet in read.demux(video=0):
                if packet.size:
                    step = packet.duration
                    packet.pts, packet.dts = packet.pts - hidden * step, packet.dts - hidden * step
                    packet.stream = stream
                    out.mux(packet)
    return clip()[hidden:]


def joined(suffix: str, codec: str, gap: int = 0, **options: Any) -> Callable[[Path], Frames]:
    """Two files one after the other, the second one's times ``gap`` seconds later."""

    def make(path: Path) -> Frames:
        data = b""
        for name, late in (("bunny", 0), ("chair", gap * RATE)):
            piece = path.with_name(f"{name}.{suffix}")
            times = tuple(range(late, late + FRAMES))
            write(piece, Track(clip(name), codec, times=times), **options)
            data += piece.read_bytes()
        path.write_bytes(data)
        return np.concatenate([clip("bunny"), clip("chair")])

    return make


def beside(first: Track, *, default: bool | None = None) -> Callable[[Path], Frames]:
    """The video as second stream, after another one."""

    def make(path: Path) -> Frames:
        write(path, first, Track(clip(), default=default))
        return clip()

    return make


def over_black(codec: str, pixels: str) -> Callable[[Path], Frames]:
    """A picture of which a part is transparent; what is behind it is of another clip."""

    def make(path: Path) -> Frames:
        shown, hidden = clip(), clip("chair")
        height, width = shown.shape[1:3]
        y, x = np.mgrid[:height, :width]
        inside = ((x / width - 0.45) ** 2 + (y / height - 0.5) ** 2 < 0.12)[..., None]
        colour = np.where(inside, shown, hidden)
        alpha = np.broadcast_to(inside * np.uint8(255), (*shown.shape[:3], 1))
        write(path, Track(np.concatenate([colour, alpha], axis=-1), codec, pixels, options=()))
        return np.where(inside, shown, 0).astype(np.uint8)

    return make


def high_range(curve: str) -> Callable[[Path], Frames]:
    """The clip on a screen of 203 cd/m² as white (ITU-R BT.2408), in BT.2020 with PQ or HLG (BT.2100)."""

    def make(path: Path) -> Frames:
        linear = (clip() / 255.0) ** 2.4
        to_2020 = np.array([
            [0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956],
        ])  # fmt: skip
        light = linear @ to_2020.T
        if curve == "PQ":
            power = (light * 203 / 10_000) ** 0.1593017578125
            coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
        else:
            scene = light * 203 / 1000
            scene = scene * np.maximum(scene @ [0.2627, 0.678, 0.0593], 1e-6)[..., None] ** (1 / 1.2 - 1)
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            high = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
            coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
        frames = (coded.clip(0, 1) * 65535).round().astype(np.uint16)
        tags = (("color_primaries", 9), ("color_trc", 16 if curve == "PQ" else 18), ("colorspace", 9))
        options = (("x265-params", "log-level=error:keyint=12:crf=18"),)
        convert = (("dst_colorspace", 9),)
        write(path, Track(frames, "libx265", "yuv420p10le", options, convert, (*tags, ("color_range", 1))))
        return clip()

    return make


def clean_aperture(path: Path) -> Frames:
    """``clap`` of the sample entry shows a part of the coded picture; the rest is another clip."""
    shown = clip()
    height, width = shown.shape[1:3]
    wide = clip("chair", 480, 272).copy()
    wide[:, 46 : 46 + height, 80 : 80 + width] = shown
    write(path, Track(wide))
    numbers = (width, 1, height, 1, 0, 1, 0, 1)
    box = struct.pack(">I4s8I", 40, b"clap", *numbers)
    path.write_bytes(
        _into(path.read_bytes(), [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"], box)
    )
    return shown


def _into(data: bytes, names: Sequence[bytes], box: bytes) -> bytes:
    """Append a box to one that lies in others; the movie box has to be the last one of the file."""
    out, at, start = bytearray(data), 0, 0
    for name in names:
        at = data.index(name, start) - 4
        size = int.from_bytes(data[at : at + 4], "big")
        out[at : at + 4] = (size + len(box)).to_bytes(4, "big")
        start = at + 8
    end = at + int.from_bytes(data[at : at + 4], "big")
    return bytes(out[:end]) + box + bytes(out[end:])
