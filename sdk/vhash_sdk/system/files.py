"""Files that are written at once: whole, or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import BinaryIO

Path = str | os.PathLike[str]


@contextlib.contextmanager
def write_whole(file: Path, *, follow: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """A stream to write a file with: it appears, or replaces what was there, when the block ends well.

    Args:
        file: its name.
        follow: a symbolic link stays one, and its target is replaced; a pipe, terminal or device is
            written to. False, for files that are ours to make: whatever has the name is replaced.
        private: only this user may read or write it, from the moment on that it exists. Otherwise a file
            that is replaced hands on its permissions.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    mode = _mode(file) if follow else None
    if mode is not None and not stat.S_ISREG(mode):
        with open(file, "wb") as stream:
            yield stream
        return
    path = os.path.realpath(file) if follow else os.path.abspath(file)
    folder, name = os.path.split(path)
    part = os.path.join(folder, f"{os.fsdecode(os.fsencode(name)[:200])}.{secrets.token_hex(4)}.part")
    allowed = 0o600 if private else 0o666
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, allowed)) as stream:
            if mode is not None and not private and hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), stat.S_IMODE(mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def write_text(file: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all. Raises OSError."""
    with write_whole(file) as stream:
        stream.write(text.encode("utf-8"))


def write_private(file: Path, content: bytes) -> None:
    """Write a file of ours whole or not at all, for the eyes of this user only. Raises OSError."""
    with write_whole(file, follow=False, private=True) as stream:
        stream.write(content)


def not_waiting(name: str, flags: int) -> int:
    """The ``opener`` of ``open`` for a name that anybody may have given: a pipe is opened, not waited for."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def memory_file(name: str) -> int:
    """A descriptor of an empty file without a place: in memory, or where the system cannot, with no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def rename_new(source: Path, target: Path) -> None:
    """Give a file another name, which nothing may have yet; nothing is ever replaced.

    At once where the file system can do that (nearly all), else by a second name and then without the first:
    a process that dies in between leaves both names of the one file.

    Raises:
        FileExistsError: something has that name.
        OSError: it cannot be; the file keeps its name.
    """
    refused = _rename_at_once()(os.fsencode(source), os.fsencode(target))
    if refused in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        os.link(source, target, follow_symlinks=False)
        os.unlink(source)
    elif refused:
        raise OSError(refused, os.strerror(refused), os.fspath(source), None, os.fspath(target))


@cache
def _rename_at_once() -> Callable[[bytes, bytes], int]:
    """Linux's renameat2 that replaces nothing; gives the number of the error, 0 for none."""
    here, no_replace = -100, 1  # AT_FDCWD, RENAME_NOREPLACE
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # an old C library, or none that can be loaded
        return lambda source, target: errno.ENOSYS
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    def rename(source: bytes, target: bytes) -> int:
        return ctypes.get_errno() if call(here, source, here, target, no_replace) else 0

    return rename


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, AttributeError):  # Windows opens no folder
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode(file: Path) -> int | None:
    try:
        return os.stat(file).st_mode
    except FileNotFoundError:
        return None
