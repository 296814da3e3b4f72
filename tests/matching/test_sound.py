"""Sub-fingerprints: what is the same sound, where, and what says nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from vhash_sdk.matching.alignment import Span
from vhash_sdk.matching.sound import HOP, WINDOW, Heard, Sound, hear, offsets, witness
from vhash_sdk.matching.sound_index import COMMON, SoundIndex

Prints = NDArray[np.uint32]


def noise(seed: int, count: int) -> Prints:
    return np.random.default_rng(seed).integers(1, 2**32, count, dtype=np.uint32)


def turned(prints: Prints, share: float, seed: int = 0) -> Prints:
    """With so many of all bits turned, as another codec does."""
    flips = np.random.default_rng(seed).random((len(prints), 32)) < share
    return prints ^ np.packbits(flips, axis=1).view(np.uint32)[:, 0]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
@pytest.mark.parametrize(("start", "end"), [(0, 400), (70, 400), (0, 250), (120, 180)])
def test_a_part_is_found_with_its_place_and_its_errors(share: float, start: int, end: int) -> None:
    whole = noise(1, 400)
    copy = np.concatenate([noise(2, 33), turned(whole[start:end], share), noise(3, 50)])
    heard = hear(Sound(whole, start=0.5), Sound(copy, start=-0.25))
    assert heard.relation == "same sound" and heard.bits == pytest.approx(1 - share, abs=0.02)
    assert heard.offset == pytest.approx((33 - start) * HOP - 0.75)
    assert heard.a_start == pytest.approx(start * HOP + 0.5, abs=3 * HOP)
    assert heard.a_end == pytest.approx((end - 1) * HOP + WINDOW + 0.5, abs=3 * HOP)
    assert heard.b_end - heard.b_start == pytest.approx(heard.a_end - heard.a_start)


def test_strangers_are_another_sound() -> None:
    for a, b in itertools.combinations([Sound(noise(seed, 300)) for seed in range(12)], 2):
        assert hear(a, b) == Heard("other sound")


@pytest.mark.parametrize(
    ("prints", "why"),
    [
        (np.zeros(0, np.uint32), "b has no sound, or less than three seconds of it"),
        (np.zeros(200, np.uint32), "b is silent"),
        (np.full(200, 627964279, np.uint32), "b has too little sound"),  # a hum
        (noise(1, 5), "b has too little sound"),
        (np.where(np.arange(200) < 9, noise(1, 200), 0).astype(np.uint32), "b has too little sound"),
    ],
)
def test_what_has_too_little_sound_says_nothing(prints: Prints, why: str) -> None:
    assert hear(Sound(noise(1, 300)), Sound(prints)) == Heard(None, why=why)
    assert hear(Sound(prints), Sound(noise(1, 300))).relation is None


def test_silence_in_both_is_no_agreement() -> None:
    quiet = np.zeros(300, np.uint32)
    a, b = (np.concatenate([noise(seed, 60), quiet, noise(seed + 5, 60)]) for seed in (1, 2))
    assert hear(Sound(a), Sound(b)).relation == "other sound"


def test_long_sounds_are_compared_by_equal_sub_fingerprints_alone() -> None:
    whole = noise(1, 30_000)
    part = turned(whole[20_000:22_500], 0.08)
    assert len(whole) * len(part) > 4_000_000
    heard = hear(Sound(whole), Sound(part))
    assert heard.same and heard.offset == pytest.approx(-20_000 * HOP)
    constant = np.full(20_000, 7, np.uint32)  # as many pairs of places as nobody has memory for
    assert len(offsets(constant, constant)) <= 6


def test_a_span_of_pictures_has_a_witness() -> None:
    whole = noise(1, 400)
    a, b = Sound(whole), Sound(np.concatenate([noise(2, 40), turned(whole[100:300], 0.05)]))
    later = (40 - 100) * HOP

    def span(start: float, end: float, shift: float, speed: float = 1.0) -> Span:
        return Span(start, end, start + shift, start + shift + (end - start) * speed, 20.0)

    assert witness(a, b, span(15.0, 30.0, later + 0.3)) == "same sound"
    assert witness(a, b, span(15.0, 30.0, later + 3.0)) == "other sound"  # elsewhere in the same tune
    assert witness(a, b, span(0.0, 12.0, 0.0)) == "other sound"
    assert witness(a, b, span(15.0, 30.0, later, speed=1.2)) is None  # another speed is another pitch
    assert witness(a, b, span(15.0, 18.0, later)) is None  # too short to say
    assert witness(a, Sound(np.zeros(400, np.uint32)), span(15.0, 30.0, later)) is None


def test_the_index_finds_the_pairs_that_comparing_each_with_each_finds() -> None:
    rng = np.random.default_rng(4)
    sounds = [Sound(noise(seed, int(rng.integers(60, 500)))) for seed in range(40)]
    sounds += [Sound(turned(sounds[i].prints[i:], 0.07, i), start=0.1 * i) for i in range(0, 20, 2)]
    sounds += [Sound(np.zeros(99, np.uint32)), Sound(np.zeros(0, np.uint32))]
    wanted = {
        (i, j): heard
        for (i, a), (j, b) in itertools.combinations(enumerate(sounds), 2)
        if (heard := hear(a, b)).same
    }
    assert len(wanted) == 10
    index = SoundIndex(sounds)
    assert {(a, b): heard for a, b, heard in index.pairs()} == wanted
    for query, sound in enumerate(sounds):
        found = [place for place, _ in index.search(sound) if place != query]
        assert found == [sum(pair) - query for pair in wanted if query in pair]


def test_what_very_many_share_is_passed_over() -> None:
    jingle = noise(99, 40)
    sounds = [Sound(np.concatenate([jingle, noise(seed, 100)])) for seed in range(COMMON + 1)]
    sounds.append(Sound(sounds[3].prints[50:]))
    assert [(a, b) for a, b, _ in SoundIndex(sounds).pairs()] == [(3, COMMON + 1)]
    assert len(list(SoundIndex(sounds[:5]).pairs())) == 10
    assert list(SoundIndex([]).pairs()) == [] and SoundIndex([]).search(Sound(jingle)) == []
