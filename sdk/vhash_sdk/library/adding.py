"""One run of ``Library.add``: what is new, what to decode, what to write down, when to report it."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from .. import errors
from ..encoding.encoded import Encoded
from ..errors import SourceError, UnsupportedVideoError, VhashError, VideoError
from ..names import absolute
from ..scan import Found, content_digest
from ..video.rules import DECODING, touched
from ..video.sources import open_media
from .content import Content
from .database import Database
from .on_disk import LeftOut, exists, look
from .reading import failure_of, paths_under, state_at, with_content
from .records import Added
from .rows import VideoState
from .writing import Ledger

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
        pictures: take picture files too.
        awaiting: called with the path whose result is waited for: the oldest in the decoder.
    """

    def __init__(
        self,
        database: Database,
        encode: Callable[[Iterable[str]], Iterator[Encoded]],
        *,
        retry: bool = False,
        pictures: bool = False,
        awaiting: Callable[[str], None] | None = None,
    ) -> None:
        self._db = database
        self._encode = encode
        self._retry, self._pictures = retry, pictures
        self._awaiting = awaiting or (lambda path: None)
        self._ledger = Ledger(database)

    def run(self, found: Iterable[Found], roots: Iterable[str]) -> Iterator[Added]:
        """Work through what was found; then look for entries under ``roots`` that are gone."""
        feed = map(self._triage, found)
        try:
            for first in feed:
                if isinstance(first, _Job):
                    yield from self._encode_some(first, feed)
                elif first is not None:
                    self._ledger.done(first)
                    yield from self._ledger.commit_when_due()
            yield from self._ledger.commit()
            yield from self._vanished(roots)
        except errors.StoreError:
            self._db.rollback()
            raise
        except BaseException:  # Ctrl-C, or the caller has had enough: what is done stays done
            self._ledger.commit()
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
                    self._ledger.done(item)
                    if len(self._ledger) >= _SETTLED_ROWS:
                        return

        with contextlib.closing(self._encode(jobs())) as results:  # type: ignore[type-var]
            for encoded in results:
                self._ledger.done(self._settle(waiting.popleft(), encoded))
                yield from self._ledger.commit_when_due()
                if waiting:
                    self._awaiting(waiting[0].found.path)

    def _triage(self, found: Found) -> _Job | Added | None:
        """Settle a file without decoding it, or say that it must be."""
        path = os.fsencode(found.path)
        row = state_at(self._db, path)
        if found.skipped:
            self._ledger.forgive(path)
            return Added(found.path, "skipped", found.error)
        if found.error is not None:
            if row is not None and not exists(path):
                return None  # the look for vanished entries reports it
            return self._fail(found, found.error, row if found.size == 0 else None)
        if row is not None and (row.size, row.mtime_ns) == (found.size, found.mtime_ns):
            if not self._is_outdated(row, found.path):
                self._ledger.forgive(path)
                return Added(found.path, "unchanged")
            if not self._retry and (failure := self._known_failure(found)) is not None:
                return Added(found.path, "failed", failure, known=True)
            return self._again(found, row)
        if not self._retry and (failure := self._known_failure(found)) is not None:
            return Added(found.path, "failed", failure, known=True)
        try:
            # looks at the first bytes: a text need be neither digested nor decoded
            open_media(found.path, stills=self._pictures)
            digest = content_digest(found.path)
        except UnsupportedVideoError as error:
            self._ledger.forget(row)
            self._ledger.forgive(path)
            return Added(found.path, "skipped", error)
        except SourceError as error:
            return self._fail(found, error, None)
        if row is not None and row.digest == digest:
            if self._is_outdated(row, found.path):
                return _Job(found, digest, row)
            self._ledger.touch(row, found)
            self._ledger.forgive(path)
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
        self._ledger.confirm_rules(row)
        return False

    def _again(self, found: Found, row: VideoState) -> _Job | Added:
        try:
            return _Job(found, content_digest(found.path), row)
        except SourceError as error:
            return self._fail(found, error, None)

    def _relate(self, found: Found, digest: bytes, row: VideoState | None) -> Added | None:
        """Take over the codes of the same content at another path."""
        twins = with_content(self._db, digest)
        if not twins:
            return None
        gone = [twin for twin in twins if not exists(twin.path)]
        if gone and row is None:
            self._ledger.move(gone[0], found)
            damaged = Content.at(self._db, gone[0].id).damaged
            return Added(found.path, "moved", previous=os.fsdecode(gone[0].path), damaged=damaged)
        twin, previous = twins[0]
        content = Content.at(self._db, twin)
        if (content.metadata.frames_rule or 1) < DECODING:
            return None  # older rules coded it: this one is decoded
        self._ledger.put(found, digest, row, content)
        return Added(found.path, "copied", previous=os.fsdecode(previous), damaged=content.damaged)

    def _settle(self, job: _Job, encoded: Encoded) -> Added:
        """Write down what the encoder made of a file."""
        found = job.found
        # looked up again: while it was decoded, its entry may have moved to another path
        job = replace(job, row=state_at(self._db, os.fsencode(found.path)))
        if encoded.error is not None:
            passing = isinstance(encoded.error, (errors.LimitError, errors.WorkerError, SourceError))
            # where the content is as it was, codes by older rules are better than none
            stays = passing and job.row is not None and job.row.digest == job.digest
            return self._fail(found, encoded.error, None if stays else job.row)
        changed = isinstance(look(found.path, found.size, found.mtime_ns), LeftOut)
        if changed or encoded.code is None:
            error = SourceError(f"{found.path}: changed while it was read; add it again when it is complete")
            return self._fail(found, error, job.row)
        content = Content.of(encoded)
        self._ledger.put(found, job.digest, job.row, content)
        return Added(
            found.path,
            "added" if job.row is None else "changed",
            damaged=content.damaged,
            notes=() if encoded.info is None else encoded.info.notes(),
        )

    def _fail(self, found: Found, error: VhashError, row: VideoState | None) -> Added:
        """Write down why; ``row``, the entry of what the file held before, goes: that content is gone."""
        self._ledger.fail(found, error, row)
        return Added(found.path, "failed", error)

    def _known_failure(self, found: Found) -> VideoError | None:
        row = failure_of(self._db, os.fsencode(found.path), found.size, found.mtime_ns)
        if row is None or row.kind == "SourceError":  # could not be opened then: asking again is cheap
            return None
        kind = getattr(errors, row.kind, VideoError)
        said = f"{row.message} (in an earlier run; retry=True or --retry tries it again)"
        return kind(said) if isinstance(kind, type) and issubclass(kind, VideoError) else VideoError(said)

    def _vanished(self, roots: Iterable[str]) -> Iterator[Added]:
        seen: set[bytes] = set()  # roots may lie in each other
        for root in map(os.fsencode, map(absolute, roots)):
            for path in paths_under(self._db, root):
                if not exists(path) and path not in seen:
                    seen.add(path)
                    yield Added(os.fsdecode(path), "vanished")
            for path in paths_under(self._db, root, "failure"):
                if not exists(path):
                    self._ledger.forgive(path)
        self._ledger.commit()
