"""Open handles of one library, lent to one thread at a time: ``Library`` is for one thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator

from ..library.library import Library
from ..video import Limits
from .problems import busy


class Handles:
    """So many handles; whoever comes when too many wait is told to come again.

    Args:
        directory: of the library.
        count: handles; they are opened when they are first needed.
        waiting: requests that may wait for one.
        seconds: that one waits.
        limits: for the encoder of a handle that encodes.
    """

    def __init__(
        self,
        directory: str,
        count: int,
        *,
        waiting: int = 32,
        seconds: float = 10.0,
        limits: Limits | None = None,
    ) -> None:
        self._directory, self._limits = directory, limits
        self._most, self._seconds = waiting, seconds
        self._free: queue.LifoQueue[Library | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)
        self._count, self._waiting = count, 0
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def lent(self) -> Iterator[Library]:
        """A handle while the block runs.

        Raises:
            Problem: ``busy``: too many wait already, or for too long.
            StoreError: the library cannot be opened.
        """
        with self._lock:
            if self._waiting >= self._most or self._closed:
                raise busy(f"{self._waiting} requests wait already; try again in a moment")
            self._waiting += 1
        try:
            library = self._free.get(timeout=self._seconds)
        except queue.Empty:
            raise busy(f"no handle of the library was free within {self._seconds:g} s; try again") from None
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            if library is None:
                library = Library(self._directory, create=False, limits=self._limits)
            yield library
        finally:
            self._free.put(library)

    def close(self) -> None:
        """Close them all, once those that are lent are back."""
        with self._lock:
            self._closed = True
        for _ in range(self._count):
            with contextlib.suppress(queue.Empty):
                library = self._free.get(timeout=5.0)
                if library is not None:
                    library.close()


class Kept:
    """What costs much to make and holds for one generation of the library.

    Args:
        make: makes it, from a handle.

    >>> kept = Kept(lambda library: [1, 2])
    """

    def __init__(self, make: Callable[[Library], object]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: tuple[object, object] | None = None

    def of(self, library: Library, generation: object) -> object:
        """As it is now."""
        with self._lock:
            if self._kept is None or self._kept[0] != generation:
                self._kept = generation, self._make(library)
            return self._kept[1]
