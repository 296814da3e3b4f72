"""What a search returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class Matches:
    """The nearest codes of each query, by (distance, id).

    Attributes:
        ids: int64 ``[queries, k']`` with k' = min(k, eligible codes).
        distances: uint16 ``[queries, k']``, in bits.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Matches(queries={self.ids.shape[0]}, k={self.ids.shape[1]})"


@dataclass(frozen=True, repr=False)
class RangeMatches:
    """The codes within a radius of each query, by (distance, id), one query after the other.

    Attributes:
        ids: int64 ``[matches]``.
        distances: uint16 ``[matches]``, in bits.
        splits: int64 ``[queries + 1]``; those of query q are ``splits[q]:splits[q + 1]``.

    ``matches[q]`` is the pair (ids, distances) of one query.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.uint16]
    splits: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.splits) - 1

    def __getitem__(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        if not -len(self) <= query < len(self):
            raise IndexError(f"query {query} of {len(self)}")
        query %= len(self)
        part = slice(int(self.splits[query]), int(self.splits[query + 1]))
        return self.ids[part], self.distances[part]

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint16]]]:
        return (self[query] for query in range(len(self)))

    def __repr__(self) -> str:
        return f"RangeMatches(queries={len(self)}, matches={len(self.ids)})"


@dataclass(frozen=True)
class Explanation:
    """How a search was answered, and why.

    Attributes:
        path: ``scan`` (row by row), ``bitslice`` or ``products`` (many queries at once; the second where
            the CPU multiplies matrices), ``multi-index`` (look-ups in substring tables), ``multi-index, then
            scan`` or ``gather`` (few eligible codes, one by one).
        reason: why that path, in words.
        simd: instruction set of the kernels.
        queries, rows, eligible: sizes of the search; rows include removed codes, eligible do not.
        lookups, candidates: what the multi-index did; fallbacks: queries that it gave up.
        scan_microseconds, multi_index_microseconds: predicted cost of one query by either path.
    """

    path: str
    reason: str
    simd: str
    queries: int
    rows: int
    eligible: int
    lookups: int
    candidates: int
    fallbacks: int
    scan_microseconds: float
    multi_index_microseconds: float


@dataclass(frozen=True, repr=False)
class Pairs:
    """Some of the pairs within a radius.

    Attributes:
        ids: int64 ``[pairs, 2]``; within one index the smaller id first.
        distances: uint16 ``[pairs]``, in bits.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Pairs({len(self)})"


class PairShare(NamedTuple):
    """A share of the work of ``Index.pairs``; see ``Index.pair_shares``.

    Attributes:
        choice: which choice of blocks of bits; -1: all of them.
        part, parts: which of so many parts of the codes.
    """

    choice: int
    part: int
    parts: int


def reason(facts: dict[str, Any], has_multi_index: bool) -> str:
    """Say in words why a search took its path."""
    scan, multi = facts["scan_microseconds"], facts["multi_index_microseconds"]
    if facts["path"] == "gather":
        return f"only {facts['eligible']} of {facts['rows']} rows are eligible"
    if facts["path"].startswith("multi-index"):
        left = (
            f"; {facts['fallbacks']} of {facts['queries']} queries met none near enough"
            if facts["fallbacks"]
            else ""
        )
        return f"{facts['lookups']} look-ups cost less than a scan of {scan:.0f} µs a query{left}"
    batch = "many queries share each tile" if facts["path"] in ("bitslice", "products") else "few queries"
    if not has_multi_index:
        return f"{batch}; no multi-index has been built"
    if multi >= scan:
        return f"{batch}; the multi-index would take {multi:.0f} µs a query, a scan {scan:.0f} µs"
    return f"{batch}; neighbours are too far away for the multi-index"
