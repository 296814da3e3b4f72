"""The metrics against the slow obvious version: every order of the tied items, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from training import metrics as m


def plain_ap(relevant: np.ndarray, k: int | None, legacy: bool) -> float:
    k = len(relevant) if k is None else k
    hits, total = 0, 0.0
    for place, item in enumerate(relevant[:k], 1):
        if item:
            hits += 1
            total += hits / place
    return total / (k if legacy else min(k, int(relevant.sum())))


def every_order(d: np.ndarray) -> list[list[int]]:
    return [[*p] for p in itertools.permutations(range(len(d))) if (np.diff(d[list(p)]) >= 0).all()]


@pytest.mark.parametrize("seed", range(40))
def test_average_precision_is_the_mean_over_every_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = int(rng.integers(2, 8))
    d, rel = rng.integers(0, int(rng.integers(1, 4)), items), rng.random(items) < 0.5
    rel[rng.integers(items)] = True
    orders = every_order(d)
    for k, legacy in itertools.product((None, 1, 2, 3, 5), (False, True)):
        if k is None and legacy:
            continue
        values = [plain_ap(rel[order], k, legacy) for order in orders]
        norm = "legacy" if legacy else "min"
        got = [
            m.average_precision(d[None], rel[None], (k,), normaliser=norm, order=order)[0, 0]
            for order in ("expected", "optimistic", "pessimistic")
        ]
        assert got == pytest.approx([np.mean(values), max(values), min(values)], abs=1e-12), (k, legacy)


def test_rows_are_independent_and_ks_agree_with_single_calls() -> None:
    rng = np.random.default_rng(1)
    d, rel = rng.integers(0, 9, (20, 60)), rng.random((20, 60)) < 0.2
    ks = (1, 5, 20, 100, None)
    whole = m.average_precision(d, rel, ks)
    for q in range(20):
        for i, k in enumerate(ks):
            assert whole[q, i] == pytest.approx(m.average_precision(d[q : q + 1], rel[q : q + 1], (k,))[0, 0])


def test_a_forbidden_item_neither_helps_nor_counts() -> None:
    d, rel = np.array([[0, 1, 2, 2]]), np.array([[True, False, True, False]])
    without = m.average_precision(d[:, 1:], rel[:, 1:], (2, None))
    masked = m.average_precision(m.forbid(d, [[True, False, False, False]]), rel, (2, None))
    np.testing.assert_allclose(masked, without)


def test_query_without_a_relevant_item_is_nan() -> None:
    out = m.average_precision([[1, 2], [1, 2]], [[False, False], [True, False]], (1, None))
    assert np.isnan(out[0]).all()
    assert (out[1] == 1).all()


def test_random_codes_score_the_share_of_relevant_items() -> None:
    """All at one distance: the expected precision everywhere is nearly the share of relevant items."""
    rel = np.zeros((1, 2000), bool)
    rel[:, :500] = True
    assert m.average_precision(np.zeros((1, 2000)), rel)[0, 0] == pytest.approx(0.25, abs=0.01)


def test_hamming_equals_unpacked_count() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (5, 32), np.uint8), rng.integers(0, 256, (7, 32), np.uint8)
    slow = (np.unpackbits(a, axis=1)[:, None] != np.unpackbits(b, axis=1)[None]).sum(-1)
    np.testing.assert_array_equal(m.hamming(a, b), slow)


def test_recall_at_false_matches_counts_ties_against_us() -> None:
    recall, threshold = m.recall_at_false_matches([1, 3, 3, 9], [3, 5, 6, 7])
    assert (recall, threshold) == (0.25, 2.0)
    recall, threshold = m.recall_at_false_matches([1, 3, 3, 9], [3, 5, 6, 7], rate=0.25)
    assert (recall, threshold) == (0.75, 4.0)
    rng = np.random.default_rng(3)
    pos, neg = rng.integers(0, 40, 300), rng.integers(20, 64, 3000)
    for rate in (0, 1e-3, 0.01, 0.2):
        recall, threshold = m.recall_at_false_matches(pos, neg, rate)
        assert (neg <= threshold).mean() <= rate < (neg <= threshold + 1).mean()
        assert recall == (pos <= threshold).mean()


def test_curves() -> None:
    rng = np.random.default_rng(2)
    d, rel = rng.integers(0, 9, (30, 50)), rng.random((30, 50)) < 0.3
    rank, radius = m.curve_by_rank(d, rel), m.curve_by_radius(d, rel, range(9))
    assert rank.recall[-1] == pytest.approx(1) and radius.recall[-1] == pytest.approx(1)
    assert rank.precision[-1] == pytest.approx(radius.precision[-1])
    assert (np.diff(rank.recall) >= -1e-12).all() and (np.diff(radius.recall) >= 0).all()


def test_bootstrap_covers_and_groups_widen_it() -> None:
    rng = np.random.default_rng(4)
    group_effect = rng.normal(size=20).repeat(10)
    values = group_effect + 0.1 * rng.normal(size=200)
    plain, grouped = m.bootstrap_mean(values), m.bootstrap_mean(values, groups=np.arange(20).repeat(10))
    assert plain["low"] < plain["mean"] < plain["high"]
    assert grouped["high"] - grouped["low"] > 2 * (plain["high"] - plain["low"])


@pytest.mark.parametrize(
    ("d", "rel"), [([1, 2], [True, False]), ([[1, 2]], [[True]]), ([[np.nan]], [[True]])]
)
def test_bad_input_is_named(d: list[float], rel: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"expected two equal|NaN"):
        m.average_precision(d, rel)
