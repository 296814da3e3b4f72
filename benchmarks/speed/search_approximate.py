"""Approximate searches with a stated recall beside exact ones and beside faiss's approximate indexes.

    python -m benchmarks.speed.search_approximate [--codes 1e6] [--far 1e8] [--no-result]

Codes of 256 bits on one thread. For each of 200 queries five copies are planted, with 20, 30, 40, 50 and 60
bits flipped anywhere; the rest are uniform. Recall is the share of the copies that are found: among the five
nearest, or within 60 bits. faiss's inverted file (``IndexBinaryIVF``) probes ever more lists, its graph
(``IndexBinaryHNSW``) ever more neighbours, until nearly all are found. At --far codes only our own searches
are timed: the peers would take hours to build. Writes benchmarks/results/search_approximate.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from benchmarks.common import command_line, write_result
from benchmarks.speed.search import random_codes
from vhash_sdk.index import Index, simd_level

BITS, QUERIES, K, RADIUS = 256, 200, 5, 60
FLIPS = (20, 30, 40, 50, 60)
RECALLS = (0.8, 0.9, 0.95, 0.99)
PART = 4_000_000


def planted(rng: np.random.Generator, queries: np.ndarray) -> np.ndarray:
    """Copies uint8[queries, flips, bytes]."""
    out = np.empty((len(queries), len(FLIPS), BITS // 8), np.uint8)
    for i, query in enumerate(queries):
        for j, flips in enumerate(FLIPS):
            turned = np.zeros(BITS, np.uint8)
            turned[rng.choice(BITS, flips, replace=False)] = 1
            out[i, j] = query ^ np.packbits(turned, bitorder="little")
    return out


def filled(rng: np.random.Generator, n: int, copies: np.ndarray) -> tuple[Index, np.ndarray]:
    """An index of n uniform codes and the copies; ids of those ``[queries, flips]``."""
    index = Index(BITS, threads=1)
    for start in range(0, n, PART):
        index.add(random_codes(rng, min(PART, n - start), BITS))
    return index, index.add(copies.reshape(-1, BITS // 8)).reshape(copies.shape[:2])


def timed(search: Callable[[np.ndarray], Any], queries: np.ndarray) -> tuple[float, list[Any]]:
    """Median milliseconds of one query at a time, and what each found."""
    search(queries[:1])
    times, found = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query[None]))
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3, found


def share(wanted: np.ndarray, found: list[np.ndarray]) -> float:
    return float(np.mean([np.isin(ids, got).mean() for ids, got in zip(wanted, found, strict=True)]))


def ours(index: Index, queries: np.ndarray, ids: np.ndarray, recall: float | None) -> dict[str, Any]:
    few = queries if recall is not None else queries[:20]
    nearest, near = timed(lambda q: index.search(q, K, approximate=recall).ids[0], few)
    within, ranged = timed(lambda q: index.range_search(q, RADIUS, approximate=recall).ids, few)
    wanted = ids[: len(few)]
    return {
        "asked": recall,
        "nearest": {"milliseconds": nearest, "recall": share(wanted, near)},
        "radius": {
            "milliseconds": within,
            "recall": share(wanted, ranged),
            "recall at the radius": share(wanted[:, -1:], ranged),
        },
        "paths": [
            index.explain(queries[:1], K, approximate=recall).path,
            index.explain(queries[:1], radius=RADIUS, approximate=recall).path,
        ],
    }  # fmt: skip


def peers(codes: np.ndarray, queries: np.ndarray, ids: np.ndarray) -> list[dict[str, Any]]:
    """faiss's indexes with ever more work, until nearly all copies are found."""
    out = []
    lists = 4 * int(len(codes) ** 0.5)
    coarse = faiss.IndexBinaryFlat(BITS)
    inverted = faiss.IndexBinaryIVF(coarse, BITS, lists)
    graph = faiss.IndexBinaryHNSW(BITS, 16)
    graph.hnsw.efConstruction = 40
    for name, index, knob in (("IVF", inverted, "nprobe"), ("HNSW", graph, "efSearch")):
        start = time.perf_counter()
        if name == "IVF":
            index.cp.niter = 4
            index.train(codes[: 40 * lists])
        index.add(codes)
        build = time.perf_counter() - start
        for effort in (1, 4, 16, 64, 256, 1024):
            setattr(index if name == "IVF" else index.hnsw, knob, effort)
            took, found = timed(lambda q, index=index: index.search(q, K)[1][0], queries)
            recall = share(ids, found)
            out.append(
                {"index": name, knob: effort, "milliseconds": took, "recall": recall, "build_seconds": build}
            )
            print(out[-1], flush=True)
            if recall > 0.995:
                break
    return out


def at_size(n: int, *, with_peers: bool) -> dict[str, Any]:
    rng = np.random.default_rng(n % 1000 + 7)
    queries = random_codes(rng, QUERIES, BITS)
    copies = planted(rng, queries)
    index, ids = filled(rng, n, copies)
    row: dict[str, Any] = {"codes": n, "scan": ours(index, queries, ids, None)}
    start = time.perf_counter()
    index.build_multi_index()
    row["build_seconds"] = time.perf_counter() - start
    row["vhash"] = [ours(index, queries, ids, recall) for recall in (None, *RECALLS)]
    for one in (row["scan"], *row["vhash"]):
        print(n, one, flush=True)
    if with_peers:
        row["faiss"] = peers(index.codes(np.arange(len(index))), queries, ids)
    return row


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--codes", type=float, default=1e6)
    parser.add_argument("--far", type=float, default=1e8, help="0: not")
    parser.add_argument("--no-result", action="store_true", help="write no file")
    given = parser.parse_args()
    faiss.omp_set_num_threads(2)  # the build takes minutes; one query at a time is one thread's work
    rows = [at_size(int(given.codes), with_peers=True)]
    if given.far:
        rows.append(at_size(int(given.far), with_peers=False))
    if not given.no_result:
        result = {"command": "python -m benchmarks.speed.search_approximate", "simd": simd_level()}
        print(write_result("search_approximate", {**result, "bits": BITS, "radius": RADIUS, "rows": rows}))


if __name__ == "__main__":
    main()
