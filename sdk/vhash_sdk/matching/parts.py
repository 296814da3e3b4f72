"""What two videos share, from windows of both that are near: spans on both sides, forwards or backwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .alignment import Span, fit, join, scored, without_covered
from .span_evidence import LEAST_SCORE
from .track import Track, nearest_windows
from .votes import Match, chunks, vote

Relation = Literal["same video", "part of", "contains", "shares a part"]
"""Of one video to another: both are covered, the first is, the second is, or neither."""
WHOLE = 0.85
"""The share of a video that has to be covered for all of it to count as shared."""
_PLACES = 6  # places looked at for each chunk
_LEAST_WINDOWS = 3  # of a chunk, that have to have near ones
_AGREES = 0.6  # of the usual agreement, that the ends of a span need
_FRAYED = 1.5  # seconds at the ends that may agree less
_FRAYED_SCORE = 10.0  # by which the score may rise without such ends
_SAME = 0.5  # share of both of two spans of one video that has to be in the other for them to be one


@dataclass(frozen=True)
class SharedSpan:
    """A part of one video and the same part of another, in seconds.

    Attributes:
        a_start, a_end: in the first video.
        b_start, b_end: in the second.
        score: as in ``Span``.
        reversed: the second plays it backwards: its end is the start in the first.

    >>> SharedSpan(0.0, 10.0, 61.0, 69.0, 20.0).speed
    0.8
    """

    a_start: float
    a_end: float
    b_start: float
    b_end: float
    score: float
    reversed: bool = False

    @property
    def speed(self) -> float:
        """Seconds of the second video for each second of the first."""
        return (self.b_end - self.b_start) / max(1e-9, self.a_end - self.a_start)

    @property
    def seconds(self) -> float:
        """Length of the shorter side."""
        return min(self.a_end - self.a_start, self.b_end - self.b_start)

    @property
    def turned(self) -> SharedSpan:
        """The same with the sides exchanged."""
        return SharedSpan(self.b_start, self.b_end, self.a_start, self.a_end, self.score, self.reversed)


def shared_spans(a: Track, b: Track, close: Match, *, least: float = LEAST_SCORE) -> list[SharedSpan]:
    """The parts of ``a`` that are in ``b``, the best first; none covers most of another.

    Parts that run backwards are looked for where none runs forwards, with the usual score at least.

    Args:
        a, b: tracks of the same model.
        close: windows of ``a`` (``query``) and times in ``b`` that are near; ``video`` is ignored.
        least: smallest score.
    """
    found = [
        SharedSpan(span.query_start, span.query_end, span.ref_start, span.ref_end, span.score)
        for span in _spans(a, b, close, least)
    ]
    sure = any(span.score >= LEAST_SCORE for span in found)
    if sure or len(close.query) < 2 * _LEAST_WINDOWS:
        return found
    # windows are near in whatever order they come: what lies on no rising line may lie on a falling one
    last = len(a) - 1
    backwards = replace(a, values=a.values[::-1], times=a.duration - a.times[::-1], weights=a.weights[::-1])
    order = np.argsort(last - close.query, kind="stable")
    mirrored = Match((last - close.query)[order], close.video[order], close.time[order], close.weight[order])
    turned = [
        SharedSpan(
            a.duration - span.query_end, a.duration - span.query_start,
            span.ref_start, span.ref_end, span.score, reversed=True,
        )
        for span in _spans(backwards, b, mirrored, max(least, LEAST_SCORE))
    ]  # fmt: skip
    return turned or found


def _spans(a: Track, b: Track, close: Match, least: float) -> list[Span]:
    spans: list[Span] = []
    for first, chunk in chunks(a):
        near = close.within(first, first + len(chunk))
        if len(np.unique(near.query)) < min(_LEAST_WINDOWS, len(chunk)):
            continue
        places = vote(chunk, near._replace(video=np.zeros_like(near.video)), limit=_PLACES)
        spans += [span for _, span in fit(chunk, places, lambda _: b)]
    whole = [_trimmed(a, b, span) for span in join(a, b, spans) if span.score >= least - _FRAYED_SCORE]
    return without_covered(span for span in whole if span.score >= least)


def _trimmed(a: Track, b: Track, span: Span) -> Span:
    """Without ends that agree far less than the rest: other shots of the same film are alike too.

    What is shorter than ``_FRAYED`` stays: a fade, or a window across a cut.
    """
    rows = np.flatnonzero((a.times >= span.query_start) & (a.times <= span.query_end))
    if len(rows) < 4:
        return span
    times, weights = a.times[rows], a.weights[rows]
    mine = a.values[rows]
    mapped = span.ref_start + (times - span.query_start) * span.speed
    theirs = np.sign(b.values[nearest_windows(b, mapped)] + np.float32(1e-30))
    agreement = (mine * theirs).sum(axis=1) / np.maximum(np.abs(mine).sum(axis=1), 1e-12)
    smooth = np.convolve(np.pad(agreement, 1, mode="edge"), np.ones(3) / 3, "valid")
    usual = np.percentile(agreement[weights > 0], 75) if (weights > 0).any() else 0.0
    good = np.flatnonzero((smooth >= _AGREES * usual) | (weights == 0))
    start, end = span.query_start, span.query_end
    low, high = (float(times[good[0]]), float(times[good[-1]])) if len(good) else (start, end)
    if low - start > _FRAYED:
        start = low
    if end - high > _FRAYED:
        end = high
    if (start, end) == (span.query_start, span.query_end) or end <= start:
        return span
    return scored(a, b, [Span(start, end, span.at(start), span.at(end), 0.0)])


def covered(spans: Iterable[tuple[float, float]], duration: float) -> float:
    """The share of a video that spans cover together, 0 to 1.

    >>> covered([(0.0, 4.0), (2.0, 5.0)], 10.0)
    0.5
    """
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return min(1.0, total / duration) if duration > 0 else 0.0


def relation(a_covered: float, b_covered: float) -> Relation:
    """How two videos are related of which such shares are the same.

    >>> relation(1.0, 0.1), relation(0.2, 0.1)
    ('part of', 'shares a part')
    """
    if a_covered >= WHOLE:
        return "same video" if b_covered >= WHOLE else "part of"
    return "contains" if b_covered >= WHOLE else "shares a part"


def connected(
    videos: NDArray[np.int64], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Which spans are of one part: ``int64[2 n]``, a number for each.

    Spans 2 i and 2 i + 1 are the two sides of a shared part, and so of one. Two spans of one video are
    where each lies in the other for more than half.

    Args:
        videos, starts, ends: of each span.

    >>> connected(np.array([1, 2, 2, 3]), np.array([0.0, 5, 5, 9]), np.array([9.0, 14, 13, 17])).tolist()
    [0, 0, 0, 0]
    """
    parent = list(range(len(videos)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for place in range(0, len(videos), 2):
        parent[root(place + 1)] = root(place)
    order = np.lexsort((starts, videos)).tolist()
    open_: list[int] = []  # one span for each part that may still overlap, in the order of their starts
    for place in order:
        video, start, end = videos[place], starts[place], ends[place]
        open_ = [other for other in open_ if videos[other] == video and ends[other] > start]
        met = False
        for other in open_:
            both = min(end, ends[other]) - start
            if both > _SAME * max(end - start, ends[other] - starts[other]):
                parent[root(place)] = root(other)
                met = met or (ends[other] >= end - 0.25 and start - starts[other] <= 0.25)
        if not met:
            open_.append(place)
    return np.array([root(place) for place in range(len(videos))], np.int64)


def overlaps(span: tuple[float, float], parts: Sequence[tuple[float, float]]) -> float:
    """The share of a span that lies within others, 0 to 1.

    >>> overlaps((0.0, 10.0), [(5.0, 20.0)])
    0.5
    """
    start, end = span
    inside = [(max(start, s) - start, min(end, e) - start) for s, e in parts if s < end and e > start]
    return covered(inside, end - start)
