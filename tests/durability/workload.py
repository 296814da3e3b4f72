"""A sequence of changes that any process can repeat from a number, and the dictionary it must equal."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

BITS = 60
BYTES = 8
SEAL_ROWS = 300  # so that sealing and merging never stop


@dataclass(frozen=True)
class Change:
    kind: str  # add, upsert, remove, compact
    codes: np.ndarray
    ids: np.ndarray


def change(number: int) -> Change:
    """The change with this number, from 1; independent of what the store holds."""
    rng = np.random.default_rng(number)
    kind = rng.choice(["add", "upsert", "remove", "compact"], p=[0.5, 0.2, 0.26, 0.04])
    n = int(rng.integers(1, 60))
    codes = rng.integers(0, 256, (n, BYTES), dtype=np.uint8)
    codes[:, -1] &= 15
    # Around the newest ids, so that both the log and the segments are hit.
    ids = np.unique(rng.integers(max(0, 10 * number - 400), 15 * number + 20, n))
    return Change(str(kind), codes[: len(ids)] if kind == "upsert" else codes, ids)


def perform(index: Index, what: Change) -> None:
    """Do it to an index."""
    if what.kind == "add":
        index.add(what.codes)
    elif what.kind == "upsert":
        index.upsert(what.codes, what.ids)
    elif what.kind == "remove":
        index.remove(what.ids)
    elif isinstance(index, StoredIndex):
        index.compact()


def wait_until_sealed(index: StoredIndex) -> None:
    """Let the background thread do what there is to do."""
    deadline = time.monotonic() + 30
    while index.state().logs > 1 and time.monotonic() < deadline:
        time.sleep(0.001)


class Oracle:
    """The same changes on a dictionary; ``digests[n]`` sums up what is there after n of them."""

    def __init__(self) -> None:
        self.codes: dict[int, bytes] = {}
        self.next_id = 0
        self.digests = [0]
        self.next_ids = [0]

    def advance(self, number: int) -> None:
        """Up to the change with this number."""
        while len(self.digests) <= number:
            self._apply(change(len(self.digests)))

    def _apply(self, what: Change) -> None:
        digest = self.digests[-1]
        if what.kind == "add":
            ids = list(range(self.next_id, self.next_id + len(what.codes)))
        else:
            ids = what.ids.tolist()
        if what.kind != "compact":
            for id in ids:
                if what.kind != "add" and id in self.codes:
                    digest ^= hash((id, self.codes.pop(id)))
        if what.kind in ("add", "upsert"):
            for id, code in zip(ids, what.codes, strict=True):
                self.codes[id] = code.tobytes()
                digest ^= hash((id, self.codes[id]))
            self.next_id = max([self.next_id, *(id + 1 for id in ids)])
        self.digests.append(digest)
        self.next_ids.append(self.next_id)


def digest(index: Index) -> int:
    """What an index holds, to compare with ``Oracle.digests`` of the same process."""
    ids = index.range_search(np.zeros((1, BYTES), np.uint8), BITS).ids
    total = 0
    for id, code in zip(ids.tolist(), index.codes(ids), strict=True):
        total ^= hash((id, code.tobytes()))
    assert len(ids) == len(index)
    return total
