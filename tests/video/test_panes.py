"""Split screens: which pictures are composed of several, and what is seen of each pane."""

from __future__ import annotations

import numpy as np
import pytest

from tests.video.test_box import UNIFORM, video
from vhash_sdk import Encoder
from vhash_sdk.encoding.encoded import views
from vhash_sdk.spec import Resize
from vhash_sdk.video import ArrayReader, Box, sample_views
from vhash_sdk.video.pane_finding import find_split

pytestmark = pytest.mark.usefixtures("remembered")

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)
TOP, BOTTOM = Box(0, 0, 1, 0.5), Box(0, 0.5, 1, 1)


def composed(*rows: tuple[int, ...]) -> np.ndarray:
    """Videos of some seeds, row by row."""
    return np.concatenate([np.concatenate([video(seed) for seed in row], 2) for row in rows], 1)


def find_panes(frames: np.ndarray) -> tuple[Box, ...]:
    split = find_split(frames)
    return () if split is None else split.panes


def test_halves_and_quarters_are_found() -> None:
    for seed in (0, 8, 20):
        assert find_panes(composed((seed, seed + 1))) == (LEFT, RIGHT)
        assert find_panes(composed((seed,), (seed + 1,))) == (TOP, BOTTOM)
        four = find_panes(composed((seed, seed + 1), (seed + 2, seed + 3)))
        assert [(pane.left, pane.top) for pane in four] == [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]


def test_thirds_are_found_and_an_empty_one_is_none() -> None:
    three = composed((9, 8, 20))
    assert [round(pane.left, 2) for pane in find_panes(three)] == [0, 0.33, 0.67]
    assert len(find_panes(composed((2, 3, 10), (9, 8, 20), (21, 5, 6)))) == 9
    three[:, :, 256:] = 30
    assert [round(pane.right, 2) for pane in find_panes(three)] == [0.33, 0.67]


def test_panes_may_be_within_the_content_box() -> None:
    screen = np.zeros((24, 320, 256, 3), np.uint8)
    screen[:, 160:256] = composed((0, 1))
    size = Resize("exact", 160, 160)
    clip = sample_views(ArrayReader(screen), UNIFORM, size)
    assert clip.box is not None and len(clip.panes) == 2
    for seed, pane in zip((0, 1), clip.panes, strict=True):
        assert pane.place.top == pytest.approx(0.5, abs=0.02)
        alone = ArrayReader(video(seed)).sample(UNIFORM, size).frames
        assert np.abs(pane.frames.astype(int) - alone).mean() < 4


def test_panes_may_have_a_bar_between_them() -> None:
    bar = np.full((24, 96, 12, 3), 20, np.uint8)
    assert find_panes(np.concatenate([video(1), bar, video(2)], axis=2)) == (LEFT, RIGHT)


def test_one_picture_has_no_panes() -> None:
    assert all(find_panes(video(seed)) == () for seed in range(8))
    half = composed((3, 4))
    half[:, :, 128:] = 0  # nothing is there
    for nothing in (half, np.zeros((25, 96, 96, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)):
        assert find_panes(nothing) == ()
    letterbox = np.zeros((24, 192, 128, 3), np.uint8)
    letterbox[:, 48:144] = video(5)
    assert find_panes(letterbox) == ()


def test_panes_are_cut_from_the_source() -> None:
    size = Resize("exact", 96, 96)
    clip = sample_views(ArrayReader(composed((1, 2), (3, 4))), UNIFORM, size)
    assert len(clip.panes) == 4
    for seed, pane in zip((1, 2, 3, 4), clip.panes, strict=True):
        alone = ArrayReader(video(seed)).sample(UNIFORM, size).frames
        assert pane.frames.shape == alone.shape
        assert np.abs(pane.frames.astype(int) - alone).mean() < 1
    assert sample_views(ArrayReader(video(1)), UNIFORM, size).panes == ()
    assert sample_views(ArrayReader(composed((1, 2))), UNIFORM, Resize("short_side", 96, 96)).panes == ()


@pytest.mark.parametrize("isolate", [False, True])
def test_a_pane_has_the_code_of_its_video(isolate: bool) -> None:
    with Encoder("copy", threads=1) as encoder:
        given = [video(1, 192, 192), np.concatenate([video(1, 192, 192), video(2, 192, 192)], axis=2)]
        alone, beside = encoder.encode_many(given, detail="views", isolate=isolate)
    assert alone.code is not None and beside.code is not None and not alone.panes
    assert [pane.place for pane in beside.panes] == [LEFT, RIGHT]
    assert beside.panes[0].code - alone.code <= 16 < beside.code - alone.code
    assert [view.pane for view in views(beside)][-2:] == [True, True]


def test_panes_that_say_nothing_are_left_out() -> None:
    still = np.broadcast_to(video(2, 192, 192)[:1], (24, 192, 192, 3))
    with Encoder("copy", threads=1) as encoder:
        (found,) = encoder.encode_many([np.concatenate([video(1, 192, 192), still], axis=2)], detail="views")
    assert [pane.place for pane in found.panes] == [LEFT]
