"""Which part of one video is which part of another: temporal alignment of two tracks of codes.

A copy of a part lies on a line in the plane of query time and reference time: its slope is the
speed, its intercept the offset. Matches of single windows vote for places (``votes``);
there the stretches along lines are found (``lines``), so that inserted intros and outros
cost nothing; neighbouring stretches of one line are joined and scored.

Two things tell a copy from another clip of the same scene. *Similarity*: the mean agreement of
the windows along the line. *Correlation*: whether both change alike in time; for this the mean over
the stretch is taken off both sides, and with it whatever stands still: the scene, but also borders
and logos that were added to the copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lines import Line, lines
from .span_evidence import LEAST_SCORE, span_evidence
from .track import Floats, Times, Track, nearest_windows
from .votes import Place, chunks, nearest, vote

_JOIN = 1.0  # seconds by which two stretches of one line may miss each other
_GAP = 6.0  # seconds that may lie between them
_STRAIGHT = 0.03  # log of a speed that counts as none


@dataclass(frozen=True)
class Span:
    """A part of a query and the same part of a reference, in seconds.

    Attributes:
        query_start, query_end: in the query.
        ref_start, ref_end: in the reference.
        score: log-odds that this is a copy and no other clip that looks alike; see ``span_evidence``.
        similarity: mean agreement of the windows, -1 to 1.
        correlation: of their changes in time, -1 to 1.
        seconds: of the query that count: windows without content, or as in many videos, count less.
        reversed: the reference plays it backwards: its end is the start in the query.

    >>> Span(0.0, 10.0, 61.0, 69.0, 20.0).speed
    0.8
    """

    query_start: float
    query_end: float
    ref_start: float
    ref_end: float
    score: float
    similarity: float = float("nan")
    correlation: float = float("nan")
    seconds: float = float("nan")
    reversed: bool = False

    @property
    def speed(self) -> float:
        """Seconds of the reference for each second of the query."""
        return (self.ref_end - self.ref_start) / (self.query_end - self.query_start)

    def at(self, time: float) -> float:
        """The time in the reference that belongs to a time in the query."""
        since = (time - self.query_start) * self.speed
        return self.ref_end - since if self.reversed else self.ref_start + since


def align(query: Track, reference: Track, *, least: float = LEAST_SCORE, places: int = 12) -> list[Span]:
    """All parts of ``query`` that are in ``reference``, the best first.

    Args:
        query, reference: tracks of the same model; the reference's values may be bare codes.
        least: smallest score.
        places: how many places in the reference to look at for each 20 s of the query.

    >>> values = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    >>> times, ones = 0.5 + 0.5 * np.arange(200), np.ones(200, np.float32)
    >>> long = Track(np.sign(values), times, 100.0, ones)
    >>> short = Track(values[40:60], times[:20], 10.5, ones[:20])
    >>> [(span.query_end, span.ref_start, span.ref_end) for span in align(short, long)]
    [(10.5, 20.0, 30.5)]
    """
    spans: list[Span] = []
    for _, chunk in chunks(query):
        found = vote(chunk, nearest(chunk, reference), limit=places)
        spans += [span for _, span in fit(chunk, found, lambda _: reference)]
    return [span for span in join(query, reference, spans) if span.score >= least]


def fit(
    chunk: Track, places: Iterable[Place], reference: Callable[[int], Track]
) -> Iterator[tuple[int, Span]]:
    """The stretches of one chunk that lie on lines at some places, as (reference, span).

    Args:
        chunk: part of a query.
        places: those with most votes first. Where one explains the whole chunk, those of the same
            reference with less than half its votes are not looked at. Other references are: the original
            of a copy that is there too has far fewer votes than the copy of that copy.
        reference: the track of a reference.
    """
    enough: dict[int, float] = {}
    for place in places:
        if place.votes < enough.get(place.video, 0.0):
            continue
        part = reference(place.video).between(*place.reach)
        for line in lines(chunk, part):
            span = _span(chunk, part, line)
            yield place.video, span
            if line.last - line.first > 0.9 * len(chunk) and span.similarity > 0.5:
                enough[place.video] = max(enough.get(place.video, 0.0), place.votes / 2)


def _span(query: Track, reference: Track, line: Line) -> Span:
    """The stretch with exact ends: the ends of the query where it reaches them."""
    speed, offset, first, last = line
    edges = _edges(query.times)
    start = 0.0 if first == 0 and query.times[0] <= 1.0 else float(edges[first])
    end = float(edges[last + 1])
    if last == len(query) - 1 and query.duration - query.times[-1] <= 1.0:
        end = query.duration
    low, high = offset + speed * start, offset + speed * end
    return scored(query, reference, [Span(start, end, low, high, 0.0)])


def _edges(times: Times) -> Times:
    """The borders between windows, and one before the first and after the last: ``[n + 1]``."""
    half = np.diff(times) / 2
    usual = float(np.median(half)) if len(half) else 0.25
    inner = times[:-1] + half
    return np.concatenate([[max(0.0, times[0] - usual)], inner, [times[-1] + usual]])


def scored(query: Track, reference: Track, parts: Sequence[Span]) -> Span:
    """One span from consecutive parts of one line, with its score over all of them."""
    start, end = parts[0].query_start, parts[-1].query_end
    inside = (query.times >= start) & (query.times <= end)
    times = query.times[inside]
    which = np.searchsorted([part.query_start for part in parts], times, side="right").clip(1) - 1
    mapped = np.array([parts[i].at(time) for i, time in zip(which, times, strict=True)])
    rows = nearest_windows(reference, mapped)
    mine, theirs = query.values[inside], np.sign(reference.values[rows] + np.float32(1e-30))
    weights = query.weights[inside].astype(np.float64)
    total = max(float(weights.sum()), 1e-9)
    agreement = (mine * theirs).sum(axis=1) / np.maximum(np.abs(mine).sum(axis=1), 1e-12)
    alike = float(agreement @ weights) / total
    moved = _changes_alike(mine, theirs, weights / total)
    seconds = (end - start) * total / max(1, len(times))
    low, high = max(0.0, parts[0].ref_start), min(reference.duration, parts[-1].ref_end)
    share = min(1.0, seconds / max(1e-9, min(query.duration, reference.duration)))
    straight = abs(math.log(max(high - low, 1e-9) / (end - start))) < _STRAIGHT
    score = span_evidence(query.family).score(alike, moved, share, straight=straight)
    return Span(start, end, low, high, score, alike, moved, seconds)


def _changes_alike(mine: Floats, theirs: Floats, weights: NDArray[np.float64]) -> float:
    """Correlation over time, of all bits together, after their means are taken off."""
    a, b = mine - weights @ mine, theirs - weights @ theirs
    both = float(weights @ (a * b).sum(axis=1))
    power = float(weights @ (a**2).sum(axis=1)) * float(weights @ (b**2).sum(axis=1))
    return both / power**0.5 if power > 1e-12 else 0.0


def join(query: Track, reference: Track, spans: Sequence[Span]) -> list[Span]:
    """Join stretches of one line, drop what a better one covers; the best first."""
    left = sorted(spans, key=lambda span: (-span.score, span.query_start, span.ref_start))
    kept: list[Span] = []
    while left:
        chain, left = [left[0]], left[1:]
        while (grown := _neighbour(chain, left)) is not None:
            chain = sorted([*chain, left.pop(grown)], key=lambda span: span.query_start)
        whole = scored(query, reference, chain) if len(chain) > 1 else chain[0]
        left = [span for span in left if not _covered(span, whole)]
        kept.append(whole)
    return sorted(kept, key=lambda span: (-span.score, span.query_start, span.ref_start))


def without_covered(spans: Iterable[Span]) -> list[Span]:
    """The spans that no better one covers, the best first."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.query_start, span.ref_start)):
        if not any(_covered(span, better) for better in kept):
            kept.append(span)
    return kept


def _neighbour(chain: list[Span], spans: Sequence[Span]) -> int | None:
    """A span that continues the chain, at its end or its start, on nearly the same line."""
    head, tail = chain[0], chain[-1]
    for i, span in enumerate(spans):
        after = span.query_end > tail.query_end and span.query_start > tail.query_start
        before = span.query_start < head.query_start and span.query_end < head.query_end
        if after and span.query_start - tail.query_end <= _GAP:
            middle = (max(span.query_start, tail.query_start) + tail.query_end) / 2
            if abs(span.at(middle) - tail.at(middle)) <= _JOIN:
                return i
        if before and head.query_start - span.query_end <= _GAP:
            middle = (head.query_start + min(span.query_end, head.query_end)) / 2
            if abs(span.at(middle) - head.at(middle)) <= _JOIN:
                return i
    return None


def _covered(span: Span, by: Span) -> bool:
    """Whether most of a span lies within another, in both videos."""
    query = min(span.query_end, by.query_end) - max(span.query_start, by.query_start)
    reference = min(span.ref_end, by.ref_end) - max(span.ref_start, by.ref_start)
    return query > 0.5 * (span.query_end - span.query_start) and reference > 0.5 * (
        span.ref_end - span.ref_start
    )
