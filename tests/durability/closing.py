"""A store that is closed, and opened by the next writer, while a thread of the first one compacts it.

As a program, under the shim: ``python -m tests.durability.closing DIRECTORY EVERY`` has each call of a
compaction to the file system wait in turn (every EVERY-th of them), closes the store meanwhile and
lets another writer work, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from vhash_sdk.errors import StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

from . import shim
from .workload import BITS, BYTES, digest, wait_until_sealed

DELAY = 0.1  # seconds; the next writer opens, writes and closes in a fraction of it
ROWS, SEAL_ROWS = 600, 100
_CALLS = shim.CREATE | shim.WRITE | shim.TRUNCATE | shim.SYNC | shim.RENAME | shim.UNLINK | shim.OPEN


@dataclass
class Closings:
    steps: int = 0
    given_up: int = 0  # compactions that ended with an error of their own
    lost: int = 0  # acknowledged codes that were not there
    wrong: int = 0  # stores that could not be opened, or held something else
    examples: list[str] = field(default_factory=list)


def run(library: Path, folder: Path, *, every: int = 1) -> Closings:
    """A delay at every ``every``-th call of a compaction."""
    return Closings(**json.loads(shim.run_under(library, __name__, folder, every)))


def _codes(n: int, seed: int) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 256, (n, BYTES), dtype=np.uint8)
    codes[:, -1] &= 15
    return codes


def _once(directory: Path, handle, nth: int, result: Closings) -> bool:
    """A compaction whose nth call waits; False where it has fewer calls."""
    model = Index(BITS)
    first = StoredIndex(directory, bits=BITS, seal_rows=SEAL_ROWS)
    for index in (first, model):
        for part in np.split(_codes(ROWS, 1), 12):
            index.add(part)
        index.remove(range(0, ROWS, 7))
    wait_until_sealed(first)
    handle.shim_watch(str(directory).encode())
    handle.shim_delay(_CALLS, nth, int(DELAY * 1e6))
    problems: list[Exception] = []

    def compact() -> None:
        try:
            first.compact()
        except StoreError as problem:
            problems.append(problem)

    compaction = threading.Thread(target=compact)
    compaction.start()
    while compaction.is_alive() and not handle.shim_delaying():
        time.sleep(0.0005)
    fired = bool(handle.shim_delaying())
    handle.shim_delay(0, 0, 0)
    first.close()
    try:
        with StoredIndex(directory, seal_rows=SEAL_ROWS) as second:
            for index in (second, model):
                index.add(_codes(20, 2))
        compaction.join()
        with Index.open(directory) as third:
            lost = len(model) - len(third)
            if lost or digest(third) != digest(model):
                result.lost += max(lost, 0)
                result.wrong += 1
                result.examples.append(f"call {nth}: {len(third)} codes of {len(model)}")
    except Exception as problem:
        result.wrong += 1
        result.examples.append(f"call {nth}: {problem}")
    compaction.join()
    result.given_up += bool(problems)
    result.steps += fired
    return fired


def main(folder: str, every: int) -> None:
    handle, result, nth, more = shim.handle(), Closings(), 1, True
    while more:
        directory = Path(folder) / "store"
        more = _once(directory, handle, nth, result)
        shutil.rmtree(directory)
        nth += every
    result.examples = result.examples[:5]
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
