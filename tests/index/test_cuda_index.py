"""The Hamming kernels: on the emulator everywhere, on the GPU where there is one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cuda_emulator.fixture import any_order, compiled, emulated
from vhash_sdk import Index
from vhash_sdk.errors import BackendError, MissingDependencyError, OptionError
from vhash_sdk.gpu.cuda import DeviceArray
from vhash_sdk.index.base import BaseIndex
from vhash_sdk.index.device import CudaIndex
from vhash_sdk.index.stored import StoredIndex

__all__ = ["any_order", "compiled", "emulated"]
METHODS = ("few", "popc", "slices", "s8", "b1")


def near(codes: NDArray[np.uint8], n: int, flips: int, seed: int = 3) -> NDArray[np.uint8]:
    """Queries a few bits from stored codes; padding stays zero."""
    rng = np.random.default_rng(seed)
    queries = codes[rng.integers(0, len(codes), n)].copy()
    for _ in range(flips):
        queries[np.arange(n), rng.integers(0, max(1, codes.shape[1] - 1), n)] ^= np.uint8(
            1 << rng.integers(0, 8)
        )
    return queries


def random_codes(n: int, bits: int, seed: int = 0) -> NDArray[np.uint8]:
    codes = np.random.default_rng(seed).integers(0, 256, (n, (bits + 7) // 8), dtype=np.uint8)
    if bits % 8:
        codes[:, -1] &= (1 << bits % 8) - 1
    return codes


def assert_same(
    index: BaseIndex, copied: CudaIndex, queries: NDArray[np.uint8], k: int, **options: Any
) -> None:
    here, there = index.search(queries, k), copied.search(queries, k, **options)
    np.testing.assert_array_equal(there.ids, here.ids)
    np.testing.assert_array_equal(there.distances, here.distances)


def assert_same_range(
    index: BaseIndex, copied: CudaIndex, queries: NDArray[np.uint8], radius: int, **options: Any
) -> None:
    here, there = index.range_search(queries, radius), copied.range_search(queries, radius, **options)
    np.testing.assert_array_equal(there.splits, here.splits)
    np.testing.assert_array_equal(there.ids, here.ids)
    np.testing.assert_array_equal(there.distances, here.distances)


@pytest.mark.parametrize("bits", [16, 64, 100, 128, 192, 256, 512])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_equals_the_cpu(any_order: ModuleType, bits: int, method: Any) -> None:
    if method == "slices" and bits > 128:
        pytest.skip("planes of wider codes would not fit the registers")
    codes = random_codes(5003 if bits <= 128 else 3001, bits)
    index = Index(bits)
    index.add(codes)
    copied = index.to("cuda")
    queries = np.concatenate([near(codes, 16, bits // 20), random_codes(3, bits, seed=9)])
    assert_same(index, copied, queries, 10, method=method)
    assert_same_range(index, copied, queries, bits // 8, method=method)


@pytest.mark.parametrize("bits", [520, 1000])
def test_wide_codes(emulated: ModuleType, bits: int) -> None:
    codes = random_codes(2500, bits)
    index = Index(bits)
    index.add(codes)
    assert_same(index, index.to("cuda"), near(codes, 7, 40), 5)


def test_ids_with_gaps_out_of_order_and_removed(emulated: ModuleType) -> None:
    codes = random_codes(4000, 64)
    codes[1000:] = codes[:3000]  # every distance comes with ties
    for ids in (np.arange(4000) * 7 - 9000, np.random.default_rng(1).permutation(10**12 + np.arange(4000))):
        index = Index(64)
        index.add(codes, ids)
        index.remove(ids[::3])
        copied = index.to("cuda:0")
        assert len(copied) == len(index)
        assert_same(index, copied, near(codes, 9, 3), 12)
        assert_same_range(index, copied, near(codes, 9, 3), 9)


def test_a_store_is_copied_like_an_index_in_memory(emulated: ModuleType, tmp_path: Path) -> None:
    codes = random_codes(3000, 64)
    with StoredIndex(tmp_path / "s", bits=64, seal_rows=700) as index:
        index.add(codes)
        index.remove(np.arange(0, 3000, 5))
        copied = index.to("cuda")
        assert len(copied) == len(index) == 2400
        assert_same(index, copied, near(codes, 5, 2), 4)


def test_consecutive_ids_after_the_first_were_removed(emulated: ModuleType) -> None:
    codes = random_codes(3000, 64)
    index = Index(64)
    index.add(codes)
    index.remove(np.arange(100))
    copied = index.to("cuda")
    assert copied._ids is None
    assert_same(index, copied, near(codes, 5, 2), 4)
    here = index.search(codes[200:203], 3, among=np.arange(150, 2900))
    there = copied.search(codes[200:203], 3, among=np.arange(150, 2900))
    np.testing.assert_array_equal(there.ids, here.ids)


def test_among_and_limit(emulated: ModuleType) -> None:
    codes, rng = random_codes(3000, 128), np.random.default_rng(5)
    for ids in (None, np.sort(rng.choice(10**6, 3000, replace=False))):
        index = Index(128)
        given = index.add(codes, ids)
        copied = index.to("cuda")
        queries = near(codes, 6, 4)
        some = np.concatenate([rng.choice(given, 50), [-5, 10**9]])
        here, there = index.search(queries, 7, among=some), copied.search(queries, 7, among=some)
        np.testing.assert_array_equal(there.ids, here.ids)
        assert copied.search(queries, 7, among=[]).ids.shape == (6, 0)
        ranged = copied.range_search(queries, 60, limit=3, among=some)
        expected = index.range_search(queries, 60, limit=3, among=some)
        np.testing.assert_array_equal(ranged.ids, expected.ids)
        np.testing.assert_array_equal(ranged.splits, expected.splits)


def test_codes_in_the_worst_order(emulated: ModuleType) -> None:
    """Each next code is nearer than those before: the first segments tell nothing about the last."""
    n = 10_000
    codes = np.zeros((n, 8), np.uint8)
    planes = np.unpackbits(codes, axis=1)
    for i in range(64):
        planes[: n * i // 64 + n // 64, i] = 1
    codes = np.packbits(planes, axis=1)
    index = Index(64)
    index.add(codes)
    copied = index.to("cuda")
    assert_same(index, copied, np.zeros((3, 8), np.uint8), 10)
    assert_same(index, copied, np.zeros((6, 8), np.uint8), 100, method="popc")


def test_all_codes_alike(emulated: ModuleType) -> None:
    index = Index(64)
    index.add(np.zeros((9_000, 8), np.uint8))
    copied = index.to("cuda")
    assert_same(index, copied, np.zeros((2, 8), np.uint8), 5)
    assert_same_range(index, copied, np.zeros((2, 8), np.uint8), 0)  # more hits than there is room at first


@pytest.mark.parametrize("n", [0, 1, 2, 63, 2048, 2049])
def test_small_indexes_and_large_k(emulated: ModuleType, n: int) -> None:
    codes = random_codes(n, 64)
    index = Index(64)
    index.add(codes)
    copied = index.to("cuda")
    for k in (0, 1, 5, 3000):
        assert_same(index, copied, random_codes(3, 64, seed=4), k)
    assert_same_range(index, copied, random_codes(3, 64, seed=4), 64)
    assert copied.search(np.empty((0, 8), np.uint8), 3).ids.shape[0] == 0


@pytest.mark.long
def test_many_queries_run_in_groups(emulated: ModuleType) -> None:
    codes = random_codes(260, 64)
    index = Index(64)
    index.add(codes)
    assert_same(index, index.to("cuda"), near(codes, 1030, 3), 2, method="popc")


def test_queries_that_are_on_the_device(emulated: ModuleType) -> None:
    codes = random_codes(3000, 64)
    index = Index(64)
    index.add(codes)
    copied, queries = index.to("cuda"), near(codes, 4, 2)
    found = copied.search_device(DeviceArray(queries.ctypes.data, queries.shape, queries.dtype), 3)
    np.testing.assert_array_equal(found.ids, index.search(queries, 3).ids)
    with pytest.raises(OptionError, match="expected uint8"):
        copied.search_device(DeviceArray(queries.ctypes.data, (4, 4), np.dtype(np.uint8)), 3)


def test_scan_only_counts_the_pairs(emulated: ModuleType) -> None:
    codes = random_codes(3000, 64)
    index = Index(64)
    index.add(codes)
    queries, engine = near(codes, 5, 2), index.to("cuda")._engine
    expected = len(index.range_search(queries, 20).ids)
    assert {engine.scan_only(queries, 20, method=method) for method in METHODS} == {expected}


def test_bad_arguments(emulated: ModuleType) -> None:
    index = Index(256)
    index.add(random_codes(10, 256))
    for device in ("cpu", "gpu", "cuda:x", "cuda:-1"):
        with pytest.raises(OptionError, match="allowed"):
            index.to(device)
    with pytest.raises(BackendError, match="1 CUDA devices"):
        index.to("cuda:7")
    copied = index.to("cuda")
    with pytest.raises(OptionError, match="allowed"):
        copied.search(random_codes(1, 256), method="fast")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="width"):
        copied.search(random_codes(1, 256), method="slices")
    with pytest.raises(ValueError, match="256 bits"):
        copied.search(random_codes(1, 64))


def test_without_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vhash_sdk._cuda", None)
    with pytest.raises(MissingDependencyError, match="VHASH_CUDA=1"):
        Index(64).to("cuda")


def test_the_real_module_without_a_device() -> None:
    module = pytest.importorskip("vhash_sdk._cuda", reason="built without nvcc")
    if module.device_count():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendError, match="no driver"):
        Index(64).to("cuda")
    with pytest.raises(BackendError, match="cudaSetDevice"):
        module.DeviceIndex(64, 1, device=0, with_ids=False, id_base=0)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("bits", [64, 100, 128, 256, 512, 1000])
def test_gpu_equals_cpu(bits: int) -> None:
    codes = random_codes(300_001, bits)
    codes[::5] = codes[0]
    index = Index(bits)
    index.add(codes)
    copied = index.to("cuda")
    queries = np.concatenate([near(codes, 1000, bits // 20), random_codes(40, bits, seed=9)])
    for method in ("auto", *METHODS):
        if (bits > 512 and method not in ("auto", "few")) or (method == "slices" and bits > 128):
            continue
        for n in (1, 3, 100, 1040):
            assert_same(index, copied, queries[:n], 10, method=method)
        assert_same(index, copied, queries[-50:], 1000, method=method)
        assert_same_range(index, copied, queries, bits // 8, method=method)


@pytest.mark.needs_cuda
def test_gpu_ids_out_of_order() -> None:
    codes, ids = random_codes(50_000, 64), np.random.default_rng(1).permutation(50_000) * 3
    index = Index(64)
    index.add(codes, ids)
    index.remove(ids[::7])
    assert_same(index, index.to("cuda"), near(codes, 50, 3), 20)
