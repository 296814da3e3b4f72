"""Files that nobody should have to decode: corrupted, disguised, and built to hang or blow up decoders."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# suffix, codec, pixel format: every container that we accept, small enough to make 15 of them in a second
CONTAINERS = (
    ("mp4", "libx264", "yuv420p"),
    ("mov", "mpeg4", "yuv420p"),
    ("mkv", "libx265", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("ts", "libx264", "yuv420p"),
    ("mpg", "mpeg2video", "yuv420p"),
    ("flv", "flv", "yuv420p"),
    ("wmv", "wmv2", "yuv420p"),
    ("ogv", "libvpx", "yuv420p"),
    ("gif", "gif", "rgb8"),
    ("mxf", "mpeg2video", "yuv420p"),
    ("nut", "ffv1", "yuv420p"),
    ("ivf", "libvpx", "yuv420p"),
    ("y4m", "rawvideo", "yuv420p"),
)
AUDIO = (
    ("mp4", "aac"),
    ("mkv", "libopus"),
    ("avi", "mp2"),
    ("ts", "mp2"),
    ("ogg", "libvorbis"),
    ("flv", "aac"),
)
TEXTS = (
    b"Just some text.\n" * 40,
    b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"file 'video.mp4'\nfile 'video.mp4'\n",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>",
    b'{"not": "a video"}',
)


def clip(
    path: Path, codec: str = "mpeg4", pixels: str = "yuv420p", *, seed: int = 0, frames: int = 12
) -> Path:
    """A small moving picture, different for each seed."""
    width, height = (720, 576) if path.suffix == ".mxf" else (64, 48)
    rng = np.random.default_rng(seed)
    scene = np.kron(
        rng.integers(0, 256, (height // 8 + 4, width // 8 + 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8)
    )
    options = {
        "threads": "1",
        "crf": "35",
        "preset": "ultrafast",
        "cpu-used": "8",
        "x265-params": "log-level=none",
    }
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.options = {
            key: value for key, value in options.items() if key == "threads" or codec.startswith("lib")
        }
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(
                scene[number : number + height, number : number + width], format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def sound(path: Path, codec: str) -> Path:
    """Half a second of noise, and no picture."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48000, layout="stereo")
        for number in range(20):
            noise = np.random.default_rng(number).normal(0, 0.1, (2, 1152)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            frame.rate, frame.pts = 48000, number * 1152
            for resampled in av.AudioResampler(stream.format, stream.layout, 48000).resample(frame):
                resampled.pts = number * 1152
                out.mux(stream.encode(resampled))
        out.mux(stream.encode())
    return path


def seeds(folder: Path) -> dict[str, bytes]:
    """One good file for each container that this build of PyAV can write, by suffix."""
    return {
        suffix: clip(folder / f"seed.{suffix}", codec, pixels).read_bytes()
        for suffix, codec, pixels in CONTAINERS
        if codec in av.codecs_available
    }


def sounds(folder: Path) -> dict[str, bytes]:
    """Files with sound only, by suffix."""
    return {
        suffix: sound(folder / f"sound.{suffix}", codec).read_bytes()
        for suffix, codec in AUDIO
        if codec in av.codecs_available
    }


Rng = np.random.Generator
Damage = Callable[[bytes, Rng], bytes]


def truncate(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def flip_bits(data: bytes, rng: Rng) -> bytes:
    damaged = bytearray(data)
    end = len(data) if rng.random() < 0.5 else min(len(data), 600)  # half of them hit the header
    for at in rng.integers(0, end, int(rng.integers(1, 80))):
        damaged[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def zero_a_range(data: bytes, rng: Rng) -> bytes:
    start = int(rng.integers(0, len(data)))
    stop = min(len(data), start + int(rng.integers(1, 4000)))
    return data[:start] + bytes(stop - start) + data[stop:]


def all_zero(data: bytes, rng: Rng) -> bytes:
    return bytes(int(rng.integers(0, 3000)))


def random_body(data: bytes, rng: Rng) -> bytes:
    """The first bytes of the container, so that it is recognised, then noise."""
    return data[: int(rng.integers(16, 400))] + rng.bytes(int(rng.integers(1, 20_000)))


def extreme_numbers(data: bytes, rng: Rng) -> bytes:
    """Sizes, counts and times overwritten by the values that overflow."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, max(1, min(len(data) - 8, 3000))))
        value = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000)[int(rng.integers(0, 7))]
        damaged[at : at + 4] = struct.pack(">I" if rng.random() < 0.5 else "<I", value)
    return bytes(damaged)


def shuffle(data: bytes, rng: Rng) -> bytes:
    """Pieces left out, repeated and exchanged behind the header."""
    cuts = np.sort(rng.integers(min(100, len(data) - 1), len(data), 6)).tolist()
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    order = [0, *rng.integers(1, len(pieces), int(rng.integers(2, 9))).tolist()]
    return b"".join(pieces[i] for i in order)


DAMAGES: tuple[Damage, ...] = (
    truncate, flip_bits, zero_a_range, all_zero, random_body, extreme_numbers, shuffle,
)  # fmt: skip


def corrupted(folder: Path, count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """``count`` broken files, (name, content): each damage on each container, texts and sounds in turn."""
    rng = np.random.default_rng(seed)
    videos, audio = seeds(folder), sounds(folder)
    suffixes = list(videos)
    for number in range(count):
        suffix = suffixes[number % len(suffixes)]
        kind = int(rng.integers(0, len(DAMAGES) + 2))
        if kind < len(DAMAGES):
            damage = DAMAGES[kind]
            yield f"{number:05d}-{damage.__name__}.{suffix}", damage(videos[suffix], rng)
        elif kind == len(DAMAGES):
            yield f"{number:05d}-text.{suffix}", TEXTS[int(rng.integers(0, len(TEXTS)))]
        else:
            name = list(audio)[int(rng.integers(0, len(audio)))]
            content = audio[name] if rng.random() < 0.5 else flip_bits(audio[name], rng)
            yield f"{number:05d}-sound.{suffix}", content


def gif_bomb(path: Path, *, side: int = 8000, frames: int = 20_000) -> Path:
    """Half a megabyte that unfolds into frames of 256 MB, each of them painted for one pixel."""
    table = bytes(6)
    pixel = (
        b"\x21\xf9\x04\x04\x01\x00\x00\x00"
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
        + b"\x02\x02\x44\x01\x00"
    )
    path.write_bytes(
        b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + table + pixel * frames + b"\x3b"
    )
    return path


def png_bomb(path: Path, *, side: int = 11_000, frames: int = 40) -> Path:
    """A few hundred kilobytes of deflated black, 363 MB a frame."""
    squeezed = zlib.compress(bytes(side * 3 + 1) * side, 9)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", squeezed),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, "rgb24"
        for number in range(frames):
            packet = av.Packet(png)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 25)
            out.mux(packet)
    return path


def huge_frame(path: Path) -> Path:
    """A GIF of 65535 × 65535 pixels in 50 bytes."""
    return gif_bomb(path, side=65_535, frames=2)


def endless_search(path: Path, *, size: int = 200 << 30) -> Path:
    """A sparse file: a good start, then 200 GB of nothing that a demuxer searches for the next packet."""
    clip(path, "mpeg2video" if path.suffix == ".mpg" else "mpeg4")
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with open(path, "r+b") as file:
        file.truncate(size)
    return path


def long_time(path: Path) -> Path:
    """Two frames, twelve days apart."""
    start = clip(path.with_name("start.nut"), "ffv1", frames=2)
    with av.open(str(start)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(packet for packet in read.demux(video=0) if packet.size):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number * 1000 * 86_400 * 12
            out.mux(packet)
    start.unlink()
    return path


def evil_folder(folder: Path, good: int, broken: int) -> set[bytes]:
    """Fill a folder with everything that goes wrong; gives the names of the good files, relative to it."""
    names = [
        b"plain",
        b"quo'te\"s",
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b" space ",
        b"-rf",
        b"semi;colon&$(x)",
    ]
    (folder / "sub" / "deep").mkdir(parents=True)
    kept = set()
    for number in range(good):
        base = names[number % len(names)] + b"-%d" % number
        place = (b"", b"sub/", b"sub/deep/")[number % 3]
        suffix = (b".mp4", b".avi", b".mkv")[number // 3 % 3]
        path = os.path.join(os.fsencode(folder), place + base + suffix)
        clip(folder / f"new{suffix.decode()}", seed=number + 1, frames=8).rename(os.fsdecode(path))
        kept.add(place + base + suffix)
    for name, content in corrupted(folder, broken * 3, seed=2):
        noise = "random_body" in name and not name.endswith((".ivf", ".y4m"))  # there, noise is a picture
        if (noise or "text" in name or "all_zero" in name) and broken:
            (folder / name).write_bytes(content)
            broken -= 1
    for seed in folder.glob("seed.*"):
        seed.unlink()
    for seed in folder.glob("sound.*"):
        seed.unlink()
    gif_bomb(folder / "bomb.gif")
    png_bomb(folder / "bomb.mov")
    for suffix in ("avi", "mkv", "mpg"):
        endless_search(folder / f"endless.{suffix}")
    (folder / "notes.txt").write_text("a text")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "empty.mp4").write_bytes(b"")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop").symlink_to(folder)
    (folder / "ring-a").symlink_to(folder / "ring-b")
    (folder / "ring-b").symlink_to(folder / "ring-a")
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    return kept
