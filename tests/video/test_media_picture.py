"""The picture that a person sees is the one that is coded: orientation, animations, crop, alpha, tone map.

Files are made here; each has a twin that shows the same without the property in question.
"""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vhash_sdk import Encoder
from vhash_sdk.errors import (
    DecodeError,
    DurationLimitError,
    MissingDependencyError,
    OptionError,
    PixelLimitError,
    TimeLimitError,
    UnsupportedVideoError,
)
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Box, Limits, open_source
from vhash_sdk.video.orientation import orientation, orientation_of
from vhash_sdk.video.picture import blended
from vhash_sdk.video.sources import open_media

Frames = NDArray[np.uint8]
SAMPLING, RESIZE = Sampling("uniform", 4), Resize("exact", 60, 80)
EXIF = {1: (0, 0), 2: (0, 1), 3: (180, 0), 4: (180, 1), 5: (90, 1), 6: (90, 0), 7: (270, 1), 8: (270, 0)}
"""EXIF's orientation as degrees clockwise, and whether left and right are exchanged after that."""

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("default", device="cpu")


def scene(count: int = 12, height: int = 240, width: int = 320) -> Frames:
    """A soft landscape that moves, nothing about it symmetrical: ``uint8[count, height, width, 3]``."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[0:height, 0 : width + 4 * count].astype(np.float32) / 40
    picture = np.zeros((height, width + 4 * count, 3), np.float32)
    for _ in range(14):
        fx, fy, phase = rng.normal(0, 1.2), rng.normal(0, 1.2), rng.uniform(0, 6)
        picture += np.sin(fx * x + fy * y + phase)[..., None] * rng.normal(0, 1, 3)
    picture = 128 + 45 * picture / picture.std() + 60 * (y / y.max() - 0.5)[..., None]
    picture[: height // 3, : width // 4] *= 0.5
    return np.stack([picture[:, 4 * i : 4 * i + width] for i in range(count)]).clip(0, 255).astype(np.uint8)


def written(
    path: Path, frames: Frames, codec: str = "libx264", pixels: str = "yuv420p", *,
    turn: tuple[int, bool] = (0, False), options: dict[str, str] | None = None, **header: str,
) -> Path:  # fmt: skip
    """Frames ``[T, H, W, 3 or 4]`` as a file whose header turns them clockwise, then mirrors them."""
    with av.open(str(path), "w", options=header) as out:
        stream = out.add_stream(codec, rate=8, options=options or {"crf": "8"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        if turn != (0, False):
            stream.set_display_rotation(-turn[0], hflip=turn[1])
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture), format="rgb24" if picture.shape[-1] == 3 else "rgba"
            )
            frame.pts = i
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode())
    return path


def stored(frames: Frames, rotation: int, mirrored: bool) -> Frames:
    """What has to be in the file so that it shows ``frames`` once turned, then mirrored."""
    shown = frames[:, :, ::-1] if mirrored else frames
    return np.rot90(shown, rotation // 90, (1, 2))


def sampled(path: Path, resize: Resize = RESIZE, box: Box | None = None) -> NDArray[np.int16]:
    with open_source(path) as reader:
        return reader.sample(SAMPLING, resize, box=box).frames.astype(np.int16)


# ----- orientation -----------------------------------------------------------------------------


@pytest.mark.parametrize("turn", EXIF.values(), ids=str)
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_all_eight_orientations_show_the_same(
    tmp_path: Path, encoder: Encoder, suffix: str, turn: tuple[int, int]
) -> None:
    frames, (rotation, mirrored) = scene(), (turn[0], bool(turn[1]))
    twin = written(tmp_path / "upright.mp4", frames)
    path = written(
        tmp_path / f"turned.{suffix}", stored(frames, rotation, mirrored), turn=(rotation, mirrored)
    )
    with open_source(path) as reader:
        info = reader.info
    assert (info.rotation, info.mirrored, info.width, info.height) == (rotation, mirrored, 320, 240)
    assert np.abs(sampled(path) - sampled(twin)).mean() < 1.5
    corner = Box(0.1, 0.0, 0.6, 0.3)
    assert np.abs(sampled(path, box=corner) - sampled(twin, box=corner)).mean() < 1.5
    assert encoder.encode(path) - encoder.encode(twin) <= 12


@pytest.mark.parametrize(("tag", "turn"), EXIF.items())
def test_exif_of_motion_jpeg(tmp_path: Path, tag: int, turn: tuple[int, int]) -> None:
    """PyAV has no name for the EXIF that FFmpeg leaves beside the matrix, and refuses all of it."""
    rotation, mirrored = turn[0], bool(turn[1])
    plain = written(tmp_path / "plain.avi", stored(scene(2), rotation, mirrored), "mjpeg", "yuvj420p")
    entry = struct.pack("<4sIHHHIHHI", b"II*\0", 8, 1, 0x112, 3, 1, tag, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(entry) + 8) + b"Exif\0\0" + entry
    with av.open(str(plain)) as read, av.open(str(tmp_path / "exif.mkv"), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                data = bytes(packet)
                copy = av.Packet(data[:2] + segment + data[2:])
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = True, stream
                out.mux(copy)
    with av.open(str(tmp_path / "exif.mkv")) as read:
        assert orientation_of(next(read.decode(video=0))) == (rotation, mirrored)
    twin = written(tmp_path / "twin.avi", scene(2), "mjpeg", "yuvj420p")
    assert np.abs(sampled(tmp_path / "exif.mkv") - sampled(twin)).mean() < 4


def test_matrices_that_are_none_or_askew() -> None:
    assert orientation((0, 0, 0, 0)) == (0, False)
    assert orientation((65536, 65536, 65536, 65536)) == (0, False)
    assert orientation((40000, 3000, -2000, 90000)) == (0, False)
    assert orientation((-3000, 40000, -90000, 2000)) == (90, False)
    assert orientation((3000, 40000, 90000, 2000)) == (90, True)


# ----- animations ------------------------------------------------------------------------------


def test_an_animated_png_is_a_video(tmp_path: Path, encoder: Encoder) -> None:
    path = written(tmp_path / "a.apng", scene(), "apng", "rgb24")
    twin = written(tmp_path / "twin.mp4", scene())
    with open_source(path) as reader:
        assert (reader.info.codec, reader.info.duration) == ("apng", 1.5)
    assert encoder.encode(path) - encoder.encode(twin) <= 12
    # behind a colour profile of some size, as editors write it
    data, filler = path.read_bytes(), bytes(9000)
    profile = struct.pack(">I", len(filler)) + b"iCCP" + filler + bytes(4)
    assert open_media(data[:33] + profile + data[33:]).demuxer == "apng"


def test_one_png_is_an_image(tmp_path: Path) -> None:
    path = written(tmp_path / "a.apng", scene(1), "apng", "rgb24")
    with pytest.raises(UnsupportedVideoError, match="is an image"):
        open_media(path)


def webp(frames: np.ndarray, **options: Any) -> bytes:
    """An animation of RGB or RGBA frames, without loss."""
    images = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    images[0].save(
        file, "WEBP", save_all=True, append_images=images[1:], **{"lossless": True, "duration": 125} | options
    )
    return file.getvalue()


def test_an_animated_webp_is_a_video(tmp_path: Path, encoder: Encoder) -> None:
    frames = scene()
    data = webp(frames)
    (tmp_path / "a.webp").write_bytes(data)
    with open_source(tmp_path / "a.webp") as reader:
        assert (reader.info.codec, reader.info.duration, reader.info.frames) == ("webp", 1.5, 12)
        assert reader.info.damaged is None
        whole = Resize("exact", *frames.shape[1:3])
        assert np.array_equal(reader.sample(Sampling("uniform", 12), whole).frames, frames)
        assert np.array_equal(reader.sample(Sampling("middle", 5), whole).frames, frames[3:8])
        again = reader.frames_at(np.array([0, 0.1, 0.75, 0.8, 99]), whole)
        assert np.array_equal(again.frames, frames[[0, 0, 6, 6, 11]])
        assert again.times.tolist() == [0, 0, 0.75, 0.75, 1.375]
        box = reader.sample(Sampling("uniform", 2), whole, box=Box(0.25, 0, 0.75, 1))
        assert box.frames.shape[1:3] == frames.shape[1:3]
    twin = written(tmp_path / "twin.mp4", frames)
    assert encoder.encode(tmp_path / "a.webp") - encoder.encode(twin) <= 12
    (isolated,) = encoder.encode_many([data], isolate=True)
    assert isolated.code == encoder.encode(io.BytesIO(data))
    with pytest.raises(OptionError, match="has one video stream"):
        open_source(data, stream=1)


def test_an_animated_webp_that_was_cut_off_shows_what_is_there() -> None:
    frames = scene()
    data = webp(frames)
    with open_source(data[: len(data) // 2]) as reader:
        count = reader.info.frames
        assert count is not None and 3 < count < 9 and "cut off" in (reader.info.damaged or "")
        clip = reader.sample(Sampling("uniform", count), Resize("exact", *frames.shape[1:3]))
    assert np.array_equal(clip.frames, frames[:count])
    with pytest.raises(DecodeError, match="holds no frame"):
        open_source(data[:60])
    broken = bytearray(data)
    at = data.index(b"VP8L", len(data) // 2) + 9
    broken[at : at + 40] = bytes(40)
    with open_source(bytes(broken)) as reader, pytest.raises(DecodeError, match="frames cannot be decoded"):
        reader.sample(Sampling("uniform", 12), Resize("exact", 32, 32))


def test_a_webp_of_empty_chunks_ends_at_the_time_limit() -> None:
    """Nothing is decoded, but somebody has to walk over them."""
    body = webp_head(2)[12:] + bytes(9) + 3_000_000 * b"junk\0\0\0\0"
    data = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    with pytest.raises(TimeLimitError):
        open_source(data, Limits(wall_time=0.2))


def test_webp_lasts_as_long_as_browsers_show_it() -> None:
    with open_source(webp(scene(3), duration=[10, 11, 500])) as reader:
        assert reader.info.duration == 0.1 + 0.011 + 0.5
    with pytest.raises(PixelLimitError, match="raise Limits.pixels"):
        open_source(webp(scene(2)), Limits(pixels=100))
    with pytest.raises(DurationLimitError):
        open_source(webp(scene(2), duration=90_000), Limits(duration=60))


def test_alpha_of_a_webp_lies_over_black_by_rule_2() -> None:
    frames = np.concatenate((scene(2), np.full((2, *scene(1).shape[1:3], 1), 128, np.uint8)), axis=3)
    with open_source(webp(frames, exact=True)) as reader:
        size = frames.shape[1:3]
        shown = reader.sample(Sampling("uniform", 2), Resize("exact", *size, picture=2)).frames
        assert np.array_equal(shown, blended(frames[..., :3], frames[..., 3:]))


def test_without_pillow_an_animated_webp_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vhash-sdk\[webp\]'"):
        open_source(webp_head(2) + bytes(40))


def test_a_still_webp_is_an_image() -> None:
    with pytest.raises(UnsupportedVideoError, match="is an image"):
        open_media(webp_head(16) + bytes(40))


def webp_head(flags: int) -> bytes:
    return b"RIFF" + struct.pack("<I", 60) + b"WEBPVP8X" + struct.pack("<IB", 10, flags)


@pytest.mark.parametrize("major", [b"avif", b"mif1", b"heic"])
def test_all_brands_of_a_picture_file_count(major: bytes) -> None:
    """A sequence may have the brand of a picture first; a picture has no sequence's brand at all."""
    for others, still in (((b"mif1", b"miaf"), True), ((b"mif1", b"avis"), False), ((b"msf1",), False)):
        head = struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + major + bytes(4) + b"".join(others)
        if still:
            with pytest.raises(UnsupportedVideoError, match="is an image"):
                open_media(head + bytes(100))
        else:
            assert open_media(head + bytes(100)).demuxer == "mov"


def test_a_sequence_with_the_brand_of_a_picture(tmp_path: Path) -> None:
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no encoder of AV1")
    data = written(tmp_path / "a.avif", scene(), "libsvtav1", "yuv420p").read_bytes()
    assert data[8:12] == b"avis"
    (tmp_path / "b.avif").write_bytes(data[:8] + b"avif" + data[12:])
    with open_source(tmp_path / "b.avif") as reader:
        assert reader.info.codec == "av1"
