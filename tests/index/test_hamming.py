"""The kernels and the search over them, against numpy, at every SIMD level of this CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vhash_sdk import _core
from vhash_sdk.codes import code_bytes, hamming_distance
from vhash_sdk.errors import OptionError
from vhash_sdk.index import Index, set_simd_level, simd_level, simd_levels
from vhash_sdk.index.matches import PairShare

WIDTHS = [1, 7, 8, 63, 64, 65, 127, 128, 192, 200, 256, 320, 511, 512, 513, 1024, 4095, 4096]


@pytest.fixture(autouse=True)
def restore_level() -> Iterator[None]:
    yield
    set_simd_level("auto")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs /proc/cpuinfo")
def test_the_levels_are_what_the_processor_has() -> None:
    """Whatever the compiler: one whose library answered no to everything gave wheels of scalar code."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    flags = {word for line in lines if line.startswith("flags") for word in line.split(":", 1)[1].split()}
    needs = {
        "popcnt": {"popcnt"},
        "avx2": {"popcnt", "avx2", "bmi1"},
        "avx512bw": {"popcnt", "avx2", "bmi1", "avx512f", "avx512bw", "avx512dq", "avx512vl"},
    }
    needs["avx512"] = needs["avx512bw"] | {"avx512_vpopcntdq"}
    expected = {level for level, wanted in needs.items() if wanted <= flags}
    assert set(simd_levels()) - {"scalar", "neon", "amx"} == expected
    if "amx" in simd_levels():
        assert {"amx_tile", "amx_int8"} <= flags


def random_codes(rng: np.random.Generator, n: int, bits: int, distinct: int | None = None) -> np.ndarray:
    """Random codes; with ``distinct`` only that many different ones, so that ties abound."""
    codes = rng.integers(0, 256, (n, code_bytes(bits)), dtype=np.uint8)
    if bits % 8:
        codes[:, -1] &= (1 << bits % 8) - 1
    if distinct and n:
        codes = codes[rng.integers(0, min(distinct, n), n)]
    return codes


def oracle(database: np.ndarray, ids: np.ndarray, query: np.ndarray) -> list[tuple[int, int]]:
    """All (distance, id) in order, the slow way."""
    distances = hamming_distance(database, query[None])
    return sorted(zip(distances.tolist(), ids.tolist(), strict=True))


def check_all(
    index: Index, database: np.ndarray, ids: np.ndarray, queries: np.ndarray, k: int, radius: int
) -> None:
    found = index.search(queries, k)
    ranged = index.range_search(queries, radius)
    limited = index.range_search(queries, radius, limit=k)
    assert found.ids.dtype == np.int64 and found.distances.dtype == np.uint16
    assert found.ids.shape == found.distances.shape == (len(queries), min(k, len(database)))
    for q, query in enumerate(queries):
        expected = oracle(database, ids, query)
        within = [pair for pair in expected if pair[0] <= radius]
        assert list(zip(found.distances[q].tolist(), found.ids[q].tolist(), strict=True)) == expected[:k]
        assert list(zip(ranged[q][1].tolist(), ranged[q][0].tolist(), strict=True)) == within
        assert list(zip(limited[q][1].tolist(), limited[q][0].tolist(), strict=True)) == within[:k]


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("bits", WIDTHS)
def test_every_width_and_level(level: str, bits: int) -> None:
    set_simd_level(level)
    assert simd_level() == level
    rng = np.random.default_rng(bits)
    database, queries = random_codes(rng, 333, bits), random_codes(rng, 5, bits)
    index = Index(bits, threads=2)
    ids = index.add(database)
    check_all(index, database, ids, queries, 10, int(bits * 0.45))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    level=st.sampled_from(simd_levels()),
    bits=st.one_of(st.integers(1, 300), st.sampled_from(WIDTHS)),
    n=st.integers(0, 400),
    queries=st.integers(0, 70),
    k=st.integers(0, 450),
    threads=st.integers(1, 4),
    distinct=st.sampled_from([None, 1, 3, 20]),
    order=st.sampled_from(["auto", "ascending", "shuffled"]),
)
def test_any_index_answers_like_the_oracle(
    seed: int,
    level: str,
    bits: int,
    n: int,
    queries: int,
    k: int,
    threads: int,
    distinct: int | None,
    order: str,
) -> None:
    set_simd_level(level)
    rng = np.random.default_rng(seed)
    database = random_codes(rng, n, bits, distinct)
    ids = np.arange(n)
    if order != "auto":
        ids = rng.choice(10 * n + 1, n, replace=False) - n
        ids = np.sort(ids) if order == "ascending" else ids
    index = Index(bits, threads=threads)
    cut = int(rng.integers(0, n + 1))
    for part in (slice(0, cut), slice(cut, n)):
        index.add(database[part], None if order == "auto" else ids[part])
    removed = rng.choice(ids, int(rng.integers(0, n + 1)) // 2, replace=False) if n else ids
    assert index.remove(removed) == len(removed)
    kept = ~np.isin(ids, removed)
    assert len(index) == kept.sum()
    check_all(
        index,
        database[kept],
        ids[kept],
        random_codes(rng, queries, bits, distinct),
        k,
        int(rng.integers(0, bits + 1)),
    )


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("queries", [1, 2, 40])
def test_many_rows_split_over_threads(level: str, queries: int) -> None:
    set_simd_level(level)
    rng = np.random.default_rng(7)
    database = random_codes(rng, 300_000, 64)
    database[::1000] = database[0]  # ties across chunks and threads
    asked = np.concatenate([database[:1], random_codes(rng, queries - 1, 64)])
    answers = []
    for threads in (1, 2, 5):
        index = Index(64, threads=threads)
        index.add(database[:100_000])
        index.add(database[100_000:])
        found, ranged = index.search(asked, 350), index.range_search(asked, 18)
        answers.append([found.ids, found.distances, ranged.ids, ranged.distances, ranged.splits])
    for other in answers[1:]:
        for a, b in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    distances = hamming_distance(database, asked[:1])
    order = np.lexsort((np.arange(len(database)), distances))[:350]
    np.testing.assert_array_equal(answers[0][0][0], order)
    np.testing.assert_array_equal(answers[0][1][0], distances[order])


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("bits", [16, 40, 64, 65, 128, 200, 256, 512, 1000, 1024])
def test_large_batches(level: str, bits: int) -> None:
    """Batches large enough for the bit-sliced kernel, with ties, dead rows and ids out of order."""
    set_simd_level(level)
    rng = np.random.default_rng(bits)
    database, queries = random_codes(rng, 12_000, bits, 9_000), random_codes(rng, 45, bits)
    queries[::3] = database[rng.integers(0, 12_000, 15)]
    for ids in (np.arange(12_000), rng.permutation(12_000)):
        index = Index(bits, threads=1)
        index.add(database, ids)
        dead = rng.choice(12_000, 3000, replace=False)
        index.remove(ids[dead])
        kept = np.delete(np.arange(12_000), dead)
        distances = hamming_distance(database[kept][None], queries[:, None]).astype(np.int64)
        keys = np.sort(distances * 2**32 + ids[kept], axis=1)
        for k in (1, 10, 300):
            found = index.search(queries, k)
            np.testing.assert_array_equal(found.ids, keys[:, :k] % 2**32)
            np.testing.assert_array_equal(found.distances, keys[:, :k] // 2**32)
        for radius in (
            0,
            int(bits * 0.42),
            bits - 1,
            bits,
        ):  # one less: every row is a hit of the batch kernel
            ranged = index.range_search(queries, radius)
            within = keys // 2**32 <= radius
            np.testing.assert_array_equal(ranged.ids, (keys % 2**32)[within])
            np.testing.assert_array_equal(np.diff(ranged.splits), within.sum(axis=1))


def flipped(
    rng: np.random.Generator, codes: np.ndarray, counts: np.ndarray, low: int, high: int
) -> np.ndarray:
    """Codes of which ``counts`` bits from [low, high) are turned, of each so many."""
    order = rng.random((len(codes), high - low)).argsort(axis=1)
    turned = np.zeros((len(codes), codes.shape[1] * 8), np.uint8)
    turned[:, low:high] = order < counts[:, None]
    return codes ^ np.packbits(turned, axis=1, bitorder="little")


def check_nearest(index: Index, database: np.ndarray, queries: np.ndarray, k: int) -> None:
    distances = hamming_distance(database[None], queries[:, None]).astype(np.int64)
    keys = np.sort(distances * 2**32 + np.arange(len(database)), axis=1)[:, :k]
    found = index.search(queries, k)
    np.testing.assert_array_equal(found.ids, keys % 2**32)
    np.testing.assert_array_equal(found.distances, keys // 2**32)


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("bits", [64, 256, 512])
def test_nearest_where_distances_are_nothing_like_normal(level: str, bits: int) -> None:
    """A batch begins with a guess from the mean and the deviation of a sample: here it is far too near."""
    set_simd_level(level)
    rng = np.random.default_rng(bits)
    centre = random_codes(rng, 1, bits)
    counts = np.where(rng.random(12_000) < 0.5, bits // 2, bits // 2 - 8)
    database = flipped(rng, np.repeat(centre, 12_000, axis=0), counts, 0, bits)
    # so many that every kernel for batches has its turn
    queries = flipped(rng, np.repeat(centre, 210, axis=0), rng.integers(0, 2, 210), 0, bits)
    index = Index(bits, threads=1)
    index.add(database)
    for _ in range(3):  # it learns from that
        for k in (1, 10, 100):
            check_nearest(index, database, queries, k)
    same = Index(bits, threads=1)
    same.add(np.repeat(centre, 12_000, axis=0))
    check_nearest(same, np.repeat(centre, 12_000, axis=0), queries, 70)


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("bits", [64, 65, 128, 200, 256])
def test_batches_of_hundreds(level: str, bits: int) -> None:
    """From 200 queries on other tables pay, on some processors."""
    set_simd_level(level)
    rng = np.random.default_rng(bits)
    database, queries = random_codes(rng, 3000, bits, 2000), random_codes(rng, 230, bits)
    queries[::5] = database[rng.integers(0, 3000, 46)]
    index = Index(bits, threads=1)
    index.add(database)
    for k in (1, 10, 100):
        check_nearest(index, database, queries, k)
    distances = hamming_distance(database[None], queries[:, None])
    for radius in (0, bits // 3, bits - 1):
        found = index.range_search(queries, radius)
        np.testing.assert_array_equal(np.diff(found.splits), (distances <= radius).sum(axis=1))


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("bits", [128, 192, 256, 384, 512, 1024])
def test_a_batch_that_may_stop_early_finds_what_differs_late(level: str, bits: int) -> None:
    """Near copies that differ in the last or the first word only, among codes that are given up before."""
    set_simd_level(level)
    rng = np.random.default_rng(bits)
    database, queries = random_codes(rng, 40_000, bits), random_codes(rng, 45, bits)
    for low, high in ((0, 64), (bits - 64, bits), (0, bits)):
        rows = rng.choice(40_000, 450, replace=False)
        copies = np.repeat(queries, 10, axis=0)
        database[rows] = flipped(rng, copies, rng.integers(0, bits // 8, 450), low, high)
    index = Index(bits, threads=1)
    index.add(database)
    for radius in (bits // 16, bits // 8, bits // 4):
        found = index.range_search(queries, radius)
        distances = hamming_distance(database[None], queries[:, None])
        np.testing.assert_array_equal(np.diff(found.splits), (distances <= radius).sum(axis=1))
        for q in range(len(queries)):
            ids = found.ids[found.splits[q] : found.splits[q + 1]]
            np.testing.assert_array_equal(np.sort(ids), np.flatnonzero(distances[q] <= radius))
    check_nearest(index, database, queries, 10)


@pytest.mark.parametrize("bits", [20, 64, 100, 256])
def test_multi_index_is_exact_through_changes(bits: int) -> None:
    rng = np.random.default_rng(bits)
    queries = random_codes(rng, 20, bits)
    codes = random_codes(rng, 40_000, bits)
    for row in range(0, 40_000, 7):  # near duplicates of the queries, and ties
        flips = np.zeros(bits, bool)
        flips[rng.choice(bits, rng.integers(0, 6), replace=False)] = True
        codes[row] = queries[rng.integers(0, 20)] ^ np.packbits(flips, bitorder="little")
    ids = rng.permutation(40_000)
    index = Index(bits, threads=2)
    alive = np.zeros(40_000, bool)

    def check() -> None:
        assert len(index) == alive.sum()
        paths = set()
        distances = hamming_distance(codes[alive][None], queries[:, None]).astype(np.int64)
        keys = np.sort(distances * 2**32 + ids[alive], axis=1)
        for q, query in enumerate(queries):
            paths.add(index.explain(query, 5).path)
            found = index.search(query, 5)
            np.testing.assert_array_equal(found.ids[0], keys[q, :5] % 2**32)
            for radius in (0, 3, 5, 9):
                ranged = index.range_search(query, radius)
                within = keys[q] // 2**32 <= radius
                np.testing.assert_array_equal(ranged.ids, (keys[q] % 2**32)[within])
                limited = index.range_search(query, radius, limit=4)
                np.testing.assert_array_equal(limited.ids, (keys[q] % 2**32)[within][:4])
        assert "multi-index" in paths

    index.add(codes[:30_001], ids[:30_001])
    alive[:30_001] = True
    index.build_multi_index()
    check()
    index.add(codes[30_001:], ids[30_001:])  # rows that the tables do not know
    alive[:] = True
    check()
    dead = rng.choice(40_000, 9_000, replace=False)
    index.remove(ids[dead])
    alive[dead] = False
    check()
    index.build_multi_index()
    check()


@pytest.mark.parametrize("bits", [64, 256])
def test_an_approximate_search_finds_as_many_as_it_says(bits: int) -> None:
    """Copies with bits flipped anywhere: at least the recall of them are found, and less takes less work."""
    rng = np.random.default_rng(bits)
    database, queries = random_codes(rng, 200_000, bits), random_codes(rng, 300, bits)
    farthest = bits // 8
    rows = rng.permutation(200_000)[:3000].reshape(300, 10)
    copies = np.repeat(queries, 10, axis=0)
    database[rows.ravel()] = flipped(
        rng, copies, np.tile(np.linspace(0, farthest, 10).astype(int), 300), 0, bits
    )
    index = Index(bits, threads=1)
    index.add(database)
    index.build_multi_index()
    exact = index.search(queries, 10)
    lookups = []
    for recall in (0.6, 0.9, 0.99, 1.0):
        near = index.search(queries, 10, approximate=recall)
        ranged = index.range_search(queries, farthest, approximate=recall)
        for found in (near.ids, ranged.ids):
            share = np.isin(rows + 200_000 * np.arange(300)[:, None], [
                id + 200_000 * q for q, ids in enumerate(
                    found if found is near.ids else np.split(ranged.ids, ranged.splits[1:-1])
                ) for id in ids
            ]).mean()  # fmt: skip
            assert share >= recall - 2 * (recall * (1 - recall) / 3000) ** 0.5
        assert (near.distances[:, :-1] <= near.distances[:, 1:]).all()
        lookups.append(index.explain(queries, 10, approximate=recall).lookups)
    assert np.array_equal(near.ids, exact.ids) and np.array_equal(near.distances, exact.distances)
    # at 64 bits the search for all of them soon gives up, and is scanned for from then on
    assert lookups[0] <= lookups[1] and lookups[0] < max(lookups)


@pytest.mark.parametrize("recall", [0, -0.5, 1.5, float("nan"), "0.9", True])
def test_a_recall_that_is_none_is_refused(recall: Any) -> None:
    with pytest.raises(OptionError, match="approximate=.*above 0 and up to 1"):
        Index(64).search(np.zeros((1, 8), np.uint8), approximate=recall)


def test_multi_index_is_built_once_it_would_have_paid() -> None:
    rng = np.random.default_rng(5)
    index = Index(64, threads=1)
    codes = random_codes(rng, 250_000, 64)
    index.add(codes)
    assert "no multi-index" in index.explain(codes[0], 1).reason
    for _ in range(3000):
        if index.explain(codes[0], 1).path == "multi-index":
            break
        index.search(codes[:100], 1)
    else:
        pytest.fail("thousands of look-ups of exact duplicates built no multi-index")


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("eligible", [0, 3, 100, 2500, 5000])
def test_among(level: str, eligible: int) -> None:
    set_simd_level(level)
    rng = np.random.default_rng(eligible)
    codes, queries = random_codes(rng, 5000, 96, 3000), random_codes(rng, 40, 96)
    for ids in (np.arange(5000), rng.permutation(9000)[:5000]):
        index = Index(96, threads=2)
        index.add(codes, ids)
        index.build_multi_index()
        rows = rng.choice(5000, eligible, replace=False)
        index.remove(ids[rows[: eligible // 10]])
        rows = rows[eligible // 10 :]
        mask = np.zeros(9000, bool)
        mask[ids[rows]] = True
        for among in (np.append(ids[rows], 123456), mask):
            for n in (1, 40):
                found = index.search(queries[:n], 7, among=among)
                ranged = index.range_search(queries[:n], 40, among=among)
                assert found.ids.shape == (n, min(7, len(rows)))
                for q in range(n):
                    expected = oracle(codes[rows], ids[rows], queries[q])
                    assert (
                        list(zip(found.distances[q].tolist(), found.ids[q].tolist(), strict=True))
                        == expected[:7]
                    )
                    assert ranged[q][0].tolist() == [id for distance, id in expected if distance <= 40]
        if len(rows):
            assert index.explain(queries[0], among=ids[rows[:3]]).path == "gather"


def brute_pairs(a: np.ndarray, b: np.ndarray, radius: int) -> set[tuple[int, int, int]]:
    distances = hamming_distance(a[:, None], b[None])
    return {(i, j, int(distances[i, j])) for i, j in zip(*np.nonzero(distances <= radius), strict=True)}


@pytest.mark.parametrize(
    ("bits", "radius"), [(64, 0), (64, 3), (64, 6), (64, 20), (33, 2), (256, 12), (7, 1), (8, 8)]
)
@pytest.mark.parametrize("batch", [1, 100, 10**6])
def test_pairs(bits: int, radius: int, batch: int) -> None:
    rng = np.random.default_rng(bits + radius)
    codes = random_codes(rng, 200, bits, 100)
    for row in range(0, 200, 2):
        flips = np.zeros(bits, bool)
        flips[rng.choice(bits, rng.integers(0, min(7, bits)), replace=False)] = True
        codes[row] = codes[0] ^ np.packbits(flips, bitorder="little")
    index, other = Index(bits, threads=2), Index(bits)
    index.add(codes, np.arange(199, -1, -1))  # ids against the order of rows
    other.add(codes[::3])
    index.remove([3, 4])
    found = [
        tuple(row)
        for pairs in index.pairs(radius, batch=batch)
        for row in np.column_stack([pairs.ids, pairs.distances]).tolist()
    ]
    by_id = codes[::-1]
    expected = {(i, j, d) for i, j, d in brute_pairs(by_id, by_id, radius) if i < j and not {3, 4} & {i, j}}
    assert len(found) == len(set(found)) and set(found) == expected
    across = [
        tuple(row)
        for pairs in index.pairs(radius, other=other, batch=batch)
        for row in np.column_stack([pairs.ids, pairs.distances]).tolist()
    ]
    expected = {(i, j, d) for i, j, d in brute_pairs(by_id, codes[::3], radius) if i not in (3, 4)}
    assert len(across) == len(set(across)) and set(across) == expected


@pytest.mark.parametrize(
    ("bits", "radius", "keyed"),
    [(64, 0, True), (256, 1, True), (64, 4, True), (256, 9, True), (64, 14, False)],
)
@pytest.mark.parametrize("rows", [None, 5000, 300])
def test_shares_of_pairs_are_the_pairs(bits: int, radius: int, keyed: bool, rows: int | None) -> None:
    rng = np.random.default_rng(bits)
    n = 12_000
    codes = np.packbits(rng.integers(0, 2, (n, bits), dtype=np.uint8), axis=1, bitorder="little")
    codes[4000:] = codes[rng.integers(0, 4000, 8000)]
    codes[8000:, 0] ^= rng.integers(0, 16, 4000).astype(np.uint8)
    index = Index(bits)
    index.add(codes, rng.permutation(4 * n)[:n])
    index.remove(np.arange(500))

    def listed(share: PairShare | None = None) -> np.ndarray:
        batches = [np.column_stack([b.ids, b.distances]) for b in index.pairs(radius, share=share)]
        return np.concatenate([np.empty((0, 3), np.int64), *batches])

    shares = index.pair_shares(radius, rows=rows)
    assert (shares[-1].choice > 0 or radius == 0) == keyed
    assert shares[0].parts == (1 if rows is None else -(-len(index) // rows))
    found, expected = np.concatenate([listed(share) for share in shares]), listed()
    assert len(expected) > 3000
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    if keyed and radius and rows:  # no part holds the bulk of it
        assert max(len(listed(share)) for share in shares) < len(expected) / 2
    with pytest.raises(ValueError, match="no such share"):
        list(index.pairs(radius, share=PairShare(len(shares), 0, 1)))


def test_pairs_of_long_runs() -> None:
    """Thousands of equal codes: the batch kernels compare them, a batch at a time."""
    rng = np.random.default_rng(0)
    codes = random_codes(rng, 2600, 64)
    codes[:1400, :6] = 0
    index, half = Index(64, threads=2), Index(64)
    index.add(codes)
    half.add(codes[:1300])
    distances = hamming_distance(codes[:, None], codes[None])
    for radius in (0, 4, 24):
        i, j = np.nonzero(np.triu(distances <= radius, 1))
        batches = list(index.pairs(radius, batch=10_000))
        ids = np.concatenate([pairs.ids for pairs in batches]) if batches else np.zeros((0, 2), np.int64)
        order = np.lexsort((ids[:, 1], ids[:, 0]))
        np.testing.assert_array_equal(ids[order], np.column_stack([i, j]))
        assert sum(map(len, index.pairs(radius, other=half))) == (distances[:, :1300] <= radius).sum()


def test_unknown_level_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(OptionError, match="scalar"):
        set_simd_level("mmx")


@pytest.mark.parametrize("level", simd_levels())
def test_environment_forces_a_level(level: str) -> None:
    code = "from vhash_sdk.index import simd_level; print(simd_level())"
    env = {**os.environ, "VHASH_SIMD": level}
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        == level
    )


def test_threads_of_python_search_at_once() -> None:
    rng = np.random.default_rng(3)
    database, queries = random_codes(rng, 200_000, 64), random_codes(rng, 8, 64)
    index = Index(64, threads=3)
    index.add(database)
    expected = index.search(queries, 5)
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(10):
            results.append(index.search(queries, 5).ids)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 60
    for result in results:
        np.testing.assert_array_equal(result, expected.ids)


def test_pool_works_in_a_child_after_fork() -> None:
    code = """
import os, warnings
import numpy as np
from vhash_sdk.index import Index
from vhash_sdk.index.matches import PairShare
warnings.simplefilter("ignore", DeprecationWarning)
index = Index(64, threads=4)
index.add(np.random.default_rng(0).integers(0, 256, (500_000, 8), dtype=np.uint8))
query = np.zeros((1, 8), np.uint8)
expected = index.search(query, 5).ids.tolist()
child = os.fork()
if child == 0:
    os._exit(0 if index.search(query, 5).ids.tolist() == expected else 1)
assert os.waitpid(child, 0)[1] == 0
assert index.search(query, 5).ids.tolist() == expected
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_crc32c_of_the_standard() -> None:
    assert _core.crc32c(b"123456789") == 0xE3069283
    assert _core.crc32c(b"6789", _core.crc32c(b"12345")) == 0xE3069283
