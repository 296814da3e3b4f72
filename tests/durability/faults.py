"""Calls to the file system that fail: a full disk, a bad disk, half-done writes.

As a program, under the shim: ``python -m tests.durability.faults DIRECTORY EVERY`` makes each call of a
run fail in turn (every EVERY-th of them) and prints what came of it as JSON.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vhash_sdk import _core
from vhash_sdk.errors import StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

from . import shim
from .workload import BITS, Oracle, change, digest, perform

CHANGES = 40
SEAL_ROWS = 120

KINDS = {
    "ENOSPC on write": (shim.WRITE, errno.ENOSPC, shim.ONCE),
    "EIO on write": (shim.WRITE, errno.EIO, shim.ONCE),
    "short write": (shim.WRITE, errno.ENOSPC, shim.SHORT),
    "short write, then ENOSPC for good": (shim.WRITE | shim.CREATE, errno.ENOSPC, shim.SHORT_STICKY),
    "ENOSPC on create": (shim.CREATE, errno.ENOSPC, shim.ONCE),
    "EIO on fsync": (shim.SYNC, errno.EIO, shim.ONCE),
    "EIO on fsync for good": (shim.SYNC, errno.EIO, shim.STICKY),
    "EIO on rename": (shim.RENAME, errno.EIO, shim.ONCE),
    "EIO on every call for good": (127, errno.EIO, shim.STICKY),
}


@dataclass
class Faults:
    faults: int = 0
    raised: int = 0  # changes that raised StoreError
    read_only: int = 0  # stores that took no more changes until they were opened again
    lost: int = 0  # acknowledged changes that were not there
    wrong: int = 0  # other contents, in memory or after opening again
    examples: list[str] = field(default_factory=list)


def run(library: Path, folder: Path, *, every: int = 1) -> dict[str, Faults]:
    """Each kind of failure at every ``every``-th call."""
    text = shim.run_under(library, __name__, folder, every)
    return {name: Faults(**result) for name, result in json.loads(text).items()}


def _once(directory: Path, handle, ops: int, nth: int, error: int, mode: int, result: Faults) -> bool:
    """A run whose nth call fails; False where it has fewer calls."""
    store = _core.Store(str(directory), BITS, "", True, SEAL_ROWS, False)
    index, model = Index(BITS), _Applied()
    index._engine = store.index
    handle.shim_arm(ops, nth, error, mode)
    stopped = False
    for number in range(1, CHANGES + 1):
        what = change(number)
        try:
            store.compact() if what.kind == "compact" else perform(index, what)
            model.acknowledge(number)
        except StoreError as problem:
            result.raised += 1
            stopped = stopped or "no more changes" in str(problem)
            model.refuse(what.kind)
        if digest(index) != model.digest():
            _wrong(result, f"call {nth}, change {number}: in memory")
    fired = bool(handle.shim_fired())
    handle.shim_arm(0, 0, 0, 0)
    result.read_only += stopped
    store.close()
    reader = digest(Index.open(directory, mode="r"))
    with StoredIndex(directory, seal_rows=SEAL_ROWS) as opened:
        found = digest(opened)
        if found != reader:
            _wrong(result, f"call {nth}: reader and writer differ")
        if found not in (model.digest(), *model.possible()):
            result.lost += len(opened) < len(index)
            _wrong(result, f"call {nth}: after opening again")
        perform(opened, change(CHANGES + 1))
        opened.compact()
    result.faults += fired
    return fired


class _Applied:
    """The changes that were acknowledged, and the contents that the one refused last could still give.

    A flush that fails may have written all the same: what raised at the end may be there after all,
    what was acknowledged must be.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.unsure: list[int] = []
        self.count = 0

    def acknowledge(self, number: int) -> None:
        self.count += 1
        before = self.digest()
        self.numbers.append(number)
        if self.digest() != before:  # something was written behind it
            self.unsure = []

    def refuse(self, kind: str) -> None:
        self.count += 1
        if kind != "compact":
            self.unsure.append(self.count)

    def digest(self) -> int:
        return _replay(self.numbers)

    def possible(self) -> Iterator[int]:
        return (_replay([*self.numbers, number]) for number in self.unsure[:1])


_KNOWN: dict[tuple[int, ...], int] = {(): 0}


def _replay(numbers: list[int]) -> int:
    key = tuple(numbers)
    if key not in _KNOWN:
        oracle = Oracle()
        for number in numbers:
            oracle._apply(change(number))
        _KNOWN[key] = oracle.digests[-1]
    return _KNOWN[key]


def _wrong(result: Faults, example: str) -> None:
    result.wrong += 1
    result.examples.append(example)


def main(folder: str, every: int) -> None:
    handle = shim.handle()
    results = {}
    for name, (ops, error, mode) in KINDS.items():
        result, nth, more = Faults(), 1, True
        while more:
            directory = Path(folder) / "store"
            StoredIndex(directory, bits=BITS).close()
            handle.shim_watch(str(directory).encode())
            more = _once(directory, handle, ops, nth, error, mode, result)
            shutil.rmtree(directory)
            nth += every
        result.examples = result.examples[:5]
        results[name] = asdict(result)
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
