"""Plans of ``vhash dedup`` as they come back from a person: which files are kept, and which are to go.

A plan is text that anybody may have edited. It says what is wanted and nothing else: what is true of the
files, the library and the disk say. A line that cannot be understood is an error, so that nothing is done by
half.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import PlanError
from ..names import from_printable, from_shell_quoted, printable
from ..report.plan import LIBRARY_LINE, SCRIPT
from ..system.checks import checked_path

_MOST_BYTES = 1 << 30  # of a plan: some millions of files
_NEEDED = ("group", "action", "bytes", "path")
_REMOVED = ("duplicate", "remove")
_IGNORED = ("look", "left out", "leave", "")


@dataclass(frozen=True)
class Named:
    """A file of a plan: its absolute path, its bytes if the plan says them, and other names (hard links)."""

    path: str
    size: int | None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedGroup:
    """Files that are kept, and those that are to go, each because it is a copy of one that is kept."""

    name: str
    kept: tuple[Named, ...]
    removals: tuple[Named, ...]


@dataclass(frozen=True)
class Plan:
    """What a plan says.

    Attributes:
        file: it was read from.
        library: the directory of the library that it is from; None where it does not say.
        groups: those with something to remove.
        offered: how many removals it has that nobody has asked for: lines of a script behind a ``#``.
    """

    file: str
    library: str | None
    groups: tuple[PlannedGroup, ...]
    offered: int = 0


def read_plan(file: str | os.PathLike[str]) -> Plan:
    """Read a plan: of a CSV file the rows ``duplicate``, of a script the ``remove`` lines without a ``#``.

    Raises:
        PlanError: it is none; the message names the line.
        OSError: it cannot be read.
    """
    path = checked_path("plan", file)
    with open(path, "rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    try:
        if len(content) > _MOST_BYTES:
            raise PlanError(f"is larger than {_MOST_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
        library, drafts, offered = _script(text) if text.startswith("#!") else _table(text)
        groups = tuple(draft.group() for draft in drafts.values() if draft.removals)
        return Plan(os.path.abspath(path), library, groups, offered)
    except (PlanError, UnicodeDecodeError, csv.Error) as error:
        raise PlanError(
            f"{printable(path)}: no plan that can be followed: {error}; write one with `vhash dedup --plan`"
        ) from error


@dataclass
class _Draft:
    name: str
    kept: dict[str, Named] = field(default_factory=dict)
    removals: dict[str, Named] = field(default_factory=dict)
    last: str = ""

    def remove(self, where: str, named: Named) -> None:
        if named.path in self.removals:
            raise PlanError(f"{where}: {printable(named.path)} comes twice")
        self.removals[named.path] = named
        self.last = named.path

    def also(self, name: str) -> None:
        """Another name of the file before."""
        before = self.removals.get(self.last)
        if before is not None:
            self.removals[self.last] = Named(before.path, before.size, (*before.names, name))

    def group(self) -> PlannedGroup:
        return PlannedGroup(self.name, tuple(self.kept.values()), tuple(self.removals.values()))


def _table(text: str) -> tuple[str | None, dict[str, _Draft], int]:
    rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
    missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        raise PlanError(f"it has no column {', '.join(missing)}; keep commas between the columns")
    drafts: dict[str, _Draft] = {}
    library: str | None = None
    for row in rows:
        where = f"line {rows.line_num}"
        group, action, size, path = (row[name] or "" for name in _NEEDED)
        # a name may end in a blank, but none of a whole path begins with one
        group, action, size, path = group.strip(), action.strip(), size.strip(), path.lstrip()
        if place := (row.get("library") or "").lstrip():
            library = _same_library(where, library, _path(where, place))
        if action in _IGNORED:
            if group in drafts:
                drafts[group].last = ""  # other names below it are those of a file that stays
            continue
        name = _path(where, path)
        if action == "same file" and not group:
            continue
        draft = drafts.setdefault(group, _Draft(group))
        if action == "keep":
            draft.kept[name] = Named(name, _size(where, size))
            draft.last = ""
        elif action in _REMOVED:
            draft.remove(where, Named(name, _size(where, size)))
        elif action == "same file":
            draft.also(name)
        else:
            allowed = ", ".join(map(repr, ("keep", *_REMOVED, "same file", *_IGNORED[:3])))
            raise PlanError(f"{where}: the action {action!r}; allowed: {allowed}")
    return library, drafts, 0


def _script(text: str) -> tuple[str | None, dict[str, _Draft], int]:
    known = set(SCRIPT.strip().splitlines())
    drafts: dict[str, _Draft] = {}
    library: str | None = None
    draft: _Draft | None = None
    name, offered = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        where = f"line {number}"
        if line.startswith(LIBRARY_LINE):
            library = _same_library(where, library, _word(where, line[len(LIBRARY_LINE) :])[0])
        elif match := re.match(r"# group (\d+):", line):
            name = match[1]
        elif line.startswith("keep "):
            path, size = _word_and_size(where, line[5:])
            if draft is None or draft.removals or draft.name != name:
                draft = drafts[where] = _Draft(name)
            draft.kept[path] = Named(path, size)
        elif line.startswith("remove "):
            path, size = _word_and_size(where, line[7:])
            if draft is None:
                raise PlanError(
                    f"{where}: removes {printable(path)}, and no line before it keeps another one"
                )
            if "  # the same file by another name" in line and draft.last:
                draft.also(path)
            else:
                draft.remove(where, Named(path, size))
        elif line.startswith("# remove "):
            offered += 1
            if draft is not None and "  # the same file by another name" not in line:
                draft.last = ""
        elif line.strip() and not line.startswith("#") and line not in known:
            raise PlanError(f"{where}: {line[:80]!r} is no line of a plan")
    return library, drafts, offered


def _word(where: str, text: str) -> tuple[str, str]:
    try:
        path, rest = from_shell_quoted(text)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None
    return _whole(where, path), rest


def _word_and_size(where: str, text: str) -> tuple[str, int]:
    path, rest = _word(where, text)
    match = re.fullmatch(r"\s+(\d{1,18})\s*(#.*)?", rest)
    if match is None:
        raise PlanError(f"{where}: behind {printable(path)} there should be its bytes, and nothing else")
    return path, int(match[1])


def _path(where: str, text: str) -> str:
    try:
        path = from_printable(text)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None
    return _whole(where, path)


def _whole(where: str, path: str) -> str:
    """A path that is absolute, and the shortest of its name: one that says where it leads."""
    if not path.startswith("/") or path.startswith("//") or os.path.abspath(path) != path or "\0" in path:
        raise PlanError(f"{where}: {printable(path)!r} is no absolute path, or not written without . and ..")
    return path


def _size(where: str, text: str) -> int | None:
    if not re.fullmatch(r"\d{0,18}", text):
        raise PlanError(f"{where}: {text!r} bytes; allowed: a whole number")
    return int(text) if text else None


def _same_library(where: str, before: str | None, now: str) -> str:
    if before not in (None, now):
        raise PlanError(f"{where}: another library, {printable(now)}, than above; one plan is of one library")
    return now


def inodes(files: Iterable[Named]) -> dict[tuple[int, int], str]:
    """(device, inode) of files that are there, and a path of each."""
    found = {}
    for named in files:
        try:
            status = os.stat(named.path)
        except (OSError, ValueError):
            continue
        found[status.st_dev, status.st_ino] = named.path
    return found
