"""Files that are written at once: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
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
            if mode is not None and not private:
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


def _mode(file: Path) -> int | None:
    try:
        return os.stat(file).st_mode
    except FileNotFoundError:
        return None
