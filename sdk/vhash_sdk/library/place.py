"""The directory of a library: made or found, and kept apart from the videos."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import BackendError, OptionError, StoreError
from ..names import absolute
from ..scan import Found, scan
from ..system.checks import checked_path
from ..video.isolation import ISOLATES
from .database import Database


def open_database(directory: str | os.PathLike[str], *, create: bool) -> Database:
    """The database of a library; with ``create`` the directory and the file need not exist.

    Raises:
        OptionError: ``directory`` is no path.
        StoreError: no library there, not one that can be read, or the disk fails.
        BackendError: this system has no isolated decoding, without which no file gets into a library.
    """
    if not ISOLATES:
        raise BackendError(
            f"a library works on Linux and macOS, not on {sys.platform}; run vhash in WSL (Index and Encoder "
            "work here, with isolate=False)"
        )
    file = Path(absolute(checked_path("directory", directory))) / "library.db"
    if create:
        _make_directory(file.parent)
    elif not _exists(file):
        raise StoreError(f"{directory}: no library there; make one with `vhash add {directory} PATH`")
    return Database.open(file)


def scan_beside(
    directory: Path, paths: Iterable[str | os.PathLike[str]], *, exclude: Iterable[str], follow_symlinks: bool
) -> Iterator[Found]:
    """``scan.scan`` without what lies in the library's own directory.

    Raises:
        OptionError: a path lies in it.
    """
    paths = [checked_path("path", path) for path in paths]
    not_own(directory, paths)
    own = tuple(f"{place}{os.sep}" for place in {str(directory), os.path.realpath(directory)})
    for found in scan(paths, exclude=exclude, follow_symlinks=follow_symlinks):
        if not found.path.startswith(own):
            yield found


def not_own(directory: str | os.PathLike[str], paths: Iterable[str | os.PathLike[str]]) -> None:
    """Raise OptionError where videos are looked for in the library's own directory."""
    own = os.path.realpath(directory)
    for path in paths:
        real = os.path.realpath(path)
        if os.path.commonpath([own, real]) == own:
            raise OptionError(
                f"{os.fspath(path)}: lies in the library's own directory {directory} ({real}); "
                "keep the library beside the videos, not around them"
            )


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{directory}: cannot be made ({error.strerror}); check the path and its permissions"
        ) from error
