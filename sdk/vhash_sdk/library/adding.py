"""One run of ``Library.add``: what is new, what to decode, what to write down, when to report it."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from .. import errors
from ..encoding.encoded import Encoded
from ..errors import SourceError, UnsupportedVideoError, VhashError, VideoError
from ..scan import Found, content_digest, modified_ns
from ..video.rules import DECODING, touched
from ..video.sources import open_media
from .content import METADATA, Content
from .database import Database
from .on_disk import exists
from .reading import paths_under
from .records import Added
from .rows import FailureRow, PathRow, VideoState

_COMMIT_SECONDS = 0.5
_COMMIT_ROWS = 256
_SETTLED_ROWS = 1000


@dataclass(frozen=True)
class _Job:
    found: Found
    digest: bytes
    row: VideoState | None  # the entry at this path


class Adding:
    """The state of one run.

    Args:
        database: open, its writer lock held.
        encode: paths to codes or errors, in order.
        retry: try files again that failed before, though they have not changed.
        awaiting: called with the path whose result is waited for: the oldest in the decoder.
    """

    def __init__(
        self,
        database: Database,
        encode: Callable[[Iterable[str]], Iterator[Encoded]],
        *,
        retry: bool = False,
        awaiting: Callable[[str], None] | None = None,
    ) -> None:
        self._db = database
        self._encode = encode
        self._retry = retry
        self._awaiting = awaiting or (lambda path: None)
        self._done: list[Added] = []  # written, not yet committed
        self._writing = self._codes_changed = False
        self._committed = time.monotonic()

    def run(self, found: Iterable[Found], roots: Iterable[str]) -> Iterator[Added]:
        """Work through what was found; then look for entries under ``roots`` that are gone."""
        feed = map(self._triage, found)
        try:
            for first in feed:
                if isinstance(first, _Job):
                    yield from self._encode_some(first, feed)
                elif first is not None:
                    self._done.append(first)
                    yield from self._commit_when_due()
            yield from self._commit()
            yield from self._vanished(roots)
        except errors.StoreError:
            self._db.rollback()
            raise
        except BaseException:  # Ctrl-C, or the caller has had enough: what is done stays done
            self._commit()
            raise

    def _encode_some(self, first: _Job, feed: Iterator[_Job | Added | None]) -> Iterator[Added]:
        """Encode from ``first`` on, until the feed ends or brings a great many that need no encoding."""
        waiting: deque[_Job] = deque()

        def jobs() -> Iterator[str]:
            for item in chain([first], feed):
                if isinstance(item, _Job):
                    waiting.append(item)
                    if len(waiting) == 1:
                        self._awaiting(item.found.path)
                    yield item.found.path
                elif item is not None:
                    self._done.append(item)
                    if len(self._done) >= _SETTLED_ROWS:
                        return

        with contextlib.closing(self._encode(jobs())) as results:  # type: ignore[type-var]
            for encoded in results:
                self._done.append(self._settle(waiting.popleft(), encoded))
                yield from self._commit_when_due()
                if waiting:
                    self._awaiting(waiting[0].found.path)

    def _triage(self, found: Found) -> _Job | Added | None:
        """Settle a file without decoding it, or say that it must be."""
        path = os.fsencode(found.path)
        row = self._entry(path)
        if found.skipped:
            self._forgive(path)
            return Added(found.path, "skipped", found.error)
        if found.error is not None:
            if row is not None and not exists(path):
                return None  # the look for vanished entries reports it
            return self._fail(found, found.error, row if found.size == 0 else None)
        if row is not None and (row.size, row.mtime_ns) == (found.size, found.mtime_ns):
            if not self._is_outdated(row, found.path):
                self._forgive(path)
                return Added(found.path, "unchanged")
            if not self._retry and (failure := self._known_failure(found)) is not None:
                return Added(found.path, "failed", failure, known=True)
            return self._again(found, row)
        if not self._retry and (failure := self._known_failure(found)) is not None:
            return Added(found.path, "failed", failure, known=True)
        try:
            open_media(found.path)  # looks at the first bytes: a text need be neither digested nor decoded
            digest = content_digest(found.path)
        except UnsupportedVideoError as error:
            self._forget(row)
            self._forgive(path)
            return Added(found.path, "skipped", error)
        except SourceError as error:
            return self._fail(found, error, None)
        if row is not None and row.digest == digest:
            if self._is_outdated(row, found.path):
                return _Job(found, digest, row)
            self._write(
                "UPDATE video SET size = ?, mtime_ns = ? WHERE id = ?", found.size, found.mtime_ns, row.id
            )
            self._forgive(path)
            return Added(found.path, "unchanged")
        return self._relate(found, digest, row) or _Job(found, digest, row)

    def _is_outdated(self, row: VideoState, path: str) -> bool:
        """Whether older rules coded an entry and today's see another picture in its file."""
        if (row.frames_rule or 1) >= DECODING:
            return False
        try:
            if touched(path) is not None:
                return True
        except VideoError:  # it is told when the file changes, or by `verify`
            return False
        self._write("UPDATE video SET frames_rule = ? WHERE id = ?", DECODING, row.id)
        return False

    def _again(self, found: Found, row: VideoState) -> _Job | Added:
        try:
            return _Job(found, content_digest(found.path), row)
        except SourceError as error:
            return self._fail(found, error, None)

    def _relate(self, found: Found, digest: bytes, row: VideoState | None) -> Added | None:
        """Take over the codes of the same content at another path."""
        twins = self._db.read(
            PathRow, "SELECT id, path FROM video WHERE digest = ? ORDER BY id LIMIT 20", (digest,)
        )
        if not twins:
            return None
        path = os.fsencode(found.path)
        gone = [twin for twin in twins if not exists(twin.path)]
        if gone and row is None:
            with self._whole():
                self._write(
                    "UPDATE video SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
                    path, found.size, found.mtime_ns, gone[0].id,
                )  # fmt: skip
                self._write("DELETE FROM failure WHERE path = ?", path)
            damaged = Content.at(self._db, gone[0].id).damaged
            return Added(found.path, "moved", previous=os.fsdecode(gone[0].path), damaged=damaged)
        twin, previous = twins[0]
        content = Content.at(self._db, twin)
        if (content.metadata.frames_rule or 1) < DECODING:
            return None  # older rules coded it: this one is decoded
        self._put(_Job(found, digest, row), content)
        return Added(found.path, "copied", previous=os.fsdecode(previous), damaged=content.damaged)

    def _settle(self, job: _Job, encoded: Encoded) -> Added:
        """Write down what the encoder made of a file."""
        found = job.found
        # looked up again: while it was decoded, its entry may have moved to another path
        job = replace(job, row=self._entry(os.fsencode(found.path)))
        if encoded.error is not None:
            passing = isinstance(encoded.error, (errors.LimitError, errors.WorkerError, SourceError))
            # where the content is as it was, codes by older rules are better than none
            stays = passing and job.row is not None and job.row.digest == job.digest
            return self._fail(found, encoded.error, None if stays else job.row)
        try:
            status = os.stat(found.path)
            changed = (status.st_size, modified_ns(status)) != (found.size, found.mtime_ns)
        except OSError:
            changed = True
        if changed or encoded.code is None:
            error = SourceError(f"{found.path}: changed while it was read; add it again when it is complete")
            return self._fail(found, error, job.row)
        content = Content.of(encoded)
        self._put(job, content)
        return Added(
            found.path,
            "added" if job.row is None else "changed",
            damaged=content.damaged,
            notes=() if encoded.info is None else encoded.info.notes(),
        )

    def _put(self, job: _Job, content: Content) -> None:
        found, path = job.found, os.fsencode(job.found.path)
        columns = ("size", "mtime_ns", "digest", *METADATA)
        values = (found.size, found.mtime_ns, job.digest, *content.metadata)
        with self._whole():
            if job.row is None:
                video = self._write(
                    f"INSERT INTO video (path, {', '.join(columns)}, added)"
                    f" VALUES (?, {'?, ' * len(columns)}?)",
                    path, *values, time.time(),
                )  # fmt: skip
            else:
                video = job.row.id
                self._write(
                    f"UPDATE video SET {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?",
                    *values, video,
                )  # fmt: skip
            content.write(video, self._write)
            self._write("DELETE FROM failure WHERE path = ?", path)
        self._codes_changed = True

    def _fail(self, found: Found, error: VhashError, row: VideoState | None) -> Added:
        """Write down why; ``row``, the entry of what the file held before, goes: that content is gone."""
        path = os.fsencode(found.path)
        with self._whole():
            self._write(
                "INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?)",
                path, found.size, found.mtime_ns, type(error).__name__, _storable(str(error)), time.time(),
            )  # fmt: skip
            self._forget(row)
        return Added(found.path, "failed", error)

    def _forgive(self, path: bytes) -> None:
        """Drop the failure of a file that is well now."""
        if self._db.rows("SELECT 1 FROM failure WHERE path = ?", (path,)):
            self._write("DELETE FROM failure WHERE path = ?", path)

    def _forget(self, row: VideoState | None) -> None:
        if row is not None:
            self._write("DELETE FROM video WHERE id = ?", row.id)
            self._codes_changed = True

    def _known_failure(self, found: Found) -> VideoError | None:
        rows = self._db.read(
            FailureRow,
            "SELECT path, kind, message, seen FROM failure WHERE path = ? AND size = ? AND mtime_ns = ?",
            (os.fsencode(found.path), found.size, found.mtime_ns),
        )
        if not rows or rows[0].kind == "SourceError":  # could not be opened then: asking again is cheap
            return None
        kind = getattr(errors, rows[0].kind, VideoError)
        said = f"{rows[0].message} (in an earlier run; retry=True or --retry tries it again)"
        return kind(said) if isinstance(kind, type) and issubclass(kind, VideoError) else VideoError(said)

    def _vanished(self, roots: Iterable[str]) -> Iterator[Added]:
        seen: set[bytes] = set()  # roots may lie in each other
        for root in map(os.fsencode, map(os.path.abspath, roots)):
            for path in paths_under(self._db, root):
                if not exists(path) and path not in seen:
                    seen.add(path)
                    yield Added(os.fsdecode(path), "vanished")
            for path in paths_under(self._db, root, "failure"):
                if not exists(path):
                    self._write("DELETE FROM failure WHERE path = ?", path)
        self._commit()

    def _entry(self, path: bytes) -> VideoState | None:
        rows = self._db.read(
            VideoState,
            "SELECT id, path, size, mtime_ns, digest, damaged, frames_rule FROM video WHERE path = ? LIMIT 1",
            (path,),
        )
        return rows[0] if rows else None

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """All that is written about one file or nothing of it: Ctrl-C must not leave half an entry."""
        self._begin()
        self._db.execute("SAVEPOINT file")
        try:
            yield
        except BaseException:
            with contextlib.suppress(errors.StoreError):  # SQLite may have given up the whole transaction
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

    def _commit_when_due(self) -> list[Added]:
        due = len(self._done) >= _COMMIT_ROWS or time.monotonic() - self._committed >= _COMMIT_SECONDS
        return self._commit() if due or not self._writing else []

    def _commit(self) -> list[Added]:
        """Make what was written durable, then hand it out to be reported."""
        if self._writing:
            self._db.commit(codes=self._codes_changed)
            self._writing = self._codes_changed = False
        self._committed = time.monotonic()
        done, self._done = self._done, []
        return done


def _storable(text: str) -> str:
    # a file name that is not UTF-8 leaves surrogates in the message, which SQLite refuses
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
