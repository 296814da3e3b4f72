"""What keeping an index in a directory costs: acknowledged adds, opening, beside the bare disk.

    python -m benchmarks.speed.store            # 1e7 codes of 64 bits, in the temporary folder
    python -m benchmarks.speed.store --codes 1000000 --disk /mnt/fast

Writes benchmarks/results/store.json. The disk's share is measured beside ours: the same bytes, written
and flushed by ``write`` and ``fdatasync`` alone. Opening is measured with the files in the page cache,
and verifies every checksum.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import summary, write_result
from vhash_sdk.index import Index

BATCH = 10_000


def rate(codes: np.ndarray, put: Callable[[np.ndarray], object]) -> dict[str, Any]:
    """Codes per second over all batches, and seconds per batch."""
    seconds = []
    for start in range(0, len(codes), BATCH):
        begin = time.perf_counter()
        put(codes[start : start + BATCH])
        seconds.append(time.perf_counter() - begin)
    return {"codes_per_second": len(codes) / sum(seconds), "batch_seconds": summary(seconds)}


def adds(folder: Path, codes: np.ndarray, rounds: int) -> dict[str, Any]:
    """Ours and the bare disk in turn, each on fresh files."""
    runs: dict[str, list[dict[str, Any]]] = {"store": [], "write + fdatasync": []}
    for _ in range(rounds):
        shutil.rmtree(folder / "store", ignore_errors=True)
        with Index.open(folder / "store", bits=8 * codes.shape[1]) as index:
            runs["store"].append(rate(codes, index.add))
            assert len(index) == len(codes)
        file = os.open(folder / "bare", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)

        def bare(batch: np.ndarray, file: int = file) -> None:
            os.write(file, batch)
            os.fdatasync(file)

        runs["write + fdatasync"].append(rate(codes, bare))
        os.close(file)
    best = {name: max(each, key=lambda run: run["codes_per_second"]) for name, each in runs.items()}
    return {
        "best": best,
        "codes_per_second": {n: [run["codes_per_second"] for run in each] for n, each in runs.items()},
    }


def opens(directory: Path, codes: np.ndarray, rounds: int) -> dict[str, Any]:
    """Seconds until the first search is answered, by a writer and by a reader."""
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for mode in ("rw", "r"):
            start = time.perf_counter()
            index = Index.open(directory, mode=mode)  # type: ignore[arg-type]
            middle = time.perf_counter()
            assert index.search(codes[7:8], 1).distances[0, 0] == 0
            seconds.setdefault(f"open {mode}", []).append(middle - start)
            seconds.setdefault(f"open {mode} and search", []).append(time.perf_counter() - start)
            index.close()
    return {name: summary(each) for name, each in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=10_000_000)
    parser.add_argument(
        "--disk", type=Path, help="a folder on the disk to measure (default: the temporary folder)"
    )
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (arguments.codes, 8), dtype=np.uint8)
    with tempfile.TemporaryDirectory(dir=arguments.disk) as name:
        folder = Path(name)
        added = adds(folder, codes, 3)
        directory = folder / "store"
        opened = {"as the adds left it": opens(directory, codes, 5)}
        with Index.open(directory) as index:
            start = time.perf_counter()
            index.compact()
            compact = time.perf_counter() - start
        opened["one segment"] = opens(directory, codes, 5)
        shutil.rmtree(directory)
        with Index.open(directory, bits=64) as index:
            ids = rng.permutation(10 * len(codes))[: len(codes)]
            for start in range(0, len(codes), 10 * BATCH):
                index.add(codes[start : start + 10 * BATCH], ids[start : start + 10 * BATCH])
        opened["ids in no order"] = opens(directory, codes, 5)
    result = {
        "command": "python -m benchmarks.speed.store",
        "codes": len(codes),
        "bits": 64,
        "batch": BATCH,
        "adds": added,
        "compact_seconds": compact,
        "open": opened,
    }
    print(write_result("store", result).read_text())


if __name__ == "__main__":
    main()
