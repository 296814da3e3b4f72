"""Bare codes looked up by many at once: requests of one moment share one call of the engine.

A search releases the interpreter's lock, and many queries in one call cost less each than one alone. So what
comes while the engine is busy waits for it to end, and goes into the next call together: nobody waits for
company, and the wait is that of one call. The queue has an end: what would wait longer is refused at once. A
call that is known to take less time than to hand it to another thread is made at once.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, VhashError
from ..index.memory import Index
from ..index.protocol import CodeIndex
from ..index.stored import StoredIndex
from .handles import Handles
from .logs import log
from .metrics import Metrics
from .problems import Problem, busy

MOST_CODES = 1024
"""Codes of one request."""
_BATCH = 256  # codes of one call of the engine
_QUEUE = 8192  # codes that may wait
_AT_ONCE = 0.00003  # seconds: what a call may take in the thread that answers requests
_REFRESH = 5.0  # seconds between two looks at what a writer has added


Found = tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]
"""Ids, distances, and splits of the answer to many codes."""


@dataclass(frozen=True)
class Wanted:
    """How codes are looked up; requests of one kind share a call.

    Attributes:
        radius: bits, inclusive; None: the nearest k, however far.
        k: at most so many of each code; None: all within the radius.
    """

    radius: int | None
    k: int | None


@dataclass(eq=False)
class _Waiting:
    codes: NDArray[np.uint8]
    answer: asyncio.Future[tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint32]]]


class Shelf:
    """One index, and what waits to be looked up in it.

    Args:
        index: is searched by one thread at a time.
        metrics: counts.
        pool: the thread.
    """

    def __init__(self, index: CodeIndex, metrics: Metrics, pool: ThreadPoolExecutor) -> None:
        self.index, self._metrics, self._pool = index, metrics, pool
        self._waiting: dict[Wanted, deque[_Waiting]] = {}
        self._codes, self._task = 0, None  # type: int, asyncio.Task[None] | None
        self._cost: dict[Wanted, float] = {}  # seconds of one code, as they were lately

    async def look_up(
        self, codes: NDArray[np.uint8], wanted: Wanted
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint32]]:
        """(ids, distances, how many of each code) of what is near. Raises Problem where too many wait."""
        if self._codes + len(codes) > _QUEUE:
            raise busy(f"{self._codes} codes wait already; slow down, or ask another server")
        if self._task is None and self._cost.get(wanted, 1.0) * len(codes) <= _AT_ONCE:
            ids, distances, splits = self._timed(codes, wanted)
            self._count(len(codes))
            if len(codes) == 1:
                return ids, distances, np.array([len(ids)], np.uint32)
            return ids, distances, np.diff(splits).astype(np.uint32)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(codes, loop.create_future())
        self._waiting.setdefault(wanted, deque()).append(waiting)
        self._codes += len(codes)
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # whoever has come at the same moment goes along
                wanted, batch = self._next()
                codes = batch[0].codes if len(batch) == 1 else np.concatenate([one.codes for one in batch])
                try:
                    loop = asyncio.get_running_loop()
                    found = await loop.run_in_executor(self._pool, self._timed, codes, wanted)
                except Exception as error:
                    for one in batch:
                        if not one.answer.done():
                            one.answer.set_exception(error)
                    continue
                self._count(len(codes))
                _share(batch, *found)
        finally:
            self._task = None

    def _timed(self, codes: NDArray[np.uint8], wanted: Wanted) -> Found:
        """Search, and learn what that costs: the least counts, as a thread may be kept waiting."""
        began = time.perf_counter()
        found = search(self.index, codes, wanted)
        took = (time.perf_counter() - began) / len(codes)
        if len(self._cost) >= 64:
            self._cost.clear()
        self._cost[wanted] = min(took, 1.02 * self._cost.get(wanted, took))
        return found

    def _count(self, codes: int) -> None:
        self._metrics.batch.observe(codes)
        self._metrics.lookups.inc(codes)

    def _next(self) -> tuple[Wanted, list[_Waiting]]:
        """What goes into the next call: of one kind, the oldest first."""
        wanted = next(iter(self._waiting))
        queue, batch, count = self._waiting.pop(wanted), list[_Waiting](), 0
        while queue and (not batch or count + len(queue[0].codes) <= _BATCH):
            one = queue.popleft()
            batch.append(one)
            count += len(one.codes)
        if queue:
            self._waiting[wanted] = queue  # at the end: other kinds have their turn
        self._codes -= count
        return wanted, batch


def search(index: CodeIndex, codes: NDArray[np.uint8], wanted: Wanted) -> Found:
    """(ids, distances, splits) of what is near many codes."""
    if wanted.radius is not None:
        found = index.range_search(codes, wanted.radius, limit=wanted.k)
        return found.ids, found.distances, found.splits
    assert wanted.k is not None
    near = index.search(codes, wanted.k)
    splits = np.arange(len(codes) + 1, dtype=np.int64) * near.ids.shape[1]
    return near.ids.reshape(-1), near.distances.reshape(-1), splits


def _share(
    batch: list[_Waiting], ids: NDArray[np.int64], distances: NDArray[np.uint16], splits: NDArray[np.int64]
) -> None:
    at = 0
    for one in batch:
        own = splits[at : at + len(one.codes) + 1]
        part = slice(int(own[0]), int(own[-1]))
        at += len(one.codes)
        if not one.answer.done():  # else its client has gone
            one.answer.set_result((ids[part], distances[part], np.diff(own).astype(np.uint32)))


def packed(ids: NDArray[np.int64], distances: NDArray[np.uint16], counts: NDArray[np.uint32]) -> bytes:
    """The binary answer: uint32 n, uint32 counts[n], int64 ids[], uint16 distances[], little-endian."""
    head = struct.pack("<I", len(counts)) + counts.astype("<u4").tobytes()
    return head + ids.astype("<i8").tobytes() + distances.astype("<u2").tobytes()


class Lookups:
    """The indexes that are looked up in.

    Args:
        places: name → directory of ``Index.open``, or location for ``open_index``.
        readers: handles of the library, whose codes are the index ``library``.
        metrics: counts.

    Raises:
        OptionError, StoreError, IndexFormatError: an index cannot be opened.
    """

    def __init__(self, places: Mapping[str, str], readers: Handles, metrics: Metrics) -> None:
        self._readers, self._metrics = readers, metrics
        self._pool = ThreadPoolExecutor(1, "vhash-lookup")
        self._shelves: dict[str, Shelf] = {}
        self._library: tuple[str, Shelf] | None = None
        self._refreshed = self._asked = 0.0
        self.trouble: dict[str, str] = {}  # why an index no longer follows its writer
        for name, place in places.items():
            if name == "library" or not name.isidentifier():
                raise OptionError(f"--index {name}=…: a name of letters and digits, and not `library`")
            self._shelves[name] = Shelf(_opened(place), metrics, self._pool)

    async def shelf(self, name: str) -> Shelf:
        """An index by its name. Raises Problem."""
        found = self.ready(name)
        if found is None and name == "library":
            found = await asyncio.get_running_loop().run_in_executor(None, self._of_library)
        if found is None:
            known = ", ".join(["library", *self._shelves])
            raise Problem("not-found", f"index={name[:80]!r}: expected one of {known}")
        return found

    def ready(self, name: str) -> Shelf | None:
        """An index by its name, where it is at hand; looks now and then at what a writer has added."""
        now = time.monotonic()
        if name == "library":
            if self._library is None or now - self._asked > 1.0:
                return None
            return self._library[1]
        self.look()
        return self._shelves.get(name)

    def look(self) -> None:
        """Now and then take over what writers have added, in another thread."""
        now = time.monotonic()
        if now - self._refreshed > _REFRESH:
            self._refreshed = now
            for shelf in self._shelves.values():
                if isinstance(shelf.index, StoredIndex):
                    self._pool.submit(self._refresh, shelf.index)

    def _refresh(self, index: StoredIndex) -> None:
        """What went wrong is kept until it goes well again, and logged once."""
        try:
            index.refresh()
        except (VhashError, OSError) as error:
            said = str(error)
            if self.trouble.get(index.directory) != said:
                log("index", logging.ERROR, index=index.directory, error=said)
            self.trouble[index.directory] = said
        else:
            self.trouble.pop(index.directory, None)

    def _of_library(self) -> Shelf:
        with self._readers.lent() as library:
            generation = library.generation
            self._asked = time.monotonic()
            if self._library is None or self._library[0] != generation:
                self._library = generation, Shelf(library.index(), self._metrics, self._pool)
            return self._library[1]

    def facts(self) -> list[dict[str, Any]]:
        """What may be looked up in."""
        known = {"library": self._of_library(), **self._shelves}
        return [
            {"name": name, "bits": one.index.bits, "model": one.index.model, "codes": len(one.index)}
            for name, one in known.items()
        ]

    def close(self) -> None:
        """End the thread, and close the indexes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for shelf in self._shelves.values():
            close = getattr(shelf.index, "close", None)
            if close is not None:
                close()


def _opened(place: str) -> CodeIndex:
    if "://" in place:
        from ..engines.open import open_index

        return open_index(place)
    index = Index.open(place, mode="r")
    index.build_multi_index()
    return index
