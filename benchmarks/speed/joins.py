"""Searches among some of the codes, joins of all with all, and duplicates of a whole library, by their size.

    python -m benchmarks.speed.joins [--only filters,pairs,library] [--largest 1e6] [--no-result]

filters: the ten nearest among 10^6 codes of 256 bits of which only a share may be found (``among``, by ids),
         for one query and for a hundred, beside numpy on the same rows; faiss's exact binary index has no
         filter.
pairs:   all pairs within 60 bits of ``--largest`` codes of 256 bits and fewer, a tenth of them copies with up
         to 60 bits flipped; two threads. Checked: at least the planted pairs are found, and shares of the
         work (``pair_shares``), of which those that are done need not be done again, give the same together.
library: ``Library.duplicates`` with the default model's threshold over 10^4 to ``--largest`` videos in the
         library's own database, codes and frame codes synthetic, 4 of 10 of them copies. Memory is what the
         process has grown by.

Exponents are those of straight lines through the logarithms. Writes benchmarks/results/joins.json.
"""

from __future__ import annotations

import multiprocessing
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS, command_line, load, machine, write_result
from benchmarks.speed.billion import memory
from benchmarks.speed.search import random_codes
from vhash_sdk import Index, Library
from vhash_sdk.codes import hamming_distance
from vhash_sdk.matching.second_look import frames_width

BITS, RADIUS, K = 256, 60, 10
SHARES = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)


def median_ms(case: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        case()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def by_numpy(
    codes: NDArray[np.uint8], ids: NDArray[np.int64], queries: NDArray[np.uint8]
) -> NDArray[np.int64]:
    words, found = codes[ids].view(np.uint64), []
    for query in queries.view(np.uint64):
        distances = np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int64)
        keys = distances * 2**32 + ids
        found.append(np.sort(np.partition(keys, min(K, len(keys)) - 1)[:K]) % 2**32)
    return np.array(found)


def filters() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    n = 10**6
    codes, queries = random_codes(rng, n, BITS), random_codes(rng, 100, BITS)
    index = Index(BITS, threads=1)
    index.add(codes)
    rows = []
    for share in SHARES:
        ids = np.sort(rng.choice(n, int(share * n), replace=False))
        row: dict[str, Any] = {"share": share, "path": index.explain(queries[:1], K, among=ids).path}
        for name, asked in (("one", queries[:1]), ("hundred", queries)):
            ours = index.search(asked[:3], K, among=ids).ids
            if not np.array_equal(ours, by_numpy(codes, ids, asked[:3])):
                raise SystemExit("numpy disagrees")
            row[name] = {
                "vhash": median_ms(lambda asked=asked, ids=ids: index.search(asked, K, among=ids), 9),
                "numpy": median_ms(lambda asked=asked, ids=ids: by_numpy(codes, ids, asked[:1]), 3)
                * len(asked),
            }
        rows.append(row)
        print(row, flush=True)
    return {"codes": n, "bits": BITS, "k": K, "rows": rows}


def copies_among(rng: np.random.Generator, n: int) -> tuple[NDArray[np.uint8], int]:
    """Codes, the last tenth of them copies of the first with up to RADIUS bits flipped; how many copies."""
    codes = random_codes(rng, n, BITS)
    planted = n // 10
    for i in range(planted):
        turned = np.zeros(BITS, np.uint8)
        turned[rng.choice(BITS, rng.integers(0, RADIUS + 1), replace=False)] = 1
        codes[n - planted + i] = codes[i] ^ np.packbits(turned, bitorder="little")
    return codes, planted


def apart(work: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """In a process of its own, so that its memory is its own; with the memory that it took, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, *arguments))


def _measured(work: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: imports took more once
    before = memory("VmRSS")
    found = work(*arguments)
    return {**found, "mebibytes": memory("VmHWM") - before}


def join(n: int) -> dict[str, Any]:
    codes, planted = copies_among(np.random.default_rng(n), n)
    index = Index(BITS, threads=2)
    index.add(codes)
    start, begun = time.perf_counter(), time.process_time()
    pairs = sum(len(found) for found in index.pairs(RADIUS))
    seconds, processor = time.perf_counter() - start, time.process_time() - begun
    if pairs < planted:
        raise SystemExit(f"{pairs} pairs, {planted} were planted")
    row = {"codes": n, "pairs": pairs, "seconds": seconds, "processor": processor}
    if n <= 10**5:  # stopped after some of the shares, and gone on with the others
        shares = index.pair_shares(RADIUS, rows=-(-n // 4))
        done = [sum(len(found) for found in index.pairs(RADIUS, share=share)) for share in shares]
        if sum(done) != pairs:
            raise SystemExit(f"shares {done} are not the {pairs} pairs")
        row["shares"] = done
    return row


def sizes(largest: float) -> Iterator[int]:
    for step in count():
        n = int(round(10 ** (4 + step / 2), -3))
        if n > largest:
            return
        yield n


def exponent(rows: list[dict[str, Any]], name: str) -> float:
    return float(
        np.polyfit(np.log([row["codes"] for row in rows]), np.log([row[name] for row in rows]), 1)[0]
    )


def pairs(largest: float) -> dict[str, Any]:
    rows = []
    for n in sizes(largest):
        if n >= 10**5:
            rows.append(apart(join, n))
            print(rows[-1], flush=True)
    return {
        "bits": BITS,
        "radius": RADIUS,
        "threads": 2,
        "rows": rows,
        "exponent": exponent(rows, "processor"),
    }


def sixteenth(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bytes of which each bit is set with a chance of 1/16: of a code of 256 bits 16, hardly ever 30."""
    some = rng.integers(0, 256, (4, *shape), np.uint8)
    return np.bitwise_and.reduce(some)  # type: ignore[no-any-return]


def filled(library: Library, n: int) -> NDArray[np.uint8]:
    """Rows of n videos of ten seconds, as ``add`` would have written them, of codes and frame codes."""
    rng = np.random.default_rng(2)
    width = frames_width(library.spec)
    origin = np.arange(n)
    origin[n * 6 // 10 :] = rng.integers(0, n * 3 // 10, n - n * 6 // 10)
    codes = random_codes(rng, n, library.spec.bits)[origin]
    copies = np.flatnonzero(origin != np.arange(n))
    codes[copies] ^= sixteenth(rng, (len(copies), codes.shape[1]))

    def frames(video: int) -> bytes:
        seen = np.random.default_rng(origin[video]).integers(0, 256, width, np.uint8)
        return (seen if origin[video] == video else seen ^ sixteenth(rng, (width,))).tobytes()

    with library._db.transaction(codes=True):
        database = library._db._connection
        database.executemany(
            "INSERT INTO video (path, size, mtime_ns, digest, duration, width, height, rate, codec, added)"
            " VALUES (?, 1000000, 0, ?, 10.0, 320, 240, 25.0, 'h264', 0.0)",
            ((b"/videos/%07d.mp4" % i, secrets.token_bytes(32)) for i in range(n)),
        )
        database.executemany(
            "INSERT INTO code (video, kind, t0, t1, confidence, code) VALUES (?, 'full', 0.0, NULL, 0.5, ?)",
            ((i + 1, code.tobytes()) for i, code in enumerate(codes)),
        )
        database.executemany(
            "INSERT INTO trajectory (video, kind, steps) VALUES (?, 'full', ?)",
            ((i + 1, frames(i)) for i in range(n)),
        )
    return codes


def grouped(n: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library:
        codes = filled(library, n)
        start, begun = time.perf_counter(), time.process_time()
        groups = library.duplicates(ask_disk=False)
        row: dict[str, Any] = {
            "codes": n, "seconds": time.perf_counter() - start, "processor": time.process_time() - begun,
        }  # fmt: skip
        for group in groups[:1000]:
            best = codes[group.representative.id - 1]
            for member in group.members:
                assert hamming_distance(best, codes[member.entry.id - 1]) == member.distance
        return {**row, "groups": len(groups), "duplicates": sum(len(group.members) for group in groups)}


def library(largest: float) -> dict[str, Any]:
    rows = []
    for n in sizes(largest):
        rows.append(apart(grouped, n))
        print(rows[-1], flush=True)
    return {"rows": rows, "exponent": exponent(rows, "processor")}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", default="filters,pairs,library")
    parser.add_argument("--largest", type=float, default=1e6)
    parser.add_argument("--no-result", action="store_true", help="write no file")
    given = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "filters": filters,
        "pairs": lambda: pairs(given.largest),
        "library": lambda: library(given.largest),
    }
    found = {name: {**parts[name](), "machine": machine()} for name in given.only.split(",")}
    if not given.no_result:
        before = load("joins") if (RESULTS / "joins.json").exists() else {}
        print(write_result("joins", {"command": "python -m benchmarks.speed.joins", **before, **found}))


if __name__ == "__main__":
    main()
