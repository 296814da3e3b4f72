"""Folders that are watched: what comes into them is added as soon as it rests.

What the system tells (inotify, by watchfiles) is only a hint to look at a path; what decides is the file
itself, and from time to time everything is looked at again, so that nothing is lost to a full queue of
events, a folder that came with its files, or a name that is no UTF-8. Where the system tells nothing, as of
network drives, folders are looked at every few seconds instead. Nothing is kept but the library: a watch that
was killed goes on from there.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError, OptionError, SourceError, StoreError
from ..names import absolute
from ..scan import Found
from ..system.checks import check_positive
from ..system.extras import pip_install
from .records import Added, Segmented

if TYPE_CHECKING:
    from .library import Library

SETTLE = 3.0
"""Seconds that size and time of a file have to stay as they are before it is read."""
_TICK_MS = 500
_LOOK_AGAIN = 600.0  # seconds after which everything is looked at again, whatever the system has told
_OLD = 60.0  # seconds: a file that was changed longer ago is at rest when it is first seen
_AGAIN = 5.0  # seconds until what could not be written is tried again


@dataclass(frozen=True)
class Watch:
    """What is watched, and how.

    Attributes:
        roots: folders, with all below them.
        settle: seconds that a file has to rest.
        poll: look at everything every so many seconds; None: be told by the system.
        exclude: patterns as in ``scan``.
        follow_symlinks: as in ``scan``.
        pictures: as in ``Library.add``.
        workers: decoding processes; None: one a core.

    Raises:
        OptionError: a time is no positive number of seconds, or there is no folder.
    """

    roots: tuple[str, ...]
    settle: float = SETTLE
    poll: float | None = None
    exclude: tuple[str, ...] = ()
    follow_symlinks: bool = False
    pictures: bool | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if not self.roots:
            raise OptionError("no folder to watch; give one at least")
        check_positive("settle", self.settle, "seconds", most=86400)
        if self.poll is not None:
            check_positive("poll", self.poll, "seconds", most=86400)

    def leaves_out(self, path: str) -> bool:
        """Whether a path is excluded, itself or by a folder that it lies in, is a link, or is in no root."""
        for root in map(absolute, self.roots):
            if path == root:
                return False
            if not path.startswith(root.rstrip(os.sep) + os.sep):
                continue
            at = path
            while at != root:
                name = os.path.basename(at)
                if any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(at, p) for p in self.exclude):
                    break
                at = os.path.dirname(at)
            else:
                return not self.follow_symlinks and os.path.islink(path)
        return True


@dataclass
class Resting:
    """Files that were seen, until they have rested.

    >>> resting = Resting(3.0)
    >>> resting.see(Found("/a", 10, 7), now=0.0)
    >>> resting.see(Found("/a", 20, 8), now=2.0)
    >>> resting.due(now=4.0), [found.size for found in resting.due(now=5.0)]
    ([], [20])
    """

    settle: float
    _since: dict[str, tuple[float, Found]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._since)

    def see(self, found: Found, *, now: float) -> None:
        """Note how a file is now; one that is as it was goes on resting."""
        since, before = self._since.get(found.path, (now, found))
        if (before.size, before.mtime_ns) != (found.size, found.mtime_ns):
            since = now
        self._since[found.path] = (since, found)

    def waiting(self, *, now: float) -> list[str]:
        """The paths that would be due by now, which are to be looked at once more."""
        return [path for path, (since, _) in self._since.items() if now - since >= self.settle]

    def due(self, *, now: float) -> list[Found]:
        """The files that have rested by now; they are forgotten here."""
        return [self._since.pop(path)[1] for path in self.waiting(now=now)]

    def forget(self, path: str) -> None:
        """A file is gone."""
        self._since.pop(path, None)


class Watcher:
    """Adds what comes into some folders to a library, for as long as it is asked. Of one thread.

    Args:
        library: open, and writable.
        watch: what is watched, and how.

    Raises:
        SourceError: a folder does not exist.
        StoreError: nothing can be written in the library.
        MissingDependencyError: watchfiles is not installed, and ``poll`` was not given.
    """

    def __init__(self, library: Library, watch: Watch) -> None:
        library.check_writable()
        self._library, self._watch = library, watch
        self._roots = [absolute(root) for root in watch.roots]
        for root in self._roots:
            if not os.path.isdir(root):
                raise SourceError(f"{root}: is no folder; make it first, or give another one")
        self._own = str(library.directory) + os.sep
        self._resting, self._gone = Resting(watch.settle), Resting(watch.settle)
        self._passed_over: dict[str, tuple[int, int]] = {}  # no videos, as they were then
        self._failed: dict[str, str] = {}
        self._vanished: set[str] = set()
        self._whole_at = 0.0  # when everything is to be looked at next

    def run(self) -> Iterator[Added | Segmented | StoreError]:
        """What becomes of files, each durable before it is told; never ends by itself.

        A StoreError says that nothing can be written now (another process writes, the disk is full): it is
        tried again. Nothing that waits is lost meanwhile.
        """
        hints = self._hints()
        next(hints)  # from here on changes are told, so that none is missed while everything is looked at
        yield from self._everything(first=True)
        for paths in hints:
            now = time.monotonic()
            for path in paths:
                self._look(path, now)
            if now >= self._whole_at:
                yield from self._everything()
            for path in self._resting.waiting(now=now):
                self._look(path, now)
            # together: what was renamed is both gone and new
            found = self._resting.due(now=now)
            gone = [each.path for each in self._gone.due(now=now)]
            if found or gone:
                yield from self._add(found, gone)

    def _hints(self) -> Iterator[Iterable[str]]:
        """Paths to look at, again and again, nothing at first; often none."""
        if self._watch.poll is not None:
            yield ()
            while True:
                time.sleep(min(self._watch.poll, _TICK_MS / 1000))
                yield ()
        try:
            from watchfiles import watch
        except ImportError as error:
            raise MissingDependencyError(
                f"watching folders needs watchfiles ({error}): {pip_install('watch')}; "
                "or look every few seconds instead: poll= or --poll SECONDS"
            ) from error
        try:
            for changes in watch(
                *self._roots,
                watch_filter=lambda _, path: not path.startswith(self._own),
                debounce=_TICK_MS,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                yield {path for _, path in changes}
        except (OSError, RuntimeError) as error:  # of watchfiles' own kinds
            raise SourceError(
                f"{', '.join(self._roots)}: cannot be watched ({error}); where it is the limit of watches, "
                "raise fs.inotify.max_user_watches, or use poll= or --poll SECONDS"
            ) from error

    def _look(self, path: str, now: float) -> None:
        """Look at a path that something was told of, or that waits."""
        path = os.fsdecode(path)
        if self._watch.leaves_out(path):
            return
        if not os.path.lexists(path):
            self._resting.forget(path)
            self._gone.see(Found(path), now=now)
            return
        self._gone.forget(path)
        with contextlib.suppress(OptionError):  # the library's own directory
            for found in self._scan([path]):
                if not found.skipped:
                    self._resting.see(found, now=now)

    def _scan(self, paths: Iterable[str]) -> Iterator[Found]:
        watch = self._watch
        return self._library.scan(paths, exclude=watch.exclude, follow_symlinks=watch.follow_symlinks)

    def _everything(self, *, first: bool = False) -> Iterator[Added | Segmented | StoreError]:
        """Look at all there is; at first, what has changed a while ago is added at once."""
        self._whole_at = time.monotonic() + (self._watch.poll or _LOOK_AGAIN)
        now = time.monotonic()
        for path in self._library.missing(self._roots):
            if (
                path not in self._vanished
            ):  # it may have moved: then its new name is known by the time it is due
                self._gone.see(Found(path), now=now)
        yield from self._add(self._at_rest() if first else self._strange(), ())

    def _at_rest(self) -> Iterator[Found]:
        """All files but those that were changed a moment ago, which have to rest first."""
        for found in self._scan(self._roots):
            fresh = abs(time.time() - found.mtime_ns / 1e9) < max(_OLD, self._watch.settle)
            if found.error is None and fresh and not self._library.knows(found):
                self._resting.see(found, now=time.monotonic())
            else:
                yield found

    def _strange(self) -> Iterator[Found]:
        """What cannot be read; other files that the library does not know have to rest first."""
        for found in self._scan(self._roots):
            if found.error is not None:
                yield found
            elif self._passed_over.get(found.path) != _as_it_is(found) and not self._library.knows(found):
                self._resting.see(found, now=time.monotonic())

    def _add(self, found: Iterable[Found], gone: Iterable[str]) -> Iterator[Added | Segmented | StoreError]:
        waiting: dict[str, Found] = {}

        def feed() -> Iterator[Found]:
            for each in found:
                waiting[each.path] = each
                yield each

        library, watch = self._library, self._watch
        try:
            for result in library.adding(feed(), gone, workers=watch.workers, pictures=watch.pictures):
                given = waiting.pop(result.path, None)
                if self._news(result, given):
                    yield result
            if library.has_segments:
                yield from (made for made in library.segmenting(workers=watch.workers))
        except StoreError as error:
            now = time.monotonic()
            for each in waiting.values():
                self._resting.see(each, now=now)
            self._whole_at = min(self._whole_at, now + _AGAIN)
            yield error

    def _news(self, result: Added, found: Found | None) -> bool:
        """Whether a result is worth telling: it says something that was not said before."""
        if result.status == "vanished":
            new = result.path not in self._vanished
            self._vanished.add(result.path)
            return new
        self._vanished.discard(result.path)
        if result.status == "moved" and result.previous is not None:
            self._vanished.discard(result.previous)
        if result.status == "skipped":
            new = self._passed_over.get(result.path) != _as_it_is(found)
            self._passed_over[result.path] = _as_it_is(found)
            return new
        if result.status == "failed":
            new = self._failed.get(result.path) != str(result.error)
            self._failed[result.path] = str(result.error)
            return new and not result.known
        self._failed.pop(result.path, None)
        return result.status != "unchanged"


def _as_it_is(found: Found | None) -> tuple[int, int]:
    return (-1, -1) if found is None else (found.size, found.mtime_ns)
