"""Patterns of paths. As Python's ``glob``, but ``**`` ends however links lead in circles."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator

has_magic = glob.has_magic


def matches(pattern: str, follow: bool = False) -> list[str]:
    """What a pattern of ``*``, ``?``, ``[``, and ``**`` for any folders in between finds, in order.

    Names that begin with a dot are only found by a pattern that does. What cannot be read finds nothing.

    Args:
        pattern: relative or absolute.
        follow: whether ``**`` enters symbolic links; each folder is entered once by links.

    >>> matches("/no/such/*.mp4")
    []
    """
    root = os.sep if pattern.startswith(os.sep) else ""
    parts = [part for part in pattern.split(os.sep) if part]
    found = dict.fromkeys(_match(root, parts, follow))
    if pattern.endswith(os.sep):
        found = {os.path.join(path, ""): None for path in found if os.path.isdir(path)}
    return sorted(found)


def _match(folder: str, parts: list[str], follow: bool) -> Iterator[str]:
    if not parts:
        if os.path.lexists(folder):
            yield folder
        return
    first, *rest = parts
    if first == "**":
        while rest[:1] == ["**"]:
            rest = rest[1:]
        for below in _folders(folder, follow):
            if rest:
                yield from _match(below, rest, follow)
            else:  # as the last part it stands for files too
                yield from (os.path.join(below, name) for name in _names(below))
        if not rest and folder:
            yield os.path.join(folder, "")
    elif not has_magic(first):
        yield from _match(os.path.join(folder, first), rest, follow)
    else:
        for name in _names(folder, hidden=first.startswith(".")):
            if fnmatch.fnmatchcase(name, first):
                yield from _match(os.path.join(folder, name), rest, follow)


def _names(folder: str, *, hidden: bool = False) -> list[str]:
    try:
        return [name for name in sorted(os.listdir(folder or os.curdir)) if hidden or name[0] != "."]
    except (OSError, ValueError):
        return []


def _folders(top: str, follow: bool) -> Iterator[str]:
    """A folder and all below it, without links to folders or with each of their targets once."""
    stack = [(top, False)]
    linked: set[tuple[int, int]] = set()
    real: set[tuple[int, int]] = set()
    while stack:
        folder, through_link = stack.pop()
        try:
            status = os.stat(folder or os.curdir)
        except (OSError, ValueError):
            continue
        here = (status.st_dev, status.st_ino)
        seen = linked if through_link else real
        if here in seen:
            continue
        seen.add(here)
        yield folder
        try:
            with os.scandir(folder or os.curdir) as entries:  # knows folders without asking for each
                below = sorted(
                    (entry.name, entry.is_symlink())
                    for entry in entries
                    if entry.name[0] != "." and (entry.is_symlink() or entry.is_dir())
                )
        except OSError:
            continue
        for name, link in reversed(below):
            path = os.path.join(folder, name)
            if not link or (follow and os.path.isdir(path)):
                stack.append((path, through_link or link))
