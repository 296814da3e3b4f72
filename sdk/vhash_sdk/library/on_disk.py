"""What the disk says now of files that a library remembers: which are as they were, which are one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..errors import SourceError
from ..names import printable
from ..scan import modified_ns

Reason = Literal["vanished", "changed", "unreachable"]
CHANGED = "the file is not what was encoded; add it again"
"""What is said of a file that is there but has other content, or another time or size."""


@dataclass(frozen=True)
class LeftOut:
    """A video that takes part in nothing, because its file is not known to be what was encoded.

    Attributes:
        path: of the entry.
        reason: ``vanished`` (no such file any more), ``changed`` (another size, time or kind of file),
            ``unreachable`` (it cannot be asked about, or not be read).
        message: the same for people, with what to do.
    """

    path: str
    reason: Reason
    message: str


@dataclass(frozen=True)
class SameFile:
    """One file that a library knows under several paths: links, linked folders, bind mounts.

    Attributes:
        path: the name that stands for it; not one through a symbolic link if there is another.
        names: the others.
    """

    path: str
    names: tuple[str, ...]


def exists(path: bytes) -> bool:
    """Whether there is something at ``path``; only a clear no is a no."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # no file's name has a NUL
        return False
    except OSError:
        return True
    return True


def look(path: str, size: int, mtime_ns: int, *, readable: bool = False) -> os.stat_result | LeftOut:
    """The status of a file that is as it was, or why it is not.

    Whoever asks whether a file has changed asks here: while it is added, when duplicates are looked for,
    when its segments are made, and when a library is checked.

    Args:
        path: of the file.
        size: that it had, in bytes.
        mtime_ns: time of its last change then, in nanoseconds (``scan.modified_ns``).
        readable: also ask whether it may be read.

    >>> look("/no/such/file", 1, 2).reason
    'vanished'
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return LeftOut(path, "vanished", "no such file any more; add its new place, or remove it")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        return LeftOut(path, "unreachable", f"cannot be asked about ({said}); check its disk and permissions")
    if not stat.S_ISREG(status.st_mode) or (status.st_size, modified_ns(status)) != (size, mtime_ns):
        return LeftOut(path, "changed", CHANGED)
    if readable and not os.access(path, os.R_OK):
        return LeftOut(path, "unreachable", "cannot be read; check its permissions")
    return status


def check_unchanged(path: str, size: int, mtime_ns: int) -> None:
    """Raise SourceError, saying what to do, for a file that is not as it was; see ``look``."""
    status = look(path, size, mtime_ns)
    if isinstance(status, LeftOut):
        raise SourceError(f"{path}: {status.message}")


@dataclass(frozen=True)
class _Name:
    place: int
    path: str
    links: int  # how many hard links the file has


class Files:
    """Files that were looked at, each once, whatever the number of its names.

    Two paths are one file where device and inode are the same. Then one of them stands for it, and only
    that one may be kept or removed: whoever removes the other name as a copy removes the only one there is.
    """

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self._names: dict[tuple[int, int], list[_Name]] = {}
        self._file_of: dict[int, tuple[int, int]] = {}

    def look_at(self, files: Iterable[tuple[int, str, int, int]]) -> list[int]:
        """Look at (place, path, size, mtime_ns) each; the places of those that stand for a file."""
        for place, path, size, mtime_ns in files:
            status = look(path, size, mtime_ns, readable=True)
            if isinstance(status, LeftOut):
                self.left_out.append(status)
                continue
            file = (status.st_dev, status.st_ino)
            self._names.setdefault(file, []).append(_Name(place, path, status.st_nlink))
            self._file_of[place] = file
        for names in self._names.values():
            if len(names) > 1:
                names.sort(key=lambda name: (_through_link(name.path), name.place))
        return [names[0].place for names in self._names.values()]

    def same(self) -> list[SameFile]:
        """The files with several names, by path."""
        several = (names for names in self._names.values() if len(names) > 1)
        found = [SameFile(first.path, tuple(name.path for name in rest)) for first, *rest in several]
        return sorted(found, key=lambda same: same.path)

    def names(self, place: int) -> tuple[str, ...]:
        """All names of the file of a place that the library knows; none where the disk was not asked."""
        file = self._file_of.get(place)
        return () if file is None else tuple(name.path for name in self._names[file])

    def removal(self, place: int) -> tuple[tuple[str, ...], str]:
        """(other names that have to go with the file of a place, why it is not to be removed or nothing)."""
        if place not in self._file_of:  # the disk was not asked
            return (), ""
        first, *rest = self._names[self._file_of[place]]
        links = [name.path for name in (first, *rest) if os.path.islink(name.path)]
        if first.path in links:
            return (), "it is a symbolic link, and removing it frees nothing"
        if links:
            return (), f"the symbolic link {printable(links[0])} leads to it"
        others: dict[str, str] = {}  # hard links: each has a real path of its own
        for name in rest:
            others.setdefault(os.path.realpath(name.path), name.path)
        others.pop(os.path.realpath(first.path), None)
        unknown = first.links - 1 - len(others)
        if unknown > 0:
            return (), f"it has {unknown} hard link(s) outside the library, so removing it frees nothing"
        return tuple(others.values()), ""


def _through_link(path: str) -> bool:
    return os.path.realpath(path) != path
