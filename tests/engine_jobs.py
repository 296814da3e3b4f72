"""Jobs that tests and ``benchmarks/engines_kills.py`` run in processes of their own, and kill.

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


JOBS = {"encode": encode, "pairs": pairs}


def main() -> None:
    private_network()
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (Ray's own 15 starves its actors on a busy machine)
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)


if __name__ == "__main__":
    main()
