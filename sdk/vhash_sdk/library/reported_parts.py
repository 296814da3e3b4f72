"""What a library tells of the parts that its videos share: from spans of pairs to pairs and common parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..matching.parts import WHOLE, SharedSpan, connected, covered, overlaps, relation
from .known_parts import KnownPart, sampled
from .part_looks import Doubt, SharingPair, decided, in_doubt
from .records import Entry
from .roles import Places
from .segment_join import SegmentTable
from .shared_parts import CommonPart, PartPlace, Parts, SharedParts

LEAST_SECONDS = 5.0
"""A shared part that is shorter is not reported, unless one of the videos is no longer."""
_WITHIN = 0.6  # share of a span that has to lie in a common part for it to be that part

Hidden = dict[int, list[tuple[float, float]]]
"""Where in each video common parts are."""
Place = tuple[int, float, float]
"""Where a part is: a video, its start and end."""


@dataclass(frozen=True)
class Wanted:
    """What is reported.

    Attributes:
        seconds: a shared part is at least so long, unless one of the videos is part of the other.
        common: a part of so many videos is reported once.
        places: pairs that nobody asks about, by roles of folders.
        known: parts that are named or ignored.
    """

    seconds: float
    common: int
    places: Places
    known: Sequence[KnownPart] = ()


class ReportedParts:
    """From pairs with spans to what is reported."""

    def __init__(self, table: SegmentTable, entries: dict[int, Entry], wanted: Wanted) -> None:
        self._table, self._entries, self._wanted = table, entries, wanted
        self._seconds = {video: float(table.spans[table.rows(video), 1].max()) for video in entries}
        self._ignored = 0

    def doubts(self, pairs: Sequence[SharingPair]) -> list[Doubt]:
        """The spans that pixels decide about: in doubt, and reported if they are copies.

        What many videos have by its scores is not looked at: as many agree.
        """
        _, hidden = self._groups(decided(pairs, {}))
        found = []
        for pair in pairs:
            a, b = self._entries[pair.a], self._entries[pair.b]
            if self._wanted.places.ignored(a.path, b.path):
                continue
            whole = max(self._shares(pair, pair.spans)) >= WHOLE
            for at, span in zip(pair.at, pair.spans, strict=True):
                told = whole or span.seconds >= self._wanted.seconds
                if (
                    told
                    and in_doubt(span)
                    and not (self._is_common(pair, span, hidden) or self._is_ignored(pair.a, span))
                ):
                    found.append(Doubt(at, pair.a, pair.b, span))
        return found

    def parts(self, pairs: Sequence[SharingPair]) -> Parts:
        """Everything, in order."""
        self._ignored = 0
        common, hidden = self._common(pairs)
        shared = [one for pair in pairs if (one := self._pair(pair, hidden)) is not None]
        shared.sort(key=lambda one: (-one.seconds, one.a.id, one.b.id))
        return Parts(shared, common=common, ignored=self._ignored)

    def _shares(self, pair: SharingPair, spans: Iterable[SharedSpan]) -> tuple[float, float]:
        """How much of both videos spans cover."""
        spans = list(spans)
        return (
            covered([(span.a_start, span.a_end) for span in spans], self._seconds[pair.a]),
            covered([(span.b_start, span.b_end) for span in spans], self._seconds[pair.b]),
        )

    def _is_common(self, pair: SharingPair, span: SharedSpan, hidden: Hidden) -> bool:
        """Whether a span is a common part, in one of its videos."""
        return (
            overlaps((span.a_start, span.a_end), hidden.get(pair.a, ())) >= _WITHIN
            or overlaps((span.b_start, span.b_end), hidden.get(pair.b, ())) >= _WITHIN
        )

    def _pair(self, pair: SharingPair, hidden: Hidden) -> SharedParts | None:
        """What is to be said of two videos; None: nothing."""
        a, b = self._entries[pair.a], self._entries[pair.b]
        if self._wanted.places.ignored(a.path, b.path):
            return None
        spans = [span for span in pair.spans if not self._is_ignored(pair.a, span)]
        shares = self._shares(pair, spans)
        if max(shares) < WHOLE:
            spans = [
                span
                for span in spans
                if span.seconds >= self._wanted.seconds and not self._is_common(pair, span, hidden)
            ]
            shares = self._shares(pair, spans)
        if not spans:
            return None
        return SharedParts(a, b, relation(*shares), tuple(spans), *shares)

    def _is_ignored(self, video: int, span: SharedSpan) -> bool:
        ignored = [part for part in self._wanted.known if part.ignored]
        if not ignored:
            return False
        codes = self._codes(video, span.a_start, span.a_end)
        found = any(part.holds(codes, self._table.bits) for part in ignored)
        self._ignored += found
        return found

    def _codes(self, video: int, start: float, end: float) -> NDArray[np.uint8]:
        """Of the windows of a part of a video."""
        rows = self._table.rows(video)
        middles = self._table.spans[rows].mean(axis=1)
        return sampled(self._table.codes[rows][(middles >= start) & (middles <= end)])

    def _common(self, pairs: Sequence[SharingPair]) -> tuple[list[CommonPart], Hidden]:
        """What many videos have, and where it is in each of them."""
        groups, hidden = self._groups(pairs)
        found = [part for places in groups if (part := self._part(places)) is not None]
        return sorted(found, key=lambda part: (-part.videos, -part.seconds, part.id)), hidden

    def _groups(self, pairs: Sequence[SharingPair]) -> tuple[list[list[Place]], Hidden]:
        """The places of each part that many videos have, and all of them by their videos."""
        sides = []
        for pair in pairs:
            if relation(*self._shares(pair, pair.spans)) == "same video":
                continue  # copies share everything
            for span in pair.spans:
                if span.seconds >= min(self._wanted.seconds, LEAST_SECONDS):
                    sides.append((pair.a, span.a_start, span.a_end))
                    sides.append((pair.b, span.b_start, span.b_end))
        if not sides:
            return [], {}
        number = connected(
            np.array([side[0] for side in sides], np.int64),
            np.array([side[1] for side in sides]),
            np.array([side[2] for side in sides]),
        )
        found: list[list[Place]] = []
        hidden: Hidden = {}
        order = np.argsort(number, kind="stable").tolist()
        for _, rows in groupby(order, key=lambda row: number[row]):
            places = list(_merged(sorted(sides[row] for row in rows)))
            some = {video for video, start, end in places if end - start < WHOLE * self._seconds[video]}
            if len(some) < self._wanted.common:
                continue
            for video, start, end in places:
                hidden.setdefault(video, []).append((start, end))
            found.append(places)
        return found, hidden

    def _part(self, places: list[Place]) -> CommonPart | None:
        """A common part; None where it is ignored."""
        video, start, end = places[0]
        codes = self._codes(video, start, end)
        known = next((part for part in self._wanted.known if part.holds(codes, self._table.bits)), None)
        if known is not None and known.ignored:
            self._ignored += 1
            return None
        mark = hashlib.sha256(self._entries[video].digest + f"{start:.0f}".encode()).hexdigest()[:8]
        where = tuple(PartPlace(self._entries[video], start, end) for video, start, end in places)
        return CommonPart(mark, where, "" if known is None else known.name, codes)


def _merged(sides: Iterable[Place]) -> Iterator[Place]:
    """Spans of each video that overlap, as one: its ends are the medians of theirs."""
    for video, spans in groupby(sides, key=lambda side: side[0]):
        open_: list[tuple[float, float]] = []
        for _, start, end in spans:
            if open_ and start >= max(other for _, other in open_):
                yield video, *np.median(open_, axis=0).tolist()
                open_ = []
            open_.append((start, end))
        yield video, *np.median(open_, axis=0).tolist()


def known_as(part: CommonPart, *, name: str, ignored: bool) -> KnownPart:
    """A common part as the library keeps it."""
    return KnownPart(part.id, name, ignored, part.seconds, part.codes)
