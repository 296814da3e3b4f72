"""Jobs that tests and ``benchmarks/speed/scale.py`` run in processes of their own, and kill.

Ray listens on every interface of its machine: a job has a network of its own, which is a loopback device.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.milvus_server import private_network

ROOT = Path(__file__).resolve().parents[1]


class Job:
    """A job under way; ``python -m tests.engine_jobs NAME ARGUMENTS`` with the arguments as JSON."""

    def __init__(self, name: str, **arguments: Any) -> None:
        command = [sys.executable, "-m", "tests.engine_jobs", name, json.dumps(arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.network = ""

    def result(self, seconds: float) -> Any:
        """What the job gave back."""
        output, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, output[-3000:]
        return json.loads(output.strip().splitlines()[-1])

    def actors(self) -> list[int]:
        """Process ids of Ray's actors in the job's network."""
        return [pid for pid, title in self._inside() if title.startswith("ray::MapWorker")]

    def kill(self) -> None:
        """Kill the job itself with -9, and nothing else."""
        self._inside()
        self.process.kill()
        self.process.wait()

    def clean(self) -> None:
        """End whatever is left in its network."""
        left = self._inside()
        self.kill()
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _inside(self) -> list[tuple[int, str]]:
        with contextlib.suppress(OSError):
            self.network = os.readlink(f"/proc/{self.process.pid}/ns/net")
        if self.network in ("", os.readlink("/proc/self/ns/net")):
            return []
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "ns" / "net") == self.network:
                    title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append((int(entry.name), title))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clean()


def wait_for(condition: Any, job: Job, seconds: float) -> None:
    """Until the condition holds, or fail where the job ends or the time is up."""
    end = time.monotonic() + seconds
    while not condition():
        if job.process.poll() is not None:
            assert job.process.stdout is not None
            raise AssertionError(f"the job ended early: {job.process.stdout.read()[-3000:]}")
        assert time.monotonic() < end, "the job is too slow"
        time.sleep(0.05)


def encode(*, source: str, output: str, model: str, part_rows: int) -> dict[str, Any]:
    """Encode by Ray on this machine."""
    from vhash_sdk.engines.cluster import Cluster
    from vhash_sdk.engines.ray import EncoderOptions, encode_dataset

    done = encode_dataset(
        source,
        output,
        options=EncoderOptions(model),
        cluster=Cluster("local"),
        part_rows=part_rows,
        local_below=0,
    )
    return {"rows": done.rows, "encoded": done.encoded, "failed": done.failed, "engine": done.engine}


def pairs(*, codes: str, output: str, radius: int, rows: int) -> dict[str, Any]:
    """All pairs by Ray on this machine."""
    from vhash_sdk.engines.cluster import Cluster
    from vhash_sdk.engines.pairs import find_pairs

    done = find_pairs(codes, output, radius=radius, cluster=Cluster("local"), rows=rows)
    return {"pairs": done.pairs, "done": done.done, "shares": done.shares, "seconds": done.seconds}


def pairs_single(*, codes: str, output: str, radius: int) -> dict[str, Any]:
    """All pairs in this process with all its cores, written as the shares are."""
    from vhash_sdk.engines.pairs import find_pairs
    from vhash_sdk.runtime.onnx import usable_cores

    cpu = time.process_time()
    done = find_pairs(codes, output, radius=radius)
    return {
        "seconds": done.seconds,
        "cpu_seconds": time.process_time() - cpu,
        "threads": usable_cores(),
        **_pairs_in(output),
    }


class TimedFinder:
    """A PairFinder that says when it worked, and how long."""

    def __init__(self, *arguments: Any) -> None:
        from vhash_sdk.engines.pairs import PairFinder

        self._finder = PairFinder(*arguments)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        began, cpu = time.time(), time.process_time()
        found = self._finder(batch)
        return {**found, "began": [began], "ended": [time.time()], "cpu": [time.process_time() - cpu]}


def pairs_timed(*, codes: str, output: str, radius: int) -> dict[str, Any]:
    """All pairs by two Ray workers of one core each, timed without the start of Ray."""
    from vhash_sdk.engines.cluster import Cluster, map_rows
    from vhash_sdk.index import Index

    started = time.monotonic()
    shares = Index.load(codes, verify=False).pair_shares(radius)
    rows = list(
        map_rows(
            Cluster("local", actors=2), TimedFinder, (codes, output, radius), [s._asdict() for s in shares]
        )
    )
    return {
        "seconds": max(row["ended"] for row in rows) - min(row["began"] for row in rows),
        "seconds with the start of Ray": time.monotonic() - started,
        "cpu_seconds": sum(row["cpu"] for row in rows),
        "workers": 2,
        "shares": len(shares),
        **_pairs_in(output),
    }


def _pairs_in(output: str) -> dict[str, int]:
    """Their number, and a sum over them that does not depend on their order."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(output)
    a, b, d = (table[name].to_numpy().astype(np.uint64) for name in ("a", "b", "distance"))
    mixed = (a * np.uint64(0x9E3779B97F4A7C15) ^ b) * np.uint64(0xBF58476D1CE4E5B9) + d
    return {"pairs": len(table), "checksum": int(np.bitwise_xor.reduce(mixed ^ mixed >> np.uint64(31)))}


JOBS = {"encode": encode, "pairs": pairs, "pairs_single": pairs_single, "pairs_timed": pairs_timed}


def main() -> None:
    private_network()
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (Ray's own 15 starves its actors on a busy machine)
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)


if __name__ == "__main__":
    main()
