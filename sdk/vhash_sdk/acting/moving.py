"""Moving and copying files so that nothing is ever replaced, and a copy is known to be one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat

from ..errors import RefusedError
from ..names import printable
from ..system.files import rename_new, sync_folder
from .steps import FileId

_BLOCK = 1 << 20


def relocate(source: str, target: str, part: str, file: FileId) -> None:
    """Move a file to a name that nothing has; between file systems by a copy that is compared first.

    A process that dies leaves the file at one of both names, or whole at both; and perhaps ``part``.

    Args:
        source, target: its names.
        part: beside ``target``, for a copy that is not whole yet.
        file: what is at ``source``.

    Raises:
        RefusedError: it changed while it was copied; it is where it was.
        OSError: something has that name, or the disk is full or fails; it is where it was.
    """
    try:
        rename_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, part, file)
        try:
            rename_new(part, target)
        except OSError:
            discard(part)
            raise
        sync_folder(os.path.dirname(target))
        if not file.is_at(source):
            os.unlink(target)
            raise RefusedError(f"{printable(source)}: changed while it was copied; left as it is") from None
        try:
            os.unlink(source)
        except OSError:  # its folder lets nothing go: two files are more than anybody asked for
            os.unlink(target)
            raise
    sync_folder(os.path.dirname(target))
    sync_folder(os.path.dirname(source))


def _copy(source: str, part: str, file: FileId) -> None:
    """A whole and durable copy of a file, with its times, permissions and attributes."""
    if os.path.lexists(part):  # of this very step, when it was interrupted
        os.unlink(part)
    try:
        written = copy_bytes(source, part)
        shutil.copystat(source, part, follow_symlinks=False)
        with contextlib.suppress(OSError):  # only an administrator gives files to others
            os.chown(part, file.user, file.group)
        if sha256(part) != written or not file.is_at(source):
            raise RefusedError(f"{printable(source)}: its copy is not the same; left as it is")
    except BaseException:
        discard(part)
        raise


def copy_bytes(source: str, part: str) -> str:
    """Write the bytes of a file to a new one, durably; their SHA-256 in hex. Raises OSError."""
    digest = hashlib.sha256()
    with open(source, "rb") as reader, open(part, "xb") as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def discard(part: str) -> None:
    """Remove a copy that was not finished, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(part)


def sha256(path: str) -> str:
    """Of all bytes of a file, in hex. Raises OSError."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def same_bytes(a: str, b: str) -> str:
    """The SHA-256 of two files that hold the same bytes, in hex; empty where they do not. Raises OSError."""
    digest = hashlib.sha256()
    with open(a, "rb") as first, open(b, "rb") as second:
        while True:
            one, other = first.read(_BLOCK), second.read(_BLOCK)
            if one != other:
                return ""
            if not one:
                return digest.hexdigest()
            digest.update(one)


def same_attributes(a: str, b: str) -> bool:
    """Whether what people have attached to two files (tags, comments) is the same."""
    return _attributes(a) == _attributes(b)


def _attributes(path: str) -> dict[str, bytes]:
    try:
        names = [name for name in os.listxattr(path) if name.startswith("user.")]
        return {name: os.getxattr(path, name) for name in names}
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return {}
        raise


def is_link_to(path: str, target: str) -> bool:
    """Whether a symbolic link with exactly this target has a name."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode) and os.readlink(path) == target
    except (OSError, ValueError):
        return False
