"""The sounds of many videos: which share a part, without comparing each with each.

Sub-fingerprints are sorted; two videos that have the same one vote for the offset between its places. What
many videos share (a jingle's last note, a test tone) says nothing about two of them, and is passed over.
Pairs with a few votes for one offset are then compared as ``hear`` does.

In memory: 16 bytes for each sub-fingerprint, half a megabyte an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .sound import Heard, Sound, along, hear, runs

COMMON = 64
"""Sub-fingerprints with more places than this in all videos together are passed over."""
LEAST_VOTES = 2
"""Equal sub-fingerprints at one offset from which on two videos are compared."""
_TOGETHER = 1 << 22  # votes that are held before they are counted
_OFFSETS = 4  # of one pair that are looked at closely
_REACH = np.int64(1) << 24  # no sound has so many sub-fingerprints: 23 days

Ints = NDArray[np.int64]


class SoundIndex:
    """Sounds, found by one of them or by each other.

    Args:
        sounds: of the videos, n of them; they are named by their place.

    >>> rng = np.random.default_rng(1)
    >>> tune, other = (rng.integers(1, 2**32, 400, dtype=np.uint32) for _ in range(2))
    >>> index = SoundIndex([Sound(tune), Sound(other), Sound(tune[100:300])])
    >>> [(a, b, round(heard.offset)) for a, b, heard in index.pairs()]
    [(0, 2, -12)]
    >>> [place for place, heard in index.search(Sound(other[50:150]))]
    [1]
    """

    def __init__(self, sounds: Sequence[Sound]) -> None:
        self._sounds = sounds
        told = [runs(sound.prints) if not sound.says else np.zeros(0, np.int64) for sound in sounds]
        values = [sound.prints[places] for sound, places in zip(sounds, told, strict=True)]
        self._values = np.concatenate([*values, np.zeros(0, np.uint32)])
        self._owners = np.repeat(np.arange(len(told), dtype=np.int32), list(map(len, told)))
        self._places = np.concatenate([*told, np.zeros(0, np.int64)]).astype(np.int32)
        order = np.argsort(self._values, kind="stable")
        self._values, self._owners, self._places = (
            array[order] for array in (self._values, self._owners, self._places)
        )

    def __len__(self) -> int:
        return len(self._sounds)

    def search(self, sound: Sound) -> list[tuple[int, Heard]]:
        """The videos that share a part with a sound, by how much: (place, what was heard), it being ``a``."""
        if sound.says:
            return []
        here = runs(sound.prints)
        keys = sound.prints[here]
        low, high = (np.searchsorted(self._values, keys, side) for side in ("left", "right"))
        counts = np.where(high - low > COMMON, 0, high - low)
        which = np.repeat(np.arange(len(here)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = low[which] + within
        votes = self._owners[rows] * _REACH * 2 + (self._places[rows] - here[which] + _REACH)
        found = []
        for owner, places in _elected(*np.unique(votes, return_counts=True)):
            heard = _compared(sound, self._sounds[owner], places)
            if heard.same:
                found.append((owner, heard))
        return sorted(found, key=lambda one: (-_seconds(one[1]), one[0]))

    def pairs(self) -> Iterator[tuple[int, int, Heard]]:
        """The pairs of videos that share a part: their places, and what was heard."""
        count = len(self._sounds)
        for pair, places in _elected(*self._votes(count)):
            a, b = divmod(pair, count)
            heard = _compared(self._sounds[a], self._sounds[b], places)
            if heard.same:
                yield a, b, heard

    def _votes(self, count: int) -> tuple[Ints, NDArray[np.int64]]:
        """Numbers (pair, offset) in one, and how many votes each has."""
        if count * count > np.iinfo(np.int64).max // (2 * int(_REACH)):
            raise ValueError(f"{count} sounds; at most 370,000 are compared")
        starts = np.flatnonzero(np.r_[True, self._values[1:] != self._values[:-1]])
        sizes = np.diff(np.r_[starts, len(self._values)])
        left = np.repeat(np.where(sizes > COMMON, 0, sizes), sizes)  # rows of each group, from its start
        left -= np.where(left > 0, np.arange(len(left)) - np.repeat(starts, sizes), 0)
        keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        held: list[Ints] = []
        for step in range(1, COMMON):
            here = np.flatnonzero(left > step)
            if not len(here):
                break
            for some in np.array_split(here, len(here) // _TOGETHER + 1):
                held.append(self._between(some, some + step, count))
                if sum(map(len, held)) > _TOGETHER:
                    keys, counts = _counted(keys, counts, held)
                    held = []
        return _counted(keys, counts, held)

    def _between(self, rows: Ints, others: Ints, count: int) -> Ints:
        a, b = self._owners[rows].astype(np.int64), self._owners[others].astype(np.int64)
        offset = (self._places[others] - self._places[rows]).astype(np.int64)
        turned = a > b
        a, b, offset = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, -offset, offset)
        two = a != b
        keys: Ints = ((a * count + b) * (2 * _REACH) + offset + _REACH)[two]
        return keys


def _counted(keys: Ints, counts: Ints, held: list[Ints]) -> tuple[Ints, Ints]:
    found, places = np.unique(np.concatenate([keys, *held]), return_inverse=True)
    weights = np.concatenate([counts, *(np.ones(len(some), np.int64) for some in held)])
    return found, np.bincount(places, weights, len(found)).astype(np.int64)


def _elected(keys: Ints, counts: Ints) -> Iterator[tuple[int, Ints]]:
    """For each pair with enough votes at two offsets side by side, the likeliest offsets."""
    votes = counts.copy()
    beside = np.flatnonzero(np.diff(keys) == 1)  # half a step off, they go to both
    votes[beside] += counts[beside + 1]
    pairs = keys // (2 * _REACH)
    enough = votes >= LEAST_VOTES
    pairs, offsets, votes = pairs[enough], (keys % (2 * _REACH) - _REACH)[enough], votes[enough]
    order = np.lexsort((-votes, pairs))
    pairs, offsets = pairs[order], offsets[order]
    if not len(pairs):
        return
    starts = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]])
    for start, end in zip(starts, np.r_[starts[1:], len(pairs)], strict=True):
        likely = offsets[start : min(end, start + _OFFSETS)]
        yield int(pairs[start]), np.unique(np.concatenate([likely, likely + 1]))


def _compared(a: Sound, b: Sound, places: Ints) -> Heard:
    """At the likeliest offsets, then in full where that found nothing or only a part."""
    heard = along(a, b, places)
    return heard if heard.same else hear(a, b) if len(a.prints) * len(b.prints) <= 250_000 else heard


def _seconds(heard: Heard) -> float:
    return (heard.a_end or 0.0) - (heard.a_start or 0.0)
