"""The lock of the one writer of a library."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from .database import Database

_AGAIN = 0.02  # seconds between two tries to become the writer


@contextlib.contextmanager
def writing(database: Database) -> Iterator[None]:
    """Be the one writer of a library while the block runs; waits ``database.patience`` seconds for another.

    Raises:
        StoreError: nothing can be written there, or another process writes.
    """
    database.check_writable()
    with writer_lock(database.path.with_name("lock"), patience=database.patience):
        yield


@contextlib.contextmanager
def writer_lock(path: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of the one writer; the kernel frees it should this process die.

    Args:
        path: of the lock's file.
        patience: seconds to wait for another process that holds it.

    Raises:
        StoreError: another process writes; the message says which.
    """
    try:
        # never through a link, which may name a file of somebody else; not waiting for a pipe's other end
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened for writing ({error.strerror}); check its permissions"
        ) from error
    try:
        try:
            _lock(file, patience)
        except BlockingIOError:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            raise StoreError(
                f"{path.parent}: is being written by {holder}; wait for it to end, or stop it "
                "(searching and listing work meanwhile)"
            ) from None
        except OSError as error:
            raise StoreError(
                f"{path}: this file system has no locks ({error.strerror}); keep the library on another one"
            ) from error
        # Only the line below is ever written here: another file may have been put under this name.
        start = os.pread(file, 8, 0) if stat.S_ISREG(os.fstat(file).st_mode) else b"?"
        if start.strip(b"\0") and start != b"process ":
            raise StoreError(
                f"{path}: is not the lock of a library, it holds something else; move it elsewhere"
            )
        with contextlib.suppress(OSError):  # only the message of a second writer is lost on a full disk
            os.ftruncate(file, 0)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _lock(file: int, patience: float) -> None:
    """Raises BlockingIOError where another process still holds it after so many seconds."""
    import fcntl  # which Windows lacks; a library refuses to be opened there

    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(_AGAIN)
