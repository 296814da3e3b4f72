"""What could be removed, for a person to decide: CSV rows, or a shell script that does nothing as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..names import printable, shell_quoted
from .wording import counted, megabytes

if TYPE_CHECKING:
    from ..library.duplicates import Groups, Member
    from ..library.records import Entry

_HEADER = (
    "group", "action", "distance", "false_match_rate", "bytes", "seconds", "width", "height", "path",
    "damaged", "kept_because", "library",
)  # fmt: skip

LIBRARY_LINE = "# library: "
"""What the line of a script that names the library begins with."""

# the last look is the script's own: between the plan and its use days may pass, and disks change
SCRIPT = r"""
keep() { kept=$1 kept_bytes=$2; }
remove() {  # FILE BYTES
  if [ -f "$kept" ] && [ -r "$kept" ] && [ "$(wc -c <"$kept")" -eq "$kept_bytes" ] &&
    [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$2" ] && [ ! "$1" -ef "$kept" ]; then
    rm -- "$1"
  else
    printf 'left as it is: %q (it, or what is kept of it, is not as it was when this was written)\n' "$1" >&2
  fi
}
"""


def csv_rows(groups: Groups, library: str | os.PathLike[str]) -> Iterator[list[object]]:
    """A header, then a row for each video.

    The action is ``keep`` for a representative, ``duplicate`` for what may be removed, ``look`` for a
    duplicate whose removal frees nothing or breaks a link, ``same file`` for another name of one of these,
    ``left out`` for a video whose file is gone, has changed or cannot be reached.

    Args:
        groups: what was found.
        library: its directory, where ``vhash apply`` looks again.
    """
    yield list(_HEADER)
    place = printable(os.path.abspath(library))
    names = {same.path: same.names for same in groups.same_files}
    for number, group in enumerate(groups, 1):
        yield [number, "keep", 0, "", *_facts(group.representative), "", place]
        yield from _same(number, names.pop(group.representative.path, ()), place)
        for member in group.members:
            rate = "" if member.false_match_rate is None else f"{member.false_match_rate.high:.3g}"
            action = "look" if member.not_offered else "duplicate"
            why = member.kept_because
            yield [number, action, member.distance, rate, *_facts(member.entry), why, place]
            yield from _same(number, names.pop(member.entry.path, ()), place)
    for path, others in names.items():
        yield from _same("", (path, *others), place)
    for left in groups.left_out:
        yield ["", "left out", "", "", "", "", "", "", printable(left.path), "", "", place]


def _same(number: object, names: tuple[str, ...], place: str) -> Iterator[list[object]]:
    for name in names:
        yield [number, "same file", "", "", "", "", "", "", printable(name), "", "", place]


def _facts(entry: Entry) -> list[object]:
    seconds = entry.code.duration
    known = "" if seconds != seconds else round(seconds, 3)
    damaged = printable(entry.damaged or "")
    return [entry.size, known, entry.width or "", entry.height or "", printable(entry.path), damaged]


def plan_lines(groups: Groups, facts: str, keep: str, library: str | os.PathLike[str]) -> Iterator[str]:
    """A shell script that removes nothing as it is; no file name can break out of its line."""
    yield "#!/bin/bash"
    yield f"# {facts}"
    yield f"# Of each group one video is kept: {printable(keep)}."
    yield "# This script does nothing as it is: look at each line, and take the # away before `remove` where"
    yield "# the file is to go. It then goes only if both files, it and the one that is kept, are still there"
    yield "# as they were, and are two. `vhash apply` goes by the same lines, and can be undone."
    yield f"{LIBRARY_LINE}{shell_quoted(os.path.abspath(library))}"
    yield from SCRIPT.strip().splitlines()
    names = {same.path: same.names for same in groups.same_files}
    for number, group in enumerate(groups, 1):
        yield "#"
        yield f"# group {number}: {counted(len(group.members), 'duplicate')}, {megabytes(group.bytes)}"
        yield f"keep {shell_quoted(group.representative.path)} {group.representative.size}"
        if group.representative.damaged:
            said = printable(group.representative.damaged)
            yield f"#   what is kept is damaged, look before you remove: {said}"
        yield from _same_lines(names.pop(group.representative.path, ()))
        for member in group.members:
            yield from _removal(member)
            others = names.pop(member.entry.path, ())
            yield from _same_lines(tuple(name for name in others if name not in member.names))
    if names:
        yield "#"
    for path, others in names.items():
        yield f"# one file, nothing to remove: {shell_quoted(path)}"
        yield from _same_lines(others)
    for left in groups.left_out:
        yield f"# left out, {left.reason}: {shell_quoted(left.path)}"


def _removal(member: Member) -> Iterator[str]:
    path, size = shell_quoted(member.entry.path), member.entry.size
    if member.not_offered:
        yield f"# not to be removed: {path}  # {member.distance} bits; {member.not_offered}"
        return
    damaged = f"; {printable(member.entry.damaged)}" if member.entry.damaged else ""
    because = f"; kept because {printable(member.kept_because)}" if member.kept_because else ""
    yield f"# remove {path} {size}  # {member.distance} bits{damaged}{because}"
    for name in member.names:
        yield f"# remove {shell_quoted(name)} {size}  # the same file by another name: all of them, or none"


def _same_lines(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield f"#   the same file: {shell_quoted(name)}"
