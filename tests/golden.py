"""Files of every format version, in tests/golden: they load for ever.

``python -m tests.golden`` writes those of the formats as they are now, where they are not there yet. Run
it once, when a format version is new; never change or remove what is there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vhash_sdk import _core
from vhash_sdk.index import Index

HERE = Path(__file__).parent / "golden"
BITS = 20
MODEL = "a" * 64


def code(id: int, turn: int = 0) -> bytes:
    """The code of an id in every golden file, after ``turn`` replacements."""
    value = (id * 2654435761 + turn * 40503) & (2**BITS - 1)
    return value.to_bytes(3, "little")


def codes(ids: list[int], turn: int = 0) -> np.ndarray:
    return np.frombuffer(b"".join(code(id, turn) for id in ids), np.uint8).reshape(-1, 3)


# What the store of version 1 holds: ids and how often their codes were replaced.
STORE: dict[int, int] = {
    **dict.fromkeys(range(30), 0),
    **dict.fromkeys(range(100, 103), 0),
    **dict.fromkeys([-5, 7, 2**40], 1),
    **dict.fromkeys([50, 51], 0),
}
for removed in (0, 1, 2, 101, 51):
    del STORE[removed]
NEXT_ID = 2**40 + 3


def write_store(directory: Path) -> None:
    """Two segments, one with a bitmap of removed rows, a waiting log and an active one."""
    store = _core.Store(str(directory), BITS, MODEL, True, 10**6, False)
    store.index.add(codes(list(range(30))), None)
    store.compact()
    store.close()
    store = _core.Store(str(directory), 0, "", True, 3, False)
    store.index.add(codes([100, 101, 102]), np.int64([100, 101, 102]))  # one log is full
    store.index.remove(np.int64([0, 1, 2]))  # the next
    store.close()
    store = _core.Store(str(directory), 0, "", True, 10**6, True)  # seals both in the background
    while store.info()["logs"] != 1:
        pass
    store.close()
    store = _core.Store(str(directory), 0, "", True, 3, False)
    store.index.upsert(codes([-5, 7, 2**40], 1), np.int64([-5, 7, 2**40]))  # waits
    store.index.add(codes([50, 51]), np.int64([50, 51]))
    store.index.remove(np.int64([101]))  # waits too
    store.index.remove(np.int64([51]))
    ids = store.index.add(codes([1, 2]), None)  # ids run on from the largest
    store.index.remove(np.int64([ids, ids + 1]))
    store.close()
    (directory / "LOCK").unlink()


def write_index(file: Path, ids: list[int]) -> None:
    index = Index(BITS, model=MODEL)
    index.add(codes(ids), ids)
    index.save(file)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    if not (HERE / "store_v1").exists():
        write_store(HERE / "store_v1")
    for name, ids in (("index_v1_sequence", list(range(5, 40))), ("index_v1_ids", [9, -3, 2**50, 0])):
        if not (HERE / f"{name}.vhash").exists():
            write_index(HERE / f"{name}.vhash", ids)


if __name__ == "__main__":
    main()
    print(*sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*")), sep="\n")
