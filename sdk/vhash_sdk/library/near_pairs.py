"""All pairs of near codes of a library, joined anew only for codes that are new.

The cache holds the codes that it was made of, so that it can be compared with any others: what is
known of codes that are still there is taken over, and only the others are joined. It may vanish at
any time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..index.matches import Pairs
from ..index.memory import Index
from ..system.files import write_whole
from .kept_arrays import read_arrays
from .sorted_join import sorted_pairs

logger = logging.getLogger("vhash_sdk")

MAX_PAIRS = 50_000_000
"""More pairs than this are refused: about 1 GB of memory, and no person ever looks through them."""


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of codes within a radius.

    Attributes:
        codes: ``uint8[n, bytes]``, distinct, in the order of their bytes.
        radius: largest distance, in bits.
        ends: ``int32[pairs, 2]``, places in ``codes``; each pair comes once.
        distances: ``uint16[pairs]``, in bits.
        exact: all pairs are there; else nearly all of different owners (``sorted_join``).
    """

    codes: NDArray[np.uint8]
    radius: int
    ends: NDArray[np.int32]
    distances: NDArray[np.uint16]
    exact: bool = True

    def __repr__(self) -> str:
        return f"NearPairs(codes={len(self.codes)}, radius={self.radius}, pairs={len(self.ends)})"


def distinct(codes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Distinct codes in the order of their bytes, and the place of each code among them.

    >>> distinct(np.uint8([[2, 0], [1, 9], [2, 0]]))
    (array([[1, 9],
           [2, 0]], dtype=uint8), array([1, 0, 1]))
    """
    order = _ordered(codes)
    inside = codes[order]
    new = np.ones(len(codes), bool)
    new[1:] = (inside[1:] != inside[:-1]).any(axis=1)
    place = np.empty(len(codes), np.int64)
    place[order] = np.cumsum(new) - 1
    return (inside if new.all() else inside[new]), place


def _ordered(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The order of codes by their bytes: by the first eight, and by the rest only where those are equal."""
    first = _first(codes)
    order = np.argsort(first)
    first = first[order]
    tied = np.zeros(len(codes) + 1, bool)
    np.equal(first[1:], first[:-1], out=tied[1:-1])
    rows = np.flatnonzero(tied[1:] | tied[:-1])  # equal to the one before or after
    some = order[rows]
    rest = [codes[some, byte] for byte in range(codes.shape[1] - 1, 7, -1)]
    order[rows] = some[np.lexsort([*rest, first[rows]])]
    return order


def _first(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first eight bytes as a number that sorts as they do."""
    head = np.zeros((len(codes), 8), np.uint8)
    head[:, : min(8, codes.shape[1])] = codes[:, :8]
    return head.view(">u8").reshape(-1).astype(np.uint64)


def _places(codes: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Where other codes are among these, which are distinct and in order; -1 where they are not."""
    if not len(codes):
        return np.full(len(wanted), -1, np.int32)
    first = _first(wanted)
    mine = _first(codes)
    place = np.minimum(np.searchsorted(mine, first), len(codes) - 1)
    equal = (codes[place] == wanted).all(axis=1)
    # of several codes with the same first bytes it may be a later one
    rest = np.flatnonzero(~equal & (mine[place] == first))
    if len(rest):
        place[rest] = np.minimum(np.searchsorted(_keys(codes), _keys(wanted[rest])), len(codes) - 1)
        equal[rest] = (codes[place[rest]] == wanted[rest]).all(axis=1)
    found: NDArray[np.int32] = np.where(equal, place, -1).astype(np.int32)
    return found


class PairCache:
    """The pairs of an earlier call: in a file, and in memory where that cannot be written."""

    def __init__(self, file: Path, *, writable: bool) -> None:
        self._file, self._writable = file, writable
        self._known: NearPairs | None = None

    def near(
        self, codes: NDArray[np.uint8], bits: int, radius: int, owners: NDArray[np.int64] | None = None
    ) -> NearPairs:
        """``near_pairs`` with this cache."""
        if self._writable:
            return near_pairs(codes, bits, radius, self._file, owners=owners)
        known = self._known or _load(self._file, codes.shape[1], bits)
        found = near_pairs(codes, bits, radius, known=known, owners=owners)
        if known is None or radius >= known.radius:  # a smaller one would have to be made anew next time
            self._known = found
        return found


def near_pairs(
    codes: NDArray[np.uint8],
    bits: int,
    radius: int,
    cache: Path | None = None,
    *,
    known: NearPairs | None = None,
    owners: NDArray[np.int64] | None = None,
) -> NearPairs:
    """All pairs of distinct codes within ``radius`` bits; nearly all where owners are given.

    Args:
        codes: ``uint8[n, bytes]`` from ``distinct``.
        bits: their width.
        radius: largest distance, in bits.
        cache: a file with the pairs of an earlier call, which is used and brought up to date.
        known: the pairs of an earlier call.
        owners: ``int64[n]``, whose each code is: only pairs of different owners, and by ``sorted_join``,
            whose cost grows with n and not with its square.

    Raises:
        OptionError: more pairs than ``MAX_PAIRS``.
    """
    old = known if cache is None else _load(cache, codes.shape[1], bits)
    if old is not None and (old.radius < radius or not (old.exact or owners is not None)):
        old = None
    if old is None and owners is None:
        whole = Index(bits)
        whole.add(codes)
        pairs = _collect(whole.pairs(radius), codes, radius, [])
    elif old is None:
        assert owners is not None
        pairs = NearPairs(codes, radius, *sorted_pairs(codes, radius, owners), exact=False)
    else:
        pairs, fresh = _reduce(old, codes, radius)
        if not fresh.any():
            return pairs
        pairs = _extend(pairs, fresh, bits) if owners is None else _extend_sorted(pairs, fresh, owners)
    if cache is not None:
        _save(pairs, cache)
    return pairs


def _extend(known: NearPairs, fresh: NDArray[np.bool_], bits: int) -> NearPairs:
    """The known pairs and those of the fresh codes."""
    codes, radius, places = known.codes, known.radius, np.arange(len(fresh))
    new, rest = Index(bits), Index(bits)
    new.add(codes[fresh], places[fresh])
    rest.add(codes[~fresh], places[~fresh])
    joined = (pairs for join in (new.pairs(radius), new.pairs(radius, other=rest)) for pairs in join)
    return _collect(joined, codes, radius, [Pairs(known.ends.astype(np.int64), known.distances)])


def _extend_sorted(known: NearPairs, fresh: NDArray[np.bool_], owners: NDArray[np.int64]) -> NearPairs:
    """The known pairs and nearly all of the fresh codes with others."""
    codes, radius = known.codes, known.radius
    ends, distances = sorted_pairs(codes, radius, owners, fresh=fresh)
    if len(known.ends) + len(ends) > MAX_PAIRS:  # of all together only the nearest are kept
        return NearPairs(codes, radius, *sorted_pairs(codes, radius, owners), exact=False)
    ends = np.concatenate([known.ends, ends])
    return NearPairs(codes, radius, ends, np.concatenate([known.distances, distances]), exact=False)


def _reduce(old: NearPairs, codes: NDArray[np.uint8], radius: int) -> tuple[NearPairs, NDArray[np.bool_]]:
    """Those of the old pairs that are among ``codes`` and within ``radius``, and which codes are new."""
    places = _places(codes, old.codes)
    fresh = np.ones(len(codes), bool)
    fresh[places[places >= 0]] = False
    ends = places[old.ends]
    kept = (old.distances <= radius) & (ends >= 0).all(axis=1)
    return NearPairs(codes, radius, ends[kept], old.distances[kept], old.exact), fresh


def _collect(
    stream: Iterable[Pairs], codes: NDArray[np.uint8], radius: int, batches: list[Pairs]
) -> NearPairs:
    count = sum(map(len, batches))
    for pairs in stream:
        count += len(pairs)
        if count > MAX_PAIRS:
            raise OptionError(
                f"radius={radius}: more than {MAX_PAIRS:,} pairs are that near; "
                "give a smaller radius, or a smaller false-match rate"
            )
        batches.append(pairs)
    ends = [pairs.ids.astype(np.int32).reshape(-1, 2) for pairs in batches]
    distances = [pairs.distances for pairs in batches]
    return NearPairs(
        codes,
        radius,
        np.concatenate([np.empty((0, 2), np.int32), *ends]),
        np.concatenate([np.empty(0, np.uint16), *distances]),
    )


def _keys(codes: NDArray[np.uint8]) -> NDArray[np.void]:
    """Each code as one value that sorts by its bytes."""
    return np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1]))).reshape(-1)


def _load(cache: Path, width: int, bits: int) -> NearPairs | None:
    """The cache, or None where it is missing, damaged (the archive has checksums) or of other codes."""
    try:
        file = read_arrays(cache)
        codes, ends, distances = file["codes"], file["ends"], file["distances"]
        radius, exact = int(file["radius"]), bool(file["exact"]) if "exact" in file else True
    except Exception:  # an archive that anybody may have written can fail in any way
        return None
    shapes = codes.ndim == 2 and codes.shape[1] == width and ends.shape == (len(distances), 2)
    types = (codes.dtype, ends.dtype, distances.dtype) == (np.uint8, np.int32, np.uint16)
    if not (shapes and types and 0 <= radius <= bits):
        return None
    if ends.size and (not 0 <= ends.min() <= ends.max() < len(codes) or distances.max() > radius):
        return None
    return NearPairs(codes, radius, ends, distances, exact)


def _save(pairs: NearPairs, cache: Path) -> None:
    try:
        with write_whole(cache, follow=False) as file:
            np.savez(
                file,
                codes=pairs.codes,
                radius=np.int64(pairs.radius),
                ends=pairs.ends,
                distances=pairs.distances,
                exact=np.bool_(pairs.exact),
            )
    except OSError as error:
        logger.warning("%s: could not be saved (%s); the next run compares all codes again", cache, error)
