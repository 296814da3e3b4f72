"""The truth of a library: one SQLite file.

WAL with ``synchronous=FULL``: when a transaction returns, its rows are on the disk. Paths are
BLOBs, because file names are bytes. ``generation`` is drawn anew by every transaction that
changes codes, so that a cache which carries it can be trusted or thrown away.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import StoreError
from .connection import Opened, changed, connect, named
from .rows import Generation, checked
from .schema import APPLICATION_ID, MIGRATIONS

CodeKind = Literal["full", "box", "pane", "segment"]
R = TypeVar("R")
_TRIES = 5  # to read a file that is read without locks while it is written to


class Database:
    """One connection to a library's SQLite file. Used by one thread at a time.

    Attributes:
        patience: seconds to wait where another process writes; a judgement is written within one.
    """

    def __init__(self, path: Path, opened: Opened) -> None:
        self.path, self.patience = path, 2.0
        self._opened = opened

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the file, which need not exist, and bring its format up to date; to read, if it must be.

        Raises:
            StoreError: not a library, of a newer format, damaged, or the disk fails; of an older one, and
                it cannot be written.
        """
        database = cls(path, connect(path))
        try:
            with named(path):
                database._prepare()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def unwritable(self) -> str:
        """Why nothing can be written, or an empty text."""
        return self._opened.unwritable

    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written."""
        if self.unwritable:
            raise StoreError(
                f"{self.path.parent}: cannot be written: {self.unwritable}; it can be searched and listed, "
                "or its directory copied to a place where it can be changed"
            )

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._opened.connection

    def _prepare(self) -> None:
        (marker,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if marker != APPLICATION_ID and tables:
            raise StoreError(f"{self.path}: an SQLite file of another program; give a directory of its own")
        # ours has tables and indexes only; views, triggers and virtual tables run what a stranger wrote
        strange = self._connection.execute(
            "SELECT name FROM sqlite_master"
            " WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
        ).fetchone()
        if strange:
            raise StoreError(
                f"{self.path}: has {strange[0]!r}, a view, trigger or virtual table, which no library has; "
                "do not use it before you know where it is from"
            )
        if not self.unwritable:
            self._connection.execute("PRAGMA journal_mode = WAL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= len(MIGRATIONS):
            advice = "upgrade vhash-sdk" if version > 0 else "the file is damaged: bring it back from a copy"
            raise StoreError(
                f"{self.path}: format {version}, this vhash reads up to {len(MIGRATIONS)}; {advice}"
            )
        if version == len(MIGRATIONS):
            return
        if self.unwritable:
            raise StoreError(
                f"{self.path}: format {version} has to be brought up to {len(MIGRATIONS)} first, and cannot "
                f"be written: {self.unwritable}; open it once where it can, or copy its directory there"
            )
        self._migrate()

    def _migrate(self) -> None:
        with self.transaction():
            # asked again: another process may have been faster
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            for migration in MIGRATIONS[version:]:
                for statement in filter(str.strip, _without_comments(migration).split(";")):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextlib.contextmanager
    def transaction(self, *, codes: bool = False) -> Iterator[None]:
        """All or nothing, and on the disk when it returns; ``codes``: rows of codes change.

        Raises:
            StoreError: the disk is full or fails; nothing of the transaction is kept.
        """
        self.begin()
        try:
            yield
            self.commit(codes=codes)
        except BaseException:
            self.rollback()
            raise

    def begin(self) -> None:
        """Start a transaction that writes."""
        self.check_writable()
        self.execute("BEGIN IMMEDIATE")

    def commit(self, *, codes: bool) -> None:
        """Make the transaction durable; ``codes``: rows of codes changed, so caches of them are stale."""
        if codes:
            self.execute("UPDATE library SET generation = ?", (secrets.token_hex(8),))
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Give the transaction up, if there is one."""
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            self._connection.execute("ROLLBACK")

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises StoreError where SQLite fails."""
        with named(self.path):
            return self._connection.execute(sql, values)

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query, as they are; see ``read``. Raises StoreError where SQLite fails."""
        for _ in range(_TRIES):
            try:
                with named(self.path):
                    found = self._connection.execute(sql, values).fetchall()
            except StoreError as error:
                if not self._left_behind(error):
                    raise
                if self._connection.in_transaction:
                    raise self._restless() from error
                self._reopen()
                continue
            if self._connection.in_transaction or not self._reopened():
                return found
        raise self._restless()

    def read(self, row: Callable[..., R], sql: str, values: tuple[Any, ...] = ()) -> list[R]:
        """All rows of a query, checked: see ``library.rows``.

        Raises:
            StoreError: SQLite fails, or a row is damaged.
        """
        return checked(self.path, row, self.rows(sql, values))

    def batches(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[list[Any]]:
        """The rows of a query as they are, some at a time. Raises StoreError where SQLite fails."""
        with named(self.path):
            cursor = self._connection.execute(sql, values)
        while True:
            with named(self.path):
                found = cursor.fetchmany(1000)
            if changed(self.path, self._opened.seen):
                raise self._restless()
            if not found:
                return
            yield found

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read in the block belongs together, whatever another process writes meanwhile.

        Raises:
            StoreError: SQLite fails, or the file was written to where it is read without locks.
        """
        self._reopened()
        self.execute("BEGIN")
        try:
            yield
            if changed(self.path, self._opened.seen):
                raise self._restless()
        finally:
            self.rollback()

    def _reopened(self) -> bool:
        """Open the file again if it is read without locks and is not what it was."""
        if not changed(self.path, self._opened.seen):
            return False
        self._reopen()
        return True

    def _reopen(self) -> None:
        self.close()
        self._opened = connect(self.path)
        with named(self.path):
            self._prepare()

    def _left_behind(self, error: StoreError) -> bool:
        """Whether a read failed because a writer has come or gone: its log is another one then."""
        if not self.unwritable:
            return False
        name = getattr(error.__cause__, "sqlite_errorname", None) or ""
        lost = name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))
        return lost or changed(self.path, self._opened.seen)

    def _restless(self) -> StoreError:
        return StoreError(f"{self.path}: was written to while it was read; try again")

    def uuid(self) -> str:
        """Drawn when the library was made."""
        return self._generation().uuid

    def generation(self) -> str:
        """Changes whenever codes change; two equal ones mean equal codes."""
        return "-".join(self._generation())

    def _generation(self) -> Generation:
        rows = self.read(Generation, "SELECT uuid, generation FROM library")
        if not rows:
            raise StoreError(f"{self.path}: says nothing about itself; bring it back from a copy")
        return rows[0]

    def count(self, kind: CodeKind = "full") -> int:
        """How many codes of a kind there are."""
        return int(self.rows("SELECT count(*) FROM code WHERE kind = ?", (kind,))[0][0])

    def close(self) -> None:
        """Close the connection; the last one to leave folds the log into the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


def _without_comments(sql: str) -> str:
    return "\n".join(line.partition("--")[0] for line in sql.splitlines())
