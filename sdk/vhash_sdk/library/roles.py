"""Folders with roles, kept beside the library's database: references, and pairs that nobody asks about.

The file is whole or the one before, and one that cannot be understood is an error, never an empty list: it
says which files are not to be removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import OptionError, StoreError
from ..names import absolute, path_entry, path_from_entry, printable
from ..system.checks import check_kind, checked_path
from ..system.files import write_whole
from ..system.strict_json import parse_json

FILE = "roles.json"
"""The name of the file in a library's directory."""
_KIND = "vhash roles"


@dataclass(frozen=True)
class Roles:
    """What folders are for when duplicates are looked for. A path is a folder with all below it, or a file.

    Attributes:
        references: what lies there is never offered for removal, and is kept rather than what does not.
        ignored_within: two videos that both lie in one of these are no pair.
        across_only: two videos of the same folder (the one that holds the file itself) are no pair.

    Raises:
        OptionError: a path is none.

    >>> Roles(("/archive/",)).references
    ('/archive',)
    """

    references: tuple[str, ...] = ()
    ignored_within: tuple[str, ...] = ()
    across_only: bool = False

    def __post_init__(self) -> None:
        for name in ("references", "ignored_within"):
            given: Any = getattr(self, name)
            if isinstance(given, (str, bytes)):  # each letter would be a folder
                raise OptionError(f"{name}={given!r}; give a list of folders")
            paths = (absolute(checked_path(name, path)) for path in given)
            object.__setattr__(self, name, tuple(dict.fromkeys(paths)))
        check_kind("across_only", self.across_only, bool, "True or False")

    @property
    def any(self) -> bool:
        """Whether there is any role at all."""
        return bool(self.references or self.ignored_within or self.across_only)

    def with_more(
        self,
        *,
        references: Iterable[str | os.PathLike[str]] = (),
        ignored_within: Iterable[str | os.PathLike[str]] = (),
        across_only: bool | None = None,
    ) -> Roles:
        """These and others; ``across_only`` None: as it is."""
        return Roles(
            (*self.references, *(os.fspath(path) for path in references)),
            (*self.ignored_within, *(os.fspath(path) for path in ignored_within)),
            self.across_only if across_only is None else across_only,
        )

    def without(self, paths: Iterable[str | os.PathLike[str]]) -> Roles:
        """These without the roles of some folders.

        Raises:
            OptionError: a folder has none.
        """
        gone = {absolute(checked_path("folder", path)) for path in paths}
        for path in sorted(gone - {*self.references, *self.ignored_within}):
            raise OptionError(f"{printable(path)}: has no role here; `vhash roles` lists those that have one")
        references, ignored = (
            tuple(path for path in paths if path not in gone)
            for paths in (self.references, self.ignored_within)
        )
        return replace(self, references=references, ignored_within=ignored)


class Places:
    """Where files lie with regard to roles.

    A file lies in a folder by its name, or by what its folder truly is: links to folders hide nothing.
    """

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._references = [(path, _names(path)) for path in roles.references]
        self._ignored = [_names(path) for path in roles.ignored_within]
        self._real = lru_cache(maxsize=1 << 16)(os.path.realpath)

    def reference(self, path: str) -> str:
        """The reference that a file lies in, or nothing."""
        spots = self._spots(path)
        return next((shown for shown, folders in self._references if _within(spots, folders)), "")

    def ignored(self, a: str, b: str) -> bool:
        """Whether two files are no pair."""
        if not self._ignored and not self._roles.across_only:
            return False
        here, there = self._spots(a), self._spots(b)
        if self._roles.across_only and {*map(os.path.dirname, here)} & {*map(os.path.dirname, there)}:
            return True
        return any(_within(here, folders) and _within(there, folders) for folders in self._ignored)

    def _spots(self, path: str) -> set[str]:
        folder, name = os.path.split(path)
        return {path, os.path.join(self._real(folder), name)}


def _names(path: str) -> set[str]:
    return {path, os.path.realpath(path)}


def _within(spots: set[str], folders: set[str]) -> bool:
    inside = tuple(folder.rstrip(os.sep) + os.sep for folder in folders)
    return any(spot in folders or spot.startswith(inside) for spot in spots)


def read_roles(directory: Path) -> Roles:
    """The roles of a library; none where none were given.

    Raises:
        StoreError: they cannot be read; nothing should be offered for removal then.
    """
    file = directory / FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Roles()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        document: Any = parse_json(content)
        if document["kind"] != _KIND or document["schema"] != 1:
            raise ValueError(f"kind {document['kind']!r}, schema {document['schema']!r}")
        folders = [
            tuple(path_from_entry(entry) for entry in document[name])
            for name in ("references", "ignored_within")
        ]
        if not all(map(os.path.isabs, [path for paths in folders for path in paths])):
            raise ValueError("a path is not absolute")
        references, ignored = folders
        return Roles(references, ignored, document["across_only"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{file}: holds no roles that can be understood ({type(error).__name__}: {error}); bring it back "
            "from a copy, or delete it and name the folders again with `vhash roles`"
        ) from error


def write_roles(directory: Path, roles: Roles) -> None:
    """Keep roles; the caller holds the writer's lock. Durable when it returns.

    Raises:
        StoreError: they cannot be written; those of before are still there.
    """
    import json

    document = {
        "kind": _KIND,
        "schema": 1,
        "references": [path_entry(path) for path in roles.references],
        "ignored_within": [path_entry(path) for path in roles.ignored_within],
        "across_only": roles.across_only,
    }
    try:
        with write_whole(directory / FILE, follow=False) as stream:
            stream.write(json.dumps(document, indent=1).encode("ascii") + b"\n")
    except OSError as error:
        raise StoreError(f"{directory / FILE}: cannot be written ({error.strerror}); make room") from error
