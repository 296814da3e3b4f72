"""Near codes of a large library, by sorting: nearly all, in a time that no content can make quadratic.

Codes are sorted by their first bits, again and again with the bits in another order, and each is compared
with the few that follow it. Of n codes two come next to each other where about log2(n / _BESIDE) bits agree,
which two codes that differ in a share d of their bits do with probability (1 - d) ** log2(n / _BESIDE), each
time anew (locality-sensitive hashing by bit sampling, Indyk and Motwani 1998; neighbours in the sorted order
instead of buckets, Charikar 2002). Where codes lie dense more bits decide, so that what is nearest still
comes first. Of ten million codes that makes nearly all pairs that are 16 of 256 bits apart, four of five of
those 32 apart and half of those 40 apart; a part of ten seconds has twenty windows, and three are enough to
look at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

ROUNDS = 24
_BESIDE = 6  # codes after each that it is compared with
_STEP = 3  # bytes from one round's first bits to those of the next: of ten million codes as many decide
_BLOCK = 1 << 13  # codes compared at a time: about what the second cache holds
_MOST = 20_000_000  # pairs kept; beyond them only the nearest of each code
_KEPT = 24  # the nearest of each code, at first
_DISTANCE = 10  # bits for a distance in a packed pair
_WORKERS = 2  # a third would not pay: the memory is the bottleneck


def sorted_pairs(
    codes: NDArray[np.uint8],
    radius: int,
    owners: Ints,
    *,
    fresh: NDArray[np.bool_] | None = None,
    rounds: int = ROUNDS,
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Pairs of codes of different owners within a radius: nearly all, the nearer the surer.

    The same codes give the same pairs, whatever the machine. Memory is bounded: where more than 20 million
    pairs are near, those are kept that are among the nearest of one of their codes.

    Args:
        codes: ``uint8[n, bytes]``, distinct.
        radius: largest distance, in bits.
        owners: ``int64[n]``, whose each code is; pairs of one owner are left out.
        fresh: only pairs with one of these; None: all.
        rounds: how often the codes are sorted.

    Returns:
        ``int32[pairs, 2]``, places in ``codes``, the smaller first, and ``uint16[pairs]``, in bits.

    Raises:
        OptionError: more than 134 million codes.
    """
    count, width = codes.shape
    if count > 1 << 27:
        raise OptionError(f"{count:,} codes: at most {1 << 27:,} are joined; divide the library")
    found = np.zeros(0, np.uint64)
    if count < 2:
        return unpacked(found, 2)
    each = max(1, width // _STEP)
    radius = min(radius, (1 << _DISTANCE) - 1)
    with ThreadPoolExecutor(_WORKERS) as pool:
        for first in range(0, rounds, each):
            shuffled = _shuffled(codes, first, pool)
            starts = [_STEP * i for i in range(min(each, rounds - first))]
            for some in range(0, len(starts), _WORKERS):  # no more at a time: what they find is in memory
                turns = [
                    _Turn(shuffled, width, start, radius, owners, fresh)
                    for start in starts[some : some + _WORKERS]
                ]
                found = _once(np.concatenate([found, *pool.map(_Turn.pairs, turns)]))
                if len(found) > _MOST:
                    found = nearest_pairs(found, count, _MOST // 2)
            del shuffled
    return unpacked(found, count)


def unpacked(pairs: Words, count: int) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Ends and distances of packed pairs among so many codes."""
    both = pairs >> np.uint64(_DISTANCE)
    ends = np.empty((len(pairs), 2), np.int32)
    ends[:, 0], ends[:, 1] = both // np.uint64(count), both % np.uint64(count)
    return ends, (pairs & np.uint64((1 << _DISTANCE) - 1)).astype(np.uint16)


def _packed(low: Ints, high: Ints, distances: NDArray[np.uint16], count: int) -> Words:
    """Pairs as numbers that sort by both ends."""
    both = low.astype(np.uint64) * np.uint64(count) + high.astype(np.uint64)
    return both << np.uint64(_DISTANCE) | distances.astype(np.uint64)


def _once(pairs: Words) -> Words:
    """Each pair once, in order; sorts in place."""
    pairs.sort()
    kept = np.ones(len(pairs), bool)
    np.not_equal(pairs[1:], pairs[:-1], out=kept[1:])
    return pairs[kept]


def nearest_pairs(pairs: Words, count: int, most: int) -> Words:
    """At most about so many packed pairs: those that are among the nearest few of one of their ends."""
    few = _KEPT
    while len(pairs) > most and few >= 1:
        ends, distances = unpacked(pairs, count)
        place = np.uint64(len(pairs).bit_length())
        order = np.empty(2 * len(pairs), np.uint64)
        for side in (0, 1):  # by end, then distance; the pair itself in the lowest bits
            order[side::2] = (
                (ends[:, side].astype(np.uint64) << np.uint64(_DISTANCE) | distances.astype(np.uint64))
                << place
            ) | np.arange(len(pairs), dtype=np.uint64)
        order.sort()
        end = order >> (place + np.uint64(_DISTANCE))
        starts = np.flatnonzero(np.concatenate([[True], end[1:] != end[:-1]]))
        rank = np.arange(len(end)) - np.repeat(starts, np.diff(np.append(starts, len(end))))
        near = (order & ((np.uint64(1) << place) - np.uint64(1)))[rank < few]
        kept = np.zeros(len(pairs), bool)
        kept[near.astype(np.int64)] = True
        pairs = pairs[kept]
        few //= 2
    return pairs


def _shuffled(codes: NDArray[np.uint8], seed: int, pool: ThreadPoolExecutor) -> NDArray[np.uint8]:
    """The codes with their bits in another order: ``uint8[n, 8 * words]``, zeros at the end."""
    count, width = codes.shape
    order = np.random.default_rng(seed).permutation(8 * width)
    shuffled = np.zeros((count, -(-width // 8) * 8), np.uint8)

    def part(start: int) -> None:
        bits = np.unpackbits(codes[start : start + _BLOCK], axis=1, bitorder="little")
        shuffled[start : start + _BLOCK, :width] = np.packbits(bits[:, order], axis=1, bitorder="little")

    for _ in pool.map(part, range(0, count, _BLOCK)):
        pass
    return shuffled


class _Turn:
    """One order of the codes, and who is beside whom in it."""

    def __init__(
        self,
        codes: NDArray[np.uint8],
        width: int,
        start: int,
        radius: int,
        owners: Ints,
        fresh: NDArray[np.bool_] | None,
    ) -> None:
        self._codes, self._words = codes, codes.view(np.uint64)
        self._width, self._start, self._radius = width, start, radius
        self._owners, self._fresh = owners, fresh

    def pairs(self) -> Words:
        """Packed pairs within the radius; some come more than once."""
        order = self._order()
        few = self._fresh is not None and 8 * np.count_nonzero(self._fresh) < len(order)
        found = list(self._beside_fresh(order) if few else self._beside(order))
        return np.concatenate([np.zeros(0, np.uint64), *found])

    def _order(self) -> Ints:
        """Places sorted by the bytes from the first one on."""
        count = len(self._codes)
        place = max(1, (count - 1).bit_length())
        taken = min(self._width, -(-(64 - place) // 8))
        columns = [(self._start + i) % self._width for i in range(taken)]
        order = np.empty(count, np.uint64)
        for first in range(0, count, _BLOCK):
            part = self._codes[first : first + _BLOCK]
            key = np.zeros(len(part), np.uint64)
            for column in columns:
                key = key << np.uint64(8) | part[:, column]
            order[first : first + _BLOCK] = key
        order >>= np.uint64(max(0, 8 * taken - (64 - place)))
        order <<= np.uint64(place)
        order |= np.arange(count, dtype=np.uint64)
        order.sort()
        order &= np.uint64((1 << place) - 1)
        return order.view(np.int64)

    def _beside(self, order: Ints) -> Iterator[Words]:
        """Of each code and those that follow it."""
        for first in range(0, len(order) - 1, _BLOCK):
            rows = order[first : first + _BLOCK + _BESIDE]
            words = np.ascontiguousarray(self._words[rows].T)
            for step in range(1, min(_BESIDE, len(rows) - 1) + 1):
                many = min(_BLOCK, len(rows) - step)
                yield self._near(
                    rows[:many], rows[step : step + many], words[:, :many], words[:, step : step + many]
                )

    def _beside_fresh(self, order: Ints) -> Iterator[Words]:
        """Of fresh codes and those beside them."""
        assert self._fresh is not None
        places = np.flatnonzero(self._fresh[order])
        for first in range(0, len(places), _BLOCK):
            at = places[first : first + _BLOCK]
            for step in (*range(-_BESIDE, 0), *range(1, _BESIDE + 1)):
                inside = at[(at + step >= 0) & (at + step < len(order))]
                one, two = order[inside], order[inside + step]
                yield self._near(one, two, self._words[one].T, self._words[two].T)

    def _near(self, one: Ints, two: Ints, first: Words, second: Words) -> Words:
        """The packed pairs of rows that are within the radius."""
        distances = np.bitwise_count(first[0] ^ second[0]).astype(np.uint16)
        for word in range(1, len(first)):
            distances += np.bitwise_count(first[word] ^ second[word])
        near = np.flatnonzero(distances <= self._radius)
        one, two, distances = one[near], two[near], distances[near]
        wanted = self._owners[one] != self._owners[two]
        if self._fresh is not None:
            wanted &= self._fresh[one] | self._fresh[two]
        one, two, distances = one[wanted], two[wanted], distances[wanted]
        return _packed(np.minimum(one, two), np.maximum(one, two), distances, len(self._codes))
