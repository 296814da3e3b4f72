"""Frame codes: alike in order, in any order, and changing alike are three different things."""

from __future__ import annotations

import numpy as np
import pytest

from tests.matching import numpy_likeness
from vhash_sdk import _core
from vhash_sdk.errors import CodeError
from vhash_sdk.matching.frame_codes import FrameCodes, frame_bits, likeness
from vhash_sdk.matching.second_look import Evidence, View, frames_from_bytes, frames_of, frames_width
from vhash_sdk.matching.sequence import Sequence
from vhash_sdk.models import zoo
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling

SPEC = ModelSpec(
    "frames", 1, "copy", 256, (Part("copy", (0, 256)),), Sampling("uniform", 25), Resize("exact", 96, 96), 1,
    512, "0" * 64,
)  # fmt: skip
T = SPEC.sampling.frames


def video(seed: int, start: float = 0.0, stop: float = 10.0, *, motion: float = 1.0) -> Sequence:
    """Frames of [start, stop) seconds of a made-up scene in which logits wander smoothly."""
    generator = np.random.default_rng(seed)
    walk = generator.standard_normal((26, SPEC.bits)).cumsum(0)
    times = start + (np.arange(T) + 0.5) * (stop - start) / T
    moving = np.stack([np.interp(times, np.linspace(0, 10, 26), column) for column in walk.T], 1)
    scene = np.random.default_rng(99).standard_normal(SPEC.bits) * 4
    logits = (scene * (1 - motion) + moving * motion).astype(np.float32)
    return Sequence(logits, times - start, stop - start, SPEC, np.ones(SPEC.bits, np.float32))


def codes(seed: int, *span: float, motion: float = 1.0) -> FrameCodes:
    return FrameCodes.of(video(seed, *span, motion=motion))


def test_one_code_for_each_frame_of_a_copy_model_only() -> None:
    one = codes(1)
    assert one.codes.shape == (T, 16) and one.signs.shape == (T, 128)
    assert np.array_equal(one.signs > 0, video(1).logits[:, :128] >= 0)
    assert frame_bits(SPEC) == 128 and frame_bits(zoo.load("lite0-phash-256").spec) == 0
    assert isinstance(frames_of(video(1)), FrameCodes) and frames_width(SPEC) == len(one.to_bytes()) == 400


def test_bytes_round_trip() -> None:
    one = codes(1)
    again = frames_from_bytes(one.to_bytes(), SPEC, 10.0)
    assert isinstance(again, FrameCodes) and np.array_equal(one.codes, again.codes)
    with pytest.raises(CodeError, match="encode it again"):
        frames_from_bytes(one.to_bytes()[:-1], SPEC, 10.0)


def test_likeness_by_its_definition_where_both_are_the_same_span() -> None:
    a, b = codes(1), codes(2)
    straight = (a.signs * b.signs).mean()
    turned = (a.signs * b.signs[::-1]).mean()
    every = a.signs @ b.signs.T / 128
    ordered, worst, free, alike, otherwise, pattern, another = likeness(a, b)
    assert worst < ordered and max(straight, turned) <= ordered + 1e-6 and ordered <= free + 1e-6
    assert free == pytest.approx(max(every.max(0).mean(), every.max(1).mean()))
    assert 0 <= alike + otherwise <= 1 and 0 <= pattern + another <= 1


@pytest.mark.parametrize("span", [(0, 10), (2, 9), (0, 6), (5, 10)])
def test_the_same_span_and_a_part_are_alike_in_order_and_change_alike(span: tuple[float, float]) -> None:
    whole, part = codes(1), codes(1, *span)
    for pair in ((whole, part), (part, whole)):
        ordered, worst, free, alike, otherwise, pattern, another = likeness(*pair)
        assert ordered > 0.75 and worst > 0.6 and free > 0.75 and alike > 0.7 and otherwise < 0.15
        assert pattern > 0.7 and another < 0.15
    strangers = np.array([likeness(whole, codes(seed, *span)) for seed in range(2, 12)])
    assert strangers[:, 0].max() < 0.5 and strangers[:, 4].min() > 0.2


def test_backwards_is_in_order_and_shuffled_is_in_any_order() -> None:
    whole = codes(1)
    backwards = FrameCodes(np.ascontiguousarray(whole.codes[::-1]), SPEC, 10.0)
    assert likeness(whole, backwards) == pytest.approx([1, 1, 1, *likeness(whole, whole)[3:]], abs=1e-6)
    quarters = np.concatenate([whole.codes[at : at + 6] for at in (12, 0, 18, 6)] + [whole.codes[24:]])
    ordered, _, free, *_ = likeness(whole, FrameCodes(quarters, SPEC, 10.0))
    assert free == 1 and ordered < 0.8


def test_pattern_survives_what_changes_every_frame_alike() -> None:
    """Another crop, turned, in other colours: no bit is the same, but it comes back to its own pictures."""
    generator = np.random.default_rng(5)
    shots = generator.integers(0, 256, (4, 16), np.uint8)

    def cut(*order: int) -> FrameCodes:
        return FrameCodes(np.repeat(shots[list(order)], 5, axis=0), SPEC, 10.0)

    one, other = cut(0, 1, 0, 2, 3), cut(0, 1, 2, 3, 3)
    mask = generator.integers(0, 256, 16, np.uint8)
    edited = FrameCodes(one.codes[:, generator.permutation(16)] ^ mask, SPEC, 10.0)
    same, take = likeness(one, edited), likeness(one, other)
    assert abs(same[0]) < 0.3 and same[5] > 0.95 and same[6] < 0.05
    assert take[5] < 0.6 and take[6] > 0.4 and likeness(edited, one)[5] == pytest.approx(same[5])


def test_two_takes_of_one_scene_are_alike_but_change_otherwise() -> None:
    """What parts them is how they change alone."""
    one, other = codes(1, motion=0.35), codes(2, motion=0.35)
    same, take = likeness(one, one), likeness(one, other)
    assert take[0] > 0.5 and take[3] < 0.5 * same[3] and take[4] > 0.2 > same[4]


@pytest.mark.parametrize("durations", [(9.0, 9.0), (4.0, 9.0), (9.0, 2.5), (float("nan"), 3.0), (0.3, 60.0)])
def test_the_engine_gives_what_numpy_gave(durations: tuple[float, float]) -> None:
    generator = np.random.default_rng(int(sum(d for d in durations if d == d)))
    for blank, noise in ((0, 0.1), (5, 0.02), (24, 0.3), (20, 0.5)):
        first = frames_of(video(3, 2.0, 8.0))
        assert isinstance(first, FrameCodes)
        flips = np.packbits(generator.random((T, 128)) < noise, axis=1, bitorder="little")
        second = (first.codes ^ flips)[:: -1 if blank == 5 else 1].copy()
        second[generator.permutation(T)[:blank]] = 0
        a, b = (FrameCodes(c, SPEC, d) for c, d in zip((first.codes, second), durations, strict=True))
        for one, other in ((a, b), (b, a), (a, a)):
            assert likeness(one, other) == pytest.approx(numpy_likeness.likeness(one, other), abs=2e-5)


def test_lines_that_leave_a_video_are_refused() -> None:
    codes, ones = np.ones((3, 16), np.uint8), np.ones((1, 3), np.float32)
    for low in (-1, 3):
        with pytest.raises(ValueError, match="leaves the other video"):
            _core.frame_likeness(codes, codes, ones, np.full((1, 3), low), ones, ones)
    with pytest.raises(ValueError, match="other shapes"):
        _core.frame_likeness(codes, codes[:, :8].copy(), ones, np.zeros((1, 3), np.int64), ones, ones)
    with pytest.raises(ValueError, match="other shapes"):
        _core.frame_likeness(codes, codes, ones, np.zeros((1, 2), np.int64), ones, ones)


def test_the_worst_quarter_gives_a_shared_intro_away() -> None:
    one, other = codes(1), codes(2)
    intro = FrameCodes(np.concatenate([one.codes[:15], other.codes[15:]]), SPEC, 10.0)
    ordered, worst, *_ = likeness(one, intro)
    assert ordered > 0.55 and worst < 0.3


def test_where_nothing_moves_change_says_nothing() -> None:
    still = codes(1, motion=0.0)
    assert likeness(still, still) == pytest.approx([1, 1, 1, 0, 0, 0, 0], abs=0.01)


def test_frames_that_show_nothing_are_left_out() -> None:
    """Two videos that end in black are no copies for that; a copy that ends in black is one all the same."""
    one, other = video(1), video(2)
    for sequence in (one, other):
        sequence.logits[5:] = 0
    ended, stranger = FrameCodes.of(one), FrameCodes.of(other)
    assert ended.shows.sum() == 5 and not ended.codes[5:].any()
    assert likeness(ended, ended)[:3] == pytest.approx([1, 1, 1])
    assert likeness(ended, stranger)[:3].max() < 0.45
    assert likeness(FrameCodes(np.zeros((T, 16), np.uint8), SPEC, 10.0), codes(1)).tolist() == [0] * 7


def test_evidence_weighs_what_frames_say() -> None:
    evidence = Evidence(bias=-4.0, distance=-0.02, parts=(4.0, 0.0, 4.0, 4.0, -4.0, 2.0, -2.0))
    code = np.zeros(32, np.uint8)
    one, two = View(code, codes(1)), View(code, codes(2))
    assert evidence.verified([one], [one], 256) < 100 < evidence.verified([one], [two], 256)
