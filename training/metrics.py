"""Retrieval metrics that tell the truth about Hamming codes: ties, missing classes, paired intervals.

Hamming distances are small integers, so a ranking by them is full of ties, and an average
precision that breaks ties by database order measures that order. Everything here takes the
expectation over random orders of tied items, in closed form (McSherry & Najork, ECIR 2008;
He et al., CVPR 2018), and offers the best and the worst order beside it.

All functions work on a matrix of distances ``[queries, database]``, smaller = nearer, float or
integer. An item that a query may not see (itself) is put at infinite distance with `forbid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Normaliser = Literal["min", "legacy"]
Order = Literal["expected", "optimistic", "pessimistic"]


def hamming(queries: NDArray[np.uint8], database: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Hamming distances of packed codes ``uint8 [n, bytes]``: ``uint16 [queries, database]``.

    >>> hamming(np.uint8([[3]]), np.uint8([[0], [1], [3]]))
    array([[2, 1, 0]], dtype=uint16)
    """
    if queries.shape[1] != database.shape[1]:
        raise ValueError(f"codes of {queries.shape[1]} and {database.shape[1]} bytes cannot be compared")
    out = np.zeros((len(queries), len(database)), np.uint16)
    for byte in range(queries.shape[1]):
        out += np.bitwise_count(queries[:, byte, None] ^ database[None, :, byte])
    return out


def cosine_distance(queries: ArrayLike, database: ArrayLike) -> Floats:
    """1 − cosine of float features ``[n, D]``: ``[queries, database]``; a zero vector is at distance 1."""
    q, d = (np.asarray(x, np.float64) for x in (queries, database))
    q, d = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (q, d))
    return 1.0 - q @ d.T


def forbid(distances: ArrayLike, mask: ArrayLike) -> Floats:
    """The distances as floats with masked items at infinity: never found, never counted.

    >>> forbid([[0, 2]], [[True, False]])
    array([[inf,  2.]])
    """
    return np.where(np.asarray(mask, bool), np.inf, np.asarray(distances, np.float64))


def average_precision(
    distances: ArrayLike,
    relevant: ArrayLike,
    ks: Sequence[int | None] = (None,),
    *,
    normaliser: Normaliser = "min",
    order: Order = "expected",
) -> Floats:
    """AP@K of each query, ``[queries, len(ks)]``; NaN for a query without a relevant item.

    AP@K = (1/Z) Σ over groups of equal distance, Σ over j = 1..n with N + j ≤ K, of
    (r/n)·(R₀ + 1 + (j − 1)(r − 1)/(n − 1)) / (N + j), where the group has n items, r of them
    relevant, behind N nearer items, R₀ of them relevant.

    Args:
        distances: ``[queries, database]``; infinite = not in this query's database.
        relevant: bool ``[queries, database]``.
        ks: cut-offs K; None = the whole ranking.
        normaliser: ``min``: Z = min(R, K), R = relevant items (1 = perfect); ``legacy``: Z = K, as
            many published tables have it (R for the whole ranking).
        order: of tied items: ``expected`` over random orders, ``optimistic`` (relevant first) or
            ``pessimistic`` (relevant last).

    >>> average_precision([[1, 1]], [[True, False]])  # half the orders give 1, half 1/2
    array([[0.75]])
    >>> average_precision([[1, 2, 3]], [[True, False, True]], (2,), normaliser="legacy")
    array([[0.5]])
    """
    d, rel = _checked(distances, relevant)
    ranks = _Ranking.of(d, rel, order)
    place = np.arange(1, d.shape[1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.where(ranks.n > 1, (ranks.r - 1) / (ranks.n - 1), 0.0)
        nearer = ranks.r0 + 1 + (place - 1 - ranks.start) * step
        gain = np.cumsum(ranks.r / ranks.n * nearer / place, axis=1)
        total = ranks.total
        out = np.empty((len(d), len(ks)))
        for i, k in enumerate(ks):
            if k is not None and k < 1:
                raise ValueError(f"K={k}; allowed: at least 1, or None for the whole ranking")
            z = total if k is None else np.full_like(total, k)
            if normaliser == "min":
                z = np.minimum(z, total)
            out[:, i] = gain[:, min(k or d.shape[1], d.shape[1]) - 1] / z
    out[total == 0] = np.nan
    return out


@dataclass(frozen=True)
class Curve:
    """Precision and recall, means over queries, at growing cut-offs (ranks or Hamming radii)."""

    at: list[int]
    precision: list[float]
    recall: list[float]


def curve_by_rank(distances: ArrayLike, relevant: ArrayLike, ranks: Sequence[int] | None = None) -> Curve:
    """Expected precision and recall of the first K items, for each K in ``ranks`` (default: all).

    >>> curve_by_rank([[1, 1, 2]], [[True, False, True]])
    Curve(at=[1, 2, 3], precision=[0.5, 0.5, 0.6666666666666666], recall=[0.25, 0.5, 1.0])
    """
    d, rel = _checked(distances, relevant)
    keep = (rel & np.isfinite(d)).any(axis=1)
    ranking = _Ranking.of(d[keep], rel[keep], "expected")
    place = np.arange(1, d.shape[1] + 1)
    found = ranking.r0 + (place - ranking.start) * ranking.r / ranking.n
    at = np.asarray(ranks if ranks is not None else place, int)
    found = found[:, at - 1]
    return Curve(
        at.tolist(),
        (found / at).mean(axis=0).tolist(),
        (found / ranking.total[:, None]).mean(axis=0).tolist(),
    )


def curve_by_radius(distances: ArrayLike, relevant: ArrayLike, radii: Sequence[int]) -> Curve:
    """Precision and recall of everything within a Hamming radius; a query that finds nothing has precision 0.

    >>> curve_by_radius([[1, 1, 2]], [[True, False, True]], [0, 1, 2]).recall
    [0.0, 0.5, 1.0]
    """
    d, rel = _checked(distances, relevant)
    rel = rel & np.isfinite(d)
    keep = rel.any(axis=1)
    d, rel = d[keep], rel[keep]
    precision, recall = [], []
    for radius in radii:
        inside = d <= radius
        hits = (inside & rel).sum(axis=1)
        precision.append(float((hits / np.maximum(inside.sum(axis=1), 1)).mean()))
        recall.append(float((hits / rel.sum(axis=1)).mean()))
    return Curve(list(radii), precision, recall)


def recall_at_false_matches(
    positives: ArrayLike, negatives: ArrayLike, rate: float = 0.0
) -> tuple[float, float]:
    """Recall of positive pairs at the widest threshold whose false-match rate is at most ``rate``.

    Returns:
        (recall, threshold): a pair matches if its distance ≤ threshold; −inf where nothing may match.

    >>> recall_at_false_matches([0, 1, 5], [4, 6, 7, 8])
    (0.6666666666666666, 3.0)
    """
    pos, neg = np.asarray(positives, np.float64), np.sort(np.asarray(negatives, np.float64))
    if not len(pos) or not len(neg):
        raise ValueError(f"{len(pos)} positive and {len(neg)} negative pairs: need at least one of each")
    allowed = int(np.floor(rate * len(neg) + 1e-9))
    if allowed >= len(neg):
        return 1.0, float("inf")
    # everything strictly nearer than the first negative that may not match
    inside = pos[pos < neg[allowed]]
    below = np.concatenate([inside, neg[neg < neg[allowed]], [neg[allowed] - 1]])
    return len(inside) / len(pos), float(below[below < neg[allowed]].max())


def micro_average_precision(distances: ArrayLike, relevant: ArrayLike) -> float:
    """µAP: average precision of all pairs in one ranking, tie-aware; both arguments ``[pairs]``."""
    return float(average_precision(np.asarray(distances)[None], np.asarray(relevant)[None])[0, 0])


def paired_difference(
    ours: ArrayLike, theirs: ArrayLike, *, groups: ArrayLike | None = None, rounds: int = 5000, seed: int = 0
) -> dict[str, float]:
    """Mean of ours − theirs over the queries both have, with a 95 % bootstrap interval.

    Args:
        ours, theirs: one figure a query, ``[queries]`` or ``[runs, queries]`` (runs are averaged first).
        groups: what is resampled, ``[queries]``: queries of one group are not independent. Default: queries.
        rounds, seed: of the bootstrap.

    >>> paired_difference([1.0, 0.5], [0.5, 0.0])["mean"]
    0.5
    """
    difference = _runs_mean(ours) - _runs_mean(theirs)
    return bootstrap_mean(difference, groups=groups, rounds=rounds, seed=seed)


def bootstrap_mean(
    values: ArrayLike, *, groups: ArrayLike | None = None, rounds: int = 5000, seed: int = 0
) -> dict[str, float]:
    """Mean, ``low`` and ``high`` (95 %) of values ``[n]`` by a bootstrap over groups; NaNs are left out."""
    x = np.asarray(values, np.float64)
    labels = np.arange(len(x)) if groups is None else np.asarray(groups)
    labels, x = labels[~np.isnan(x)], x[~np.isnan(x)]
    if not len(x):
        raise ValueError("no query has a figure: nothing is relevant to any of them")
    _, inverse = np.unique(labels, return_inverse=True)
    sums, counts = np.bincount(inverse, x), np.bincount(inverse)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(rounds, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(x.mean()), "low": float(low), "high": float(high), "n": len(x), "groups": len(sums)}


@dataclass(frozen=True)
class _Ranking:
    """Of every place in every ranking, its group: start N, size n, relevant r, relevant before it R₀."""

    start: NDArray[np.int64]
    n: NDArray[np.int64]
    r: NDArray[np.int64]
    r0: NDArray[np.int64]
    total: NDArray[np.int64]

    @classmethod
    def of(cls, d: Floats, rel: Bools, order: Order) -> _Ranking:
        rel = rel & np.isfinite(d)
        if order == "expected":
            sort = np.argsort(d, axis=1, kind="stable")
        elif order in ("optimistic", "pessimistic"):
            sort = np.lexsort((rel == (order == "pessimistic"), d), axis=1)
        else:
            raise ValueError(f"order={order!r}; allowed: expected, optimistic, pessimistic")
        d, rel = np.take_along_axis(d, sort, 1), np.take_along_axis(rel, sort, 1)
        queries, items = d.shape
        place = np.arange(items)
        first = np.ones((queries, items), bool)
        if order == "expected":  # otherwise every item is a group of its own
            first[:, 1:] = d[:, 1:] != d[:, :-1]
        start = np.maximum.accumulate(np.where(first, place, 0), axis=1)
        last = np.ones((queries, items), bool)
        last[:, :-1] = first[:, 1:]
        end = np.minimum.accumulate(np.where(last, place + 1, items)[:, ::-1], axis=1)[:, ::-1]
        counts = np.concatenate([np.zeros((queries, 1), int), np.cumsum(rel, axis=1)], axis=1)
        r0 = np.take_along_axis(counts, start, 1)
        return cls(start, end - start, np.take_along_axis(counts, end, 1) - r0, r0, counts[:, -1])


def _checked(distances: ArrayLike, relevant: ArrayLike) -> tuple[Floats, Bools]:
    d, rel = np.asarray(distances, np.float64), np.asarray(relevant, bool)
    if d.ndim != 2 or d.shape != rel.shape or not d.shape[1]:
        raise ValueError(
            f"distances {d.shape} and relevant {rel.shape}: expected two equal [queries, database]"
        )
    if np.isnan(d).any():
        raise ValueError("distances hold NaN: a model gave a feature that is not finite")
    return d, rel


def _runs_mean(values: ArrayLike) -> Floats:
    x = np.asarray(values, np.float64)
    return x.mean(axis=0) if x.ndim == 2 else x
