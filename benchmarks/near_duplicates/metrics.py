"""Figures of the near-duplicate benchmark: recall at a false-match rate, micro-AP, intervals.

Input is always a matrix of distances, queries × originals, with one true original a query.
Intervals are percentiles of a bootstrap over *scenes*: clips of one scene share their
fate, so resampling single queries would promise too much. Everything takes weights of the
queries, and a bootstrap draw is nothing but other weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIGURES = ("recall_0", "recall_1e-3", "micro_ap")


@dataclass(frozen=True)
class Pairs:
    """Which pairs count: ``truth[q]`` is the column of q's original, ``negative[q, d]`` its negatives."""

    truth: NDArray[np.int64]
    negative: NDArray[np.bool_]

    def restrict(self, rows: NDArray[np.bool_]) -> Pairs:
        return Pairs(self.truth[rows], self.negative[rows])


class Ranking:
    """All pairs of one tool sorted once; figures for any weights of the queries are then cheap."""

    def __init__(self, distances: NDArray[np.floating], pairs: Pairs):
        rows = np.arange(len(distances))
        query, column = np.nonzero(pairs.negative)
        values = np.concatenate([distances[rows, pairs.truth], distances[query, column]])
        owner = np.concatenate([rows, query])
        positive = np.arange(len(values)) < len(rows)
        order = np.argsort(values, kind="stable")
        values = values[order]
        self.owner, self.positive = owner[order], positive[order]
        self.ends = np.flatnonzero(np.diff(values, append=np.inf))  # last pair of each distance
        self.values = values[self.ends]

    def figures(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """(recall at no false match, recall at a rate of 1e-3, micro-AP)."""
        found, false = self._counts(weights)
        recall = found / found[-1]
        allowed = np.searchsorted(false, [0.0, 1e-3 * false[-1]], side="right")  # thresholds that may pass
        at = [recall[n - 1] if n else 0.0 for n in allowed]
        # pairs of one distance are reported together: ties never help
        precision = found / np.maximum(found + false, 1e-12)
        return np.array([*at, np.sum(np.diff(recall, prepend=0.0) * precision)])

    def threshold(self, rate: float) -> float:
        """Largest distance at which at most ``rate`` of the negatives match; -inf when none does."""
        _, false = self._counts(np.ones(self.owner.max() + 1))
        passing = int(np.searchsorted(false, rate * false[-1], side="right"))
        return float(self.values[passing - 1]) if passing else -np.inf

    def _counts(self, weights: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        w = weights[self.owner]
        found = np.cumsum(np.where(self.positive, w, 0.0))[self.ends]
        false = np.cumsum(np.where(self.positive, 0.0, w))[self.ends]
        return found, false


def scene_weights(scenes: Sequence[str], draws: int, *, seed: int = 1) -> NDArray[np.float64]:
    """Weights ``[draws, queries]``: each draw takes as many scenes as there are, with replacement."""
    names, index = np.unique(np.asarray(scenes), return_inverse=True)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, index].astype(np.float64)


def bootstrap(ranking: Ranking, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Figures of each draw: ``[draws, 3]``."""
    return np.stack([ranking.figures(w) for w in weights])


def interval(samples: NDArray[np.float64]) -> list[float]:
    """95 % percentile interval."""
    return [float(x) for x in np.percentile(samples, [2.5, 97.5])]
