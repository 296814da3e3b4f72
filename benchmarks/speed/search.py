"""Exact Hamming search beside faiss, usearch, NumKong, torch and numpy, in one process, answers checked.

    python -m benchmarks.speed.search [--quick] [--threads 1] [--rounds 5] [--plot FILE.webp]

Cases are taken in turn, round after round, and timed by the CPU time of the process (with one
thread that is the wall time of a quiet machine). faiss is measured in both of its modes (heap and
counting) and with its hash indexes for near duplicates; the best counts. A peer that would take
minutes gets fewer queries; figures are nanoseconds per code and query. NumKong gives all distances of a
batch, of which numpy selects the nearest; torch multiplies codes of -1 and 1 in bfloat16 and selects.
Beside each figure stands the nearer of two limits measured in the same run: ``bandwidth``, reading the same
bytes once for the batch, or ``kernel``, the same batch over a megabyte of codes with a radius that hardly any
of them meets, near the distance of the k-th nearest.
Writes benchmarks/results/search.json. FAISS_SIMD_LEVEL and VHASH_SIMD force instruction sets.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import faiss
import numkong
import numpy as np
import torch
from usearch.index import MetricKind
from usearch.index import search as usearch_search

from benchmarks.common import command_line, interleave, summary, write_result
from vhash_sdk import _core
from vhash_sdk.codes import hamming_distance
from vhash_sdk.index import Index, simd_level

# bits, codes, queries, k
CASES = [
    *((bits, 10**6, 1, 10) for bits in (64, 128, 256, 512)),
    *((bits, 10**7, 1, 10) for bits in (64, 128)),
    *((bits, 10**6, 1000, 10) for bits in (64, 128, 256, 512)),
    *((64, 10**6, n, 10) for n in (10, 100)),
    *((64, 10**6, 100, k) for k in (1, 100, 1000)),
    *((bits, 10**5, 1000, 10) for bits in (64, 256)),
    (64, 10**7, 100, 10),
]
QUICK = [(64, 10**5, 1, 10), (64, 10**5, 200, 10), (256, 10**5, 100, 10)]
PEER_PAIRS = 10**8  # codes × queries that a peer is given at most


def random_codes(rng: np.random.Generator, n: int, bits: int) -> np.ndarray:
    return rng.integers(0, 256, (n, bits // 8), dtype=np.uint8)


def faiss_modes(codes: np.ndarray) -> dict[str, Any]:
    modes = {}
    for name, heap in (("faiss heap", True), ("faiss counting", False)):
        modes[name] = faiss.IndexBinaryFlat(codes.shape[1] * 8)
        modes[name].use_heap = heap
        modes[name].add(codes)
    return modes


def numpy_search(codes: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    words, asked = codes.view(np.uint64), queries.view(np.uint64)
    out = []
    for query in asked:
        distances = np.bitwise_count(words ^ query).sum(axis=1, dtype=np.uint16)
        out.append(np.sort(np.partition(distances, k - 1)[:k]))
    return np.array(out)


def numkong_search(packed: Any, queries: np.ndarray, k: int) -> np.ndarray:
    distances = np.asarray(numkong.hammings_packed(queries, packed))
    return np.sort(np.partition(distances, k - 1, axis=1)[:, :k], axis=1)


def signs(codes: np.ndarray) -> torch.Tensor:
    """-1 and 1 for each bit."""
    out = torch.empty((len(codes), codes.shape[1] * 8), dtype=torch.bfloat16)
    for start in range(0, len(codes), 100_000):
        bits = torch.from_numpy(np.unpackbits(codes[start : start + 100_000], axis=1))
        out[start : start + 100_000] = bits.to(torch.bfloat16) * 2 - 1
    return out


def torch_search(codes: torch.Tensor, queries: np.ndarray, k: int) -> np.ndarray:
    products = signs(queries) @ codes.T
    return ((codes.shape[1] - torch.topk(products, k).values.float()) / 2).numpy()


def check(index: Index, codes: np.ndarray, queries: np.ndarray, k: int) -> None:
    """Ids and distances of some queries against numpy, ties by id."""
    found = index.search(queries, k)
    for q in range(min(3, len(queries))):
        distances = hamming_distance(codes, queries[q])
        order = np.argsort(distances, kind="stable")[:k]
        if not np.array_equal(found.ids[q], order) or not np.array_equal(
            found.distances[q], distances[order]
        ):
            raise SystemExit("vhash disagrees with numpy")


def figures(seconds: dict[str, list[float]], pairs: dict[str, int]) -> dict[str, Any]:
    out = {}
    for name, times in seconds.items():
        out[name] = {
            key: value / pairs[name] * 1e9 if key != "runs" else value
            for key, value in summary(times).items()
        }
    return out


def bits_name(r: dict[str, Any]) -> str:
    return f"{r['bits']:4} bits {r['codes']:.0e} codes {r['queries']:4} queries"


def kernel_alone(index: Index, codes: np.ndarray, queries: np.ndarray, k: int) -> tuple[Index, int]:
    """A megabyte of the codes, for the L2 cache, and a radius near the k-th distance that few meet."""
    small = Index(index.bits, threads=index.threads)
    small.add(codes[: 2**23 // index.bits])
    radius = int(np.median(index.search(queries, k).distances[:, -1]))
    while radius and len(small.range_search(queries, radius).ids) > len(queries) / 10:
        radius -= 1
    return small, radius


def knn_case(bits: int, n: int, nq: int, k: int, *, threads: int, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(bits + nq)
    codes, queries = random_codes(rng, n, bits), random_codes(rng, nq, bits)
    index = Index(bits, threads=threads)
    index.add(codes)
    check(index, codes, queries, k)
    few = queries[: max(1, PEER_PAIRS // n)]
    one = queries[: max(1, min(len(few), 10**7 // n))]
    cases: dict[str, Callable[[], object]] = {"vhash": lambda: index.search(queries, k)}
    pairs = {"vhash": n * nq}
    for name, peer in faiss_modes(codes).items():
        cases[name] = lambda peer=peer: peer.search(few, k)
        pairs[name] = n * len(few)
        if not np.array_equal(peer.search(few[:5], k)[0], index.search(few[:5], k).distances):
            raise SystemExit(f"{name} disagrees about distances")
    if n <= 10**6:
        cases["numpy"] = lambda: numpy_search(codes, one, k)
        cases["usearch exact"] = lambda: usearch_search(
            codes, one, k, MetricKind.Hamming, exact=True, threads=threads
        )
        pairs["numpy"] = pairs["usearch exact"] = n * len(one)
    if n <= 10**6 and nq >= 100:
        some = queries[: max(1, 2 * 10**7 // n)]
        packed, products = numkong.hammings_pack(codes), signs(codes)
        cases["numkong"] = lambda: numkong_search(packed, some, k)
        cases["torch bfloat16"] = lambda: torch_search(products, some, k)
        cases["numkong, no selection"] = lambda: numkong.hammings_packed(some, packed)
        pairs["numkong"] = pairs["numkong, no selection"] = pairs["torch bfloat16"] = n * len(some)
        for name in ("numkong", "torch bfloat16") if bits <= 256 else ("numkong",):  # exact up to 256 there
            if not np.array_equal(cases[name](), index.search(some, k).distances):
                raise SystemExit(f"{name} disagrees about distances")
    words = codes.view(np.uint64).ravel()
    cases["limit: bandwidth"] = lambda: _core.read_memory(words)
    pairs["limit: bandwidth"] = n * nq
    if nq > 1:
        small, radius = kernel_alone(index, codes, queries, k)
        cases["limit: kernel"] = lambda: [small.range_search(queries, radius) for _ in range(8)]
        pairs["limit: kernel"] = 8 * len(small) * nq
    clock = time.process_time if threads == 1 else time.perf_counter  # the first does not see neighbours
    # in a row, where one takes milliseconds: a service answers one after the other
    repeat = 5 if n * nq <= 10**8 else 1
    result = figures(interleave(cases, rounds=rounds, repeat=repeat, clock=clock), pairs)
    best = min(result["faiss heap"]["min"], result["faiss counting"]["min"])
    path = index.explain(queries, k).path
    ours = result["vhash"]["min"]
    limit = max((name for name in result if name.startswith("limit")), key=lambda name: result[name]["min"])
    return {
        "bits": bits,
        "codes": n,
        "queries": nq,
        "k": k,
        "path": path,
        "nanoseconds": result,
        "times_faiss": best / ours,
        "limit": limit,
        "share_of_limit": result[limit]["min"] / ours,
    }


def range_case(bits: int, n: int, nq: int, radius: int, *, threads: int, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(bits)
    codes, queries = random_codes(rng, n, bits), random_codes(rng, nq, bits)
    index, peer = Index(bits, threads=threads), faiss.IndexBinaryFlat(bits)
    index.add(codes)
    peer.add(codes)
    splits, _, ids = peer.range_search(queries[:5], radius + 1)  # its radius is exclusive
    ours = index.range_search(queries[:5], radius)
    if not np.array_equal(splits, ours.splits) or set(ids) != set(ours.ids):
        raise SystemExit("faiss disagrees about a range")
    few = queries[: max(1, PEER_PAIRS // n)]
    cases = {
        "vhash": lambda: index.range_search(queries, radius),
        "faiss": lambda: peer.range_search(few, radius + 1),
    }
    result = figures(
        interleave(cases, rounds=rounds, clock=time.process_time), {"vhash": n * nq, "faiss": n * len(few)}
    )
    return {
        "bits": bits, "codes": n, "queries": nq, "radius": radius, "nanoseconds": result,
        "times_faiss": result["faiss"]["min"] / result["vhash"]["min"],
    }  # fmt: skip


def near_duplicates(n: int, *, rounds: int) -> dict[str, Any]:
    """Ten neighbours planted within 4 bits of each query: microseconds of one search for the nearest ten."""
    rng = np.random.default_rng(4)
    codes, queries = random_codes(rng, n, 64), random_codes(rng, 100, 64)
    for query, rows in zip(queries, rng.choice(n, (100, 10), replace=False), strict=True):
        for row in rows:
            flips = np.zeros(64, np.uint8)
            flips[rng.choice(64, rng.integers(0, 5), replace=False)] = 1
            codes[row] = query ^ np.packbits(flips, bitorder="little")
    scan, index = Index(64, threads=1), Index(64, threads=1)
    scan.add(codes)
    index.add(codes)
    start = time.perf_counter()
    index.build_multi_index()
    build = time.perf_counter() - start
    multi = faiss.IndexBinaryMultiHash(64, 3, 21)
    multi.add(codes)
    multi.nflip = 1
    for query in queries[:10]:
        a, b = index.search(query, 10), scan.search(query, 10)
        if not np.array_equal(a.ids, b.ids) or not np.array_equal(a.distances, b.distances):
            raise SystemExit("the multi-index disagrees with the scan")
    times: dict[str, list[float]] = {
        "vhash": [],
        "vhash scan": [],
        "faiss multi-hash, nflip 1 (not exact)": [],
    }
    for _ in range(rounds):
        for i in range(len(queries)):
            for name, case in zip(times, (index.search, scan.search, multi.search), strict=True):
                if name == "vhash scan" and i >= 5:
                    continue
                start = time.perf_counter()
                case(queries[i : i + 1], 10)
                times[name].append(time.perf_counter() - start)
    micro = {
        name: {k: v * 1e6 if k != "runs" else v for k, v in summary(t).items()} for name, t in times.items()
    }
    return {
        "codes": n,
        "build_seconds": build,
        "microseconds": micro,
        "path": index.explain(queries[:1], 10).path,
    }


def all_pairs(n: int) -> dict[str, Any]:
    """All pairs within 6 bits of clustered codes; faiss extrapolated from a part of its queries."""
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(0, 2**64, n // 10, dtype=np.uint64), 10)
    for _ in range(3):
        on = rng.random(n) < 0.7
        codes[on] ^= np.uint64(1) << rng.integers(0, 64, on.sum(), dtype=np.uint64)
    array = rng.permutation(codes).view(np.uint8).reshape(-1, 8)
    index, peer = Index(64, threads=1), faiss.IndexBinaryFlat(64)
    index.add(array)
    peer.add(array)
    part = min(n, 10_000)
    start = time.process_time()
    splits, _, _ = peer.range_search(array[:part], 7)
    theirs = (time.process_time() - start) * n / part
    start = time.process_time()
    count, touching = 0, 0
    for pairs in index.pairs(6):
        count += len(pairs)
        touching += int((pairs.ids < part).sum())
    ours = time.process_time() - start
    if touching + part != splits[-1]:  # every pair from both of its ends, and each code with itself
        raise SystemExit("faiss disagrees about the pairs")
    return {
        "codes": n,
        "radius": 6,
        "pairs": count,
        "seconds": ours,
        "faiss_seconds_extrapolated": theirs,
        "times_faiss": theirs / ours,
    }


def plot(results: list[dict[str, Any]], file: str) -> None:
    import matplotlib.pyplot as plt

    names = [name for name in results[0]["nanoseconds"] if name != "limit: bandwidth"]
    figure, axes = plt.subplots(figsize=(11, 5))
    for i, name in enumerate(names):
        at = [(j, r["nanoseconds"][name]["min"]) for j, r in enumerate(results) if name in r["nanoseconds"]]
        axes.bar(
            [j + i / (len(names) + 1) for j, _ in at],
            [value for _, value in at],
            1 / (len(names) + 1),
            label=name,
        )
    axes.set_yscale("log")
    axes.set_ylabel("ns per code and query")
    axes.set_xticks(
        range(len(results)),
        [f"{r['bits']} b\n{r['codes']:.0e}\n{r['queries']} q\nk {r['k']}" for r in results],
        fontsize=7,
    )
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--quick", action="store_true", help="small cases, no result file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", help="write a plot here")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    results = []
    for case in QUICK if arguments.quick else CASES:
        r = knn_case(*case, threads=arguments.threads, rounds=arguments.rounds)
        results.append(r)
        ours, name = r["nanoseconds"]["vhash"]["min"], f"{bits_name(r)} k {r['k']}"
        print(f"{name}: {ours:.4f} ns, {r['times_faiss']:.1f} × faiss, ", end="")
        print(f"{r['share_of_limit']:.0%} of {r['limit']} ({r['path']})", flush=True)
    size = 10**5 if arguments.quick else 10**6
    ranges = []
    for bits, radius in ((64, 12), (256, 80)):
        r = range_case(bits, size, 100, radius, threads=arguments.threads, rounds=arguments.rounds)
        ranges.append(r)
        ours = r["nanoseconds"]["vhash"]["min"]
        print(f"{bits_name(r)} range {radius}: {ours:.4f} ns, {r['times_faiss']:.1f} × faiss", flush=True)
    near = near_duplicates(10**6 if arguments.quick else 10**7, rounds=arguments.rounds)
    print(
        "near duplicates, µs:",
        {name: round(t["p50"], 1) for name, t in near["microseconds"].items()},
        near["path"],
        flush=True,
    )
    pairs = all_pairs(10**5 if arguments.quick else 10**6)
    print(
        f"{pairs['pairs']} pairs in {pairs['seconds']:.2f} s, {pairs['times_faiss']:.0f} × faiss", flush=True
    )
    if arguments.plot:
        plot(results, arguments.plot)
    if not arguments.quick:
        result = {
            "command": "python -m benchmarks.speed.search",
            "threads": arguments.threads,
            "simd": {"vhash": simd_level(), "faiss": os.environ.get("FAISS_SIMD_LEVEL", "its best")},
            "knn": results,
            "range": ranges,
            "near_duplicates": near,
            "pairs": pairs,
        }
        level = os.environ.get("VHASH_SIMD")
        threads = arguments.threads
        print(
            write_result(
                f"search{f'_{level}' if level else ''}{f'_{threads}threads' if threads > 1 else ''}", result
            )
        )


if __name__ == "__main__":
    main()
