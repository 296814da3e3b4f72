"""Pictures as videos of one frame: what is taken, how large, which way up, whole or not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vhash_sdk import Limits
from vhash_sdk.encoding.reliability import STILL
from vhash_sdk.errors import OptionError, PixelLimitError, UnsupportedVideoError, VideoError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import open_source
from vhash_sdk.video.isolation.pool import DecodePool
from vhash_sdk.video.sources import is_picture, open_media

Image = pytest.importorskip("PIL.Image")

TAKEN = Limits(stills=True)
WIDTH, HEIGHT = 80, 48
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"]
DEMUXERS = dict(
    zip(KINDS, ["jpeg_pipe", "png_pipe", "webp_pipe", "tiff_pipe", "bmp_pipe", "mov"], strict=True)
)


def picture(kind: str, *, turned: int = 1, **options: Any) -> bytes:
    """A picture whose left upper quarter is red and whose right lower one is green, turned by EXIF."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2], pixels[HEIGHT // 2 :, WIDTH // 2 :] = (255, 0, 0), (0, 255, 0)
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turned
    if kind == "TIFF":
        options["tiffinfo"] = {0x0112: turned}
    elif kind != "BMP":
        options["exif"] = exif
    try:
        Image.fromarray(pixels).save(file, kind, **options)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    return file.getvalue()


def shown(data: bytes, height: int = HEIGHT, width: int = WIDTH) -> Any:
    with open_source(data, TAKEN) as reader:
        return reader.sample(Sampling("uniform", 3), Resize("exact", height, width)).frames


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_a_video_of_one_frame(kind: str, tmp_path: Path) -> None:
    data = picture(kind)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        assert is_picture(source)
        media = open_media(source, stills=True)
        assert media.still and media.demuxer == DEMUXERS[kind]
        with open_source(source, TAKEN) as reader:
            info = reader.info
            assert (info.width, info.height, info.frames, info.still) == (WIDTH, HEIGHT, 1, True)
            assert info.rate is None and info.duration == 0.04 and info.damaged is None
            clip = reader.sample(Sampling("uniform", 3), Resize("exact", HEIGHT, WIDTH))
            assert np.array_equal(clip.frames[0], clip.frames[2])
            assert clip.frames[0, 5, 5, 0] > 200 and clip.frames[0, -5, -5, 1] > 200
            assert clip.times.tolist() == [0, 0, 0]
            again = reader.frames_at(np.array([0.0, 7.0]), Resize("exact", HEIGHT, WIDTH))
            assert np.array_equal(again.frames, clip.frames[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_refused_unless_they_are_asked_for(kind: str) -> None:
    data = picture(kind)
    with pytest.raises(UnsupportedVideoError, match="is an image, not a video"):
        open_media(data)
    with pytest.raises(UnsupportedVideoError, match=r"Limits\(stills=True\)"):
        open_source(data)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "BMP"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_exif_says_which_way_up(kind: str, turned: int) -> None:
    """As Pillow turns it, for all eight ways of EXIF."""
    data = picture(kind, turned=turned)
    from PIL import ImageOps

    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image.convert("RGB") if kind == "TIFF" else image))
    if kind == "TIFF":  # Pillow has turned it when it was loaded, and forgets the tag
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    with open_source(data, TAKEN) as reader:
        assert (reader.info.height, reader.info.width) == expected.shape[:2]
    ours = shown(data, *expected.shape[:2])[0]
    inside = np.abs(ours.astype(int) - expected[..., :3].astype(int)).mean()
    assert inside < 4


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_pixels_holds_before_a_picture_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture(kind)
    if kind != "AVIF":  # whose size FFmpeg reads from its boxes
        import av

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("it was opened")

        monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(PixelLimitError, match="80 × 48"):
        open_source(data, Limits(stills=True, pixels=WIDTH * HEIGHT - 1))
    monkeypatch.undo()
    open_source(data, Limits(stills=True, pixels=WIDTH * HEIGHT)).close()


def test_a_bomb_costs_nothing() -> None:
    """A PNG that says it has 2^32 pixels, of which there are none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1 << 16, 1 << 16, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    with pytest.raises(PixelLimitError, match="65536 × 65536"):
        open_source(data, TAKEN)


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_a_picture_is_no_part_of_it(kind: str) -> None:
    """A motion photo has a video behind its picture, and a camera's own kind of JPEG a second picture."""
    data = picture(kind)
    with open_source(data + picture("JPEG"), TAKEN) as reader:
        assert reader.info.frames == 1
    assert np.array_equal(shown(data + picture("JPEG")), shown(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_cut_off_is_told_or_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), np.uint8)
    file = io.BytesIO()
    try:
        Image.fromarray(noise).save(file, kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    data = file.getvalue()
    with open_source(data, TAKEN) as reader:
        assert reader.info.damaged is None
    for part in (0.5, 0.9, 0.999):
        try:
            with open_source(data[: int(len(data) * part)], TAKEN) as reader:
                assert reader.info.damaged is not None
        except VideoError:
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_broken_pictures_are_video_errors(kind: str) -> None:
    """Whatever is in their headers: a picture, or a VideoError."""
    data, rng = picture(kind), np.random.default_rng(7)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, min(len(broken), 200), 3):
            broken[place] = int(rng.integers(256))
        try:
            with open_source(bytes(broken), Limits(stills=True, pixels=1 << 20)) as reader:
                reader.sample(Sampling("uniform", 2), Resize("exact", 16, 16))
        except VideoError:
            pass


def test_a_raw_photo_and_a_picture_of_tiles_are_no_pictures() -> None:
    raw = bytearray(picture("TIFF"))
    (place,) = struct.unpack_from("<I", raw, 4)
    struct.pack_into("<HHII", raw, place + 2, 254, 4, 1, 1)  # a reduced picture, in the place of its width
    with pytest.raises(UnsupportedVideoError, match="raw photo"):
        open_media(bytes(raw), stills=True)
    with pytest.raises(UnsupportedVideoError, match="is an image, not a video"):
        open_media(b"II*\0\x10\0\0\0CR\2\0" + bytes(100), stills=True)
    tiled = picture("AVIF").replace(b"av01Color", b"gridColor").replace(b"av01\0", b"grid\0", 1)
    with pytest.raises(UnsupportedVideoError, match="put together of tiles"):
        open_media(tiled, stills=True)


def test_playlists_and_text_stay_refused() -> None:
    for data in (b"#EXTM3U\n", b"BM is how this text begins, nothing else", b"file a.png\n"):
        with pytest.raises(UnsupportedVideoError):
            open_media(data, stills=True)
        assert not is_picture(data)


def test_in_a_process_of_its_own_it_is_the_same_picture() -> None:
    data = picture("PNG", turned=6)
    with DecodePool(1, TAKEN) as pool:
        clip = pool.decode(data, Sampling("uniform", 3), Resize("exact", WIDTH, HEIGHT))
    assert clip.info.still and clip.info.rotation == 90
    assert np.array_equal(clip.frames, shown(data, WIDTH, HEIGHT))


def test_the_switch_is_a_truth_value() -> None:
    with pytest.raises(OptionError, match=r"Limits.stills=1"):
        Limits(stills=1)  # type: ignore[arg-type]


def test_its_code_says_that_nothing_can_be_concluded() -> None:
    pytest.importorskip("onnxruntime")
    from vhash_sdk import Encoder

    with Encoder(limits=TAKEN) as encoder:
        assert encoder.encode(picture("PNG")).unreliable == STILL
