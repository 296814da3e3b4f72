"""Runs of a network and the end of the process.

A daemon thread that comes back from a backend's library after the interpreter has ended takes the whole
process down with it: Python unwinds the thread through C++ that forbids it, or the library's own
objects are gone already. So the end waits for the runs that go on, and no daemon thread begins another.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .forking import in_every_child

_LONGEST = 60.0  # seconds that a run is waited for


class _Runs:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running = 0
        self.ended = False


_runs = _Runs()


@contextmanager
def native_run() -> Iterator[None]:
    """Around one call of a backend's library."""
    runs = _runs
    with runs.changed:
        while runs.ended and threading.current_thread().daemon:
            runs.changed.wait()  # for ever: the process ends
        runs.running += 1
    try:
        yield
    finally:
        with runs.changed:
            runs.running -= 1
            runs.changed.notify_all()


def _end() -> None:
    with _runs.changed:
        _runs.ended = True
        _runs.changed.wait_for(lambda: _runs.running == 0, timeout=_LONGEST)


def _start_anew() -> None:
    global _runs  # the threads whose runs it counts stayed with the parent
    _runs = _Runs()


atexit.register(_end)
in_every_child(_start_anew)
