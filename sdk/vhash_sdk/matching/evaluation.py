"""How well distances tell copies from others, and alignment finds parts, on pairs whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError
from .alignment import Span

RATES = (0.0, 1e-4, 1e-3, 1e-2)
LEAST_OVERLAP = 0.5
"""The temporal intersection over union, in both videos, from which on a found span is a true one."""
_SUPPORT = 3.0  # a rate that is claimed takes 3 / rate negative pairs (the rule of three)
_DRAWS = 400


@dataclass(frozen=True)
class Figure:
    """One measure with its 95 % interval.

    Attributes:
        name: ``micro-AP``, ``segment AP``, ``recall at no false match``, ``recall at 1e-3``, …
        value: None where there are too few negative pairs for the rate.
        interval: (low, high); None beside no value.
        radius: the distance up to which pairs are taken for copies; None for an AP, -1: no pair is.
        needs: negative pairs that the rate takes.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None
    radius: int | None = None
    needs: int = 0


def evaluate(
    distances: ArrayLike,
    copies: ArrayLike,
    first: Sequence[str],
    second: Sequence[str],
) -> list[Figure]:
    """Micro-AP, and recall at false-match rates, of pairs of videos.

    Pairs of one distance are taken together, so that ties never help. Intervals come from drawing
    *videos* with replacement, on both sides, because pairs that share a video share its fate (the
    pigeonhole bootstrap; Owen 2007, The Annals of Applied Statistics 1).

    Args:
        distances: of each pair, in bits.
        copies: of each pair, whether one is a copy of the other.
        first, second: names of the videos of each pair.

    Raises:
        OptionError: there are no copies among the pairs, or nothing else.

    >>> evaluate([3, 9, 8, 40], [True, True, False, False], "abcd", "efgh")[1].value
    0.5
    """
    values, truth = np.asarray(distances, np.int64), np.asarray(copies, bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        raise OptionError(
            f"{positives} pairs of copies and {negatives} of others: it takes both to tell how well they "
            "are told apart"
        )
    ranking = _Ranking(values, truth)
    drawn = ranking.figures(_weights(first, second))
    exact = ranking.figures(np.ones((1, len(values))))[0]
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    figures = [Figure("micro-AP", float(exact[0]), (float(low[0]), float(high[0])))]
    for column, rate in enumerate(RATES, 1):
        name = f"recall at {rate:.0e}".replace("e-0", "e-") if rate else "recall at no false match"
        needs = int(np.ceil(_SUPPORT / rate)) if rate else 0
        if negatives < needs:
            figures.append(Figure(name, None, None, None, needs))
            continue
        interval = (float(low[column]), float(high[column]))
        figures.append(Figure(name, float(exact[column]), interval, ranking.radius(rate), needs))
    return figures


def evaluate_segments(
    found: Sequence[Sequence[Span]],
    true: Sequence[Sequence[Span]],
    first: Sequence[str],
    second: Sequence[str],
) -> Figure:
    """Segment AP: the average precision of the spans found in all pairs, ranked together by their scores.

    A found span is right if it overlaps a true one of its pair by an intersection over union of at
    least LEAST_OVERLAP in *both* videos: as for detected copies both sides must fit (VCDB; Jiang, Jiang,
    Wang 2014, ECCV), by as much as is usual for actions in time (ActivityNet, THUMOS). The best scored
    goes first and takes the true span that it overlaps most; each is taken once. Spans that are not
    found count as missed; spans of one score are taken together. The interval is that of ``evaluate``.

    Args:
        found: spans of each pair; in a pair of others every one is wrong.
        true: true spans of each pair; their scores are not looked at.
        first, second: names of the videos of each pair.

    Raises:
        OptionError: there is no true span.

    >>> true, near = Span(0, 10, 50, 60, 0), Span(1, 10, 51, 60, score=9)
    >>> evaluate_segments([[near], [near]], [[true], []], "ab", "cd").value
    0.5
    """
    if not any(true):
        raise OptionError("no pair has a true span: it takes some to tell how well they are found")
    pair = np.repeat(np.arange(len(found)), [len(spans) for spans in found])
    right = np.array([hit for spans in zip(found, true, strict=True) for hit in _hits(*spans)], bool)
    scores = np.array([span.score for spans in found for span in spans], np.float64)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # last span of each score
    counts = np.array([len(spans) for spans in true], np.float64)

    def average_precision(weights: NDArray[np.float64]) -> float:
        each, hit = weights[pair[order]], right[order]
        taken, false = (np.cumsum(np.where(which, each, 0.0))[ends] for which in (hit, ~hit))
        total = float(weights @ counts)
        return _area(taken, false, total) if total else float("nan")

    drawn = [average_precision(weights) for weights in _weights(first, second)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Figure("segment AP", average_precision(np.ones(len(found))), (float(low), float(high)))


def _hits(found: Sequence[Span], true: Sequence[Span]) -> list[bool]:
    """Whether each found span of one pair is right."""
    left, hits = list(true), [False] * len(found)
    for i in sorted(range(len(found)), key=lambda i: -found[i].score):
        best = max(left, key=lambda span: _overlap(found[i], span), default=None)
        if best is not None and _overlap(found[i], best) >= LEAST_OVERLAP:
            left.remove(best)
            hits[i] = True
    return hits


def _overlap(a: Span, b: Span) -> float:
    """The smaller one of the intersections over union in the two videos."""
    sides = (
        (a.query_start, a.query_end, b.query_start, b.query_end),
        (a.ref_start, a.ref_end, b.ref_start, b.ref_end),
    )
    # where they do not meet, the union is no less than this and the result no more than 0
    return min((min(ae, be) - max(as_, bs)) / (max(ae, be) - min(as_, bs)) for as_, ae, bs, be in sides)


def _area(found: NDArray[Any], false: NDArray[Any], total: float) -> float:
    """Average precision from the counts at each threshold, the strictest first."""
    precision = found / np.maximum(found + false, 1e-12)
    return float(np.sum(np.diff(found / total, prepend=0.0) * precision))


class _Ranking:
    """Pairs sorted by distance once; figures for any weights of the pairs are then cheap."""

    def __init__(self, values: NDArray[np.int64], truth: NDArray[np.bool_]) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._ends = np.flatnonzero(np.diff(ordered, append=ordered[-1:] + 1))  # last pair of each distance
        self._values, self._truth = ordered[self._ends], truth[self._order]

    def figures(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """``[draws, 1 + len(RATES)]``; nan where a draw has no copies, or nothing else."""
        return np.array([self._figures(row[self._order]) for row in weights])

    def _figures(self, weights: NDArray[np.float64]) -> list[float]:
        found, false = self._counts(weights)
        if not found[-1] or not false[-1]:
            return [float("nan")] * (1 + len(RATES))
        recall = found / found[-1]
        passing = [int(np.searchsorted(false, rate * false[-1], side="right")) for rate in RATES]
        at = [float(recall[count - 1]) if count else 0.0 for count in passing]
        return [_area(found, false, float(found[-1])), *at]

    def radius(self, rate: float) -> int:
        """The largest distance at which at most ``rate`` of the negative pairs match; -1: none."""
        _, false = self._counts(np.ones(len(self._order)))
        count = int(np.searchsorted(false, rate * false[-1], side="right"))
        return int(self._values[count - 1]) if count else -1

    def _counts(self, weights: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        found = np.cumsum(np.where(self._truth, weights, 0.0))[self._ends]
        false = np.cumsum(np.where(self._truth, 0.0, weights))[self._ends]
        return found, false


def _weights(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
    """``[draws, pairs]``: how often a draw of the videos, on each side by itself, has each pair."""
    generator = np.random.default_rng(0)
    weights = np.ones((_DRAWS, len(first)))
    # a video may be on both sides; then it is drawn as one
    sides = [list(first), list(second)] if set(first).isdisjoint(second) else [[*first, *second]]
    drawn = []
    for side in sides:
        names, place = np.unique(np.asarray(side), return_inverse=True)
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_DRAWS)
        drawn += list(np.split(counts[:, place], len(side) // len(first), axis=1))
    for counts in drawn:
        weights *= counts
    return weights
