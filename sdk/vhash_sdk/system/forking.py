"""A lock that a child of ``fork`` finds free, whichever thread of the parent held it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from threading import Lock


class ForkedLock:
    """A ``threading.Lock`` for a ``with`` statement, made anew in a child of ``fork``."""

    def __init__(self) -> None:
        self._lock = Lock()
        _locks.add(self)

    def renew(self) -> None:
        """Forget who holds it: that thread stayed with the parent."""
        self._lock = Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_locks: weakref.WeakSet[ForkedLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


def in_every_child(call: Callable[[], None]) -> None:
    """Have a function called in each child of ``fork``, where processes fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


in_every_child(_renew_all)
