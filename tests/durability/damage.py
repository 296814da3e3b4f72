"""Files cut at every byte and flipped at any bit: refused by name, or the same answers; never others."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vhash_sdk import _core
from vhash_sdk.errors import IndexFormatError, StoreError
from vhash_sdk.index import Index

from .workload import BITS, Oracle, change, digest, perform, wait_until_sealed

MARK = slice(512, 536)  # of a log: how many bytes are acknowledged


@dataclass
class Damage:
    cases: int = 0
    refused: int = 0  # with the name of the damaged file
    harmless: int = 0  # the same contents
    unnamed: int = 0  # refused without the file's name
    wrong: int = 0  # other contents
    examples: list[str] = field(default_factory=list)

    def note(self, file: Path, place: str, error: Exception | None, same: bool) -> None:
        self.cases += 1
        if error is None and same:
            self.harmless += 1
        elif error is None:
            self.wrong += 1
            self.examples.append(f"{file.name} {place}: other contents")
        elif file.name in str(error):
            self.refused += 1
        else:
            self.unnamed += 1
            self.examples.append(f"{file.name} {place}: {error}")


def build(directory: Path, changes: int = 60) -> int:
    """A store with segments, bitmaps of removed rows, waiting logs and an active one; returns its digest."""
    store = _core.Store(str(directory), BITS, "", True, 300, False)
    index = Index(BITS)
    index._engine = store.index
    number = 0
    for part in range(2):
        while number < changes * (part + 1) // 3:
            number += 1
            what = change(number)
            if what.kind != "compact":
                perform(index, what)
        store.compact() if part == 0 else None
    store.close()
    # With the background thread the waiting logs become segments beside the merged one, which then
    # has a bitmap; what follows fills an active log and one that waits.
    with Index.open(directory) as index:
        wait_until_sealed(index)
    store = _core.Store(str(directory), 0, "", True, 300, False)
    index._engine = store.index
    while number < changes:
        number += 1
        what = change(number)
        if what.kind != "compact":
            perform(index, what)
    store.close()
    return digest(Index.open(directory, mode="r"))


def _open(directory: Path) -> tuple[Exception | None, int]:
    try:
        return None, digest(Index.open(directory, mode="r"))
    except (IndexFormatError, StoreError) as error:
        return error, 0


def flips(directory: Path, count: int, *, seed: int = 0) -> Damage:
    """Flip every bit of every header, one at a time, then random bits anywhere, `count` in all."""
    expected = build(directory)
    files = sorted(path for path in directory.iterdir() if path.name != "LOCK")
    rng = np.random.default_rng(seed)
    headers = [
        (f, 8 * byte + bit) for f in files for byte in range(min(64, f.stat().st_size)) for bit in range(8)
    ]
    places = [headers[i] for i in rng.permutation(len(headers))[: count // 2]]
    sizes = np.array([file.stat().st_size for file in files])
    # Half by size, half by file, so that the small ones are not forgotten.
    for turn in range(count - len(places)):
        weights = sizes / sizes.sum() if turn % 2 else np.full(len(files), 1 / len(files))
        file = files[rng.choice(len(files), p=weights)]
        places.append((file, int(rng.integers(8 * file.stat().st_size))))
    result = Damage()
    for file, bit in places:
        with file.open("r+b") as handle:
            handle.seek(bit // 8)
            byte = handle.read(1)[0]
            handle.seek(bit // 8)
            handle.write(bytes([byte ^ 1 << bit % 8]))
        error, found = _open(directory)
        result.note(file, f"bit {bit}", error, found == expected)
        with file.open("r+b") as handle:
            handle.seek(bit // 8)
            handle.write(bytes([byte]))
    return result


@dataclass
class Truncation:
    cut: Damage  # a crash: what is behind the mark is an unfinished change
    acknowledged: Damage  # what was acknowledged is missing


def truncations(directory: Path, changes: int = 12) -> Truncation:
    """Cut the active log at every byte, as a crash does (its mark is old) and as damage does."""
    store = _core.Store(str(directory), BITS, "", True, 10_000, False)
    index, oracle = Index(BITS), Oracle()
    index._engine = store.index
    (log,) = directory.glob("log-*")
    old_mark = log.read_bytes()[MARK]
    ends = [(log.stat().st_size, 0)]
    for number in range(1, changes + 1):
        what = change(number)
        if what.kind != "compact":
            perform(index, what)
        ends.append((log.stat().st_size, number))
    store.close()
    oracle.advance(changes)
    whole = log.read_bytes()
    crashed = whole[: MARK.start] + old_mark + whole[MARK.stop :]
    result = Truncation(Damage(), Damage())
    for size in range(len(whole)):
        number = max((n for end, n in ends if end <= size), default=0)
        log.write_bytes(crashed[:size])
        error, found = _open(directory)
        result.cut.note(log, f"byte {size}", error, found == oracle.digests[number])
        log.write_bytes(whole[:size])
        error, found = _open(directory)
        result.acknowledged.note(log, f"byte {size}", error, False)
        if size % 97:
            continue
        log.write_bytes(crashed[:size])  # and the writer: it cuts the log and goes on
        copy = directory.with_name("copy")
        shutil.copytree(directory, copy)
        try:
            with Index.open(copy) as opened:
                assert digest(opened) == oracle.digests[number], size
                perform(opened, change(number + 1))
            assert (
                digest(Index.open(copy, mode="r"))
                == (oracle.advance(number + 1), oracle.digests[number + 1])[1]
            )
        except IndexFormatError:
            assert size < 4096
        shutil.rmtree(copy)
    log.write_bytes(whole)
    return result
