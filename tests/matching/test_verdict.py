"""The one place that decides, by itself: thresholds on two scales, and what is not decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.matching.test_second_look import event
from vhash_sdk.errors import ModelMismatchError, OptionError
from vhash_sdk.matching.frame_codes import FrameCodes
from vhash_sdk.matching.relation import VideoRelation
from vhash_sdk.matching.second_look import View
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.matching.trajectory import Trajectory
from vhash_sdk.matching.verdict import Verdict
from vhash_sdk.models import zoo

FUSED = zoo.load("lite0-phash-256")
SPEC, TABLE = FUSED.spec, FUSED.calibration
CODE = np.zeros(32, np.uint8)


def at(distance: int, seed: int | None) -> tuple[View, ...]:
    """A video whose code has so many bits set, and in which an event happens."""
    code = np.packbits(np.arange(256) < distance)
    return (View(code, None if seed is None else Trajectory.of(event(seed))),)


def test_near_codes_get_a_second_look_which_decides() -> None:
    verdict = Verdict.at(SPEC, TABLE, 1e-4)
    assert TABLE is not None and TABLE.second_look is not None
    copy, other = (verdict.decide(at(0, 1), at(40, seed)) for seed in (1, 2))
    assert copy.same and copy.verified is not None and copy.distance == 40
    assert other.same is False and other.verified is not None
    assert copy.threshold == other.threshold == TABLE.second_look.even  # on the scale of the second look
    assert copy.rate == TABLE.second_look.table.false_match_rate(copy.verified)


def test_a_copy_beyond_the_threshold_of_codes_may_be_confirmed_by_the_second_look() -> None:
    verdict = Verdict.at(SPEC, TABLE, 1e-4)
    assert verdict.radius is not None and TABLE is not None and TABLE.second_look is not None
    beyond = (verdict.radius + TABLE.second_look.radius) // 2
    assert verdict.decide(at(0, 1), at(beyond, 1)).same
    assert verdict.decide(at(0, None), at(beyond, None)).same is False
    far = verdict.decide(at(0, 1), at(TABLE.second_look.radius + 1, 1))
    assert far.verified is None and far.same is False and far.threshold == verdict.radius


SEEN = ThirdLook(0.9, 0.0, 1.0, 0.95, 0.3, 5.0, 8.0, None)


@pytest.mark.parametrize(("motion", "said"), [(0.9, True), (0.05, False), (0.5, None)])
def test_a_third_look_decides_where_there_is_a_doubt(motion: float, said: bool | None) -> None:
    verdict, seen = Verdict.at(SPEC, TABLE, 1e-4), SEEN._replace(motion=motion)
    codes = verdict.decide(at(0, 1), at(40, 2))
    pixels = verdict.decide(at(0, 1), at(40, 2), closer=lambda: seen)
    assert codes.same is False and codes.look is None and pixels.look == seen
    assert pixels.same is (codes.same if said is None else said)
    assert pixels.rate is not None and codes.rate is not None
    assert (pixels.rate < codes.rate) == bool(said)
    assert verdict.decide(at(0, 1), at(40, 2), closer=lambda: None) == codes  # it cannot be taken


@pytest.mark.parametrize(
    ("changes", "relation", "same"),
    [
        ({}, VideoRelation.SAME, True),
        ({"motion": 0.05}, VideoRelation.TAKE, False),
        ({"against": 0.5}, VideoRelation.SHARES, False),
        ({"apart": 0.3}, VideoRelation.SHARES, False),
        ({"agreeing": 0.5}, VideoRelation.SHARES, False),
        ({"motion": 0.5, "divided": 0.4, "agreeing": 0.5}, VideoRelation.SHARES, False),
        ({"motion": 0.1, "anywhere": 0.9}, VideoRelation.SAME, True),  # in another order
        ({"motion": 0.1, "still": 0.3}, None, False),  # nothing moves alike, whatever the codes say
    ],
)
def test_pixels_say_what_two_videos_are_to_each_other(
    changes: dict[str, float], relation: VideoRelation | None, same: bool
) -> None:
    verdict, seen = Verdict.at(SPEC, TABLE, 1e-4), SEEN._replace(**changes)
    found = verdict.decide(at(0, 1), at(40, 2), closer=lambda: seen)
    assert (found.relation, found.same) == (relation, same)


def copy_views(parts: list[int], seconds: float = 8.0) -> tuple[View, ...]:
    """A video of the default model whose frames are of such scenes, its code that of them all."""
    spec = zoo.load("default").spec
    scenes = [np.random.default_rng(part).integers(0, 256, 16, np.uint8) for part in parts]
    frames = np.stack([scenes[len(parts) * i // 25] for i in range(25)])
    code = np.packbits(np.unpackbits(np.concatenate([frames, frames], 1), axis=1).mean(0) > 0.5)
    return (View(code, FrameCodes(frames, spec, seconds)),)


def test_frames_alone_tell_that_only_a_part_is_shared() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    whole, again, intro = (copy_views(parts) for parts in ([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 5]))
    same = verdict.decide(whole, again)
    assert same.same and same.relation is VideoRelation.SAME
    shared = verdict.decide(whole, intro)
    assert shared.verified is not None and shared.threshold is not None
    assert shared.verified <= shared.threshold  # by their codes they would be one
    assert shared.same is False and shared.relation is VideoRelation.SHARES
    stranger = verdict.decide(whole, copy_views([6, 7, 8, 9]))
    assert stranger.same is False and stranger.relation is VideoRelation.UNRELATED


def test_what_pixels_say_of_near_codes_has_to_hold_all_the_time() -> None:
    """A picture that grows over the other one looks like another take where it lies on it."""
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    near = copy_views([1, 2, 3, 4]), copy_views([1, 2, 3, 10])
    for agreeing in (1.0, 0.5):
        seen = SEEN._replace(motion=0.05, agreeing=agreeing)
        found = verdict.decide(copy_views([1, 2, 3, 4]), noisy(copy_views([1, 2, 3, 4])), closer=lambda: seen)  # noqa: B023
        assert found.look == seen and found.same is (agreeing < 0.8)
    assert verdict.decide(*near).same is False


def changed(views: tuple[View, ...], bits: int) -> tuple[View, ...]:
    """The same frames under a code that differs in so many bits."""
    (view,) = views
    flipped = np.packbits(np.arange(8 * view.code.size) < bits)
    return (replace(view, code=view.code ^ flipped),)


def partly_changed(views: tuple[View, ...], *, frames: slice, bits: int) -> tuple[View, ...]:
    """Some frames with so many of each eight bits changed."""
    (view,) = views
    assert isinstance(view.frames, FrameCodes)
    codes = view.frames.codes.copy()
    codes[frames] ^= np.uint8((1 << bits) - 1)
    return (replace(view, frames=replace(view.frames, codes=codes)),)


def noisy(views: tuple[View, ...]) -> tuple[View, ...]:
    """Every fourth bit of the frames is another one."""
    (view,) = views
    assert isinstance(view.frames, FrameCodes)
    codes = view.frames.codes ^ np.uint8(5)
    return (View(view.code, replace(view.frames, codes=codes)),)


def test_nobody_looks_a_third_time_without_a_doubt() -> None:
    def asked() -> ThirdLook:
        raise AssertionError("asked for a third look")

    verdict = Verdict.at(SPEC, TABLE, 1e-4)
    assert TABLE is not None and TABLE.second_look is not None
    assert verdict.decide(at(0, 1), at(1, 1), closer=asked).same  # surely a copy
    many = replace(verdict, videos=1000)
    assert many.decide(at(0, 1), at(TABLE.second_look.radius + 1, 2), closer=asked).same is False
    assert Verdict(TABLE, radius=30).decide(at(0, 1), at(20, 2), closer=asked).same is False  # in bits
    crowd = Verdict.at(SPEC, TABLE, 1e-4, videos=10_000_000)
    assert crowd.decide(at(0, 1), at(40, 2), closer=asked).same is False  # too many strangers come so near


@pytest.mark.parametrize("within", [False, True])
def test_far_codes_make_copies_only_of_pixels_that_leave_no_doubt(within: bool) -> None:
    """As of a film that was taken off a screen: of strangers edited alike, little is the same too."""
    assert TABLE is not None and TABLE.second_look is not None
    reach, frames = TABLE.second_look.radius, TABLE.second_look.table
    verdict = Verdict.at(SPEC, TABLE, 1e-4, videos=40 if within else 1)
    videos = at(0, 1), at(TABLE.threshold(1 / 40) if within else reach + 1, 2)
    codes = verdict.decide(*videos)
    assert codes.same is False and codes.relation is VideoRelation.UNRELATED
    if within:  # the second look takes them for strangers
        assert codes.verified is not None and codes.verified > frames.threshold(0.3 / 40)
    copies = verdict.decide(*videos, closer=lambda: SEEN)
    assert copies.same is True and copies.look == SEEN and copies.relation is VideoRelation.SAME
    for changes in ({"still": 0.7}, {"agreeing": 0.9}, {"motion": 0.05}):
        look = SEEN._replace(**changes)
        assert verdict.decide(*videos, closer=lambda look=look: look) == codes
    # among many videos so many strangers are as near that nobody looks
    many = replace(verdict, videos=10_000)
    assert many.decide(*videos, closer=lambda: SEEN).same is False


def test_candidates_go_as_far_as_the_second_look_but_not_into_a_crowd() -> None:
    verdict = Verdict.at(SPEC, TABLE, 1e-4)
    assert verdict.radius is not None and TABLE is not None and TABLE.second_look is not None
    few, many, crowd = (verdict.candidates(videos) for videos in (10, 10_000, 10_000_000))
    assert verdict.radius == crowd < many < few == TABLE.second_look.radius
    assert Verdict(TABLE, radius=20).candidates(10) == 20  # asked for in bits: a promise
    assert Verdict(None, radius=7).candidates(10) == 7


def test_without_a_threshold_nothing_is_decided_and_without_content_neither() -> None:
    measured = Verdict(TABLE).decide(at(0, 1), at(10, 1))
    assert measured.same is None and measured.threshold is None and measured.verified is not None
    empty = Verdict.at(SPEC, TABLE, 1e-4).decide(at(0, 1), at(0, 1), told_apart=False)
    assert empty.same is None and empty.verified is None and empty.rate is not None


def test_a_radius_decides_where_no_calibration_is() -> None:
    verdict = Verdict(None, radius=7)
    assert [verdict.decide(at(0, 1), at(bits, 2)).same for bits in (7, 8)] == [True, False]
    assert verdict.rate is None and verdict.decide(at(0, 1), at(1, 1)).rate is None


def test_a_wide_radius_does_not_switch_the_second_look_off() -> None:
    assert TABLE is not None and TABLE.second_look is not None
    wide = TABLE.second_look.radius + 20
    assert Verdict(TABLE, radius=wide).decide(at(0, 1), at(wide, 2)).same is False


def test_a_rate_needs_a_calibration_of_this_model() -> None:
    assert TABLE is not None
    with pytest.raises(OptionError, match="has no calibration"):
        Verdict.at(SPEC, None, 1e-4)
    with pytest.raises(ModelMismatchError):
        Verdict.at(SPEC, replace(TABLE, fingerprint="0" * 64), 1e-4)


def test_the_rate_of_both_looks_is_that_of_the_rarer() -> None:
    assert TABLE is not None and TABLE.second_look is not None
    verdict = Verdict(TABLE, radius=69)
    codes = TABLE.false_match_rate(69)
    assert verdict.rate is not None and verdict.rate.high < codes.high
    assert Verdict(replace(TABLE, second_look=None), radius=69).rate == codes


def test_what_is_short_or_hardly_moves_is_a_copy_only_by_its_pixels() -> None:
    verdict = Verdict.at(SPEC, TABLE, 1e-4)

    def said(distance: int, look: ThirdLook | None) -> bool | None:
        return verdict.decide(at(0, 1), at(distance, 2), told_apart=False, closer=lambda: look).same

    copy = SEEN._replace(motion=0.9, still=0.95, agreeing=1.0, moving=0.001)
    assert copy.surely_same and said(40, copy) is True
    assert said(40, None) is None and said(40, copy._replace(motion=0.1, against=1.0)) is None
    assert said(40, copy._replace(still=0.7)) is None  # another picture, which moves alike by chance
    assert verdict.radius is not None and said(round(1.45 * verdict.radius) + 1, copy) is None
    in_bits = Verdict(TABLE, radius=60)  # a radius that was asked for is a promise
    assert in_bits.decide(at(0, 1), at(40, 2), told_apart=False, closer=lambda: copy).same is None


def test_a_part_that_moves_otherwise_in_one_picture_is_another_take_unless_codes_are_far() -> None:
    look = SEEN._replace(motion=0.73, still=0.98, agreeing=1.0, moving=0.05, against=0.05, seconds=8.0)
    assert look.same and look.otherwise and not look._replace(against=0.02).otherwise
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    same = copy_views([1, 2, 3, 4])
    found = verdict.decide(same, noisy(same), closer=lambda: look)
    assert found.verified is not None and found.verified <= 112
    assert found.same is False and found.relation is VideoRelation.TAKE


def test_of_split_screens_that_share_a_pane_only_pixels_can_say_that_they_are_copies() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    one, two, three = (copy_views([part, part + 1, part + 2, part + 3])[0] for part in (1, 11, 21))

    def split(whole: View, *panes: View) -> tuple[View, ...]:
        return (whole, *(replace(pane, pane=True) for pane in panes))

    (far,) = copy_views([31, 32, 33, 34])
    composed, other = split(one, two, three), split(far, two, copy_views([41, 42, 43, 44])[0])
    said = verdict.decide(composed, other)
    assert said.same is False and said.relation is VideoRelation.SHARES
    (still,) = copy_views([1, 1, 1, 1])  # hardly changes, so pixels are asked
    one_less, one_more = split(still, two, three), split(still, two, far)

    def unasked() -> ThirdLook:
        raise AssertionError("asked for a third look")

    said = verdict.decide(one_less, one_more, closer=unasked)  # one pane is equal, each has one of its own
    assert said.same is False and said.relation is VideoRelation.SHARES
    (near,) = changed((three,), 60)  # too near for another pane, and no copy
    first, second = split(still, two, three), split(still, two, replace(near, frames=far.frames))
    assert verdict.decide(first, second).relation is VideoRelation.SHARES
    copy = SEEN._replace(motion=0.95, still=0.95, agreeing=1.0, moving=0.2, variety=5.0, seconds=8.0)
    assert verdict.decide(first, second, closer=lambda: copy).same is True
    for apart in (0.5, 0.11):  # three of four panes are the same
        said = verdict.decide(first, second, closer=lambda apart=apart: copy._replace(apart=apart))
        assert said.same is False and said.relation is VideoRelation.SHARES
    talk = copy_views([1, 2, 3, 4])  # its head moves alike, and its pages otherwise
    first, second = split(talk[0], *first[1:]), split(noisy(talk)[0], *second[1:])
    assert verdict.decide(first, second, closer=lambda: copy).same is True
    assert verdict.decide(first, second, closer=lambda: copy._replace(against=0.1)).same is False
    assert verdict.decide(first, first).same is True
    assert verdict.decide(split(one, two), split(far, two)).relation is VideoRelation.SHARES
    assert verdict.decide(composed, (two,)).relation is VideoRelation.CONTAINS


def test_a_split_screen_that_has_all_panes_of_another_one_and_more_is_a_copy_only_by_its_pixels() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    still, two, three = (copy_views(parts)[0] for parts in ([1, 1, 1, 1], [11, 12, 13, 14], [21, 22, 23, 24]))
    less, more = (still, replace(two, pane=True)), (still, *(replace(v, pane=True) for v in (two, three)))
    copy = SEEN._replace(motion=0.95, still=0.95, agreeing=1.0, moving=0.2, variety=5.0, seconds=8.0)
    assert verdict.decide(less, more).same is True
    for apart, same in ((0.0, True), (0.11, False)):
        said = verdict.decide(less, more, closer=lambda apart=apart: copy._replace(apart=apart))
        assert said.same is same
        assert said.relation is (VideoRelation.SAME if same else VideoRelation.SHARES)


def test_where_parts_of_the_pictures_have_near_codes_what_is_beside_them_counts() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    (still,), (other,), (box,) = (copy_views([part] * 4) for part in (1, 2, 3))
    look = SEEN._replace(motion=0.5, still=0.6, moving=0.02, apart=0.25)
    assert look.same is None
    boxes = verdict.decide((still, box), (other, box), closer=lambda: look)
    assert boxes.same is False and boxes.relation is VideoRelation.SHARES
    assert verdict.decide((still,), (still,), closer=lambda: look).same is True
    assert verdict.decide((still, box), (other, box), closer=lambda: look._replace(apart=0.1)).same is True


def test_where_most_of_the_time_is_alike_beyond_a_doubt_the_rest_must_not_be_something_else() -> None:
    """An intro and an outro around another middle."""
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    one = copy_views([1, 2, 3, 4, 5, 6, 7, 8])
    middle = partly_changed(one, frames=slice(9, 17), bits=3)
    said = verdict.decide(one, middle)
    assert said.verified is not None and said.verified <= 64 and said.same is False
    assert said.relation is VideoRelation.SHARES
    for motion, same in ((0.95, True), (0.7, False)):
        look = SEEN._replace(motion=motion)
        assert look.same and verdict.decide(one, middle, closer=lambda look=look: look).same is same


def test_noise_that_moves_otherwise_counts_where_codes_are_far() -> None:
    look = SEEN._replace(motion=0.05, still=0.9, moving=0.003, against=0.95)
    assert look.same is None and look.nothing_alike and not look.barely_like
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    scene = copy_views([1, 1, 1, 1])
    for bits, same in ((20, True), (32, False)):  # of the codes of the wholes
        other = changed(scene, bits)
        said = verdict.decide(scene, other, closer=lambda: look)
        assert said.verified is not None and 112 < said.verified <= 128, said.verified
        assert said.same is same


def test_codes_that_are_all_but_equal_are_looked_at_whatever_their_frames_say() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4, videos=10**6)
    ordered, shuffled = copy_views([1, 2, 3, 4, 5]), copy_views([3, 1, 5, 2, 4])
    assert verdict.decide(ordered, shuffled).same is False
    look = SEEN._replace(motion=0.1, still=0.9, agreeing=0.9, moving=0.1, variety=5.0, anywhere=0.95)
    assert verdict.decide(ordered, shuffled, closer=lambda: look).same is True
    take = look._replace(still=0.97, agreeing=1.0, against=0.9)
    for anywhere, same in ((0.75, True), (0.55, False)):
        most = take._replace(anywhere=anywhere)
        assert most.same is False
        assert verdict.decide(ordered, shuffled, closer=lambda most=most: most).same is same


def test_where_codes_change_little_the_pixels_are_asked_however_near_they_are() -> None:
    model = zoo.load("default")
    verdict = Verdict.at(model.spec, model.calibration, 1e-4)
    asked: list[int] = []

    def closer() -> None:
        asked.append(1)

    still, moving = copy_views([1, 1, 1, 1]), copy_views([1, 2, 3, 4])
    assert verdict.decide(still, still, closer=closer).same and asked
    asked.clear()
    assert verdict.decide(moving, moving, closer=closer).same and not asked
