"""How the time of an exact search grows from 10^4 to 10^9 codes, beside faiss and the limits of the machine.

    python -m benchmarks.speed.search_sizes [--largest 1e9] [--plot FILE.webp]

One thread, uniform codes, the ten nearest; for each width one query and a batch. Two limits are measured in
the same run: ``bandwidth``, reading as many bytes once (up to a gigabyte, beyond it by the byte), and
``kernel``, the same batch over a megabyte of codes. faiss gets sizes up to a gigabyte and at most 10^8 pairs,
in its better mode; the distances of five queries are compared. Writes benchmarks/results/search_sizes.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from benchmarks.common import command_line, write_result
from benchmarks.speed.search import PEER_PAIRS, faiss_modes, kernel_alone, random_codes
from vhash_sdk import _core
from vhash_sdk.index import Index, simd_level

LARGEST = {64: 10**9, 128: 10**8, 256: 10**8, 512: 10**7}
PART = 4_000_000  # codes made at once
PEER_BYTES = 10**9
BATCH_PAIRS = 3 * 10**10  # of the batch; fewer queries beyond, but a hundred
K = 10


def least(case: Callable[[], object], runs: int) -> float:
    """Seconds of the fastest run, by the CPU time of this process."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        case()
        times.append(time.process_time() - start)
    return min(times)


def seconds_a_byte() -> float:
    far = np.ones(PEER_BYTES // 8, np.uint64)
    return least(lambda: _core.read_memory(far), 5) / far.nbytes


def filled(rng: np.random.Generator, bits: int, n: int) -> tuple[Index, np.ndarray | None]:
    """An index, and its codes where a peer is to have them too."""
    index = Index(bits, threads=1)
    parts = []
    for start in range(0, n, PART):
        part = random_codes(rng, min(PART, n - start), bits)
        index.add(part)
        if n * bits // 8 <= PEER_BYTES:
            parts.append(part)
    return index, np.concatenate(parts) if parts else None


def measure(bits: int, n: int, per_byte: float) -> dict[str, Any]:
    rng = np.random.default_rng(bits)
    index, codes = filled(rng, bits, n)
    queries = random_codes(rng, max(100, min(1000, BATCH_PAIRS // n)), bits)
    runs = 5 if n <= 10**7 else 2
    index.search(queries[:2], K)
    row: dict[str, Any] = {"bits": bits, "codes": n, "batch": len(queries)}
    row["vhash"] = {
        "one": least(lambda: index.search(queries[:1], K), runs * 3),
        "batch": least(lambda: index.search(queries, K), 1 if n >= 10**9 else runs) / len(queries),
    }
    row["paths"] = [index.explain(queries[:1], K).path, index.explain(queries[:100], K).path]
    if codes is None:
        bandwidth = per_byte * n * bits / 8
    else:
        words = codes.view(np.uint64).ravel()
        bandwidth = least(lambda: _core.read_memory(words), runs * 3)
    small, radius = kernel_alone(index, random_codes(rng, 2**23 // bits, bits), queries[:100], K)
    kernel = least(lambda: small.range_search(queries, radius), 9) / len(queries) / len(small) * n
    row["limits"] = {"one": bandwidth, "batch": max(kernel, bandwidth / len(queries))}
    row["share"] = {name: row["limits"][name] / row["vhash"][name] for name in ("one", "batch")}
    if codes is not None:
        few = queries[: max(1, min(len(queries), PEER_PAIRS // n))]
        modes = faiss_modes(codes).values()
        if any(
            not np.array_equal(m.search(few[:5], K)[0], index.search(few[:5], K).distances) for m in modes
        ):
            raise SystemExit("faiss disagrees about distances")
        row["faiss"] = {
            "one": min(least(lambda m=m: m.search(queries[:1], K), 5) for m in modes),
            "batch": min(least(lambda m=m: m.search(few, K), 2) / len(few) for m in modes),
        }
    return row


def plot(rows: list[dict[str, Any]], file: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(LARGEST), figsize=(15, 4.2), sharey=True)
    for ax, bits in zip(axes, LARGEST, strict=True):
        some = [row for row in rows if row["bits"] == bits]
        for name, colour, mark in (("vhash", "C0", "o"), ("faiss", "C3", "s"), ("limits", "0.5", None)):
            for kind, style in (("one", "-"), ("batch", "--")):
                points = [(row["codes"], row[name][kind] * 1e3) for row in some if name in row]
                label = {"limits": {"one": "reading the memory once", "batch": "the kernel alone"}[kind]}.get(
                    name, f"{name}, {'one query' if kind == 'one' else 'a query of a batch'}"
                )
                ax.plot(*zip(*points, strict=True), style, color=colour, marker=mark, ms=4, label=label)
        ax.set(xscale="log", yscale="log", title=f"{bits} bits", xlabel="codes")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds a query, one thread")
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--largest", type=float, default=1e9, help="codes at most")
    parser.add_argument("--plot", help="write a plot here")
    parser.add_argument("--no-result", action="store_true", help="write no file")
    given = parser.parse_args()
    faiss.omp_set_num_threads(1)
    per_byte = seconds_a_byte()
    rows = []
    for bits, largest in LARGEST.items():
        for exponent in range(4, 10):
            n = 10**exponent
            if n <= min(largest, given.largest):
                row = measure(bits, n, per_byte)
                rows.append(row)
                times = ", ".join(f"{name} {row['vhash'][name] * 1e3:.4g} ms" for name in ("one", "batch"))
                shares = ", ".join(f"{share:.0%}" for share in row["share"].values())
                faster = row.get("faiss") and ", ".join(
                    f"{row['faiss'][name] / row['vhash'][name]:.1f}" for name in ("one", "batch")
                )
                print(
                    f"{bits} bits, {n:.0e}: {times}; of the limits {shares}; times faiss {faster}", flush=True
                )
    if given.plot:
        plot(rows, given.plot)
    if not given.no_result:
        result = {"command": "python -m benchmarks.speed.search_sizes", "simd": simd_level(), "rows": rows}
        print(write_result("search_sizes", {**result, "bytes_read_per_second": 1 / per_byte}))


if __name__ == "__main__":
    main()
