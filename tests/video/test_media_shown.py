"""Rule 2 of what the picture is: HDR as SDR, alpha over black, the container's crop; rule 1 as ever."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.video.test_media_picture import SAMPLING, Frames, scene, stored, written
from vhash_sdk import Encoder, _core
from vhash_sdk.errors import ModelError, UnsupportedVideoError
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling
from vhash_sdk.video import Box, Limits, container, open_source
from vhash_sdk.video.container import Crop, Said
from vhash_sdk.video.isolation.pool import DecodePool
from vhash_sdk.video.picture import render
from vhash_sdk.video.tone import _TO_BT709, _scene_levels, compressed, scene_light, tone

pytestmark = pytest.mark.usefixtures("remembered")

OLD, NEW = Resize("exact", 60, 80), Resize("exact", 60, 80, picture=2)
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("default", device="cpu")


def frames_of(path: Path, resize: Resize, box: Box | None = None) -> NDArray[np.int16]:
    with open_source(path) as reader:
        return reader.sample(SAMPLING, resize, box=box).frames.astype(np.int16)


def coded(encoder: Encoder, path: Path, rule: int) -> NDArray[np.uint8]:
    """The code of a file by a model that differs from the encoder's in the rule only."""
    spec = encoder.spec
    with open_source(path) as reader:
        frames = reader.sample(spec.sampling, replace(spec.resize, picture=rule)).frames
    code: NDArray[np.uint8] = encoder.encode_frames(frames[None, None]).codes[0]
    return code


def bits_between(encoder: Encoder, one: Path, other: Path, rule: int = 2) -> int:
    return int(np.bitwise_count(coded(encoder, one, rule) ^ coded(encoder, other, rule)).sum())


# ----- the specification -----------------------------------------------------------------------


def spec(**resize: Any) -> ModelSpec:
    size = Resize("exact", 224, 224, **resize)
    parts = (Part("cnn", (0, 64)),)
    return ModelSpec("m", 1, "fused", 64, parts, Sampling("uniform", 25), size, 1, 1280, "0" * 64)


def test_old_models_keep_their_fingerprint() -> None:
    """The canonical text is the one of before there were rules."""
    text = (
        '{"bits":64,"crops":1,"digest":"' + "0" * 64 + '","embedding":1280,"family":"fused","name":"m",'
        '"parts":[{"bits":[0,64],"name":"cnn"}],"resize":{"crop":null,"filter":"area","height":224,'
        '"rule":"exact","width":224},"sampling":{"frames":25,"kind":"uniform"},"version":1}'
    )
    assert spec().to_json() == text
    assert spec().fingerprint == hashlib.sha256(text.encode()).hexdigest()
    assert ModelSpec.from_json(text).resize.picture == 1


def test_the_rule_is_part_of_the_specification() -> None:
    new = spec(picture=2)
    assert json.loads(new.to_json())["resize"]["picture"] == 2
    assert ModelSpec.from_json(new.to_json()) == new
    assert new.fingerprint != spec().fingerprint
    for wrong in (0, 3, "2", True):
        with pytest.raises(ModelError, match=r"resize\.picture.*allowed: an integer from 1 to 2"):
            spec(picture=wrong)


def test_rules_are_the_same_for_plain_video(tmp_path: Path) -> None:
    path = written(tmp_path / "plain.mp4", scene())
    assert np.array_equal(frames_of(path, OLD), frames_of(path, NEW))


# ----- crop ------------------------------------------------------------------------------------


def with_clap(path: Path, across: Fraction, down: Fraction, right: Fraction, below: Fraction) -> Path:
    """Give the first video track of an MP4 a clean aperture."""
    data, numbers = path.read_bytes(), []
    for value in (across, down, right, below):
        numbers += [value.numerator, value.denominator]
    box = struct.pack(">I4s8i", 40, b"clap", *numbers)
    at = data.index(b"avc1", data.index(b"stsd")) - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    data = data[:end] + box + data[end:]
    for kind in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.rindex(kind, 0, end) - 4
        data = data[:at] + struct.pack(">I", int.from_bytes(data[at : at + 4], "big") + 40) + data[at + 4 :]
    path.write_bytes(data)
    return path


def with_pixel_crop(path: Path, left: int, top: int, right: int, bottom: int) -> Path:
    """Give the only track of a Matroska file a crop; what stands by its offset, an index, is left out."""
    data = path.read_bytes()
    crops = b"".join(
        struct.pack(">HBH", number, 0x82, value)
        for number, value in ((0x54CC, left), (0x54BB, top), (0x54DD, right), (0x54AA, bottom))
    )

    def element(kind: int, content: bytes) -> bytes:
        return (
            kind.to_bytes((kind.bit_length() + 7) // 8, "big")
            + struct.pack(">Q", len(content) | 1 << 56)
            + content
        )

    def rewritten(content: bytes, inside: dict[int, Any]) -> bytes:
        made, at = b"", 0
        while at < len(content):
            kind, size, start = container._head(content, at)
            body = content[at + start : at + start + size] if size >= 0 else content[at + start :]
            if kind in inside and inside[kind] is None:
                body = body + crops
            elif kind in inside:
                body = rewritten(body, inside[kind])
            if kind not in (0x114D9B74, 0x1C53BB6B, 0xEC):  # SeekHead, Cues, Void
                made += element(kind, body)
            at = at + start + size if size >= 0 else len(content)
        return made

    path.write_bytes(rewritten(data, {0x18538067: {0x1654AE6B: {0xAE: {0xE0: None}}}}))
    return path


def bordered(frames: Frames, left: int, top: int, right: int, bottom: int) -> Frames:
    """The pictures with something hidden around them."""
    wide = np.pad(frames, ((0, 0), (top, bottom), (left, right), (0, 0)))
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    hidden = np.tile(np.kron(noise, np.ones((8, 8, 1), np.uint8)), (8, 8, 1))[
        : wide.shape[1], : wide.shape[2]
    ]
    wide[:, :top] = hidden[:top]
    wide[:, wide.shape[1] - bottom :] = hidden[wide.shape[1] - bottom :]
    wide[:, :, :left] = hidden[:, :left]
    wide[:, :, wide.shape[2] - right :] = hidden[:, wide.shape[2] - right :]
    return wide


@pytest.mark.parametrize("turn", [(0, False), (90, False), (270, True)], ids=str)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_what_the_container_hides(
    tmp_path: Path, encoder: Encoder, suffix: str, turn: tuple[int, bool]
) -> None:
    frames = scene()
    twin = written(tmp_path / "twin.mp4", frames)
    inside = stored(frames, *turn)
    height, width = inside.shape[1:3]
    path = written(tmp_path / f"hidden.{suffix}", bordered(inside, 64, 32, 16, 0), turn=turn)
    before = frames_of(path, OLD)
    if suffix == "mp4":
        with_clap(path, Fraction(width), Fraction(height), Fraction(64 - 16, 2), Fraction(32, 2))
        with path.open("rb") as file:
            assert container.read_mov(file, 1) == Said(Crop(64, 32, 16, 0))
    else:
        with_pixel_crop(path, 64, 32, 16, 0)
        with path.open("rb") as file:
            assert container.read_matroska(file, 0) == Said(Crop(64, 32, 16, 0))
    assert np.array_equal(frames_of(path, OLD), before)
    assert np.abs(frames_of(path, NEW) - frames_of(twin, NEW)).mean() < 2
    part = Box(0.0, 0.25, 0.5, 1.0)
    assert np.abs(frames_of(path, NEW, part) - frames_of(twin, NEW, part)).mean() < 2
    assert bits_between(encoder, path, twin) <= 8
    assert bits_between(encoder, path, twin, rule=1) > 20
    data = path.read_bytes()
    with open_source(data) as reader:  # the file is read beside FFmpeg, which must not notice
        assert np.array_equal(reader.sample(SAMPLING, NEW).frames, frames_of(path, NEW))
    with path.open("rb") as file, open_source(file) as reader:
        assert np.array_equal(reader.sample(SAMPLING, NEW).frames, frames_of(path, NEW))
    with DecodePool(1, Limits()) as workers:
        assert np.array_equal(workers.decode(path, SAMPLING, NEW).frames, frames_of(path, NEW))


def test_headers_that_are_none(tmp_path: Path) -> None:
    """Whatever the bytes, the answer is that nothing is said."""
    rng = np.random.default_rng(1)
    for suffix, read in (("mp4", container.read_mov), ("mkv", container.read_matroska)):
        data = written(tmp_path / f"a.{suffix}", scene(1)).read_bytes()
        for _ in range(200):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), 40):
                broken[at] = rng.integers(0, 256)
            (tmp_path / "broken").write_bytes(broken[: rng.integers(1, len(data))])
            with (tmp_path / "broken").open("rb") as file:
                said = read(file, 1 if suffix == "mp4" else 0)
            assert isinstance(said, Said)
    assert container._clean_aperture((10, 1, 10, 1, 0, 1, 0, 1), 10, 10) is None  # all of it
    assert container._clean_aperture((12, 1, 10, 1, 0, 1, 0, 1), 10, 10) is None  # more than all
    assert container._clean_aperture((8, 1, 8, 1, -1, 1, 1, 1), 10, 10) == Crop(0, 2, 2, 0)


def test_dolby_vision_that_nothing_else_shows(tmp_path: Path) -> None:
    path = written(tmp_path / "dv.mp4", scene(2))
    with_clap(path, Fraction(320), Fraction(240), Fraction(0), Fraction(0))
    data, at = path.read_bytes(), path.read_bytes().index(b"clap")
    for compatible, refused in ((0, True), (1, False)):
        record = bytes([1, 0, 5 << 1, 0, compatible << 4]).ljust(32, b"\0")
        path.write_bytes(data[:at] + b"dvcC" + record + data[at + 36 :])
        assert len(frames_of(path, OLD))
        if refused:
            with pytest.raises(UnsupportedVideoError, match="Dolby Vision of profile 5"):
                frames_of(path, NEW)
        else:
            assert len(frames_of(path, NEW))


# ----- alpha -----------------------------------------------------------------------------------


def transparent(frames: Frames) -> tuple[Frames, Frames]:
    """Pictures with something wild under what is transparent, and the same as it is shown."""
    height, width = frames.shape[1:3]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x - width / 2) / width, (y - height / 2) / height)
    alpha = np.clip(255 * (0.45 - distance) / 0.05, 0, 255).astype(np.uint8)
    wild = np.random.default_rng(2).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    hidden = np.kron(wild, np.ones((16, 16, 1), np.uint8))
    pictures = np.where((alpha > 0)[..., None], frames, hidden)
    shown = (pictures.astype(int) * alpha[..., None] + 127) // 255
    layer = np.broadcast_to(alpha[None, ..., None], (*frames.shape[:3], 1))
    return np.concatenate([pictures, layer], -1), shown.astype(np.uint8)


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [
        ("qtrle", "argb", "mov"),
        ("apng", "rgba", "apng"),
        ("prores_ks", "yuva444p10le", "mov"),
        ("ffv1", "yuva420p", "mkv"),
        ("libvpx-vp9", "yuva420p", "webm"),
    ],
)
def test_alpha_lies_over_black(
    tmp_path: Path, encoder: Encoder, codec: str, pixels: str, suffix: str
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    pictures, shown = transparent(scene(6))
    path = written(tmp_path / f"alpha.{suffix}", pictures, codec, pixels)
    twin = written(tmp_path / "twin.mp4", shown)
    with av.open(str(path)) as read:
        if not any(part.is_alpha for part in next(read.decode(video=0)).format.components):
            pytest.skip("FFmpeg's own decoder of this codec leaves the alpha out")
    assert np.abs(frames_of(path, NEW) - frames_of(twin, NEW)).mean() < 3
    assert bits_between(encoder, path, twin) <= 12


@pytest.mark.parametrize("pixels", ["yuva420p", "yuva422p", "yuva444p", "yuva420p10le", "yuva444p16le"])
@pytest.mark.parametrize("size", [(37, 51), (1, 1), (8, 2)], ids=str)
def test_alpha_by_the_definition(pixels: str, size: tuple[int, int]) -> None:
    height, width = size
    frame = av.VideoFrame(width, height, pixels)
    bits, planes = frame.format.components[0].bits, []
    rng = np.random.default_rng(3)
    for plane in frame.planes:
        dtype = np.dtype("u1" if bits == 8 else "<u2")
        full = rng.integers(0, 1 << bits, plane.buffer_size // dtype.itemsize).astype(dtype)
        plane.update(full.tobytes())
        eight = np.minimum((full.astype(int) + (1 << bits - 9 if bits > 8 else 0)) >> bits - 8, 255)
        planes.append(eight.reshape(plane.height, -1)[:, : plane.width])
    y, u, v, a = planes
    rows, columns = -(-height // u.shape[0]), -(-width // u.shape[1])
    coarse = np.empty(u.shape, int)
    for i, j in np.ndindex(*u.shape):
        cell = a[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        coarse[i, j] = (int(cell.sum()) + cell.size // 2) // cell.size
    blended = [
        (p * q + b * (255 - q) + 127) // 255 for p, q, b in ((y, a, 16), (u, coarse, 128), (v, coarse, 128))
    ]
    plain = av.VideoFrame(width, height, pixels.replace("yuva", "yuv").split("p")[0] + "p")
    for plane, wanted in zip(plain.planes, blended, strict=True):
        room = np.zeros((plane.height, plane.line_size), np.uint8)
        room[:, : plane.width] = wanted
        plane.update(room.tobytes())
    found, expected = np.empty((60, 80, 3), np.uint8), np.empty((60, 80, 3), np.uint8)
    render(frame, NEW, found)
    render(plain, OLD, expected)
    assert np.array_equal(found, expected)


# ----- HDR -------------------------------------------------------------------------------------


def pq(light: Floats) -> Floats:
    """SMPTE ST 2084."""
    power = (light / 10_000) ** (1305 / 8192)
    coded: Floats = ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    return coded


def hlg(light: Floats) -> Floats:
    """BT.2100, of light on a display of 1000 cd/m² whose OOTF goes by luminance."""
    shown = light / 1000
    y = shown @ [0.2627, 0.6780, 0.0593]
    scene_light = shown * np.maximum(y, 1e-9)[..., None] ** ((1 - 1.2) / 1.2)
    low = np.sqrt(3 * scene_light)
    high = 0.17883277 * np.log(np.maximum(12 * scene_light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene_light <= 1 / 12, low, high).clip(0, 1)


def to_planes(rgb: Floats, bits: int) -> list[NDArray[np.uint16]]:
    """4:2:0, BT.2020, limited range."""
    y = rgb @ [0.2627, 0.6780, 0.0593]
    u, v = (rgb[..., 2] - y) / 1.8814, (rgb[..., 0] - y) / 1.4746
    half = [p.reshape(p.shape[0] // 2, 2, -1, 2).mean((1, 3)) for p in (u, v)]
    scale = 1 << (bits - 8)
    values = [16 * scale + 219 * scale * y, *(128 * scale + 224 * scale * p for p in half)]
    return [np.rint(p).astype(np.uint16) for p in values]


def hdr_file(path: Path, light: Floats, curve: str, bits: int) -> Path:
    """A film of a scene in cd/m², BT.709 primaries ``[T, H, W, 3]``."""
    wide = (light @ np.linalg.inv(np.array(_TO_BT709["bt2020"])).T).clip(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = *light.shape[1:3], f"yuv420p{bits}le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = {"pq": 16, "hlg": 18}[curve], 9, 9
        context.color_range = 1
        for i, picture in enumerate(wide):
            frame = av.VideoFrame(light.shape[2], light.shape[1], f"yuv420p{bits}le")
            for plane, samples in zip(
                frame.planes, to_planes((pq if curve == "pq" else hlg)(picture), bits), strict=True
            ):
                room = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                room[:, : plane.width] = samples
                plane.update(room.tobytes())
            frame.pts = i
            frame.color_trc, frame.color_primaries, frame.colorspace = context.color_trc, 9, 9
            frame.color_range = 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_hdr_shows_what_its_sdr_shows(tmp_path: Path, encoder: Encoder, curve: str, bits: int) -> None:
    """A scene in light, once as HDR and once as SDR, whose white is at 203 cd/m²."""
    sdr = scene(6)
    light = 203 * (sdr / 255.0) ** 2.4
    y, x = np.mgrid[0 : sdr.shape[1], 0 : sdr.shape[2]]
    light[:, np.hypot(x - 250, y - 50) < 25] *= 4  # a sun, and clouds beside it
    shown = 255 * np.minimum(light / 203, 1) ** (1 / 2.4)
    twin = written(tmp_path / "sdr.mp4", np.rint(shown).astype(np.uint8))
    path = hdr_file(tmp_path / "hdr.mkv", light, curve, bits)
    assert bits_between(encoder, path, twin) <= 20
    assert bits_between(encoder, path, twin, rule=1) > bits_between(encoder, path, twin)


def reference(
    planes: list[NDArray[Any]], curve: str, matrix: str, gamut: str, bits: int, full: bool
) -> list[Floats]:
    """The map in real numbers."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    scale = 1 << (bits - 8)
    black, span, swing = (
        (0, (1 << bits) - 1, (1 << bits) - 1) if full else (16 * scale, 219 * scale, 224 * scale)
    )
    y, u, v = (plane.astype(np.float64) for plane in planes)
    rows, columns = -(-y.shape[0] // u.shape[0]), -(-y.shape[1] // u.shape[1])
    wide = [
        np.repeat(np.repeat((p - (1 << bits - 1)) / swing, rows, 0), columns, 1)[: y.shape[0], : y.shape[1]]
        for p in (u, v)
    ]
    y = (y - black) / span
    red, blue = y + 2 * (1 - kr) * wide[1], y + 2 * (1 - kb) * wide[0]
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    rgb = np.stack([red, green, blue], -1).clip(0, 1)
    if curve == "hlg":
        seen = np.vectorize(scene_light)(rgb)
        rgb = pq(1000 * seen * (seen @ [0.2627, 0.6780, 0.0593])[..., None] ** 0.2)
    light = np.vectorize(lambda code: min(1.0, compressed(code) / 203))(rgb)
    shown = 255 * (light @ np.array(_TO_BT709[gamut]).T).clip(0, 1) ** (1 / 2.4)
    luma = shown @ [0.2126, 0.7152, 0.0722]
    padded = np.pad(
        shown, ((0, rows * u.shape[0] - y.shape[0]), (0, columns * u.shape[1] - y.shape[1]), (0, 0)), "edge"
    )
    cells = padded.reshape(u.shape[0], rows, u.shape[1], columns, 3).mean((1, 3))
    mean = cells @ [0.2126, 0.7152, 0.0722]
    return [luma, 128 + (cells[..., 2] - mean) / 1.8556, 128 + (cells[..., 0] - mean) / 1.5748]


@pytest.mark.parametrize("curve", ["pq", "hlg"])
@pytest.mark.parametrize(
    ("matrix", "gamut", "bits", "full"),
    [
        ("bt2020", "bt2020", 10, False),
        ("bt2020", "bt2020", 12, False),
        ("bt2020", "p3", 10, True),
        ("bt709", "bt709", 8, False),
        ("bt601", "bt2020", 12, True),
    ],
)
@pytest.mark.parametrize("chroma", [(2, 2), (1, 2), (1, 1)], ids=str)
def test_tables_are_within_a_grey_level_of_the_curve(
    curve: Any, matrix: Any, gamut: Any, bits: int, full: bool, chroma: tuple[int, int]
) -> None:
    rng = np.random.default_rng(bits)
    top, size = (1 << bits) - 1, (61, 83)
    coarse = tuple(-(-side // step) for side, step in zip(size, chroma, strict=True))
    grey = np.linspace(0, top, size[0] * size[1]).reshape(size)  # every grey, and colours around it
    y = np.rint(grey).astype(np.uint16)
    u, v = ((1 << bits - 1) + np.rint(rng.normal(0, top / 40, (2, *coarse)))).clip(0, top).astype(np.uint16)
    u[: coarse[0] // 2], v[: coarse[0] // 2] = 1 << bits - 1, 1 << bits - 1
    chosen = tone(curve, matrix, gamut, bits, full)
    found = [np.empty(plane.shape, np.uint8) for plane in (y, u, v)]
    _core.frames_tone_map(y, u, v, *tables(chosen), *found)
    for one, wanted in zip(found, reference([y, u, v], curve, matrix, gamut, bits, full), strict=True):
        assert np.abs(one - np.rint(wanted)).max() <= 1


def tables(chosen: Any) -> tuple[Any, ...]:
    return chosen.linear, chosen.display, chosen.gain, chosen.curve, chosen.numbers


def by_definition(planes: list[NDArray[Any]], chosen: Any) -> list[NDArray[np.uint8]]:
    """Steps 1 to 5 of ``video.tone``, in numpy's 64-bit integers."""
    y, u, v = (plane.astype(np.int64) for plane in planes)
    black, mid, cy, rv, gu, gv, bu, *gamut = (int(number) for number in chosen.numbers)
    rows, columns = -(-y.shape[0] // u.shape[0]), -(-y.shape[1] // u.shape[1])
    pad = ((0, rows * u.shape[0] - y.shape[0]), (0, columns * u.shape[1] - y.shape[1]))
    wide = np.pad(y, pad, "edge") - black
    u, v = (np.repeat(np.repeat(p - mid, rows, 0), columns, 1) for p in (u, v))
    coded = [cy * wide + rv * v, cy * wide + gu * u + gv * v, cy * wide + bu * u]
    light = [chosen.linear[((c + 2**13) >> 14).clip(0, 4095)].astype(np.int64) for c in coded]
    if chosen.curve is not None:
        luminance = (1076 * light[0] + 2777 * light[1] + 243 * light[2] + 2**15) >> 16
        gain = chosen.gain[np.where(luminance < 4096, luminance, 4096 + (luminance >> 6))].astype(np.int64)
        for i, scene_part in enumerate(light):
            d = (scene_part * gain + 2**13) >> 14
            at = np.where(d < 4096, d, np.where(d < 2**18, 4096 + (d >> 6), 8192 + (d >> 10)))
            light[i] = chosen.curve[at].astype(np.int64)
    mixed = [sum(m * c for m, c in zip(gamut[3 * i : 3 * i + 3], light, strict=True)) for i in range(3)]
    mixed = [((m + 2**11) >> 12).clip(0, 2**18) for m in mixed]
    assert max(np.abs(m).max() for m in mixed) < 2**31
    shown = [chosen.display[np.where(m < 4096, m, 4096 + (m >> 6))].astype(np.int64) for m in mixed]
    r, g, b = shown
    luma = ((1742 * r + 5859 * g + 591 * b + 2**18) >> 19)[: y.shape[0], : y.shape[1]]
    k = (rows == 2) + (columns == 2)
    r, g, b = (p.reshape(p.shape[0] // rows, rows, -1, columns).sum((1, 3)) for p in shown)
    blue = (-939 * r - 3157 * g + 4096 * b + (257 << (18 + k))) >> (19 + k)
    red = (4096 * r - 3720 * g - 376 * b + (257 << (18 + k))) >> (19 + k)
    return [luma.astype(np.uint8), blue.clip(0, 255).astype(np.uint8), red.clip(0, 255).astype(np.uint8)]


@pytest.mark.parametrize("size", [(40, 62), (33, 51), (1, 1), (2, 7)], ids=str)
@pytest.mark.parametrize("chroma", [(2, 2), (1, 2), (2, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_tone_map_by_the_definition(size: tuple[int, int], chroma: tuple[int, int], bits: int) -> None:
    rng = np.random.default_rng(4)
    coarse = tuple(-(-side // step) for side, step in zip(size, chroma, strict=True))
    planes = [rng.integers(0, 1 << bits, shape).astype(np.uint16) for shape in (size, coarse, coarse)]
    for curve in ("pq", "hlg"):
        chosen = tone(curve, "bt2020", "bt2020", bits, False)  # type: ignore[arg-type]
        found = [np.empty(plane.shape, np.uint8) for plane in planes]
        _core.frames_tone_map(*planes, *tables(chosen), *found)
        for one, wanted in zip(found, by_definition(planes, chosen), strict=True):
            assert np.array_equal(one, wanted)


def test_tables_never_change() -> None:
    """No entry is near a tie but not one, so any mathematical library gives these; new codes rest on them."""
    levels = [*range(4096), *(min(64 * i + 32, 2**18) for i in range(4097))]
    exact = [2**18 * min(1.0, compressed(n / 4095) / 203) for n in range(4096)]
    exact += [2**22 * scene_light(n / 4095) for n in range(4096)]
    exact += [2**14 * (level / 2**18) ** 0.2 for level in levels]
    exact += [16320 * (level / 2**18) ** (1 / 2.4) for level in levels]
    exact += [
        2**18 * min(1.0, compressed(float(pq(np.float64(1000 * x / 2**22)))) / 203) for x in _scene_levels()
    ]
    from_tie = np.abs(np.array(exact) % 1 - 0.5)
    assert not ((from_tie > 1e-9) & (from_tie < 2e-7)).any()  # 64-bit numbers are right to 1e-9 here
    digest = hashlib.sha256()
    for curve in ("pq", "hlg"):
        for bits in (8, 10, 12):
            for full in (False, True):
                made = tone(curve, "bt2020", "bt2020", bits, full)  # type: ignore[arg-type]
                for table in (made.linear, made.gain, made.curve, made.display, made.numbers):
                    digest.update(b"" if table is None else table.astype("<i4").tobytes())
    assert digest.hexdigest() == "4020d5f16f3a5b7d58f9e0ec18cfa7c75d74c7be6750814abaf79850af0f0543"


@pytest.mark.parametrize("pixels", ["p010le", "yuv422p10le", "yuv420p9le", "yuv444p16le", "yuv420p"])
def test_every_layout_of_hdr(pixels: str) -> None:
    """One colour in each: the map is a pixel's, however it is stored."""
    frame = av.VideoFrame(64, 48, "yuv444p12le")
    for plane, value in zip(frame.planes, (2200, 1900, 2300), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    other = frame.reformat(format=pixels)
    shown = []
    for one in (frame, other):
        one.color_trc, one.color_primaries, one.colorspace, one.color_range = 16, 9, 9, 1
        out = np.empty((60, 80, 3), np.uint8)
        render(one, NEW, out)
        shown.append(out[30, 40].astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= (6 if pixels == "yuv420p" else 2)
