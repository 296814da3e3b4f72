"""Where a clip is among the segments of a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..encoding.tracks import codes_of, kept_track, query_tracks
from ..errors import StoreError
from ..matching.alignment import Span, align, fit, join, without_covered
from ..matching.second_look import View, nearest_views
from ..matching.span_evidence import LEAST_OF_A_PAIR, span_evidence
from ..matching.third_look_result import ThirdLook
from ..matching.timelines import Timeline, timelines
from ..matching.track import Times, Track
from ..matching.votes import Match, chunks, vote
from ..spec import ModelSpec, Resize
from ..video.filming import Filmed
from .cache import cache_file, load_index, save_index
from .database import Database
from .entries import entry_of
from .reading import segment_codes, segment_places, stored_track
from .records import Entry, FoundFrame, FoundSpan
from .rows import id_array

if TYPE_CHECKING:
    from ..encoding.encoder import Encoder
    from ..index.memory import Index
    from ..video import Source
    from ..video.isolation.pool import DecodePool

Closer = Callable[[Filmed, int, Span], ThirdLook | None]
"""Takes a third look at a part of a query that may be in a video of the library."""
COMMON = 20
"""Windows of a clip that are in more videos than this count less: intros, test cards, black frames."""
_CLOSE = 0.2  # of all bits: windows of copies of ordinary quality
_NEAREST = 128  # codes looked at for each window of a clip
_PLACES = 16  # places looked at for each chunk of a clip
_LEAST = 2.0  # seconds that must count
_DOUBT = 5.0  # nats from the threshold, up to which pixels decide
_LOOKS = 8  # third looks for a clip, the best scores first
_RAREST = 1e-9  # rate of strangers below which no less is known
_MOST_WINDOWS = 1 << 16  # looked at for a picture


class SegmentIndex:
    """The segments of a library in memory, as they were at one generation."""

    def __init__(
        self, generation: str, index: Index, ids: NDArray[np.int64], videos: NDArray[np.int64], spans: Times
    ) -> None:
        self.generation = generation
        self._index, self._ids, self._videos, self._times = index, ids, videos, spans.mean(axis=1)
        self._rows = np.lexsort((self._times, videos))  # by video, then time
        self._ordered, self._ends = videos[self._rows], spans[self._rows, 1]

    def __len__(self) -> int:
        return len(self._ids)

    def track(self, video: int) -> Track:
        """The kept windows of one video, in the order of time."""
        part = slice(*np.searchsorted(self._ordered, [video, video + 1]))
        rows, duration = self._rows[part], float(self._ends[part].max(initial=0.0))
        return kept_track(self._index.codes(self._ids[rows]), self._times[rows], self._index.bits, duration)

    def nearest(self, views: Sequence[View], k: int) -> list[tuple[int, int, float]]:
        """(distance, video, seconds) of the k videos that have a window nearest to a picture, in that order.

        Of each video the nearest window counts, of equally near ones the first.
        """
        count = 4 * k
        while True:
            matches = self._index.search([view.code for view in views], min(count, len(self)))
            rows = np.searchsorted(self._ids, matches.ids.ravel())
            found = sorted(
                zip(
                    matches.distances.ravel().tolist(), self._videos[rows].tolist(),
                    self._times[rows].tolist(), strict=True,
                )
            )  # fmt: skip
            best: dict[int, tuple[int, int, float]] = {}
            for each in found:
                best.setdefault(each[1], each)
            # windows of one video are alike, so that those of few videos may be nearest of all
            if len(best) >= k or count >= min(len(self), _MOST_WINDOWS):
                return list(best.values())[:k]
            count *= 4

    def find(self, clip: Track) -> Iterator[tuple[int, Span]]:
        """(video, span) of everything that may be a part of the clip, in no order."""
        if not len(self) or not len(clip):
            return
        clip, close = self._close(clip)
        spans: dict[int, list[Span]] = {}
        tracks: dict[int, Track] = {}

        def track(video: int) -> Track:
            if video not in tracks:
                tracks[video] = self.track(video)
            return tracks[video]

        for first, chunk in chunks(clip):
            places = vote(chunk, close.within(first, first + len(chunk)), limit=_PLACES)
            for video, span in fit(chunk, places, track):
                spans.setdefault(video, []).append(span)
        for video, parts in spans.items():
            for span in join(clip, tracks[video], parts):
                if span.seconds >= min(_LEAST, 0.5 * clip.duration):
                    yield video, span

    def _close(self, clip: Track) -> tuple[Track, Match]:
        """The clip with less weight on what is common; the nearest kept windows of its every second one."""
        rows = np.arange(0, len(clip), 2)
        matches = self._index.search(codes_of(clip)[rows], _NEAREST)
        at = np.minimum(np.searchsorted(self._ids, matches.ids), len(self._ids) - 1)
        if (self._ids[at] != matches.ids).any():
            raise StoreError(
                f"segments-{self.generation}.vhi: is not of these segments; delete it, it is made again"
            )
        videos = self._videos[at]
        near = matches.distances <= _CLOSE * self._index.bits
        frequency = np.array([len(np.unique(row[mask])) for row, mask in zip(videos, near, strict=True)])
        rarity = np.minimum(1.0, COMMON / np.maximum(frequency, 1)).astype(np.float32)
        clip = replace(clip, weights=clip.weights * np.repeat(rarity, 2)[: len(clip)])
        weight = (1 - 2 * matches.distances / self._index.bits).clip(0) * clip.weights[rows][:, None]
        return clip, Match(
            np.repeat(rows, matches.ids.shape[1]), videos.ravel(), self._times[at].ravel(),
            weight.ravel().astype(np.float32),
        )  # fmt: skip


def find_clip(
    index: SegmentIndex, encoder: Encoder, clip: Source, *, fmr: float | None, closer: Closer | None = None
) -> list[tuple[int, Span]]:
    """(video, span) of the parts of a clip, of its whole picture or its content box; the best first.

    Args:
        index: of the library.
        encoder: of its model.
        clip: what ``Encoder.encode`` takes.
        fmr: see ``Library.find``.
        closer: takes third looks at the parts in doubt; None: nobody does.

    Raises:
        VideoError: the clip cannot be read.
        OptionError: ``fmr`` is no rate.
    """
    least = span_evidence(encoder.spec.family).least(fmr)
    from ..video.isolation.pool import DecodePool as Pool

    with Pool(1, encoder.limits) as decoders:
        found: dict[int, list[Span]] = {}
        for track in query_tracks(encoder, clip, decoders):
            for video, span in index.find(track):
                found.setdefault(video, []).append(span)
        best = [(video, span) for video, spans in found.items() for span in without_covered(spans)]
        best.sort(key=lambda item: (-item[1].score, item[0], item[1].ref_start))
        return list(decided(best, least, closer, partial(_filmed, decoders, clip)))


def span_of_copies(
    clip: Sequence[View], video: Sequence[View], seconds: tuple[float, float], rate: float
) -> Span:
    """Which part of a clip is which part of a video, of two that are copies as wholes.

    Args:
        clip, video: what is seen of both.
        seconds: the duration of each.
        rate: how often strangers are taken for copies by what was seen.
    """
    _, i, j = nearest_views(clip, video)
    one, two = clip[i].frames, video[j].frames
    lines = [] if one is None or two is None else timelines(one, two)
    line = lines[0] if lines else Timeline(seconds[1] / seconds[0], 0.0)
    _, first, last, _ = sorted((0.0, line.inverse.at(0.0), line.inverse.at(seconds[1]), seconds[0]))
    start, end = sorted((line.at(first), line.at(last)))
    score = -math.log(max(rate, _RAREST))
    return Span(first, last, start, end, score, reversed=line.speed < 0)


def decided(
    best: Iterable[tuple[int, Span]], least: float, closer: Closer | None, filmed: Callable[[], Filmed]
) -> Iterator[tuple[int, Span]]:
    """Those that are copies: by their pixels where there is a doubt, else by their scores."""
    query: Filmed | None = None
    looked = 0
    for video, span in best:
        alike = None
        if closer is not None and looked < _LOOKS and -_DOUBT <= span.score - least <= _DOUBT:
            query, looked = query or filmed(), looked + 1
            look = closer(query, video, span)
            alike = None if look is None else look.alike
        if alike or (alike is None and span.score >= least):
            yield video, span


def _filmed(decoders: DecodePool, clip: Source) -> Filmed:
    info = decoders.frames_at(clip, np.zeros(1), Resize("exact", 2, 2, picture=2)).info
    return Filmed(clip, info.width, info.height, info.duration, ())


def found_spans(
    database: Database, spec: ModelSpec, found: Iterable[tuple[int, Span]]
) -> Iterator[FoundSpan]:
    """What ``find_clip`` found, with the entries of the videos."""
    for video, span in found:
        entry = entry_of(database, spec, video)
        if entry is not None:  # else removed this very moment
            yield FoundSpan(span, entry)


def found_frames(
    database: Database, spec: ModelSpec, found: Iterable[tuple[int, int, float]]
) -> Iterator[FoundFrame]:
    """What ``SegmentIndex.nearest`` found, with the entries of the videos."""
    for distance, video, time in found:
        entry = entry_of(database, spec, video)
        if entry is not None:
            yield FoundFrame(entry, time, distance)


def common_spans(database: Database, spec: ModelSpec, a: Entry, b: Entry) -> list[Span]:
    """The parts that two videos of a library have in common, by their kept segments; ``a`` is the query."""
    query, reference = (stored_track(database, entry.id, spec) for entry in (a, b))
    if query is None or reference is None:
        return []
    return align(query, reference, least=LEAST_OF_A_PAIR)


def segment_index(database: Database, directory: Path, spec: ModelSpec) -> SegmentIndex:
    """The segments of a library; their codes are read from the cache, or made again.

    Raises:
        StoreError: the database is damaged.
    """
    from ..index.memory import Index

    with database.snapshot():  # rows, codes and generation belong together
        generation = database.generation()
        rows = segment_places(database)
        index = load_index(cache_file(directory, generation, "segments"), len(rows), spec)
        missing = index is None
        if index is None:
            index = Index(spec.bits, model=spec.fingerprint)
            ids, codes = segment_codes(database, spec.bits)
            index.add(codes, ids)
    ids, videos = id_array([row.id for row in rows]), id_array([row.video for row in rows])
    spans = np.array([row[2:] for row in rows], np.float64).reshape(-1, 2)
    if missing:
        save_index(index, database, directory, generation, "segments")
    return SegmentIndex(generation, index, ids, videos, spans)
