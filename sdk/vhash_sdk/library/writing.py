"""What ``add`` writes down about files: all of one file or nothing, and durable before it is reported."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from ..errors import StoreError, VhashError
from ..scan import Found
from ..video.rules import DECODING
from .content import METADATA, Content
from .database import Database
from .reading import has_failed
from .records import Added
from .rows import PathRow, VideoState

_COMMIT_SECONDS = 0.5
_COMMIT_ROWS = 256


class Ledger:
    """The writes of one run, in transactions of many files each.

    A transaction begins with the first write after the last one was made durable. What is said to be
    ``done`` is kept back until then.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._done: list[Added] = []  # written, not yet durable
        self._writing = self._codes_changed = False
        self._committed = time.monotonic()

    def __len__(self) -> int:
        """How many results are kept back."""
        return len(self._done)

    def done(self, result: Added) -> None:
        """Keep a result back until what it reports is durable."""
        self._done.append(result)

    def commit_when_due(self) -> list[Added]:
        """The results that are durable now; makes them so from time to time only, as that costs."""
        due = len(self._done) >= _COMMIT_ROWS or time.monotonic() - self._committed >= _COMMIT_SECONDS
        return self.commit() if due or not self._writing else []

    def commit(self) -> list[Added]:
        """Make durable what was written, and hand out the results."""
        if self._writing:
            self._db.commit(codes=self._codes_changed)
            self._writing = self._codes_changed = False
        self._committed = time.monotonic()
        done, self._done = self._done, []
        return done

    def put(self, found: Found, digest: bytes, row: VideoState | None, content: Content) -> None:
        """Write down a file with its content; ``row`` is the entry at its path, which it replaces."""
        path = os.fsencode(found.path)
        columns = ("size", "mtime_ns", "digest", *METADATA)
        values = (found.size, found.mtime_ns, digest, *content.metadata)
        with self._whole():
            if row is None:
                video = self._write(
                    f"INSERT INTO video (path, {', '.join(columns)}, added)"
                    f" VALUES (?, {'?, ' * len(columns)}?)",
                    path, *values, time.time(),
                )  # fmt: skip
            else:
                video = row.id
                self._write(
                    f"UPDATE video SET {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?",
                    *values, video,
                )  # fmt: skip
            content.write(video, self._write)
            self._write("DELETE FROM failure WHERE path = ?", path)
        self._codes_changed = True

    def move(self, twin: PathRow, found: Found) -> None:
        """Give an entry the path where its file is now."""
        path = os.fsencode(found.path)
        with self._whole():
            self._write(
                "UPDATE video SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
                path, found.size, found.mtime_ns, twin.id,
            )  # fmt: skip
            self._write("DELETE FROM failure WHERE path = ?", path)

    def touch(self, row: VideoState, found: Found) -> None:
        """Note that a file has another time or size, but the content that was encoded."""
        self._write(
            "UPDATE video SET size = ?, mtime_ns = ? WHERE id = ?", found.size, found.mtime_ns, row.id
        )

    def confirm_rules(self, row: VideoState) -> None:
        """Note that today's rules see the same picture in a file as those that coded it."""
        self._write("UPDATE video SET frames_rule = ? WHERE id = ?", DECODING, row.id)

    def fail(self, found: Found, error: VhashError, row: VideoState | None) -> None:
        """Write down why a file is not in; ``row``, the entry of what it held before, goes with that."""
        path = os.fsencode(found.path)
        with self._whole():
            self._write(
                "INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?)",
                path, found.size, found.mtime_ns, type(error).__name__, _storable(str(error)), time.time(),
            )  # fmt: skip
            self.forget(row)

    def forgive(self, path: bytes) -> None:
        """Drop the failure of a file that is well now, or gone."""
        if has_failed(self._db, path):
            self._write("DELETE FROM failure WHERE path = ?", path)

    def forget(self, row: VideoState | None) -> None:
        """Drop the entry of a file, if there is one."""
        if row is not None:
            self._write("DELETE FROM video WHERE id = ?", row.id)
            self._codes_changed = True

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """All that is written about one file or nothing of it: Ctrl-C must not leave half an entry."""
        self._begin()
        self._db.execute("SAVEPOINT file")
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreError):  # SQLite may have given up the whole transaction
                self._db.execute("ROLLBACK TO file")
                self._db.execute("RELEASE file")
            raise
        self._db.execute("RELEASE file")

    def _begin(self) -> None:
        if not self._writing:
            self._db.begin()
            self._writing = True

    def _write(self, sql: str, *values: Any) -> int:
        self._begin()
        return self._db.execute(sql, values).lastrowid or 0


def _storable(text: str) -> str:
    # a file name that is not UTF-8 leaves surrogates in the message, which SQLite refuses
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
