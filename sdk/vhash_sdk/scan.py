"""Find files under folders, and tell whether two files hold the same bytes."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .errors import OptionError, SourceError
from .names import absolute
from .system.patterns import has_magic, matches

VIDEO_SUFFIXES = frozenset((
    ".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".avc", ".avi", ".avif", ".avifs", ".divx", ".dv",
    ".f4v", ".flc", ".fli", ".flv", ".gif", ".h264", ".h265", ".heics", ".heifs", ".hevc", ".ivf", ".m1v",
    ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu", ".ogm",
    ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".webp", ".wmv", ".y4m",
))  # fmt: skip
"""What counts as a video in a folder. A file that is named outright is tried whatever its suffix."""

WHOLE_BYTES = 16 << 20
"""Files up to this size are digested whole."""
_EDGE_BYTES = 4 << 20
_SAMPLES, _SAMPLE_BYTES = 32, 256 << 10
_LINK = "a symbolic link; give its target, or follow_symlinks (--follow-symlinks)"


@dataclass(frozen=True)
class Found:
    """One directory entry that may be a video.

    Attributes:
        path: absolute path; bytes that are not UTF-8 are surrogate escapes (``os.fsdecode``).
        size: bytes; -1 where it cannot be asked.
        mtime_ns: time of the last change in nanoseconds; -1 where it cannot be asked.
        error: why it cannot be read, or None.
        skipped: it is not a regular file, and passed over on purpose; ``error`` says what it is.
    """

    path: str
    size: int = -1
    mtime_ns: int = -1
    error: SourceError | None = None
    skipped: bool = False


def scan(
    paths: Iterable[str | os.PathLike[str]],
    *,
    exclude: Iterable[str] = (),
    follow_symlinks: bool = False,
) -> Iterator[Found]:
    """Every file under the given paths, in the order of names; what cannot be read comes with its reason.

    Args:
        paths: files, folders (walked to the bottom, but for trashes), or patterns with ``*``, ``?``, ``[``,
            ``**``.
        exclude: patterns of names (``*.txt``, ``thumbs``) or absolute paths (``/disk/old/*``) to leave out.
        follow_symlinks: enter symbolic links inside folders (and where ``**`` finds them); loops are
            recognised, and a folder that several links lead to is entered once by them. Paths that are
            given themselves are always followed.

    Raises:
        OptionError: a path is empty.

    >>> [found.error is None for found in scan(["/no/such/folder"])]
    [False]
    """
    patterns = tuple(exclude)
    given = [each for path in given_paths(paths) for each in _expand(path, follow_symlinks)]
    seen: set[str] | None = set() if len(given) > 1 else None  # one folder cannot name a file twice
    for path, follow_top in given:
        for found in _walk(path, patterns, follow_symlinks, follow_top):
            if seen is not None:
                if found.path in seen:
                    continue
                if not found.skipped:  # a link that is skipped in a folder may be given itself
                    seen.add(found.path)
            yield found


def given_paths(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Paths as text, none of them empty: that would be the current directory, which nobody has named.

    Raises:
        OptionError: one is empty.

    >>> given_paths([""])
    Traceback (most recent call last):
    vhash_sdk.errors.OptionError: '': an empty path; give a file or folder, . for the current one
    """
    given = [os.fspath(path) for path in paths]
    if "" in given:
        raise OptionError("'': an empty path; give a file or folder, . for the current one")
    return given


def _expand(path: str, follow: bool) -> list[tuple[str, bool]]:
    """(absolute path, whether it is followed if it is a link to a folder) of what a path stands for."""
    if not os.path.lexists(path) and has_magic(path):
        follow_top = follow or "**" not in path.split(os.sep)
        return [(absolute(match), follow_top) for match in matches(path, follow)] or [(path, True)]
    return [(absolute(path), True)]


def _excluded(path: str, patterns: tuple[str, ...]) -> bool:
    name = os.path.basename(path)
    return any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(path, p) for p in patterns)


def _walk(top: str, patterns: tuple[str, ...], follow: bool, follow_top: bool) -> Iterator[Found]:
    # (path, whether to follow it when it is a link, the folders that it lies in, whether through a link)
    stack: list[tuple[str, bool, tuple[tuple[int, int], ...], bool]] = [(top, True, (), False)]
    linked: set[tuple[int, int]] = set()
    while stack:
        path, follow_this, parents, through_link = stack.pop()
        if path != top and _excluded(path, patterns):
            continue
        try:
            status = os.stat(path, follow_symlinks=follow_this)
        except (OSError, ValueError) as error:
            yield Found(path, error=_unreadable(path, error))
            continue
        if stat.S_ISDIR(status.st_mode):
            if path != top and is_trash(path):
                yield _skip(path, "a trash; what is in it is about to go")
                continue
            here = (status.st_dev, status.st_ino)
            if here in parents:
                yield _skip(path, "a symbolic link to a folder that it lies in")
                continue
            if path == top and not follow_top and os.path.islink(path):
                yield _skip(path, _LINK)
                continue
            through_link = through_link or (path != top and follow and os.path.islink(path))
            if through_link and here in linked:  # else links to links make more paths than anyone can walk
                yield _skip(path, "a symbolic link to a folder, or in one, that another link led to already")
                continue
            if through_link:
                linked.add(here)
            try:
                names = sorted(os.listdir(path), reverse=True)
            except OSError as error:
                yield Found(path, error=_unreadable(path, error))
                continue
            inside = (*parents, here)
            stack.extend((os.path.join(path, name), follow, inside, through_link) for name in names)
        elif stat.S_ISREG(status.st_mode):
            empty = SourceError(f"{path}: is empty; copy it again") if status.st_size == 0 else None
            yield Found(path, status.st_size, modified_ns(status), empty)
        elif stat.S_ISLNK(status.st_mode):
            yield _skip(path, _LINK)
        else:  # opening a pipe would wait for ever, opening a device may do anything
            yield _skip(path, "a pipe, socket or device")


def is_trash(path: str) -> bool:
    """Whether a folder is one that file managers move to what is thrown away.

    By freedesktop's trash specification 1.0 (``.Trash``, ``.Trash-UID``, and ``Trash`` with ``files`` and
    ``info``), macOS (``.Trash``, ``.Trashes``) and Windows (``$RECYCLE.BIN``).
    """
    name = os.path.basename(path)
    if re.fullmatch(r"\.Trash(-\d+|es)?|\$RECYCLE\.BIN", name, re.IGNORECASE):
        return True
    return name == "Trash" and all(os.path.isdir(os.path.join(path, part)) for part in ("files", "info"))


def in_trash(path: str) -> bool:
    """Whether a file lies in a trash, at whatever depth."""
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder):
        if is_trash(folder):
            return True
        folder = os.path.dirname(folder)
    return False


def modified_ns(status: os.stat_result) -> int:
    """Time of the last change in nanoseconds, as far as SQLite's 64 bits go (the years 1677 to 2262)."""
    return min(max(status.st_mtime_ns, -(1 << 63)), (1 << 63) - 1)


def _skip(path: str, what: str) -> Found:
    return Found(path, error=SourceError(f"{path}: {what}"), skipped=True)


def _unreadable(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{path}: does not exist (any more); check the path")
    reason = error.strerror if isinstance(error, OSError) else error
    return SourceError(f"{path}: cannot be read ({reason}); check its permissions and links")


def content_digest(path: str) -> bytes:
    """What identifies a file's content, 32 bytes: a moved or copied file has the same.

    SHA-256 of the size and the whole content up to 16 MiB; of larger files, of both ends and 32
    samples spread between them, because reading every byte of a disk of films would cost hours.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        # not blocking: should it have become a pipe since it was found, open() returns and pread() refuses
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            sha = hashlib.sha256(size.to_bytes(8, "little"))
            if size <= WHOLE_BYTES:
                _update(sha, file.fileno(), 0, size)
            else:
                _update(sha, file.fileno(), 0, _EDGE_BYTES)
                step = (size - 2 * _EDGE_BYTES) // _SAMPLES
                for place in range(_SAMPLES):
                    _update(sha, file.fileno(), _EDGE_BYTES + place * step, min(_SAMPLE_BYTES, step))
                _update(sha, file.fileno(), size - _EDGE_BYTES, _EDGE_BYTES)
            return sha.digest()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _update(sha: hashlib._Hash, file: int, at: int, count: int) -> None:
    while count > 0 and (block := os.pread(file, min(count, 1 << 20), at)):
        sha.update(block)
        at, count = at + len(block), count - len(block)
