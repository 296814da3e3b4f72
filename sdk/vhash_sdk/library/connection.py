"""Opening a library's SQLite file: to write, or only to read where nothing can be written.

A library that lies on a read-only mount, in a snapshot or in another user's folder is read without a lock
and without any file beside it: with ``immutable=1`` where everything is in the file itself, else through
the log that its writer keeps, which takes the writer's ``-shm``. A log that cannot be read so is an
error, for without it the file is old at best. As nobody holds a lock then, ``changed`` tells
afterwards whether the file was written to meanwhile.

Source: https://sqlite.org/wal.html#read_only_databases and https://sqlite.org/uri.html
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import StoreError

_PRAGMAS = ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF", "cell_size_check = ON")
_UNWRITABLE = (
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_PERM",
    "SQLITE_AUTH",
)
_PATIENCE = 0.5  # seconds for a log that cannot be read at this moment
_TRY_AGAIN = "{}: is being written to at this moment; try again"


@dataclass(frozen=True)
class Opened:
    """A connection, and what it may do.

    Attributes:
        connection: in autocommit mode.
        unwritable: why nothing can be written, or an empty text.
        seen: what ``changed`` compares with; None where SQLite's own locks see to that.
    """

    connection: sqlite3.Connection
    unwritable: str = ""
    seen: tuple[int, ...] | None = None


def connect(path: Path) -> Opened:
    """Open a file, which need not exist: to write if that can be, else to read.

    Raises:
        StoreError: it cannot be opened, or not be read without writing.
    """
    _check_kinds(path)
    reason = _unwritable(path)
    if reason and not path.exists():
        raise StoreError(f"{path}: cannot be made: {reason}; check the path and its permissions")
    if reason:
        return _read_only(path, reason)
    try:
        return _writable(path)
    except StoreError as error:  # a full disk, or rules that os.access does not know
        cause = error.__cause__
        name = getattr(cause, "sqlite_errorname", None) or ""
        if not name.startswith(_UNWRITABLE) or not path.exists() or not path.stat().st_size:
            raise
        with contextlib.suppress(StoreError):
            return _read_only(path, f"{cause} ({name})")
        raise


def changed(path: Path, seen: tuple[int, ...] | None) -> bool:
    """Whether a file that was opened without locks is not what it was."""
    return seen is not None and _state(path) != seen


def _writable(path: Path) -> Opened:
    with named(path):
        connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    try:
        with named(path):
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log too
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return Opened(connection)


def _read_only(path: Path, reason: str) -> Opened:
    """Read through the writer's log where there is one, else the file alone."""
    until = time.monotonic() + _PATIENCE
    while True:
        seen = _state(path)
        in_log = _size(path, "-wal") or _size(path, "-journal")
        if not in_log and _size(path, "-shm") is None:
            break
        try:
            return Opened(_connected(path, "mode=ro&readonly_shm=1"), reason)
        except StoreError as error:
            if not in_log:
                break
            if time.monotonic() > until:
                raise _unreadable_log(path, reason, seen, error) from error
        time.sleep(_PATIENCE / 20)  # a writer may be at the head of its log, or just have made it
    opened = Opened(_connected(path, "mode=ro&immutable=1"), reason, seen)
    if changed(path, seen):
        opened.connection.close()
        raise StoreError(_TRY_AGAIN.format(path))
    return opened


def _unreadable_log(path: Path, reason: str, seen: tuple[int, ...], error: StoreError) -> StoreError:
    if changed(path, seen):
        return StoreError(_TRY_AGAIN.format(path))
    return StoreError(
        f"{path}: changes that are not in it yet lie in the log beside it, which cannot be read "
        f"without writing there ({reason}; {error.__cause__}); open the library once where it "
        "can be written, or copy its whole directory to such a place"
    )


def _connected(path: Path, options: str) -> sqlite3.Connection:
    with named(path):
        place = f"file:{quote(os.fsencode(path))}?{options}"
        connection = sqlite3.connect(
            place, uri=True, timeout=30.0, isolation_level=None, check_same_thread=False
        )
    try:
        with named(path):
            for pragma in (*_PRAGMAS, "query_only = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only now it is opened
    except BaseException:
        connection.close()
        raise
    return connection


def _unwritable(path: Path) -> str:
    """Why the file, or files beside it, cannot be written; empty where nothing is known against it."""
    for place, mode in ((path.parent, os.W_OK | os.X_OK), (path, os.W_OK)):
        if os.path.lexists(place) and not os.access(place, mode, effective_ids=True):
            with contextlib.suppress(OSError):
                if os.statvfs(place).f_flag & os.ST_RDONLY:
                    return "its file system is read-only"
            return f"this user may not write {place}"
    return ""


def _check_kinds(path: Path) -> None:
    """Refuse pipes, and logs that are links: SQLite would wait for the former and write to the latter."""
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path}: is no file; give the directory of a library")
        for suffix in ("-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + suffix)
            if os.path.lexists(beside) and not stat.S_ISREG(os.lstat(beside).st_mode):
                raise StoreError(
                    f"{beside}: is a link or no file, which no library has; do not use it before you know why"
                )
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error


def _state(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); is its disk still there?") from error
    log = _size(path, "-wal") or 0
    return status.st_ino, status.st_size, status.st_mtime_ns, log


def _size(path: Path, suffix: str) -> int | None:
    try:
        return os.stat(path.with_name(path.name + suffix)).st_size
    except OSError:
        return None


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreError with the file, and what to do."""
    try:
        yield
    except UnicodeDecodeError as error:  # Python cannot read SQLite's own message about damaged text
        raise StoreError(f"{path}: {error.object!r} (SQLITE_CORRUPT); {_advice('SQLITE_CORRUPT')}") from error
    except MemoryError as error:  # what SQLite makes of some damage
        raise StoreError(
            f"{path}: takes more memory to read than there is (SQLITE_NOMEM); {_advice('SQLITE_CORRUPT')}"
        ) from error
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            raise StoreError(f"{path}: was closed; open it again") from error
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        raise StoreError(f"{path}: {error} ({name}); {_advice(name)}") from error


def _advice(name: str) -> str:
    kept = "everything that was reported as done is kept"
    for start, advice in (
        ("SQLITE_FULL", f"make room on its disk and run the same command again: {kept}"),
        (
            "SQLITE_IOERR",
            f"its disk fails (see the system's log), or is full; {kept}: run the same command again",
        ),
        ("SQLITE_CANTOPEN", "check that its directory exists and can be written"),
        ("SQLITE_READONLY", "check its permissions"),
        ("SQLITE_BUSY", "another process holds it; wait for it to end"),
        ("SQLITE_NOTADB", "this is no library; give another directory, or bring the file back from a copy"),
        (
            "SQLITE_CORRUPT",
            "the file is damaged; bring it back from a copy, or add the videos to a new library",
        ),
    ):
        if name.startswith(start):
            return advice
    return "run `vhash verify`"
