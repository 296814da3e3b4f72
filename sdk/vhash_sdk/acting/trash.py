"""The freedesktop trash: Send2Trash moves a file there, and here it is found again.

Send2Trash does not say where it has put a file. By the specification (trash-spec 1.0) that is one of three
folders, beside a ``.trashinfo`` that says where it was; a rename keeps the inode, by which it is found at
once. Where the file had to be copied to another file system, its content and its old path say which it is.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from ..errors import MissingDependencyError, RefusedError, VideoError
from ..names import printable
from ..scan import content_digest
from ..system.extras import pip_install
from ..system.files import sync_folder
from .steps import FileId

_SUFFIX = ".trashinfo"
_MOST_INFO = 1 << 16


def check_trash() -> None:
    """Raise MissingDependencyError where Send2Trash is not installed."""
    try:
        import send2trash  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"the trash needs Send2Trash ({error}); {pip_install('trash')}, or choose another action"
        ) from error


def send(path: str, file: FileId, digest: str) -> tuple[str, str]:
    """Move a file to the trash; its name there, and that of its ``.trashinfo``.

    Raises:
        RefusedError: it went there, and cannot be found; or was another file than the one that was looked at.
        OSError: it cannot be moved; it is where it was.
    """
    os.environ["XDG_DATA_HOME"] = _data_home()  # Send2Trash reads it once, and follows whatever it says
    from send2trash import send2trash

    try:
        send2trash(path)
    except OSError:
        remove_strays(path)
        raise
    found = find(path, file, digest)
    if found is None:
        raise RefusedError(
            f"{printable(path)}: went to the trash, but is not to be found there; look into it"
        )
    if (
        os.lstat(found[0]).st_ino != file.inode
    ):  # copied: the trash that it could not be moved to was asked first
        remove_strays(path)
    sync_folder(os.path.dirname(path))
    for name in found:
        sync_folder(os.path.dirname(name))
    return found


def find(path: str, file: FileId, digest: str) -> tuple[str, str] | None:
    """(name in the trash, its ``.trashinfo``) of a file that was at ``path``; None: it is in none."""
    for trash, base in _trashes(path):
        folder = os.path.join(trash, "files")
        for name, inode in _names(folder):
            if inode == file.inode and file.is_at(os.path.join(folder, name)):
                return os.path.join(folder, name), _info(trash, name)
        for name, was in _infos(trash, base):
            there = os.path.join(folder, name)
            if was == _real(path) and is_content(there, file.size, digest):
                return there, _info(trash, name)
    return None


def is_content(path: str, size: int, digest: str) -> bool:
    """Whether a regular file holds what has this size and ``scan.content_digest``."""
    try:
        return (
            not os.path.islink(path)
            and os.stat(path).st_size == size
            and (content_digest(path).hex() == digest)
        )
    except (OSError, ValueError, VideoError):
        return False


def remove_strays(path: str) -> None:
    """Remove each ``.trashinfo`` of a file that never came: a crash, a full disk, another trash took it.

    One that was torn before it said whose it is has at least the name that Send2Trash gives it.
    """
    start, end = os.path.splitext(os.path.basename(path))
    ours = re.compile(rf"{re.escape(start)}( \d+)?{re.escape(end)}", re.DOTALL)
    for trash, base in _trashes(path):
        for name, was in _infos(trash, base):
            mine = was == _real(path) if was else ours.fullmatch(name) is not None
            if mine and not os.path.lexists(os.path.join(trash, "files", name)):
                remove_info(_info(trash, name))


def remove_info(info: str) -> None:
    """Remove the ``.trashinfo`` of a file that has left the trash. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(info)
        sync_folder(os.path.dirname(info))


def _trashes(path: str) -> Iterator[tuple[str, str]]:
    """(folder, what relative paths in it start from) of the trashes that a file may be in."""
    data = _data_home()
    top = os.path.dirname(_real(path))
    while not os.path.ismount(top):
        top = os.path.dirname(top)
    user = os.getuid()
    for trash, base in (
        (os.path.join(data, "Trash"), data),
        (os.path.join(top, ".Trash", str(user)), top),
        (os.path.join(top, f".Trash-{user}"), top),
    ):
        if os.path.isdir(os.path.join(trash, "files")):
            yield trash, base


def _data_home() -> str:
    """Where this user's own trash is: what is no absolute path is not to be followed."""
    given = os.path.expanduser(os.environ.get("XDG_DATA_HOME", ""))
    return given if os.path.isabs(given) else os.path.expanduser("~/.local/share")


def _names(folder: str) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry.inode()


def _infos(trash: str, base: str) -> Iterator[tuple[str, str]]:
    """(name of the file, where it was, or nothing where that is not whole) for each ``.trashinfo``."""
    for name, _ in _names(os.path.join(trash, "info")):
        if name.endswith(_SUFFIX):
            was = _path_of(os.path.join(trash, "info", name))
            yield name.removesuffix(_SUFFIX), _real(os.path.join(base, was)) if was else ""


def _path_of(info: str) -> str:
    try:
        with open(os.open(info, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            content = stream.read(_MOST_INFO)
    except OSError:
        return ""
    lines = (line for line in content.split(b"\n")[:-1] if line.startswith(b"Path="))
    path = os.fsdecode(unquote_to_bytes(next(lines, b"")[5:].strip()))
    return "" if "\0" in path else path


def _info(trash: str, name: str) -> str:
    return os.path.join(trash, "info", name + _SUFFIX)


def _real(path: str) -> str:
    """The path by which a file is known, whatever links lead to its folder."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
