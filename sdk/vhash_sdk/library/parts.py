"""Parts that the videos of a library have in common: all pairs at once, from the segments that it keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..matching.parts import SharedSpan, shared_spans
from ..matching.span_evidence import LEAST_SCORE
from ..matching.track import Track
from ..matching.votes import Match
from ..spec import ModelSpec
from .database import Database
from .entries import entries_of
from .near_pairs import PairCache
from .part_cache import Kept, Key, PartCache
from .part_looks import DOUBT, PartLooks, Progress, SharingPair, decided
from .reading import lacking, segment_pages
from .reported_parts import LEAST_SECONDS, ReportedParts, Wanted, known_as
from .rows import code_array
from .segment_join import Ints, Links, SegmentTable, link
from .shared_parts import Parts

COMMON = 5
"""A part that so many videos have is reported once."""
_KEPT_WINDOWS = 150_000  # of tracks in memory: about as many kilobytes
_FEW = 3  # near windows that two videos need at least


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
    looks: PartLooks | None = None,
    progress: Progress | None = None,
) -> Parts:
    """What the videos of a library share; see ``Library.parts``. Without ``looks`` scores alone decide.

    Raises:
        StoreError: the database is damaged.
        OptionError: more segments are near each other than can be looked at, at any radius.
    """
    table = read_table(database, spec)
    near, cache = caches
    links = link(table, near.near, radius=radius)
    before = cache.read(links.radius)
    aligned, kept = align_all(table, links, before, progress)
    if kept.spans != before.spans:
        cache.write(links.radius, kept)
    ids = sorted({video for pair in aligned for video in (pair.a, pair.b)})
    entries = {entry.id: entry for entry in entries_of(database, spec, ids)}
    pairs = [pair for pair in aligned if pair.a in entries and pair.b in entries]  # else removed just now
    report, left = ReportedParts(table, entries, wanted), 0
    if looks is not None:
        doubts = report.doubts(pairs)
        left = looks.take(doubts, entries, kept.looks, lambda: cache.write(links.radius, kept), progress)
    found = report.parts(decided(pairs, {} if looks is None else kept.looks))
    found.lacking, found.left = lacking(database), left
    found.radius, found.segments = links.radius, links.joined
    return found


def align_all(
    table: SegmentTable, links: Links, before: Kept | None = None, progress: Progress | None = None
) -> tuple[list[SharingPair], Kept]:
    """The spans of all pairs of videos that have near segments, those in doubt included; all to be kept."""
    tracks, marks = _Tracks(table), _marks(table)
    slices = [part for part in links.by_pair(table.videos) if part.stop - part.start >= _FEW]
    before = Kept() if before is None else before
    kept = Kept()
    result = []
    for done, part in enumerate(slices, 1):
        ends = links.ends[part]
        a, b = table.videos[ends[0]].tolist()
        key: Key = (*marks[a], *marks[b])
        spans = before.spans.get(key)
        if spans is None:
            spans = tuple(_aligned(table, tracks, ends, links.distances[part]))
        kept.spans[key] = spans
        if spans:
            result.append(SharingPair(a, b, key, spans, tuple(range(len(spans)))))
        if progress is not None:
            progress(done, len(slices))
    kept.looks = {at: look for at, look in before.looks.items() if at[0] in kept.spans}
    return result, kept


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
    spans = shared_spans(query, reference, close, least=LEAST_SCORE - DOUBT)
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


__all__ = ["COMMON", "LEAST_SECONDS", "Progress", "Wanted", "find_parts", "known_as", "read_table"]
