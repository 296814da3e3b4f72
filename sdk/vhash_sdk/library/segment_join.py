"""Which segments of a library's videos are near each other: one join of all, never one search a video.

Three things would make the pairs of such a join grow with the square of the library, and are taken out of
it before and after:

* What says nothing: black and blank windows, and the windows of a picture that stands still but the first
  ones. An alignment gives them no weight either.
* Crowds: many segments that are nearly the same (a logo, a test card, one camera for days). One of them is
  joined for all.
* What many videos share (an intro, one camera's scene): such segments are linked to those of one video, the
  first one that has them, and to the few that are nearest, and not each with each. Links to one are enough to
  know that all have the same part, and a copy is nearer than another take of the scene.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..codes import hamming_distance
from ..encoding.tracks import kept_track, window_weights
from ..errors import OptionError
from ..matching.track import Track
from .near_pairs import NearPairs, distinct

logger = logging.getLogger("vhash_sdk")

Ints = NDArray[np.int64]
STILL = 1 / 32
"""Of all bits: neighbouring windows that differ in no more show the same, and so do those of a crowd."""
_ROUNDS = 2  # of a run of equal windows one in 2 ** _ROUNDS stays: one in two seconds
_CROWD = 24  # segments from which on one stands for all
_SHARED = 24  # segments near one from which on they are linked to one video only
_NEAREST = 3  # of those all the same with the nearest few
_SAMPLE = 6  # bytes of a code that all of a crowd have in common, in one of the samples at least
_BLOCK = 1 << 18  # codes compared at a time
RADIUS = 0.16
"""Of all bits: windows of a copy are hardly farther from those of the original."""
EXACT = 1 << 17
"""Segments up to which each is compared with each: a few seconds. Of more nearly all near ones are found, by
sorting (``sorted_join``)."""
_HOPS = 4  # of the segments that stand for others, towards one for all


class Near(Protocol):
    """``PairCache.near``."""

    def __call__(
        self, codes: NDArray[np.uint8], bits: int, radius: int, *, owners: Ints | None = None
    ) -> NearPairs:
        """All pairs within a radius; nearly all of different owners where those are given."""
        ...


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """The segments of a library, by (video, time).

    Attributes:
        ids: ``int64[n]``, of their rows.
        videos: ``int64[n]``.
        spans: ``float32[n, 2]``, in seconds.
        confidences: ``float32[n]``.
        codes: ``uint8[n, bytes]``.
        bits: width of the codes.
        family: of the model, see ``ModelSpec.family``.
    """

    ids: Ints
    videos: Ints
    spans: NDArray[np.float32]
    confidences: NDArray[np.float32]
    codes: NDArray[np.uint8]
    bits: int
    family: str = ""

    def rows(self, video: int) -> slice:
        """Where the segments of a video are."""
        return slice(*np.searchsorted(self.videos, [video, video + 1]).tolist())

    def track(self, video: int) -> Track:
        """The windows of a video, in the order of their rows."""
        part = self.rows(video)
        spans = self.spans[part].astype(np.float64)
        track = kept_track(
            self.codes[part], spans.mean(axis=1), self.bits, float(spans[:, 1].max(initial=0.0))
        )
        return replace(track, weights=window_weights(self.confidences[part]), family=self.family)

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        return f"SegmentTable({len(self)} segments of {len(np.unique(self.videos))} videos)"


@dataclass(frozen=True, eq=False)
class Links:
    """Segments that are near each other, by the videos that they are of.

    Attributes:
        ends: ``int64[n, 2]``, rows of the table; the first is of the video with the smaller id. Sorted by
            the two videos.
        distances: ``uint16[n]``, in bits.
        radius: the largest distance that was looked for.
        joined: how many segments were compared.
    """

    ends: Ints
    distances: NDArray[np.uint16]
    radius: int
    joined: int

    def by_pair(self, videos: Ints) -> Iterator[slice]:
        """The links of each pair of videos, one pair after the other."""
        owners = videos[self.ends]
        changes = np.flatnonzero((owners[1:] != owners[:-1]).any(axis=1)) + 1
        edges = [0, *changes.tolist(), len(owners)]
        yield from (slice(a, b) for a, b in pairwise(edges) if b > a)

    def __repr__(self) -> str:
        return f"Links({len(self.ends)} within {self.radius} bits, of {self.joined} segments)"


def link(table: SegmentTable, near: Near, *, radius: int | None = None) -> Links:
    """Near segments of different videos; what is common to many is linked to one of them.

    Args:
        table: all segments.
        near: joins distinct codes, e.g. ``PairCache.near``.
        radius: largest distance in bits; None: 16 % of all bits.
    """
    rows = telling(table)
    kept = table.codes if len(rows) == len(table) else table.codes[rows]
    firsts, crowd_of = np.unique(crowds(kept, table.bits), return_inverse=True)
    codes, place_of = distinct(kept if len(firsts) == len(kept) else kept[firsts])
    places = place_of[crowd_of.reshape(-1)]  # of each row, among the codes that are joined
    del kept, firsts, crowd_of, place_of
    wanted = int(RADIUS * table.bits) if radius is None else radius
    owners = _owners(table.videos[rows], places, len(codes))
    pairs = None
    if len(codes) <= EXACT:
        try:
            pairs = near(codes, table.bits, wanted)
        except OptionError:  # too many are near each other: the nearest of each will do
            logger.warning("many segments are near each other; only the nearest of each are looked at")
    if pairs is None:
        pairs = near(codes, table.bits, wanted, owners=owners)
    ends, distances = _links(table.videos[rows], places, pairs)
    ends = rows[ends]
    of = table.videos[ends]
    order = np.lexsort((ends[:, 0], of[:, 1], of[:, 0]))
    return Links(ends[order], distances[order], wanted, len(codes))


def _owners(videos: Ints, places: Ints, count: int) -> Ints:
    """The video of each code; of one that several videos have, a number below 0 that is its own."""
    owners = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, -1)
    np.minimum.at(owners, places, videos)
    np.maximum.at(last, places, videos)
    return np.where(owners == last, owners, -1 - np.arange(count))


def telling(table: SegmentTable) -> Ints:
    """Rows of the segments that say something: not blank, and of what stands still only the first ones."""
    rows = np.flatnonzero(window_weights(table.confidences) > 0)
    for _ in range(_ROUNDS):
        still = np.zeros(len(rows), bool)
        for first in range(1, len(rows), _BLOCK):
            here = rows[first - 1 : first + _BLOCK]
            before, after = here[:-1], here[1:]
            change = hamming_distance(table.codes[before], table.codes[after])
            still[first : first + len(after)] = (table.videos[before] == table.videos[after]) & (
                change <= STILL * table.bits
            )
        # every second one of each run goes: of a slow pan, whose ends differ, some stay
        starts = np.maximum.accumulate(np.where(still, 0, np.arange(len(rows))))
        gone = still & ((np.arange(len(rows)) - starts) % 2 == 1)
        if not gone.any():
            break
        rows = rows[~gone]
    return rows


def crowds(codes: NDArray[np.uint8], bits: int) -> Ints:
    """For each code the first of its crowd, or itself: ``int64[n]``.

    Of codes that agree in one of a few samples of their bytes, and of which there are many, those that are
    nearly equal to the first one are of its crowd. Linear but for sorting.
    """
    leaders = np.arange(len(codes))
    width = codes.shape[1]
    order_of_bytes = np.random.default_rng(0).permutation(width)
    step = min(_SAMPLE, width)
    for first in range(0, max(1, width - step + 1), step):
        free = np.flatnonzero(leaders == np.arange(len(codes)))
        key = np.zeros(len(free), np.uint64)
        for byte in order_of_bytes[first : first + step]:
            key = key << np.uint64(8) | codes[free, byte].astype(np.uint64)
        order = np.argsort(key, kind="stable")
        key, free = key[order], free[order]
        starts = (
            np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, int)
        )
        counts = np.diff(np.append(starts, len(key)))
        for start, count in zip(
            starts[counts >= _CROWD].tolist(), counts[counts >= _CROWD].tolist(), strict=True
        ):
            leader, members = free[start], free[start : start + count]
            alike = hamming_distance(codes[members], codes[leader][None]) <= STILL * bits
            if np.count_nonzero(alike) >= _CROWD:
                leaders[members[alike]] = leader
    while (leaders[leaders] != leaders).any():  # a leader may have joined a later crowd
        leaders = leaders[leaders]
    return leaders


def _links(videos: Ints, places: Ints, pairs: NearPairs) -> tuple[Ints, NDArray[np.uint16]]:
    """Rows of different videos that are near, from the pairs of distinct codes; see ``Links``."""
    members = np.argsort(places, kind="stable")  # rows by place, the first video first
    counts = np.bincount(places, minlength=len(pairs.codes))
    begins = np.cumsum(counts) - counts
    ends = pairs.ends.astype(np.int64)
    degree = counts.astype(np.int64)
    np.add.at(degree, ends[:, 0], counts[ends[:, 1]])
    np.add.at(degree, ends[:, 1], counts[ends[:, 0]])
    shared = degree > _SHARED
    first = members[begins] if len(begins) else begins
    hub = _hubs(first, places, pairs)

    found: list[tuple[Ints, Ints, NDArray[np.uint16]]] = []

    def keep(a: Ints, b: Ints, distances: NDArray[np.uint16]) -> None:
        other = videos[a] != videos[b]
        low, high = np.minimum(a, b)[other], np.maximum(a, b)[other]  # rows are in the order of videos
        found.append((low, high, distances[other]))

    def product(left: Ints, right: Ints, distances: NDArray[np.uint16]) -> None:
        """All rows of some places with all rows of others."""
        sizes = counts[left] * counts[right]
        for part in _batches(sizes):
            each = sizes[part]
            at = np.repeat(np.arange(len(each)), each)
            within = np.arange(len(at)) - np.repeat(np.cumsum(each) - each, each)
            a, b = left[part][at], right[part][at]
            keep(
                members[begins[a] + within // counts[b]],
                members[begins[b] + within % counts[b]],
                distances[part][at],
            )

    def to_hub(centre: Ints, around: Ints, distances: NDArray[np.uint16]) -> None:
        """The one row that stands for some places with all rows of others."""
        for part in _batches(counts[around]):
            each = counts[around[part]]
            at = np.repeat(np.arange(len(each)), each)
            within = np.arange(len(at)) - np.repeat(np.cumsum(each) - each, each)
            b = around[part][at]
            keep(hub[centre[part][at]], members[begins[b] + within], distances[part][at])

    either = shared[ends[:, 0]] | shared[ends[:, 1]]
    plain, crowded = np.flatnonzero(~either), np.flatnonzero(either)
    product(ends[plain, 0], ends[plain, 1], pairs.distances[plain])
    for side in (0, 1):
        mine = shared[ends[:, side]]
        to_hub(ends[mine, side], ends[mine, 1 - side], pairs.distances[mine])
    close = _nearest(ends, pairs.distances, crowded)
    few = close[counts[ends[close]].prod(axis=1) <= _SHARED]
    product(ends[few, 0], ends[few, 1], pairs.distances[few])
    alone, many = np.flatnonzero(~shared & (counts > 1)), np.flatnonzero(shared)
    product(alone, alone, np.zeros(len(alone), np.uint16))
    to_hub(many, many, np.zeros(len(many), np.uint16))
    low, high, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    once = np.unique(low * (len(videos) + 1) + high, return_index=True)[1]
    return np.stack([low[once], high[once]], axis=1), distances[once]


def _hubs(first: Ints, places: Ints, pairs: NearPairs) -> Ints:
    """For each place the first row of all that are near it.

    Where not all near pairs are known, it is often near one that is near it: so in a few steps.
    """
    hub = first.copy()
    for step in range(1 if pairs.exact else _HOPS):
        known = hub.copy()
        for side in (0, 1):
            np.minimum.at(hub, pairs.ends[:, side], known[pairs.ends[:, 1 - side]])
        changed = np.flatnonzero(hub != known) if step else np.zeros(0, np.int64)
        for start in range(0, len(changed), _BLOCK):
            some = changed[start : start + _BLOCK]
            apart = hamming_distance(pairs.codes[some], pairs.codes[places[hub[some]]])
            far = some[apart > pairs.radius]
            hub[far] = known[far]
        if step and not len(changed):
            break
    return hub


def _nearest(ends: Ints, distances: NDArray[np.uint16], rows: Ints) -> Ints:
    """Those of some pairs that are of the nearest few of one end: a copy is nearer than the many."""
    one = np.concatenate([ends[rows, 0], ends[rows, 1]])
    both = np.concatenate([rows, rows])
    order = np.lexsort((distances[both], one))
    one = one[order]
    begins = (
        np.flatnonzero(np.concatenate([[True], one[1:] != one[:-1]])) if len(one) else np.zeros(0, np.int64)
    )
    rank = np.arange(len(one)) - np.repeat(begins, np.diff(np.append(begins, len(one))))
    return np.unique(both[order][rank < _NEAREST])


def _batches(sizes: Ints, most: int = 1 << 22) -> Iterator[slice]:
    """Consecutive parts of which each yields at most about so many rows."""
    if not len(sizes):
        yield slice(0, 0)
        return
    total = np.cumsum(sizes)
    cuts = np.searchsorted(total, np.arange(most, int(total[-1]), most), side="right")
    edges = np.unique([0, *cuts.tolist(), len(sizes)])
    yield from (slice(a, b) for a, b in pairwise(edges.tolist()))
