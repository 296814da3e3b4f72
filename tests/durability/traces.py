"""Crashes of the machine: what the page cache had not written is lost, in any order.

A run is written down call by call; for any moment of it the directories are built that a crash there
could leave: of what no fsync had covered, data sector by sector and names one by one are there or not
(after Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). A file system that keeps
less than POSIX promises is assumed: a new name is safe only when its directory was flushed.

As a program, under the shim: ``python -m tests.durability.traces DIRECTORY FILE CHANGES``.
"""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vhash_sdk.errors import StoreError, VhashError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

from . import shim
from .workload import BITS, SEAL_ROWS, Oracle, change, digest, perform, wait_until_sealed

Kept = Callable[[], bool]
SECTOR = 512
SETTLE = 8  # changes until the background thread is waited for
REOPEN = 25  # changes between two openings of the store


@dataclass
class Traces:
    calls: int = 0  # calls to the file system that were written down
    states: int = 0  # directories built and opened
    lost: int = 0
    wrong: int = 0
    refused: int = 0  # stores that did not open
    examples: list[str] = field(default_factory=list)


@dataclass
class Call:
    op: int
    path: str
    other: str
    offset: int
    data: bytes


def program(directory: str, file: str, changes: int) -> None:
    """The run that is written down; before a change its number is noted, behind it that it returned."""
    handle = shim.handle()
    handle.shim_watch(directory.encode())
    handle.shim_record(file.encode())
    index = StoredIndex(directory, bits=BITS, seal_rows=SEAL_ROWS)
    for number in range(1, changes + 1):
        handle.shim_note(number, 0)
        perform(index, change(number))
        handle.shim_note(number, 1)
        if number % SETTLE == 0:  # calls are faster than threads where the disk is memory
            wait_until_sealed(index)
        if number % REOPEN == 0:
            index.close()
            index = StoredIndex(directory, seal_rows=SEAL_ROWS)
    index.close()


def read_trace(file: Path) -> list[Call]:
    raw, at, calls = file.read_bytes(), 0, []
    while at < len(raw):
        op, path, other, _, offset, size = struct.unpack_from("<IIIIQQ", raw, at)
        at += 32
        names = raw[at : at + path].decode(), raw[at + path : at + path + other].decode()
        at += path + other
        calls.append(Call(op, *names, offset, raw[at : at + size]))
        at += size
    return calls


class _File:
    """What a file holds for certain, and the changes since."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []  # (offset, data), or (length, None): a truncation

    def flush(self) -> None:
        self.safe = self.content(lambda: True)
        self.pending = []

    def content(self, kept: Kept) -> bytearray:
        """With those sectors of the pending changes for which ``kept`` says so."""
        out = bytearray(self.safe)
        for offset, data in self.pending:
            if data is None:
                if kept():
                    del out[offset:]
                    out.extend(bytes(offset - len(out)))
                continue
            at = 0
            while at < len(data):  # to the end of the sector
                end = min(len(data), at + SECTOR - (offset + at) % SECTOR)
                if kept():
                    out.extend(bytes(max(0, offset + at - len(out))))
                    out[offset + at : offset + end] = data[at:end]
                at = end
        return out


class _Disk:
    """The directory after some of the calls."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.now: dict[str, _File] = {}
        self.safe: dict[str, _File] = {}
        self.pending: list[tuple[str, str | None, _File | None]] = []  # (name, other, file)

    def apply(self, call: Call) -> None:
        if call.op == shim.CREATE:
            self.now[call.path] = _File()
            self.pending.append((call.path, None, self.now[call.path]))
        elif call.op == shim.WRITE and call.path in self.now:
            self.now[call.path].pending.append((call.offset, call.data))
        elif call.op == shim.TRUNCATE:
            self.now[call.path].pending.append((call.offset, None))
        elif call.op == shim.RENAME:
            file = self.now.pop(call.path)
            self.now[call.other] = file
            self.pending.append((call.path, call.other, file))
        elif call.op == shim.UNLINK:
            self.now.pop(call.path)
            self.pending.append((call.path, None, None))
        elif call.op == shim.SYNC and call.path == self.root:
            self.safe = dict(self.now)
            self.pending = []
        elif call.op == shim.SYNC and call.path in self.now:
            self.now[call.path].flush()

    def states(self, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, bytes]]]:
        """What a crash here could leave: nothing, everything, or parts of what was not flushed."""
        yield "none", self._state(lambda: False, lambda: False)
        yield "all", self._state(lambda: True, lambda: True)
        yield "names only", self._state(lambda: True, lambda: False)
        yield "data only", self._state(lambda: False, lambda: True)
        yield "30%", self._state(lambda: rng.random() < 0.3, lambda: rng.random() < 0.3)
        yield "70%", self._state(lambda: rng.random() < 0.7, lambda: rng.random() < 0.7)

    def _state(self, name_kept: Kept, data_kept: Kept) -> dict[str, bytes]:
        names = dict(self.safe)
        for path, other, file in self.pending:
            if not name_kept():
                continue
            if file is None or other is not None:
                names.pop(path, None)
            if file is not None:
                names[other or path] = file
        return {Path(path).name: bytes(file.content(data_kept)) for path, file in names.items()}


def run(library: Path, folder: Path, *, changes: int, share: float = 1.0, seed: int = 0) -> Traces:
    """Crash after every rename and a random ``share`` of the other calls; look at what each may leave."""
    source, trace = folder / "traced", folder / "trace.bin"
    source.mkdir()
    shim.run_under(library, __name__, source, trace, changes)
    calls, disk, oracle = read_trace(trace), _Disk(str(source)), Oracle()
    rng = np.random.default_rng(seed)
    oracle.advance(changes + 1)
    result = Traces(calls=sum(call.op != shim.NOTE for call in calls))
    begun = acknowledged = 0
    for at, call in enumerate(calls):
        if call.op == shim.NOTE:
            begun, acknowledged = (call.offset, acknowledged) if call.offset < 2**63 else (begun, begun)
            continue
        disk.apply(call)
        if call.op != shim.RENAME and rng.random() >= share:
            continue
        for name, state in disk.states(rng):
            _check(result, folder / "crashed", state, oracle, acknowledged, begun, f"call {at}, {name}")
    shutil.rmtree(source)
    return result


def _check(
    result: Traces, directory: Path, state: dict[str, bytes], oracle: Oracle, low: int, high: int, what: str
) -> None:
    directory.mkdir()
    for name, data in state.items():
        (directory / name).write_bytes(data)
    result.states += 1
    allowed = {oracle.digests[low], oracle.digests[high]}
    try:
        seen = digest(Index.open(directory, mode="r")) if "MANIFEST" in state else oracle.digests[0]
        with StoredIndex(directory, bits=BITS, seal_rows=SEAL_ROWS) as index:
            found = digest(index)
            again = digest(Index.open(directory, mode="r"))
        if not seen == found == again:
            result.wrong += 1
            result.examples.append(f"{what}: reader and writer differ")
        if found not in allowed:
            result.lost += found in oracle.digests[:low]
            result.wrong += 1
            result.examples.append(f"{what}: neither change {low} nor {high}")
    except (StoreError, VhashError) as error:
        result.refused += 1
        result.examples.append(f"{what}: {error}")
    shutil.rmtree(directory)


if __name__ == "__main__":
    program(sys.argv[1], sys.argv[2], int(sys.argv[3]))
