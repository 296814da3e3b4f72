"""Boxes: pixels, turned pictures, every layout of planes, readers; the content box of made-up videos."""

from __future__ import annotations

import numpy as np
import pytest

from vhash_sdk import Encoder
from vhash_sdk.errors import OptionError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import ArrayReader, Box, sample_views
from vhash_sdk.video.box import crop_planes, crop_rgb
from vhash_sdk.video.box_finding import find_box
from vhash_sdk.video.resize import Planes, planes_to_rgb

pytestmark = pytest.mark.usefixtures("remembered")

SIZE = Resize("exact", 24, 32)
UNIFORM = Sampling("uniform", 12)


def smooth(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A soft random picture: natural scenes have no straight edges from side to side."""
    coarse = generator.uniform(0, 255, (height // 24 + 2, width // 24 + 2, 3))
    rows = np.linspace(0, coarse.shape[0] - 1.001, height)
    columns = np.linspace(0, coarse.shape[1] - 1.001, width)
    for axis, at in ((0, rows), (1, columns)):
        low = at.astype(int)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        coarse = coarse.take(low, axis) * (1 - part) + coarse.take(low + 1, axis) * part
    return coarse


def video(seed: int, height: int = 96, width: int = 128, frames: int = 24) -> np.ndarray:
    """Two soft pictures that slide over each other, ``uint8[T, H, W, 3]``."""
    generator = np.random.default_rng(seed)
    one, two = smooth(generator, height, width), smooth(generator, height, width)
    slide = [(np.roll(one, t, 1) + np.roll(two, -t, 0)) / 2 for t in range(frames)]
    return np.stack(slide).astype(np.uint8)


def test_pixels_are_even_and_never_none() -> None:
    assert Box(0.1, 0.1, 0.9, 0.9).pixels(101, 51) == (10, 6, 90, 46)
    assert Box(0, 0, 1, 1).pixels(101, 51) == (0, 0, 101, 51)
    for width in range(1, 9):
        for left in np.linspace(0, 0.99, 7):
            first, _, last, _ = Box(float(left), 0, min(1.0, float(left) + 0.01), 1).pixels(width, 4)
            assert 0 <= first < last <= width
            assert first % 2 == 0


@pytest.mark.parametrize(
    "corners", [(0.5, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (0, float("nan"), 1, 1)]
)
def test_boxes_that_are_none(corners: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="expected shares"):
        Box(*corners)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("layout", ["420", "422", "444", "nv12"])
def test_cut_planes_show_what_the_cut_picture_shows(layout: str, rotation: int, mirrored: bool) -> None:
    generator = np.random.default_rng(1)
    y = generator.integers(0, 256, (40, 64), np.uint8)
    rows, columns = {"420": (20, 32), "422": (40, 32), "444": (40, 64), "nv12": (20, 32)}[layout]
    u, v = generator.integers(0, 256, (2, rows, columns), np.uint8)
    colour = {"uv": np.stack([u, v], 2)} if layout == "nv12" else {"u": u, "v": v}
    planes = Planes(y, rotation=rotation, mirrored=mirrored, **colour)
    height, width = (64, 40) if rotation in (90, 270) else (40, 64)
    box = Box(0.25, 0.1, 0.75, 0.8)
    whole = planes_to_rgb(planes, Resize("exact", height, width))
    expected = crop_rgb(whole, box)
    found = planes_to_rgb(crop_planes(planes, box), Resize("exact", *expected.shape[:2]))
    inner = slice(2, -2)  # chroma beyond the cut is not there to be interpolated from
    difference = np.abs(found.astype(int) - expected)[inner, inner]
    assert difference.max() <= 1


def test_array_reader_cuts() -> None:
    frames = video(2)
    cut = ArrayReader(frames).sample(UNIFORM, SIZE, box=Box(0.25, 0.25, 0.75, 0.75)).frames
    assert np.array_equal(cut, ArrayReader(frames[:, 24:72, 32:96]).sample(UNIFORM, SIZE).frames)


def close(found: Box | None, expected: tuple[float, float, float, float]) -> bool:
    if found is None:
        return False
    corners = np.array([found.left, found.top, found.right, found.bottom])
    return bool(np.abs(corners - expected).max() < 0.02)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (20, 90, 160)])
def test_bars_are_found(colour: tuple[int, int, int]) -> None:
    for seed in range(3):
        frames = np.empty((24, 96, 192, 3), np.uint8)
        frames[:] = colour
        frames[:, :, 32:160] = video(seed)
        assert close(find_box(frames), (1 / 6, 0, 5 / 6, 1))
        assert close(find_box(frames.swapaxes(1, 2)), (0, 1 / 6, 1, 5 / 6))


@pytest.mark.parametrize("edges", [(30, 130), (31, 131), (33, 128), (48, 96)])
def test_edges_of_flat_pictures_are_exact(edges: tuple[int, int]) -> None:
    """Where nothing but the edge changes from pixel to pixel, all places near it have the same evidence."""
    first, last = edges
    frames = np.zeros((24, 96, 160, 3), np.uint8)
    frames[:, :, first:last] = (60 + 4 * np.arange(24))[:, None, None, None]
    assert find_box(frames) == Box(first / 160, 0.0, last / 160, 1.0)


def test_insets_are_found_wherever_they_are() -> None:
    for seed, (x, y) in enumerate([(20, 16), (90, 60), (50, 40)]):
        frames = video(seed + 10, 192, 256)
        frames[:, y : y + 96, x : x + 128] = video(seed)
        assert close(find_box(frames), (x / 256, y / 192, (x + 128) / 256, (y + 96) / 192))


@pytest.mark.parametrize("seed", range(4))
def test_a_flat_picture_on_a_tall_canvas_is_the_box_and_no_bar_is(seed: int) -> None:
    """2.39:1 on a telephone's screen: the picture has under a quarter of the height, each bar more."""
    tall = np.zeros((24, 192, 192, 3), np.uint8)
    tall[:, 74:119] = video(seed, 45, 192)
    assert close(find_box(tall), (0, 74 / 192, 1, 119 / 192))


def test_whole_pictures_have_no_box() -> None:
    assert all(find_box(video(seed)) is None for seed in range(6))
    assert find_box(np.zeros((25, 96, 96, 3), np.uint8)) is None
    assert find_box(np.zeros((1, 8, 8, 3), np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (9, 96, 96, 3), np.uint8)
    assert find_box(noise) is None


def test_content_is_cut_from_the_source() -> None:
    frames = np.zeros((24, 192, 256, 3), np.uint8)
    frames[:, 48:144] = np.repeat(video(4), 2, axis=2)
    clip = sample_views(ArrayReader(frames), UNIFORM, Resize("exact", 96, 96))
    assert clip.box is not None
    assert clip.box.frames.shape == clip.frames.shape
    inside = ArrayReader(frames[:, 48:144]).sample(UNIFORM, Resize("exact", 96, 96)).frames
    assert np.abs(clip.box.frames.astype(int) - inside).mean() < 2
    assert sample_views(ArrayReader(video(4)), UNIFORM, Resize("exact", 96, 96)).box is None
    cropped = Resize("exact", 96, 96, crop=(64, 64))  # the model does not see the whole picture
    assert sample_views(ArrayReader(frames), UNIFORM, cropped).box is None


def test_encoder_codes_the_box() -> None:
    plain = video(7, 192, 192)
    barred = np.zeros((24, 192, 320, 3), np.uint8)
    barred[:, :, 64:256] = plain
    with Encoder(threads=1) as encoder:
        one, two = encoder.encode_many([plain, barred], detail="views")
        unasked = next(encoder.encode_many([barred]))
        batched = list(encoder.encode_many([plain, barred, plain], detail="box", batch_size=3))
    assert one.code is not None and two.code is not None and one.box is None and unasked.box is None
    assert two.box is not None and two.box.sequence is not None
    assert close(two.box.place, (0.2, 0, 0.8, 1))
    assert two.box.code - one.code < 20 < two.code - one.code
    assert [b.box is None for b in batched] == [True, False, True]
    assert batched[1].box is not None and batched[1].box.code - two.box.code <= 8
    assert unasked.code == two.code
