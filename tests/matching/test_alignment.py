"""Alignment of tracks whose truth is known: random scenes, cut, sped up, disturbed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from vhash_sdk.errors import OptionError
from vhash_sdk.matching.alignment import Span, align, fit, scored
from vhash_sdk.matching.span_evidence import LEAST_SCORE, span_evidence
from vhash_sdk.matching.track import Track
from vhash_sdk.matching.votes import Match, Place, chunks, vote

BITS = 128
SCENE = 5.0  # seconds that a scene of ``world`` lasts at most
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # an example takes too long to shrink many


def world(seed: int, seconds: float) -> np.ndarray:
    """Logits at 20 a second: scenes of 1 to 5 s, and motion within each."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 20)
    scene = np.empty((count, BITS))
    at = 0
    while at < count:
        length = int(rng.uniform(1, 5) * 20)
        scene[at : at + length] = rng.normal(size=BITS)
        at += length
    motion = np.cumsum(rng.normal(size=(count, BITS)), axis=0)
    kernel = np.ones(60) / 60
    motion -= np.apply_along_axis(lambda column: np.convolve(column, kernel, mode="same"), 0, motion)
    return scene + 0.7 * motion / motion.std()


def track(logits: np.ndarray, step: float, *, codes: bool) -> Track:
    """Windows of 1 s each ``step`` seconds of logits at 20 a second."""
    duration = len(logits) / 20
    middles = np.arange(0.5, duration - 0.5 + 1e-9, step)
    sums = np.cumsum(np.pad(logits, ((1, 0), (0, 0))), axis=0)
    starts = np.round((middles - 0.5) * 20).astype(int)
    values = ((sums[starts + 20] - sums[starts]) / 20).astype(np.float32)
    if codes:
        values = np.where(values >= 0, 1, -1).astype(np.float32)
    return Track(values, middles, duration, np.ones(len(middles), np.float32))


def played(logits: np.ndarray, start: float, end: float, speed: float) -> np.ndarray:
    """The part from ``start`` to ``end``, shown ``speed`` times as fast."""
    times = np.arange(start, end, speed / 20)
    return logits[np.minimum((times * 20).astype(int), len(logits) - 1)]


def disturbed(logits: np.ndarray, seed: int, noise: float) -> np.ndarray:
    """With noise in each window, and a logo: a constant added to all windows."""
    rng = np.random.default_rng(seed + 10_000)
    return logits + noise * (rng.normal(size=logits.shape) * 2 + rng.normal(size=BITS))


REFERENCE = world(0, 300.0)
REFERENCE_TRACK = track(REFERENCE, 0.5, codes=True)


@settings(max_examples=20, deadline=None, phases=PHASES)
@given(
    start=st.floats(0, 280),
    length=st.floats(5, 15),
    speed=st.sampled_from([0.8, 0.9, 0.96, 1.0, 25 / 24, 1.1, 1.25]),
    noise=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)
def test_a_clip_is_found_with_its_ends(
    start: float, length: float, speed: float, noise: float, seed: int
) -> None:
    end = min(start + length * speed, 300.0)
    clip = disturbed(played(REFERENCE, start, end, speed), seed, noise)
    best, *others = align(track(clip, 0.25, codes=False), REFERENCE_TRACK)
    assert best.query_start == 0 and best.query_end == pytest.approx(len(clip) / 20)
    assert abs(best.ref_start - start) < 0.75 and abs(best.ref_end - end) < 0.75
    assert not others


@settings(max_examples=12, deadline=None, phases=PHASES)
@given(seed=st.integers(1, 10_000), length=st.floats(5, 30))
def test_a_stranger_is_not_found(seed: int, length: float) -> None:
    assert align(track(world(seed, length), 0.25, codes=False), REFERENCE_TRACK) == []


@settings(max_examples=8, deadline=None, phases=PHASES)
@given(start=st.floats(0, 280), before=st.floats(0, 20), after=st.floats(0, 20), seed=st.integers(1, 10_000))
@example(start=6.07, before=2.14, after=17.94, seed=1285)  # the copy goes on past the end of a chunk
@example(start=166.3, before=4.77, after=17.53, seed=7872)
def test_intro_and_outro_are_left_out(start: float, before: float, after: float, seed: int) -> None:
    strange = world(seed, 41.0)
    parts = [
        strange[: int(before * 20)],
        played(REFERENCE, start, start + 12, 1.0),
        strange[820 - int(after * 20) :],
    ]
    (span,) = align(track(np.concatenate(parts), 0.25, codes=False), REFERENCE_TRACK)
    begin = int(before * 20) / 20
    # what is hardly longer than a window is in few windows alone, and one scene and the windows beside it may
    # be alike by chance
    assert abs(span.query_start - begin) < SCENE + 2 and abs(span.query_end - begin - 12) < SCENE + 2
    assert abs(span.at(begin) - start) < 0.6


def test_another_copy_in_the_library_does_not_hide_the_original() -> None:
    """A place of another reference is looked at, however many votes the best one has."""
    query = track(played(REFERENCE, 40, 52, 1.0), 0.25, codes=False)
    places = [Place(0, 46.0, 10.0), Place(0, 46.0, 4.0), Place(1, 46.0, 4.0)]
    found = [video for video, _ in fit(query, places, lambda _: REFERENCE_TRACK)]
    assert set(found) == {0, 1} and found.count(0) == found.count(1)  # the second place of 0 is left out


def test_insertions_give_several_spans() -> None:
    parts = [played(REFERENCE, 40, 52, 1.0), world(99, 10.0), played(REFERENCE, 200, 212, 1.0)]
    spans = align(track(np.concatenate(parts), 0.25, codes=False), REFERENCE_TRACK)
    found = sorted((span.query_start, span.ref_start, span.ref_end) for span in spans)
    assert np.allclose(found, [(0, 40, 52), (22, 200, 212)], atol=1.5)


def test_an_inserted_advertisement_does_not_hide_that_both_sides_are_one_video() -> None:
    parts = [played(REFERENCE, 40, 60, 1.0), world(98, 15.0), played(REFERENCE, 60, 80, 1.0)]
    spans = align(track(np.concatenate(parts), 0.25, codes=False), REFERENCE_TRACK)
    assert np.allclose(
        sorted((span.ref_start, span.ref_end) for span in spans), [(40, 60), (60, 80)], atol=1.5
    )


@pytest.mark.parametrize("speed", [1.0, 25 / 24])
def test_a_long_video_is_one_span(speed: float) -> None:
    long = disturbed(played(REFERENCE, 30, 270, speed), 3, 0.2)
    (span,) = align(track(long, 0.25, codes=False), REFERENCE_TRACK)
    assert abs(span.ref_start - 30) < 0.6 and abs(span.ref_end - 270) < 0.6
    assert span.speed == pytest.approx(speed, rel=0.01)
    assert span.query_end == pytest.approx(len(long) / 20)


def test_windows_without_content_prove_nothing() -> None:
    black = np.zeros((400, BITS)) + 1e-3
    reference = track(np.concatenate([black, world(5, 30.0)]), 0.5, codes=True)
    query = track(np.concatenate([black[:200], world(6, 20.0)]), 0.25, codes=False)
    weights = (np.abs(query.values).mean(axis=1) > 0.01).astype(np.float32)
    assert align(Track(query.values, query.times, query.duration, weights), reference) == []


def test_same_scene_at_another_time_scores_below_a_copy() -> None:
    scene = np.random.default_rng(3).normal(size=BITS)
    still = [scene + 0.15 * world(seed, 12.0) for seed in (11, 12)]
    reference = track(still[0], 0.5, codes=True)
    copy, other = (
        scored(query, reference, [Span(0, 12, 0, 12, 0)])
        for query in (track(disturbed(logits, 1, 0.05), 0.25, codes=False) for logits in still)
    )
    assert other.similarity > 0.8  # every window looks alike
    assert copy.score > LEAST_SCORE > other.score


def test_chunks_cover_a_long_query() -> None:
    query = track(world(1, 95.0), 0.25, codes=False)
    parts = [(first, first + len(part)) for first, part in chunks(query)]
    assert parts[0][0] == 0 and parts[-1][1] == len(query)
    assert all(later[0] < earlier[1] for earlier, later in pairwise(parts))


def test_votes_go_to_the_place_of_most_windows() -> None:
    query = track(world(1, 10.0), 0.5, codes=False)
    rows = np.arange(len(query))
    right = Match(rows, np.full(len(rows), 7), query.times + 100, np.full(len(rows), 0.5, np.float32))
    wrong = Match(rows, np.full(len(rows), 7), np.full(len(rows), 400.0), np.full(len(rows), 0.9, np.float32))
    both = Match(*(np.concatenate(pair) for pair in zip(right, wrong, strict=True)))
    assert [(place.video, round(place.time)) for place in vote(query, both, limit=1)] == [(7, 105)]


@pytest.mark.parametrize("empty", ["query", "reference"])
def test_too_short_to_say(empty: str) -> None:
    none = Track(np.zeros((0, BITS), np.float32), np.zeros(0), 0.2, np.zeros(0, np.float32))
    pair = {"query": track(world(1, 10.0), 0.25, codes=False), "reference": REFERENCE_TRACK, empty: none}
    assert align(pair["query"], pair["reference"]) == []


@pytest.mark.parametrize("family", ["copy", "lite"])
def test_threshold_falls_with_the_rate(family: str) -> None:
    evidence = span_evidence(family)
    assert evidence.least(1e-4) > evidence.least(1e-2) and evidence.least(None) == LEAST_SCORE
    for wrong in (0, -1, 2, float("nan")):
        with pytest.raises(OptionError, match="false-match rate"):
            evidence.least(wrong)


def test_another_clip_of_a_scene_is_no_copy_to_a_descriptor_of_copies() -> None:
    """Every window of it is like the scene, and what changes is a little alike: a copy to other models."""
    of_copies, of_others = span_evidence("copy"), span_evidence("lite")
    for similarity, correlation in ((0.48, 0.38), (0.57, 0.42), (0.62, 0.47)):  # strangers that were found
        said = {"similarity": similarity, "correlation": correlation, "whole": 0.8, "straight": True}
        assert of_copies.score(**said) < LEAST_SCORE < of_others.score(**said)
