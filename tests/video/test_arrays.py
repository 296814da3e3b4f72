"""Frames from arrays and DLPack; the sampling rules in whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vhash_sdk.errors import SourceError, UnsupportedVideoError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import ArrayReader, open_source
from vhash_sdk.video.resize import rgb_to_rgb
from vhash_sdk.video.sampling import frame_ranks, last_shown, uniform_times

SMALL = Resize("exact", 6, 5)


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8)


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 200))
def test_ranks_follow_the_design(count: int, sampled: int) -> None:
    uniform = frame_ranks(Sampling("uniform", sampled), count)
    assert uniform == [math.floor((j + Fraction(1, 2)) * count / sampled) for j in range(sampled)]
    middle = frame_ranks(Sampling("middle", sampled), count)
    first = (count - sampled) // 2 if count >= sampled else 0
    assert middle == [(first + j) % count for j in range(sampled)]


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12), st.integers(1, 100))
def test_uniform_times_round_down(start: int, span: int, count: int) -> None:
    exact = [start + Fraction(2 * j + 1, 2 * count) * span for j in range(count)]
    assert uniform_times(start, start + span, count) == [math.floor(time) for time in exact]


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, unique=True), st.lists(st.integers(-10, 1010)))
def test_last_shown(times: list[int], bounds: list[int]) -> None:
    times.sort()
    expected = [
        max((rank for rank, time in enumerate(times) if time <= bound), default=0) for bound in bounds
    ]
    assert last_shown(np.array(times, np.int64), bounds) == expected


@pytest.mark.parametrize("kind", ["uniform", "middle"])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_array_reader(kind: str, count: int) -> None:
    array = frames(count)
    sampling = Sampling(kind, 8)  # type: ignore[arg-type]
    with open_source(array) as reader:
        clip = reader.sample(sampling, SMALL)
        assert reader.info.frames == count and reader.info.rate is None and reader.info.duration == count
    ranks = frame_ranks(sampling, count)
    assert clip.times.tolist() == ranks
    assert np.array_equal(clip.frames, rgb_to_rgb(array[ranks], SMALL))


def test_frames_at() -> None:
    array = frames(5)
    clip = ArrayReader(array).frames_at(np.array([-3.0, 0.0, 1.5, 4.0, 100.0]), SMALL)
    assert clip.times.tolist() == [0, 0, 1, 4, 4]
    assert np.array_equal(clip.frames, rgb_to_rgb(array[[0, 0, 1, 4, 4]], SMALL))


def test_views_need_no_copy_and_stay_as_they_are() -> None:
    array = frames(9)[::2, ::-1, 3:27]
    clip = ArrayReader(array).sample(Sampling("uniform", 5), SMALL)
    assert np.array_equal(clip.frames, rgb_to_rgb(np.ascontiguousarray(array), SMALL))


class Exported:
    """DLPack without numpy, as other libraries hand it over."""

    def __init__(self, array: np.ndarray, device: int = 1) -> None:
        self.array, self.device = array, device

    def __dlpack__(self, **arguments: object) -> object:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


def test_dlpack() -> None:
    array = frames(6)
    expected = ArrayReader(array).sample(Sampling("uniform", 4), SMALL).frames
    with open_source(Exported(array)) as reader:
        assert np.array_equal(reader.sample(Sampling("uniform", 4), SMALL).frames, expected)
    with pytest.raises(UnsupportedVideoError, match=r"tensor\.cpu\(\)"):
        open_source(Exported(array, device=2))


def test_torch_tensor() -> None:
    torch = pytest.importorskip("torch")
    array = frames(6)
    clip = ArrayReader(torch.from_numpy(array)).sample(Sampling("uniform", 4), SMALL)
    assert np.array_equal(clip.frames, ArrayReader(array).sample(Sampling("uniform", 4), SMALL).frames)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((4, 0, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.float32),
    ],
)
def test_wrong_arrays(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match=r"uint8 \[T, H, W, 3\]"):
        ArrayReader(array)
