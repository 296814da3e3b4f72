"""The truth of a library: one SQLite file, and the lock of its one writer.

WAL with ``synchronous=FULL``: when a transaction returns, its rows are on the disk. Paths are
BLOBs, because file names are bytes. ``generation`` is drawn anew by every transaction that
changes codes, so that a cache which carries it can be trusted or thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .codes import as_codes, code_bytes
from .errors import StoreError, VhashError
from .spec import ModelSpec

CodeKind = Literal["full", "box", "segment"]
APPLICATION_ID = 0x76684C31  # "vhL1", so that `file` and we know it from other SQLite files

_FORMAT_1 = """
CREATE TABLE library (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid TEXT NOT NULL,
  generation TEXT NOT NULL,
  created REAL NOT NULL,
  spec TEXT NOT NULL,           -- the model's specification, canonical JSON
  model_name TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  bits INTEGER NOT NULL,
  source TEXT NOT NULL          -- what Encoder() takes: name of a bundled model, or path of a file
);
CREATE TABLE video (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  digest BLOB NOT NULL,         -- scan.content_digest
  duration REAL,                -- seconds
  width INTEGER,
  height INTEGER,
  rate REAL,
  codec TEXT,
  added REAL NOT NULL           -- seconds since 1970
);
CREATE INDEX video_digest ON video (digest);
CREATE TABLE code (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box', 'segment')),
  t0 REAL NOT NULL,             -- seconds
  t1 REAL,                      -- seconds; NULL: to the end
  confidence REAL,
  code BLOB NOT NULL
);
CREATE INDEX code_video ON code (video);
CREATE TABLE failure (
  path BLOB PRIMARY KEY,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,           -- class in vhash_sdk.errors
  message TEXT NOT NULL,
  seen REAL NOT NULL
) WITHOUT ROWID;
"""
_FORMAT_2 = """
CREATE TABLE not_a_match (      -- what a person has said about two contents, wherever their files are
  a BLOB NOT NULL,              -- scan.content_digest, the smaller one first
  b BLOB NOT NULL,
  noted REAL NOT NULL,          -- seconds since 1970
  PRIMARY KEY (a, b),
  CHECK (a < b)
) WITHOUT ROWID;
"""
_FORMAT_3 = """
ALTER TABLE video ADD COLUMN unreliable TEXT;  -- why it is kept out of automatic matches; NULL: it is not
CREATE TABLE trajectory (       -- how frames change, for a second look at near videos; see verification
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box')),
  steps BLOB NOT NULL,
  PRIMARY KEY (video, kind)
) WITHOUT ROWID;
"""
_FORMAT_5 = """
ALTER TABLE video ADD COLUMN frames_rule INTEGER;  -- video.rules.DECODING that coded it; NULL: 1
"""
# MIGRATIONS[n] takes format n to format n + 1; never edit one that has been released
MIGRATIONS = (_FORMAT_1, _FORMAT_2, _FORMAT_3, _FORMAT_5)


@dataclass(frozen=True)
class Pin:
    """The model that a library belongs to, for ever.

    Attributes:
        spec: what decides its codes.
        source: what ``Encoder`` takes: the name of a bundled model, or the path of a file.
    """

    spec: ModelSpec
    source: str


class Database:
    """One connection to a library's SQLite file. Used by one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the file, which need not exist, and bring its format up to date.

        Raises:
            StoreError: not a library, of a newer format, damaged, or the disk fails.
        """
        with _named(path):
            connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
        database = cls(path, connection)
        try:
            with _named(path):
                database._prepare()
        except BaseException:
            connection.close()
            raise
        return database

    def _prepare(self) -> None:
        (marker,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if marker != APPLICATION_ID and tables:
            raise StoreError(f"{self.path}: an SQLite file of another program; give a directory of its own")
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path}: format {version}, this vhash reads up to {len(MIGRATIONS)}; upgrade vhash-sdk"
            )
        if version == len(MIGRATIONS):
            return
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
        with _named(self.path):
            return self._connection.execute(sql, values)

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query. Raises StoreError where SQLite fails."""
        with _named(self.path):
            return self._connection.execute(sql, values).fetchall()

    def pin(self) -> Pin | None:
        """The model of this library, or None before the first one is pinned."""
        rows = self.rows("SELECT spec, source FROM library")
        return Pin(ModelSpec.from_json(rows[0][0]), rows[0][1]) if rows else None

    def set_pin(self, pin: Pin) -> None:
        """Pin the model; does nothing where one is pinned already."""
        spec = pin.spec
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO library VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    secrets.token_hex(8),
                    secrets.token_hex(8),
                    time.time(),
                    spec.to_json(),
                    spec.name,
                    spec.version,
                    spec.fingerprint,
                    spec.bits,
                    pin.source,
                ),
            )

    def generation(self) -> str:
        """Changes whenever codes change; two equal ones mean equal codes."""
        ((uuid, generation),) = self.rows("SELECT uuid, generation FROM library")
        return f"{uuid}-{generation}"

    def codes(self, bits: int, kind: CodeKind = "full") -> tuple[NDArray[np.int64], NDArray[np.uint8], str]:
        """(video ids ``int64[n]``, codes ``uint8[n, bytes]``, generation) of the codes of one kind.

        Raises:
            StoreError: a code is damaged.
        """
        width = code_bytes(bits)
        with _named(self.path):
            self._connection.execute("BEGIN")  # one snapshot: codes and generation belong together
            try:
                rows = self._connection.execute(
                    "SELECT video, code FROM code WHERE kind = ? ORDER BY video", (kind,)
                ).fetchall()
                generation = self.generation()
            finally:
                self._connection.execute("COMMIT")
        with sound_rows(self.path):
            blob = b"".join(code for _, code in rows)
            if len(blob) != width * len(rows):
                raise ValueError("codes of the wrong length")
            codes = as_codes(np.frombuffer(blob, np.uint8).reshape(-1, width), bits)
            ids = np.fromiter((video for video, _ in rows), np.int64, len(rows))
        return ids, codes, generation

    def close(self) -> None:
        """Close the connection; the last one to leave folds the log into the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


@contextlib.contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the one writer; the kernel frees it should this process die.

    Raises:
        StoreError: another process writes; the message says which.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened for writing ({error.strerror}); check its permissions"
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        with contextlib.suppress(OSError):  # only the message of a second writer is lost on a full disk
            os.ftruncate(file, 0)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode(), 0)
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def sound_rows(path: Path) -> Iterator[None]:
    """Turn what a damaged row does to our code into StoreError with the file."""
    try:
        yield
    except VhashError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"{path}: holds a damaged row ({error}); run `vhash verify`") from error


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreError with the file, and what to do."""
    try:
        yield
    except UnicodeDecodeError as error:  # Python cannot read SQLite's own message about damaged text
        raise StoreError(f"{path}: {error.object!r} (SQLITE_CORRUPT); {_advice('SQLITE_CORRUPT')}") from error
    except sqlite3.Error as error:
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


def _without_comments(sql: str) -> str:
    return "\n".join(line.partition("--")[0] for line in sql.splitlines())
