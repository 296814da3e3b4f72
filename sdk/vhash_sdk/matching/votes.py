"""Where a part of a query may be: matches of single windows vote for places in references."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .track import Floats, Times, Track, similarity

SPEEDS = 1.25 ** (np.arange(-5, 6) / 5)
"""Seconds of the reference for a second of the query that are tried: 0.8 to 1.25 in steps of 4.6 %."""
CHUNK = 20.0
"""Seconds of a query that are taken as one straight line; longer ones are joined from such chunks."""


class Match(NamedTuple):
    """Windows of a query and of references that are close: arrays of one length."""

    query: NDArray[np.int64]  # place of the window in the query's track
    video: NDArray[np.int64]  # which reference
    time: Times  # of the window in the reference
    weight: Floats

    def within(self, first: int, last: int) -> Match:
        """The matches of the query's windows from ``first`` to before ``last``, counted from ``first``."""
        row = (self.query >= first) & (self.query < last)
        return Match(self.query[row] - first, self.video[row], self.time[row], self.weight[row])


class Place(NamedTuple):
    """Where a chunk of a query may lie: ``time`` in reference ``video`` belongs to the chunk's middle."""

    video: int
    time: float
    votes: float

    @property
    def reach(self) -> tuple[float, float]:
        """Start and end of the part of the reference that a chunk can cover."""
        around = SPEEDS[-1] * CHUNK * 0.75 + 2.0
        return self.time - around, self.time + around


def chunks(query: Track) -> Iterator[tuple[int, Track]]:
    """Cut a long query into overlapping parts that are straight enough: (first window, part)."""
    if query.duration <= 1.5 * CHUNK:
        yield 0, query
        return
    for start in np.arange(0.0, query.duration - CHUNK / 2, CHUNK / 2):
        part = query.between(start, start + CHUNK)
        if len(part):
            yield int(np.searchsorted(query.times, start)), part


def nearest(query: Track, reference: Track, *, most: int = 32) -> Match:
    """For every second window of the query the most similar windows of one reference."""
    rows = np.arange(0, len(query), 2)
    near = similarity(query.values[rows], reference.values)
    most = min(most, near.shape[1])
    best = np.argpartition(-near, most - 1, axis=1)[:, :most] if most else np.zeros((len(rows), 0), np.int64)
    weights = np.take_along_axis(near, best, 1).clip(0) * query.weights[rows][:, None]
    return Match(
        np.repeat(rows, most),
        np.zeros(best.size, np.int64),
        reference.times[best.ravel()],
        weights.ravel().astype(np.float32),
    )


def vote(query: Track, close: Match, *, limit: int) -> list[Place]:
    """The places that most matches agree on.

    Each window of the query votes once for each second of each reference, at each of five speeds.
    """
    if not len(close.query):
        return []
    middle = (query.times[0] + query.times[-1]) / 2
    found: dict[tuple[int, int], float] = {}
    for speed in SPEEDS[1::2]:
        seconds = np.floor(close.time - speed * (query.times[close.query] - middle)).astype(np.int64)
        keys = np.stack([close.video, seconds, close.query], axis=1)
        order = np.lexsort((-close.weight, *keys.T[::-1]))
        keys, weight = keys[order], close.weight[order]
        first = np.ones(len(keys), bool)
        first[1:] = (keys[1:] != keys[:-1]).any(axis=1)  # the heaviest vote of a window for a second
        bins, place = np.unique(keys[first, :2], axis=0, return_inverse=True)
        sums = np.bincount(place.ravel(), weight[first], len(bins))
        beside = np.zeros(len(bins))  # votes for the next second count too: a line may lie between
        follows = (bins[1:, 0] == bins[:-1, 0]) & (bins[1:, 1] == bins[:-1, 1] + 1)
        beside[:-1][follows] = sums[1:][follows]
        for (video, second), votes in zip(bins.tolist(), (sums + beside).tolist(), strict=True):
            key = (video, second)
            found[key] = max(found.get(key, 0.0), votes)
    places: list[Place] = []
    for (video, second), votes in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if all(place.video != video or abs(place.time - second - 1) > 3 for place in places):
            places.append(Place(video, second + 1.0, votes))
            if len(places) == limit:
                break
    return places
