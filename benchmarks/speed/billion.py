"""An index of a billion codes in a directory on one machine: filling, opening, searching, adding, compacting.

    python -m benchmarks.speed.billion [--disk DIR] [--gigabytes 8] [--no-result]

10^9 codes of 64 bits, and as many bytes of codes of 256 bits, of uniform random bits. Each step has a
process of its own: seconds, the memory that it holds (without the pages of the files, which the system may
take back), and, for searches, milliseconds of one query and of one of a hundred. ``cold``: nothing of the
files in the page cache. ``scarce``: another process takes so much memory that three quarters of the files fit
into the page cache. Needs twice the size on the disk. Writes benchmarks/results/billion.json.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import command_line, write_result
from benchmarks.speed.search import random_codes
from vhash_sdk.index import Index

PART = 4_000_000
MORE = 1_000_000


def memory(kind: str) -> float:
    """Of this process, in MiB: RssAnon, RssFile or VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(kind)


def available() -> int:
    """Bytes that the machine could give away."""
    line = next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def apart(work: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(work, arguments)
    print(work.__name__, found, flush=True)
    return found


def forget(directory: Path) -> None:
    """Take the files of a directory out of the page cache."""
    for file in directory.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def timed(case: Callable[[], object]) -> float:
    start = time.perf_counter()
    case()
    return time.perf_counter() - start


def fill(directory: str, bits: int, n: int) -> dict[str, Any]:
    rng, spent = np.random.default_rng(bits), 0.0
    with Index.open(directory, bits=bits) as index:
        for start in range(0, n, PART):
            codes = random_codes(rng, min(PART, n - start), bits)
            spent += timed(lambda codes=codes: index.add(codes))
        anonymous = memory("RssAnon")
    size = sum(file.stat().st_size for file in Path(directory).iterdir())
    return {"seconds": spent, "codes_per_second": n / spent, "mebibytes": anonymous, "bytes": size}


def search(directory: str, bits: int, mode: str) -> dict[str, Any]:
    queries = random_codes(np.random.default_rng(1), 100, bits)
    start = time.perf_counter()
    index = Index.open(directory, mode=mode, threads=2)  # type: ignore[arg-type]
    found: dict[str, Any] = {"open_seconds": time.perf_counter() - start}
    ones = [timed(lambda: index.search(queries[:1], 10)) * 1e3 for _ in range(4)]
    found["first_query"], found["one_query"] = ones[0], min(ones[1:])
    found["query_of_a_hundred"] = timed(lambda: index.search(queries, 10)) * 10
    found["mebibytes"] = memory("RssAnon")
    index.close()
    return found


def change(directory: str, bits: int) -> dict[str, Any]:
    codes = random_codes(np.random.default_rng(2), MORE, bits)
    start = time.perf_counter()
    with Index.open(directory, threads=2) as index:
        opened = time.perf_counter() - start
        before = len(index)
        added = timed(lambda: index.add(codes))
        ids = np.arange(0, before, before // MORE)[:MORE]
        removed = timed(lambda: index.remove(ids))
        compacted = timed(index.compact)
        assert len(index) == before + MORE - len(ids)
        assert index.search(codes[7:8], 1).distances[0, 0] == 0
        return {
            "open_seconds": opened,
            "add_a_million": added,
            "remove_a_million": removed,
            "compact_seconds": compacted,
            "mebibytes": memory("RssAnon"),
        }


def _hold(size: int, ready: Any, done: Any) -> None:
    held = np.ones(size // 8, np.uint64)
    ready.set()
    done.wait()
    del held


@contextmanager
def scarce(left: int) -> Any:
    """Another process holds all memory but so many bytes."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(max(0, available() - left), ready, done))
    holder.start()
    ready.wait()
    try:
        yield
    finally:
        done.set()
        holder.join()


def at(folder: Path, bits: int, n: int) -> dict[str, Any]:
    directory = folder / str(bits)
    row: dict[str, Any] = {"bits": bits, "codes": n, "fill": apart(fill, str(directory), bits, n)}
    forget(directory)
    row["cold"] = apart(search, str(directory), bits, "r")
    row["warm"] = apart(search, str(directory), bits, "r")
    row["writer"] = apart(search, str(directory), bits, "rw")
    forget(directory)
    with scarce(row["fill"]["bytes"] * 3 // 4 + (1 << 29)):
        row["scarce"] = apart(search, str(directory), bits, "r")
    row["change"] = apart(change, str(directory), bits)
    shutil.rmtree(directory)
    return row


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--disk", type=Path, help="a folder on the disk to use (default: the temporary one)")
    parser.add_argument("--gigabytes", type=float, default=8.0, help="of codes, for each width")
    parser.add_argument("--no-result", action="store_true", help="write no file")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.disk) as folder:
        for bits in (64, 256):
            rows.append(at(Path(folder), bits, int(given.gigabytes * 1e9 * 8 / bits)))
    if not given.no_result:
        print(write_result("billion", {"command": "python -m benchmarks.speed.billion", "rows": rows}))


if __name__ == "__main__":
    main()
