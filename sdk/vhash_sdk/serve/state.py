"""What only the service knows: one SQLite file beside the library's own, or in memory if need be.

Sessions, jobs, the groups and parts that were found last, judgements in their order, the basket, answers that
may be asked for again. What is acknowledged is on the disk. The server and the process of a job write it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..system.strict_json import parse_json
from .schema import ADDED, APPLICATION_ID, SCHEMA, VERSION

FILE = "serve.db"
"""Its name in the library's directory."""


class State:
    """One connection, which the threads of a process share.

    Args:
        path: the file; None: in memory.

    Raises:
        StoreError: the file is none of ours, is damaged, of a newer vhash, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        place = ":memory:" if path is None else os.fspath(path)
        try:
            if path is not None:  # sessions and hashes of passwords: nobody else's business
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._connection = sqlite3.connect(
                place, timeout=30.0, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"{place}: what the server keeps cannot be opened ({error}); move it away, or mend it"
            ) from error

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "trusted_schema = OFF",
            "busy_timeout = 30000",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            (marker,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and (marker != APPLICATION_ID or version > VERSION):
                raise StoreError(
                    f"{self.path}: is not what this vhash serve keeps; move it away, or upgrade vhash-sdk"
                )
            strange = self.value(
                "SELECT name FROM sqlite_master"
                " WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
            )
            if strange:
                raise StoreError(
                    f"{self.path}: has {strange!r}, a view, trigger or virtual table, which vhash never "
                    "makes; remove the file before you know where it is from"
                )
            if not tables:
                for statement in filter(str.strip, SCHEMA.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
            self._connection.execute(ADDED)
            self._forget_others()

    def _forget_others(self) -> None:
        """A file that was copied here, perhaps with the library of a stranger, signs nobody in."""
        status = None if self.path is None else os.stat(self.path)
        here = (0, 0) if status is None else (status.st_dev, status.st_ino)
        row = self.row("SELECT device, inode FROM place")
        if row is None or tuple(row) != here:
            for table in ("session", "password", "answer", "basket", "place"):
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.execute(
                "UPDATE job SET state = 'cancelled' WHERE state IN ('queued', 'running')"
            )
            self._connection.execute("INSERT INTO place VALUES (?, ?)", here)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on the disk when it returns. Raises StoreError."""
        with self._lock, self._named():
            if self._connection.in_transaction:  # part of a larger one
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path or 'the memory of the server'}: {error}; is its disk full?"
            ) from error

    def execute(self, sql: str, *values: Any) -> int:
        """Run one statement; how many rows it changed. Raises StoreError."""
        with self._lock, self._named():
            return self._connection.execute(sql, values).rowcount

    def insert(self, sql: str, *values: Any) -> int:
        """Run one insertion; the number of its row. Raises StoreError."""
        with self._lock, self._named():
            return int(self._connection.execute(sql, values).lastrowid or 0)

    def many(self, sql: str, rows: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]]) -> None:
        """Run one statement for each of many rows. Raises StoreError."""
        with self._lock, self._named():
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query. Raises StoreError."""
        with self._lock, self._named():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row of a query, or None."""
        found = self.row(sql, *values)
        return None if found is None else found[0]

    def close(self) -> None:
        """Close the connection."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()


def read_json(text: str | None) -> Any:
    """What a column of JSON holds."""
    return None if text is None else parse_json(text, surrogates=True)
