"""Each engine beside the embedded index: a million codes; and the self-join of ten million by Ray.

python -m benchmarks.speed.scale                     # about 10 minutes on 2 cores; all sections
python -m benchmarks.speed.scale --only rates,pairs
python -m benchmarks.speed.scale --only kills        # kill -9: Ray's actors and driver, the Milvus server

Sections that are not run keep their earlier results. The servers run in a network namespace of their own
(``tests/milvus_server.py``), connected by a relay on 127.0.0.1: it adds well below a millisecond.
Needs: pip install 'vhash-sdk[ray,milvus,export]'; pip install --no-deps milvus==2.3.5.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, ROOT, command_line, machine, summary
from tests.engine_jobs import Job, wait_for
from tests.engine_kills import kill_server
from tests.milvus_server import MilvusServer, missing
from vhash_sdk import open_index
from vhash_sdk.index import Index

SAMPLES = ROOT / "sdk" / "vhash_sdk" / "samples"


@contextlib.contextmanager
def opened(engine: str, bits: int, folder: Path, server: MilvusServer) -> Iterator[Any]:
    if engine == "in memory":
        yield Index(bits)
        return
    places = {
        "in a directory": str(folder / "store"),
        "milvus-lite 2.5.1": f"milvus-lite://{folder}/lite.db/codes_{bits}",
        "Milvus 2.3.5 server": f"milvus://127.0.0.1:{server.port}/codes_{bits}",
    }
    with open_index(places[engine], bits=bits) as index:
        yield index


@contextlib.contextmanager
def kept_up() -> Iterator[None]:
    """Milvus lowers its search threads to nice 10, and other work then starves them: undo that all along."""
    over = threading.Event()

    def renice() -> None:
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        while not over.wait(0.3):
            parents = {
                entry.name: _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()
            }
            mine = {str(os.getpid())}
            while more := {pid for pid, parent in parents.items() if parent in mine and pid not in mine}:
                mine |= more
            for pid in mine:
                with contextlib.suppress(OSError):
                    for task in Path(f"/proc/{pid}/task").iterdir():
                        os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)

    thread = threading.Thread(target=renice, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _parent(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return (entry / "stat").read_text().rpartition(")")[2].split()[1]
    return ""


ENGINES = ("in memory", "in a directory", "milvus-lite 2.5.1", "Milvus 2.3.5 server")


def rates(codes: int, runs: int, widths: list[int]) -> list[dict[str, Any]]:
    """Insert, one query, a hundred queries, of each engine; all must give the same answers."""
    if reason := missing():
        raise SystemExit(reason)
    rows = []
    folder = Path(tempfile.mkdtemp(prefix="vhash-engines-"))
    try:
        with kept_up(), MilvusServer(folder / "server") as server:
            for bits in widths:
                rng = np.random.default_rng(bits)
                stored = rng.integers(0, 256, (codes, bits // 8), dtype=np.uint8)
                queries = stored[rng.integers(0, codes, 100)].copy()
                queries[:, 0] ^= rng.integers(0, 256, 100).astype(np.uint8)
                truth = None
                place = folder / str(bits)
                place.mkdir()
                for engine in ENGINES:
                    with opened(engine, bits, place, server) as index:
                        rows.append(_rates(engine, index, stored, queries, runs))
                        found = index.search(queries, 10)
                    if truth is None:
                        truth = found
                    assert np.array_equal(found.ids, truth.ids), f"{engine} gave other answers"
                    print(json.dumps(rows[-1]), flush=True)
    finally:
        shutil.rmtree(folder)
    return rows


def _rates(engine: str, index: Any, codes: np.ndarray, queries: np.ndarray, runs: int) -> dict[str, Any]:
    clock = time.perf_counter
    start = clock()
    for at in range(0, len(codes), 50_000):
        index.add(codes[at : at + 50_000])
    inserted = clock() - start
    start = clock()
    index.search(queries[:1], 10)
    first = clock() - start
    index.search(queries, 10)
    one, hundred = [], []
    for run in range(runs):
        start = clock()
        index.search(queries[run % 100 : run % 100 + 1], 10)
        one.append(clock() - start)
    for _ in range(max(3, runs // 10)):
        start = clock()
        index.search(queries, 10)
        hundred.append(clock() - start)
    return {
        "engine": engine,
        "bits": index.bits,
        "codes": len(codes),
        "insert_codes_per_second": len(codes) / inserted,
        "first_search_seconds": first,
        "one_query_seconds": summary(one),
        "hundred_queries_seconds": summary(hundred),
        "queries_per_second": 100 / min(hundred),
    }


def pairs(codes: int, radius: int) -> dict[str, Any]:
    """All pairs of clustered codes: one process with all cores, then two Ray workers of one core."""
    folder = Path(tempfile.mkdtemp(prefix="vhash-pairs-"))
    try:
        rng = np.random.default_rng(0)
        stored = rng.integers(0, 256, (codes, 8), dtype=np.uint8)
        copies = rng.permutation(codes)[: codes // 10]  # a tenth are copies with up to 6 bits flipped
        stored[copies] = stored[rng.integers(0, codes, len(copies))]
        for _ in range(6):
            places = rng.integers(0, 64, len(copies))
            stored[copies, places // 8] ^= (rng.integers(0, 2, len(copies)) << (places % 8)).astype(np.uint8)
        index = Index(64)
        index.add(stored)
        index.save(folder / "codes.vhi")
        del stored, index
        result: dict[str, Any] = {"codes": codes, "bits": 64, "radius": radius}
        for name, job in (("single", "pairs_single"), ("ray", "pairs_timed")):
            with Job(job, codes=str(folder / "codes.vhi"), output=str(folder / name), radius=radius) as run:
                result[name] = run.result(900)
            print(name, json.dumps(result[name]), flush=True)
        single, ray = result["single"], result["ray"]
        assert single["pairs"] == ray["pairs"], "the numbers of pairs differ"
        assert single["checksum"] == ray["checksum"], "the pairs differ"
        result["cpu_ratio"] = ray["cpu_seconds"] / single["cpu_seconds"]
        result["wall_per_core_ratio"] = (
            ray["seconds"] * ray["workers"] / (single["seconds"] * single["threads"])
        )
        return result
    finally:
        shutil.rmtree(folder)


def kills(rounds: int) -> dict[str, Any]:
    """kill -9 of actors and drivers of an encode, and of a Milvus server under upserts."""
    import onnx
    import pyarrow.parquet as pq

    from tests.tiny_model import tiny_model, tiny_spec

    folder = Path(tempfile.mkdtemp(prefix="vhash-kills-"))
    try:
        onnx.save(tiny_model(tiny_spec(bits=64)), folder / "tiny.onnx")
        clips = sorted(SAMPLES.glob("*.mp4"), key=os.path.getsize)[:3]
        (folder / "in").mkdir()
        for number in range(120):
            shutil.copyfile(clips[number % 3], folder / "in" / f"{number:04d}.mp4")
        encode: dict[str, Any] = {"files": 120, "actors killed": 0, "drivers killed": 0}
        out = folder / "out"
        job = {
            "source": str(folder / "in"),
            "output": str(out),
            "model": str(folder / "tiny.onnx"),
            "part_rows": 3,
        }
        for turn in range(rounds):
            before = len(list(out.glob("part-*.parquet")))
            with Job("encode", **job) as run:
                wait_for(
                    lambda b=before: len(list(out.glob("part-*.parquet"))) > b and run.actors(), run, 300
                )
                os.kill(run.actors()[turn % len(run.actors())], signal.SIGKILL)
                encode["actors killed"] += 1
                now = len(list(out.glob("part-*.parquet")))
                wait_for(lambda n=now: len(list(out.glob("part-*.parquet"))) >= n + 3, run, 300)
                run.kill()
                encode["drivers killed"] += 1
        with Job("encode", **job) as run:
            encode["last run"] = run.result(300)
        rows = [row["path"] for row in pq.read_table(out).to_pylist()]
        encode["files without a row"] = 120 - len(set(rows))
        encode["files with two rows"] = len(rows) - len(set(rows))
        print(json.dumps(encode), flush=True)
        server = kill_server(folder / "server", rounds=rounds * 2, seconds=8)
        print(json.dumps(server), flush=True)
        return {"encode": encode, "server": server}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", default="rates,pairs,kills")
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--join", type=int, default=10_000_000, help="codes of the self-join")
    parser.add_argument("--rounds", type=int, default=3, help="of kills")
    options = parser.parse_args()
    file = RESULTS / "scale.json"
    here = {"machine": machine()}
    for name in options.only.split(","):
        if name == "rates":
            section = {"rows": rates(options.codes, 100, options.bits)}
        elif name == "pairs":
            section = pairs(options.join, radius=4)
        else:
            section = kills(options.rounds)
        command = {
            "command": f"python -m benchmarks.speed.scale --only {name}",
            "load average": os.getloadavg(),
        }
        result = json.loads(file.read_text()) if file.exists() else {}
        if name == "rates":  # widths that were not asked for keep their rows
            kept = [row for row in result.get(name, {}).get("rows", []) if row["bits"] not in options.bits]
            section["rows"] = sorted(kept + section["rows"], key=lambda row: row["bits"])
        result[name] = here | command | section
        file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
