"""Parts that the videos of a library have in common: all pairs at once, from the segments that it keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..matching.parts import (
    WHOLE,
    SharedSpan,
    connected,
    covered,
    overlaps,
    relation,
    shared_spans,
)
from ..matching.track import Track
from ..matching.votes import Match
from ..spec import ModelSpec
from .database import Database
from .entries import entries_of
from .known_parts import KnownPart, sampled
from .near_pairs import PairCache
from .part_cache import Found, Key, PartCache
from .reading import lacking, segment_pages
from .records import Entry
from .roles import Places
from .rows import code_array
from .segment_join import Ints, Links, SegmentTable, link
from .shared_parts import CommonPart, PartPlace, Parts, SharedParts

COMMON = 5
"""A part that so many videos have is reported once."""
LEAST_SECONDS = 5.0
"""A shared part that is shorter is not reported, unless one of the videos is no longer."""
_KEPT_WINDOWS = 150_000  # of tracks in memory: about as many kilobytes
_WITHIN = 0.6  # share of a span that has to lie in a common part for it to be that part
_FEW = 3  # near windows that two videos need at least

Progress = Callable[[int, int], None]
"""How many pairs of videos are aligned, and of how many."""


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


@dataclass(frozen=True)
class _Pair:
    """Two videos, by their ids, and their spans."""

    a: int
    b: int
    spans: tuple[SharedSpan, ...]


def read_table(database: Database, spec: ModelSpec) -> SegmentTable:
    """All segments of a library.

    Raises:
        StoreError: the database is damaged.
    """
    numbers, places, codes = [], [], []
    with database.snapshot():
        for rows in segment_pages(database):
            numbers.append(np.array([row[:2] for row in rows], np.int64))
            places.append(
                np.array(
                    [(row.t0, row.t1, 0 if row.confidence is None else row.confidence) for row in rows],
                    np.float32,
                )
            )
            codes.append(code_array(database.path, [row.code for row in rows], spec.bits))
    number = np.concatenate([np.empty((0, 2), np.int64), *numbers])
    place = np.concatenate([np.empty((0, 3), np.float32), *places])
    code = np.concatenate([np.empty((0, (spec.bits + 7) // 8), np.uint8), *codes])
    order = np.lexsort((number[:, 0], place[:, 0], number[:, 1]))
    number, place = number[order], place[order]
    return SegmentTable(
        number[:, 0], number[:, 1], place[:, :2], place[:, 2], code[order], spec.bits, spec.family
    )


def find_parts(
    database: Database,
    spec: ModelSpec,
    caches: tuple[PairCache, PartCache],
    wanted: Wanted,
    *,
    radius: int | None = None,
    progress: Progress | None = None,
) -> Parts:
    """What the videos of a library share; see ``Library.parts``.

    Raises:
        StoreError: the database is damaged.
        OptionError: more segments are near each other than can be looked at, at any radius.
    """
    table = read_table(database, spec)
    near, kept = caches
    links = link(table, near.near, radius=radius)
    aligned = align_all(table, links, kept, progress)
    ids = sorted({video for pair in aligned for video in (pair.a, pair.b)})
    entries = {entry.id: entry for entry in entries_of(database, spec, ids)}
    pairs = [pair for pair in aligned if pair.a in entries and pair.b in entries]  # else removed just now
    return _Found(table, entries, wanted).parts(pairs, links, lacking(database))


def align_all(
    table: SegmentTable, links: Links, cache: PartCache | None = None, progress: Progress | None = None
) -> list[_Pair]:
    """The spans of all pairs of videos that have near segments."""
    tracks, marks = _Tracks(table), _marks(table)
    slices = [part for part in links.by_pair(table.videos) if part.stop - part.start >= _FEW]
    before: Found = {} if cache is None else cache.read(links.radius)
    found: Found = {}
    result = []
    for done, part in enumerate(slices, 1):
        ends = links.ends[part]
        a, b = table.videos[ends[0]].tolist()
        key: Key = (*marks[a], *marks[b])
        spans = before.get(key)
        if spans is None:
            spans = tuple(_aligned(table, tracks, ends, links.distances[part]))
        found[key] = spans
        if spans:
            result.append(_Pair(a, b, spans))
        if progress is not None:
            progress(done, len(slices))
    if cache is not None and found != before:
        cache.write(links.radius, found)
    return result


def _aligned(
    table: SegmentTable, tracks: _Tracks, ends: Ints, distances: NDArray[np.uint16]
) -> list[SharedSpan]:
    """The spans of one pair; the shorter video is looked for in the longer one."""
    a, b = table.videos[ends[0]].tolist()
    one, two = tracks(a), tracks(b)
    turned = two.duration < one.duration
    query, reference = (two, one) if turned else (one, two)
    mine, theirs = (ends[:, 1], ends[:, 0]) if turned else (ends[:, 0], ends[:, 1])
    rows = mine - table.rows(b if turned else a).start
    if len(np.unique(rows)) < min(_FEW, len(query)):
        return []
    weight = (1 - 2 * distances / table.bits).clip(0) * query.weights[rows]
    order = np.argsort(rows, kind="stable")
    close = Match(
        rows[order],
        np.zeros(len(rows), np.int64),
        table.spans[theirs[order]].astype(np.float64).mean(axis=1),
        weight[order].astype(np.float32),
    )
    spans = shared_spans(query, reference, close)
    return [span.turned for span in spans] if turned else spans


def _marks(table: SegmentTable) -> dict[int, tuple[int, int]]:
    """By what the segments of each video are known: the first row, and how many there are."""
    if not len(table):
        return {}
    videos, starts, counts = np.unique(table.videos, return_index=True, return_counts=True)
    firsts = np.minimum.reduceat(table.ids, starts)
    return {
        video: (first, count)
        for video, first, count in zip(videos.tolist(), firsts.tolist(), counts.tolist(), strict=True)
    }


class _Tracks:
    """Tracks of videos, the last ones kept."""

    def __init__(self, table: SegmentTable) -> None:
        self._table = table
        self._kept: dict[int, Track] = {}
        self._windows = 0

    def __call__(self, video: int) -> Track:
        track = self._kept.pop(video, None)
        if track is None:
            track = self._table.track(video)
            self._windows += len(track)
        self._kept[video] = track
        while self._windows > _KEPT_WINDOWS and len(self._kept) > 2:
            self._windows -= len(self._kept.pop(next(iter(self._kept))))
        return track


class _Found:
    """From pairs with spans to what is reported."""

    def __init__(self, table: SegmentTable, entries: dict[int, Entry], wanted: Wanted) -> None:
        self._table, self._entries, self._wanted = table, entries, wanted
        self._seconds = {video: float(table.spans[table.rows(video), 1].max()) for video in entries}
        self._ignored = 0

    def parts(self, pairs: Sequence[_Pair], links: Links, without: int) -> Parts:
        """Everything, in order."""
        common, hidden = self._common(pairs)
        shared = [one for pair in pairs if (one := self._pair(pair, hidden)) is not None]
        shared.sort(key=lambda one: (-one.seconds, one.a.id, one.b.id))
        return Parts(
            shared, common=common, ignored=self._ignored, lacking=without,
            radius=links.radius, segments=links.joined,
        )  # fmt: skip

    def _shares(self, pair: _Pair, spans: Iterable[SharedSpan]) -> tuple[float, float]:
        """How much of both videos spans cover."""
        spans = list(spans)
        return (
            covered([(span.a_start, span.a_end) for span in spans], self._seconds[pair.a]),
            covered([(span.b_start, span.b_end) for span in spans], self._seconds[pair.b]),
        )

    def _pair(self, pair: _Pair, hidden: dict[int, list[tuple[float, float]]]) -> SharedParts | None:
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
                if span.seconds >= self._wanted.seconds
                and overlaps((span.a_start, span.a_end), hidden.get(pair.a, ())) < _WITHIN
                and overlaps((span.b_start, span.b_end), hidden.get(pair.b, ())) < _WITHIN
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

    def _common(
        self, pairs: Sequence[_Pair]
    ) -> tuple[list[CommonPart], dict[int, list[tuple[float, float]]]]:
        """What many videos have, and where it is in each of them."""
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
        found: list[CommonPart] = []
        hidden: dict[int, list[tuple[float, float]]] = {}
        order = np.argsort(number, kind="stable").tolist()
        for _, rows in groupby(order, key=lambda row: number[row]):
            places = list(_merged(sorted(sides[row] for row in rows)))
            some = {video for video, start, end in places if end - start < WHOLE * self._seconds[video]}
            if len(some) < self._wanted.common:
                continue
            for video, start, end in places:
                hidden.setdefault(video, []).append((start, end))
            part = self._part(places)
            if part is not None:
                found.append(part)
        return sorted(found, key=lambda part: (-part.videos, -part.seconds, part.id)), hidden

    def _part(self, places: list[tuple[int, float, float]]) -> CommonPart | None:
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


def _merged(sides: Iterable[tuple[int, float, float]]) -> Iterator[tuple[int, float, float]]:
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


__all__ = ["COMMON", "LEAST_SECONDS", "Wanted", "find_parts", "known_as", "read_table"]
