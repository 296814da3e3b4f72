"""PDQ and vPDQ hashes that are known, and what of them a query matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, UnknownIdError
from ..index.memory import Index
from ..index.protocol import CodeIndex
from ..system.checks import check_choice, checked_count
from .records import BITS, KINDS, Hashed, Kind

RADIUS = 31
"""Bits between two PDQ hashes of one picture, at most; the documentation of PDQ begins with that."""
QUALITY = 50
"""PDQ hashes of less quality are left out, as its documentation says."""
QUERY_SHARE, KNOWN_SHARE = 80.0, 0.0
"""Per cent of a video's frames that have to match: ``threatexchange`` begins with these."""
_BATCH = 4096  # hashes in one search


@dataclass(frozen=True)
class BankMatch:
    """Something known that a query matches.

    Attributes:
        known: what it is.
        distance: between the nearest two of their hashes, in bits.
        query_share: per cent of the query's different hashes that match one of the known.
        known_share: per cent of the known's different hashes that match one of the query.
    """

    known: Hashed
    distance: int
    query_share: float
    known_share: float


class HashBank:
    """Known PDQ or vPDQ hashes, to be searched.

    Args:
        kind: ``pdq`` or ``vpdq``.
        known: those of this kind are taken.
        quality: hashes of less are left out, of the bank and of queries.
        engine: where the hashes lie: an index of 256 bits, empty or filled by such a bank before; None: in
            memory.

    Raises:
        OptionError: the engine has other hashes, or another width.

    >>> from .records import hashed
    >>> bank = HashBank("pdq", [hashed("pdq", [(bytes(32), 100)], "black.png", 1)])
    >>> found = bank.search(hashed("pdq", [(b"\\x07" + bytes(31), 100)], "", 1))
    >>> [(match.known.label, match.distance) for match in found]
    [('black.png', 3)]
    """

    def __init__(
        self,
        kind: Kind,
        known: Iterable[Hashed],
        *,
        quality: int = QUALITY,
        engine: CodeIndex | None = None,
    ) -> None:
        check_choice("kind", kind, KINDS)
        self.kind, self.quality = kind, checked_count("quality", quality, 0, 100)
        self._known: list[Hashed] = []
        self._poor = 0
        parts: list[NDArray[np.uint8]] = []
        for each in known:
            if each.kind != kind:
                continue
            codes = _usable(each, self.quality)
            if len(codes):
                self._known.append(each)
                parts.append(codes)
            else:
                self._poor += 1
        counts = np.array([len(part) for part in parts], np.int64)
        self._owner = np.repeat(np.arange(len(parts)), counts)
        self._counts = counts
        codes = np.concatenate(parts) if parts else np.zeros((0, BITS // 8), np.uint8)
        self._engine: CodeIndex = Index(BITS) if engine is None else engine
        _fill(self._engine, codes)

    @property
    def poor(self) -> int:
        """How many were left out for their quality."""
        return self._poor

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"HashBank({self.kind!r}, known={len(self)}, hashes={len(self._owner)})"

    def search(
        self,
        query: Hashed,
        *,
        radius: int = RADIUS,
        query_share: float = QUERY_SHARE,
        known_share: float = KNOWN_SHARE,
    ) -> list[BankMatch]:
        """What is known that a query matches, the best first; see ``search_many``."""
        found = self.search_many([query], radius=radius, query_share=query_share, known_share=known_share)
        return next(found)

    def search_many(
        self,
        queries: Iterable[Hashed],
        *,
        radius: int = RADIUS,
        query_share: float = QUERY_SHARE,
        known_share: float = KNOWN_SHARE,
    ) -> Iterator[list[BankMatch]]:
        """For each query what it matches: by distance for PDQ, by the shares for vPDQ.

        Args:
            queries: of the kind of this bank. One whose quality is too low matches nothing.
            radius: bits within which two hashes match, inclusive.
            query_share, known_share: of a video, per cent of frames that have to match, inclusive.

        Raises:
            OptionError: an argument is outside of what is allowed, or a query is of another kind.
        """
        radius = checked_count("radius", radius, 0, BITS)
        for name, share in (("query_share", query_share), ("known_share", known_share)):
            if not 0 <= share <= 100:
                raise OptionError(f"{name}={share!r}; allowed: 0 to 100 per cent")
        return self._search(iter(queries), radius, query_share, known_share)

    def _search(
        self, queries: Iterator[Hashed], radius: int, query_share: float, known_share: float
    ) -> Iterator[list[BankMatch]]:
        while batch := list(islice(queries, _BATCH if self.kind == "pdq" else 16)):
            for query in batch:
                if query.kind != self.kind:
                    raise OptionError(f"a query of kind {query.kind!r}; this bank has {self.kind!r}")
            codes = [_usable(query, self.quality) for query in batch]
            ends = np.cumsum([len(part) for part in codes])
            every = np.concatenate(codes)
            found = self._engine.range_search(every, radius) if len(every) else None
            for part, end in zip(codes, ends, strict=True):
                if found is None or not len(part):
                    yield []
                    continue
                splits = found.splits[end - len(part) : end + 1]
                span = slice(int(splits[0]), int(splits[-1]))
                frames = np.repeat(np.arange(len(part)), np.diff(splits))
                matches = self._matches(frames, found.ids[span], found.distances[span], len(part))
                if self.kind == "vpdq":
                    matches = [
                        m for m in matches if m.query_share >= query_share and m.known_share >= known_share
                    ]
                yield matches

    def _matches(
        self, frames: NDArray[np.int64], ids: NDArray[np.int64], distances: NDArray[np.uint16], count: int
    ) -> list[BankMatch]:
        """Of all pairs (frame of the query, hash that is known): one match for each that is known."""
        owners, first, place = np.unique(self._owner[ids], return_index=True, return_inverse=True)
        nearest = distances[first].astype(np.int64)
        np.minimum.at(nearest, place, distances)
        frames_matched = np.bincount(np.unique(place * count + frames) // count, minlength=len(owners))
        one_each = np.unique(ids, return_index=True)[1]
        known_matched = np.bincount(place[one_each], minlength=len(owners))
        found = [
            BankMatch(
                self._known[owner],
                int(nearest[i]),
                100 * int(frames_matched[i]) / count,
                100 * int(known_matched[i]) / int(self._counts[owner]),
            )
            for i, owner in enumerate(owners)
        ]
        if self.kind == "pdq":
            return sorted(found, key=lambda m: m.distance)
        return sorted(found, key=lambda m: (-m.query_share, -m.known_share, m.distance))


def _usable(each: Hashed, quality: int) -> NDArray[np.uint8]:
    """Its different hashes of enough quality, in their order."""
    codes = each.codes[each.quality >= quality]
    if len(codes) < 2:
        return codes
    _, first = np.unique(codes, axis=0, return_index=True)
    return codes[np.sort(first)]


def _fill(engine: CodeIndex, codes: NDArray[np.uint8]) -> None:
    """Put hashes into an engine under 0, 1, …; one that has just these stays as it is. Raises OptionError."""
    if engine.bits != BITS:
        raise OptionError(f"an index of {engine.bits} bits; PDQ hashes have {BITS}")
    if not len(engine):
        for start in range(0, len(codes), 1 << 20):
            part = codes[start : start + (1 << 20)]
            engine.add(part, np.arange(start, start + len(part)))
        return
    try:
        ids = np.arange(len(codes))
        same = len(engine) == len(codes) and bool((engine.codes(ids) == codes).all())
    except UnknownIdError:
        same = False
    if not same:
        raise OptionError(
            f"the index has {len(engine):,} codes that are not these {len(codes):,} hashes; give an empty one"
        )
