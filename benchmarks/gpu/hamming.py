"""Hamming search in device memory: every method and size, beside other libraries (see run.py)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common import summary
from vhash_sdk import Index
from vhash_sdk.codes import hamming_distance
from vhash_sdk.gpu.module import cuda_module
from vhash_sdk.index.device import CudaIndex

Case = tuple[str, Callable[[], dict[str, Any]]]
Codes = np.ndarray
METHODS = ("few", "popc", "slices", "s8", "b1")
CHUNK = 1 << 24
TARGETS = {("64", 10**9, 1): 3e-3, ("64", 10**8, 1000): 20e-3}  # seconds asked for on an H100


class Database:
    """Random codes on the device; only one at a time, since 1e9 of them fill much of it."""

    def __init__(self) -> None:
        self.key: tuple[int, int] | None = None
        self.engine: Any = None
        self.first = np.empty((0, 0), np.uint8)

    def of(self, bits: int, n: int) -> Any:
        """``n`` codes of ``bits``: blocks of random ones, each block with another mask."""
        if self.key != (bits, n):
            self.engine = None  # free it first
            rng = np.random.default_rng(0)
            self.first = rng.integers(0, 2**64, (min(n, CHUNK), bits // 64), np.uint64)
            engine = cuda_module().DeviceIndex(bits, n, device=0, with_ids=False, id_base=0)
            for start in range(0, n, CHUNK):
                engine.append(self.block(start)[: n - start], None)
            self.engine, self.key = engine, (bits, n)
        return self.engine

    def block(self, start: int) -> Codes:
        """The codes of rows ``start`` to ``start + CHUNK``."""
        mask = np.random.default_rng(start).integers(0, 2**64, self.first.shape[1], np.uint64)
        return (self.first ^ mask if start else self.first).view(np.uint8)


def hamming(dry: bool) -> Iterator[Case]:
    """Checks at 1e6, then each width, size, number of queries and method; then baselines."""
    database = Database()
    for bits in (64, 128, 256, 512):
        yield f"{bits} bits equal the CPU's", lambda b=bits: equal(b, dry)  # type: ignore[misc]
    sizes = [3000] if dry else [10**7, 10**8, 10**9]
    for bits in (64, 128, 256):
        for n in sizes:
            for queries in (1, 4, 16, 100, 1000) if not dry else (1, 3):
                for method in usable(bits, queries, dry):
                    yield (
                        f"{bits} bits, N = {n:.0e}, {queries} queries, {method}",
                        lambda b=bits, n=n, q=queries, m=method: timed(database, b, n, q, m, dry),  # type: ignore[misc]
                    )
        for name, run in BASELINES.items():
            for queries in (1, 1000) if not dry else (1,):
                yield (
                    f"{bits} bits, N = {sizes[0]:.0e}, {queries} queries, {name}",
                    lambda r=run, b=bits, q=queries: baseline(r, b, sizes[0], q, dry),  # type: ignore[misc]
                )


def usable(bits: int, queries: int, dry: bool) -> list[str]:
    """Methods worth timing."""
    few = ["few"] if queries <= 16 else []
    batch = [m for m in METHODS[1:] if (m != "slices" or bits <= 128) and (queries >= 4 or dry)]
    return few + batch


def equal(bits: int, dry: bool) -> dict[str, Any]:
    """``Index.to("cuda")`` against ``Index``, k-NN and range, clustered codes among random ones."""
    n = 600 if dry else 1_000_000
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (n, bits // 8), dtype=np.uint8)
    codes[n // 2 : n // 2 + n // 10] = codes[: n // 10] ^ (rng.random((n // 10, bits // 8)) < 0.05)
    index = Index(bits)
    index.add(codes)
    copied: CudaIndex = index.to("cuda")
    for queries in (codes[:1], codes[rng.integers(0, n, 4 if dry else 300)]):
        here, there = index.search(queries, 10), copied.search(queries, 10)
        assert np.array_equal(here.ids, there.ids) and np.array_equal(here.distances, there.distances)
        near, found = index.range_search(queries, bits // 10), copied.range_search(queries, bits // 10)
        assert np.array_equal(near.ids, found.ids) and np.array_equal(near.splits, found.splits)
    return {"passed": True, "codes": n}


def timed(database: Database, bits: int, n: int, queries: int, method: str, dry: bool) -> dict[str, Any]:
    """Seconds of a whole search (k = 10, results on the host) and of the scan alone."""
    free = free_memory()
    if free is not None and database.key != (bits, n) and n * bits / 8 * 1.05 > free:
        raise RuntimeError(f"{n} codes of {bits} bits do not fit {free} bytes of free memory")
    engine = database.of(bits, n)
    rng = np.random.default_rng(7)
    wanted = database.first[rng.integers(0, len(database.first), queries)].view(np.uint8).copy()
    wanted[:, 0] ^= 5
    rounds = 1 if dry else int(min(50, max(5, 2e12 / (n * queries * bits / 64))))
    seconds: dict[str, list[float]] = {"search": [], "scan": []}
    for round_ in range(-1, rounds):
        for name, call in (
            ("search", lambda: engine.search(wanted, None, 10, method=method)),
            ("scan", lambda: engine.scan_only(wanted, -1, method=method)),
        ):
            start = time.perf_counter()
            found = call()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - start)
            if name == "search":
                ids, distances = found
    # the query itself is 2 bits from its own row
    assert (distances[:, 0] <= 2).all() and ids.shape == (queries, min(10, n))
    search, scan = summary(seconds["search"]), min(seconds["scan"])
    target = TARGETS.get((str(bits), n, queries))
    return {
        "search": search, "scan_min": scan, "pairs_a_second": n * queries / search["p50"],
        "bytes_a_second": n * bits / 8 / scan if queries == 1 else None,
        **({"asked": target, "reached": search["p50"] <= target} if target else {}),
    }  # fmt: skip


def free_memory() -> int | None:
    """Free bytes of the device, by torch."""
    try:
        import torch
    except ImportError:
        return None
    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None


def baseline(run: Callable[..., Any], bits: int, n: int, queries: int, dry: bool) -> dict[str, Any]:
    """The same search by another library, its distances checked."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (n, bits // 8), dtype=np.uint8)
    wanted = codes[rng.integers(0, n, queries)].copy()
    wanted[:, 0] ^= 5
    try:
        search = run(codes, bits)
    except (ImportError, AttributeError) as error:  # not installed, or a build without it
        return {"absent": str(error)}
    expected = np.sort([hamming_distance(wanted[0], row) for row in codes[:: max(1, n // 1000)]])[:1]
    seconds = []
    for round_ in range(-1, 1 if dry else 10):
        start = time.perf_counter()
        distances = np.asarray(search(wanted, 10))
        if round_ >= 0:
            seconds.append(time.perf_counter() - start)
    assert distances.shape[0] == queries and (distances[:, 0] <= min(2, int(expected[0]))).all()
    found = summary(seconds)
    return {"search": found, "pairs_a_second": n * queries / found["p50"]}


def by_torch(codes: Codes, bits: int) -> Callable[[Codes, int], Any]:
    """int8 products of ±1 by ``torch._int_mm``, then ``topk``: what one writes without a kernel."""
    import torch

    place = "cuda" if torch.cuda.is_available() else "cpu"
    shifts = torch.arange(8, dtype=torch.uint8, device=place)

    def signs(rows: Codes) -> Any:
        planes = torch.from_numpy(np.ascontiguousarray(rows)).to(place)[..., None] >> shifts & 1
        return (planes.flatten(1).to(torch.int8) * 2 - 1).contiguous()

    chunk = 1 << 22
    parts = [signs(codes[start : start + chunk]) for start in range(0, len(codes), chunk)]

    def search(queries: Codes, k: int) -> Any:
        wanted = signs(queries)
        rows = max(32, -(-len(wanted) // 32) * 32)
        padded = torch.cat([wanted, wanted.new_zeros(rows - len(wanted), bits)])
        best = []
        for part in parts:
            product = torch._int_mm(padded, part.T)[: len(wanted)] if len(part) % 8 == 0 else (
                padded[: len(wanted)].float() @ part.T.float()
            )  # fmt: skip
            best.append(torch.topk(product, min(k, len(part)), dim=1).values)
        nearest = torch.topk(torch.cat([b.int() for b in best], 1), k, dim=1).values
        return ((bits - nearest) // 2).cpu().numpy()

    return search


def by_cupy(codes: Codes, bits: int) -> Callable[[Codes, int], Any]:
    """XOR and ``__popcll`` in an elementwise kernel, then ``argpartition``."""
    cupy = importlib.import_module("cupy")
    words = cupy.asarray(codes.view(np.uint64))
    count = cupy.ElementwiseKernel("uint64 a, uint64 b", "uint8 c", "c = __popcll(a ^ b)", "vhash_popcount")

    def search(queries: Codes, k: int) -> Any:
        found = []
        for query in cupy.asarray(queries.view(np.uint64)):
            distances = sum(count(words[:, w], query[w]).astype(cupy.uint16) for w in range(bits // 64))
            place = cupy.argpartition(distances, k)[:k]
            found.append(cupy.sort(distances[place]))
        return cupy.stack(found).get()

    return search


def by_faiss(codes: Codes, bits: int) -> Callable[[Codes, int], Any]:
    """faiss's GpuIndexBinaryFlat."""
    faiss = importlib.import_module("faiss")
    index = faiss.GpuIndexBinaryFlat(faiss.StandardGpuResources(), bits)
    index.add(codes)
    return lambda queries, k: index.search(queries, k)[0]


def by_cuvs(codes: Codes, bits: int) -> Callable[[Codes, int], Any]:
    """cuVS brute force with its bitwise Hamming distance."""
    brute = importlib.import_module("cuvs.neighbors.brute_force")
    cupy = importlib.import_module("cupy")
    index = brute.build(cupy.asarray(codes), metric="bitwise_hamming")
    return lambda queries, k: cupy.asarray(brute.search(index, cupy.asarray(queries), k)[0]).get()


BASELINES = {"torch": by_torch, "cupy": by_cupy, "faiss-gpu": by_faiss, "cuVS": by_cuvs}
