"""Coded pictures without a container, and old formats: the same frames as in a container."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_files import Part, write
from tests.video.test_media_streams import sampled, shows
from vhash_sdk.errors import UnsupportedVideoError
from vhash_sdk.video.bare import bare_stream
from vhash_sdk.video.sources import open_media

KINDS = [
    ("h264", "libx264", "h264"),
    ("hevc", "libx265", "hevc"),
    ("obu", "libsvtav1", "obu"),
    ("mpegvideo", "mpeg1video", "mpeg1video"),
    ("mpegvideo", "mpeg2video", "mpeg2video"),
    ("m4v", "mpeg4", "m4v"),
]


@pytest.mark.parametrize(("demuxer", "codec", "muxer"), KINDS, ids=[kind[2] for kind in KINDS])
def test_bare_streams_have_the_frames_of_their_container(
    demuxer: str, codec: str, muxer: str, tmp_path: Path
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    bare = write(tmp_path / "bare", Part(50, 1, codec), format=muxer)
    boxed = write(tmp_path / "boxed.mkv", Part(50, 1, codec))
    assert open_media(bare).demuxer == demuxer
    clip, expected = sampled(bare, 25), sampled(boxed, 25)
    assert clip.info.duration == pytest.approx(2.0) and clip.info.frames == 50
    np.testing.assert_allclose(clip.times, expected.times, atol=0.001)
    assert np.array_equal(clip.frames, expected.frames)
    assert np.array_equal(sampled(bare.read_bytes(), 25).frames, clip.frames)


@pytest.mark.parametrize(
    ("codec", "format", "width", "height"),
    [("dvvideo", "dv", 720, 576), ("rv20", "rm", 176, 144)],
)
def test_camcorders_and_realmedia(codec: str, format: str, width: int, height: int, tmp_path: Path) -> None:
    path = write(tmp_path / "old", Part(25, 1, codec, width=width, height=height), format=format)
    assert open_media(path).demuxer == format
    clip = sampled(path)
    assert clip.info.duration == pytest.approx(1.0, abs=0.05) and len(set(clip.times)) == 8


def test_flic(tmp_path: Path) -> None:
    """Written by hand: FFmpeg has no encoder. A palette, then whole pictures as uncompressed bytes."""
    width, height, count = 64, 48, 10
    grey = b"".join(bytes([i, i, i]) for i in range(256))
    frames = b""
    for i in range(count + 1):  # the last one leads back to the first
        copy = struct.pack("<IH", 6 + width * height, 16) + bytes([i * 20 % 256]) * (width * height)
        palette = struct.pack("<IHHBB", 10 + len(grey), 4, 1, 0, 0) + grey
        chunks = palette + copy
        frames += struct.pack("<IHH8x", 16 + len(chunks), 0xF1FA, 2) + chunks
    head = struct.pack("<IHHHHHHI", 128 + len(frames), 0xAF12, count, width, height, 8, 3, 100)
    data = head.ljust(128, b"\0") + frames
    clip = sampled(data, count + 1)
    assert clip.frames[:, 0, 0, 0].tolist() == pytest.approx([*range(0, 201, 20)], abs=1)


def test_what_only_looks_like_a_stream_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for start in (b"\0\0\0\1", b"\0\0\1", b"\x12\0\x0a", b"\x1f\x07\0"):
        refused = sum(bare_stream(start + rng.bytes(4000)) is None for _ in range(200))
        assert refused >= 190
    with pytest.raises(UnsupportedVideoError, match="headers that decoding needs"):
        sampled(b"\0\0\0\1\x67\x42" + bytes(100))
    with pytest.raises(UnsupportedVideoError, match="Flash programme"):
        sampled(b"CWS\x08" + bytes(100))


def test_bare_streams_in_a_folder_are_found(tmp_path: Path) -> None:
    from vhash_sdk.cli.inputs import expand

    path = write(tmp_path / "camera.h264", Part(25, 1), format="h264")
    assert expand([str(tmp_path)]) == [str(path)] and shows(sampled(path), 1)
