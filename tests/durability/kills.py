"""kill -9 at any moment of continuous add, upsert, remove, seal and merge, with a reader watching.

As a program, the victim: ``python -m tests.durability.kills DIRECTORY FIRST`` performs changes from
number FIRST on and prints each number once it is acknowledged.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

from .workload import BITS, SEAL_ROWS, Oracle, change, digest, perform

AHEAD = 5000  # changes


@dataclass
class Kills:
    kills: int = 0
    changes: int = 0
    refreshes: int = 0
    lost: int = 0  # acknowledged changes that were not there
    wrong: int = 0  # contents that no number of changes leads to


def victim(directory: str, first: int) -> None:
    """Change the store until killed."""
    index = StoredIndex(directory, bits=BITS, seal_rows=SEAL_ROWS)
    number = first
    while True:
        perform(index, change(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


class _Child:
    """A victim and the last number that it acknowledged."""

    def __init__(self, directory: Path, done: int) -> None:
        self.acknowledged = done
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root / "sdk"), str(root), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.kills", str(directory), str(done + 1)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.acknowledged = int(line)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.thread.join()
        assert self.process.stdout
        self.process.stdout.close()


def run(directory: Path, kills: int, *, seed: int = 0) -> Kills:
    """Kill a writer again and again; each one goes on where the last one ended."""
    result, oracle, done = Kills(), Oracle(), 0
    rng = np.random.default_rng(seed)
    StoredIndex(directory, bits=BITS).close()
    reader = Index.open(directory, mode="r")
    while result.kills < kills:
        child = _Child(directory, done)
        while child.acknowledged == done and child.process.poll() is None:
            time.sleep(0.002)
        end = time.monotonic() + rng.uniform(0, 0.25)
        while time.monotonic() < end:
            before = child.acknowledged
            reader.refresh()
            # The writer may be far ahead of what has come through its pipe.
            _place(result, oracle, digest(reader), before, before + AHEAD)
            result.refreshes += 1
        child.kill()
        result.kills += 1
        at = child.acknowledged
        watching = Index.open(directory, mode="r")
        number = _place(result, oracle, digest(watching), at, at + 1)
        with StoredIndex(directory, seal_rows=SEAL_ROWS) as index:
            if digest(index) != oracle.digests[number] or index._engine.next_id != oracle.next_ids[number]:
                result.wrong += 1
        done = number
    result.changes = done
    return result


def _place(result: Kills, oracle: Oracle, found: int, at_least: int, at_most: int) -> int:
    """After how many changes the store is like this; counts it if that is not between the two."""
    for number in range(at_least, at_most + 1):
        oracle.advance(number)
        if oracle.digests[number] == found:
            return number
    if found in oracle.digests[:at_least]:
        result.lost += 1
    else:
        result.wrong += 1
    return at_least


if __name__ == "__main__":
    victim(sys.argv[1], int(sys.argv[2]))
