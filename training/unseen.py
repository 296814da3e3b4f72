"""Retrieval among classes that nobody saw: every stage is fitted on the other classes' videos only.

Closed-set figures of a code that was trained on the classes it is asked for measure a classifier
(Sablayrolles et al. 2017). Here every pair of classes is left out in turn: what is to be learned is
learned on the train split of the other classes; queries are the test-split videos of the two left
out, the database their train-split videos, beside it (``whole``) the train split of all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metrics import average_precision, bootstrap_mean, cosine_distance, hamming, paired_difference

Rows = NDArray[np.int64]
Code = Callable[[Rows], NDArray[Any]]
"""Rows of the set → packed codes ``uint8 [n, bytes]``, or float features (compared by cosine)."""
Fit = Callable[[Rows, int], Code]
"""(rows to learn from, seed) → what codes any rows. Must not look at other rows' labels or features."""
KS: tuple[int | None, ...] = (5, 20, 100, None)
DATABASES = ("left out", "whole")


@dataclass(frozen=True)
class Labelled:
    """What the protocol needs to know of a set of videos.

    Attributes:
        labels: class of each video, str ``[n]``.
        groups: videos of one group are not independent, str ``[n]``.
        test: bool ``[n]``; the rest is the train split.
    """

    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    test: NDArray[np.bool_]

    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of classes (45 for ten)."""
        return list(combinations(sorted(set(self.labels.tolist())), 2))


@dataclass(frozen=True)
class Unseen:
    """Per-query figures of one method: mean over seeds and over the splits that left its class out.

    Attributes:
        queries: rows of the set.
        groups: of the queries.
        ap: ``[databases, queries, len(KS)]``.
        chance: share of relevant videos in each database, mean over queries.
    """

    queries: Rows
    groups: NDArray[np.str_]
    ap: NDArray[np.float64]
    chance: NDArray[np.float64]

    def summary(self) -> dict[str, Any]:
        """For each database: mAP@K, 95 % interval (bootstrap over groups), chance."""
        out: dict[str, Any] = {}
        for d, database in enumerate(DATABASES):
            cells: dict[str, Any] = {"chance": round(float(self.chance[d]), 4)}
            for i, k in enumerate(KS):
                found = bootstrap_mean(self.ap[d, :, i], groups=self.groups)
                cells["mAP" if k is None else f"mAP@{k}"] = {
                    "mean": round(found["mean"], 4),
                    "interval": [round(found["low"], 4), round(found["high"], 4)],
                }
            out[database] = cells
        return out

    def over(self, other: Unseen, *, database: str = "left out") -> dict[str, float]:
        """Paired difference of mAP to another method, with its interval."""
        d, i = DATABASES.index(database), KS.index(None)
        return paired_difference(self.ap[d, :, i], other.ap[d, :, i], groups=self.groups)


def unseen_classes(
    data: Labelled,
    fit: Fit,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Unseen:
    """Measure a method by leaving out every pair of classes.

    Args:
        data: labels, groups and split.
        fit: called once for each pair and seed, with the train-split rows of the other classes.
        seeds: handed to ``fit``; figures are means over them.
        pairs: of classes, where not all of them are to be left out in turn.
    """
    queries = np.flatnonzero(data.test)
    place = {row: i for i, row in enumerate(queries.tolist())}
    total, times = np.zeros((2, len(queries), len(KS))), np.zeros(len(queries))
    chance = np.zeros((2, len(queries)))
    everything = np.flatnonzero(~data.test)
    for pair in data.pairs() if pairs is None else pairs:
        left_out = np.isin(data.labels, pair)
        asked = np.flatnonzero(left_out & data.test)
        mine = [place[row] for row in asked.tolist()]
        inside = left_out[everything]
        relevant = data.labels[asked][:, None] == data.labels[everything][None]
        times[mine] += 1
        chance[:, mine] += relevant[:, inside].mean(axis=1), relevant.mean(axis=1)
        for seed in seeds:
            code = fit(np.flatnonzero(~left_out & ~data.test), seed)
            distances = _distances(code(asked), code(everything))
            for d, columns in enumerate((inside, np.ones_like(inside))):
                ap = average_precision(distances[:, columns], relevant[:, columns], KS)
                total[d][mine] += ap / len(seeds)
    asked_at_all = times > 0
    return Unseen(
        queries[asked_at_all],
        data.groups[queries[asked_at_all]],
        total[:, asked_at_all] / times[asked_at_all][None, :, None],
        (chance[:, asked_at_all] / times[asked_at_all]).mean(axis=1),
    )


def _distances(queries: NDArray[Any], database: NDArray[Any]) -> NDArray[Any]:
    coded = queries.dtype == np.uint8
    return hamming(queries, database) if coded else cosine_distance(queries, database)
