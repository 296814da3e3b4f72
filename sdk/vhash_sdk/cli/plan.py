"""What could be removed, for a person to decide: CSV rows, or a shell script that does nothing as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..names import printable, shell_quoted
from .output import counted

if TYPE_CHECKING:
    from ..duplicates import Group
    from ..library_records import Entry

_HEADER = [
    "group", "action", "distance", "false_match_rate", "bytes", "seconds", "width", "height", "path",
]  # fmt: skip


def csv_rows(groups: list[Group]) -> Iterator[list[object]]:
    """A header, then a row for each video: ``keep`` for the representative, ``duplicate`` for the others."""
    yield list(_HEADER)
    for number, group in enumerate(groups, 1):
        yield [number, "keep", 0, "", *_facts(group.representative)]
        for member in group.members:
            rate = "" if member.false_match_rate is None else f"{member.false_match_rate.high:.3g}"
            yield [number, "duplicate", member.distance, rate, *_facts(member.entry)]


def _facts(entry: Entry) -> list[object]:
    seconds = entry.code.duration
    known = "" if seconds != seconds else round(seconds, 3)
    return [entry.size, known, entry.width or "", entry.height or "", printable(entry.path)]


def plan_lines(groups: list[Group], facts: str, keep: str) -> Iterator[str]:
    """A shell script whose every line is a comment; no file name can break out of its line."""
    yield "#!/bin/bash"
    yield f"# {facts}"
    yield f"# Of each group the {keep} video is kept. This script does nothing as it is: look at each line,"
    yield "# and take the # away from those whose file is to go."
    for number, group in enumerate(groups, 1):
        yield "#"
        yield f"# group {number}: {counted(len(group.members), 'duplicate')}, {megabytes(group.bytes)}"
        yield f"# keep {shell_quoted(group.representative.path)}"
        for member in group.members:
            yield f"# rm -- {shell_quoted(member.entry.path)}  # {member.distance} bits"


def megabytes(count: int) -> str:
    """Bytes for people.

    >>> megabytes(900), megabytes(12_345_678)
    ('900 bytes', '12.3 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    value, units = count / 1000, iter(("KB", "MB", "GB", "TB"))
    unit = next(units)
    for larger in units:
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
