"""Looking through a library: pages of its videos and failures by filters, and what it holds in all."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypedDict

from ..errors import OptionError
from ..spec import ModelSpec
from .database import Database
from .entries import entries_of
from .records import Entry, Failure
from .rows import FailureRow

SORTS = {
    "id": "v.id",
    "path": "v.path",
    "bytes": "v.size",
    "seconds": "coalesce(v.duration, 0)",
    "modified": "v.mtime_ns",
    "added": "v.added",
    "height": "coalesce(v.height, 0)",
}
"""What videos may be sorted by, and the column of each."""


def _holds(column: str, text: str) -> tuple[list[str], list[Any]]:
    """Whether a path holds a text, in any case of ASCII letters: as SQL, and its values.

    LIKE takes half the time of instr(lower(…)), but what is no UTF-8 is all the same to it.
    """
    cast, escaped = f"CAST({column} AS TEXT)", re.sub(r"([\\%_])", r"\\\1", text)
    words = [f"{cast} LIKE CAST(? AS TEXT) ESCAPE '\\'"]
    values = [os.fsencode(f"%{escaped}%")]
    if not text.isascii():
        words.append(f"instr(lower({cast}), lower(CAST(? AS TEXT))) > 0")
        values.append(os.fsencode(text))
    return words, list(values)


@dataclass(frozen=True)
class Filters:
    """Which videos are wanted; None: whatever it is.

    Attributes:
        text: part of the path, in any case of ASCII letters.
        codec: FFmpeg's name.
        min_seconds, max_seconds: how long they are.
        min_bytes, max_bytes: how large their files are.
        min_height: pixels.
        damaged: whether something is known to be missing.
    """

    text: str | None = None
    codec: str | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    min_height: int | None = None
    damaged: bool | None = None

    @property
    def any(self) -> bool:
        """Whether anything is filtered."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def clause(self) -> tuple[str, list[Any]]:
        """As SQL about ``video v``, and its values."""
        words: list[str] = ["1"]
        values: list[Any] = []
        if self.text:
            words, values = _holds("v.path", self.text)
        asked = (
            ("v.codec = ?", self.codec),
            ("v.duration >= ?", self.min_seconds),
            ("v.duration <= ?", self.max_seconds),
            ("v.size >= ?", self.min_bytes),
            ("v.size <= ?", self.max_bytes),
            ("v.height >= ?", self.min_height),
        )
        for sql, value in asked:
            if value is not None:
                words.append(sql)
                values.append(value)
        if self.damaged is not None:
            words.append(f"v.damaged IS {'NOT ' if self.damaged else ''}NULL")
        return " AND ".join(words), values

    def fits(self, entry: Entry) -> bool:
        """Whether a video is one of those that are wanted."""
        seconds = entry.code.duration or 0.0
        return not (
            (self.text and self.text.lower() not in entry.path.lower())
            or (self.codec is not None and entry.codec != self.codec)
            or (self.min_seconds is not None and not seconds >= self.min_seconds)
            or (self.max_seconds is not None and not seconds <= self.max_seconds)
            or (self.min_bytes is not None and entry.size < self.min_bytes)
            or (self.max_bytes is not None and entry.size > self.max_bytes)
            or (self.min_height is not None and (entry.height or 0) < self.min_height)
            or (self.damaged is not None and self.damaged != (entry.damaged is not None))
        )


class Place(NamedTuple):
    """Where a page ends: the value that the videos are sorted by, and the id of the last."""

    value: Any
    id: int


class Order(TypedDict, total=False):
    """Which page of the videos, in which order: what ``page_of`` takes; a test holds them together."""

    sort: str
    falling: bool
    after: Place | None
    skip: int
    limit: int


def page_of(
    database: Database,
    spec: ModelSpec,
    filters: Filters,
    *,
    sort: str = "id",
    falling: bool = False,
    after: Place | None = None,
    skip: int = 0,
    limit: int = 50,
) -> tuple[list[Entry], Place | None, int]:
    """Some videos, the place where they end (None: there are no more), and how many there are in all.

    Args:
        database, spec: of the library.
        filters: which videos.
        sort: one of ``SORTS``, by which they rise, or fall where ``falling`` says so; then the id.
        falling: the largest first.
        after: the place where the page before ends.
        skip, limit: videos to pass by from there, and the most to give.

    Raises:
        OptionError: there is no such order.
        StoreError: a row is damaged.
    """
    column = SORTS.get(sort)
    if column is None:
        raise OptionError(f"sort={sort!r}: expected one of {', '.join(SORTS)}")
    where, values = filters.clause()
    counted = f"SELECT count(*) FROM video v WHERE {where}", tuple(values)
    order = "DESC" if falling else "ASC"
    if after is not None:
        where += f" AND ({column}, v.id) {'<' if falling else '>'} (?, ?)"
        values += [after.value, after.id]
    sql = f"SELECT v.id, {column} FROM video v WHERE {where} ORDER BY {column} {order}, v.id {order}"
    rows = database.rows(f"{sql} LIMIT ? OFFSET ?", (*values, limit + 1, skip))
    total = len(rows)
    if total > limit or skip or after is not None:  # else these are all, and nothing is looked through twice
        ((total,),) = database.rows(*counted)
    found = {entry.id: entry for entry in entries_of(database, spec, [row[0] for row in rows[:limit]])}
    end = Place(rows[limit - 1][1], int(rows[limit - 1][0])) if len(rows) > limit else None
    return [found[row[0]] for row in rows[:limit] if row[0] in found], end, int(total)


@dataclass(frozen=True)
class Holdings:
    """What a library holds in all.

    Attributes:
        videos: how many; failures: files that could not be added.
        bytes: of their files; seconds: of all that are known.
        damaged, unreliable: how many are.
        codecs, heights: (codec or pixels, how many), the most first; at most 30.
        errors: (kind, how many) of the failures.
    """

    videos: int
    failures: int
    bytes: int
    seconds: float
    damaged: int
    unreliable: int
    codecs: Sequence[tuple[str, int]]
    heights: Sequence[tuple[int, int]]
    errors: Sequence[tuple[str, int]]


def mark(database: Database) -> tuple[int, int, float]:
    """What changes with what a library holds, beside its generation: cheap to ask for."""
    ((code,),) = database.rows("SELECT coalesce(max(id), 0) FROM code")
    ((failures, seen),) = database.rows("SELECT count(*), coalesce(max(seen), 0.0) FROM failure")
    return int(code), int(failures), float(seen)


def holdings(database: Database) -> Holdings:
    """What a library holds in all."""
    ((videos, size, seconds, damaged, unreliable),) = database.rows(
        "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(duration), 0.0), count(damaged),"
        " count(unreliable) FROM video"
    )

    def most(column: str, table: str) -> list[tuple[Any, int]]:
        rows = database.rows(
            f"SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1"
            " ORDER BY 2 DESC, 1 LIMIT 30"
        )
        return [(name, int(count)) for name, count in rows]

    errors = most("kind", "failure")
    ((failures,),) = database.rows("SELECT count(*) FROM failure")
    codecs = [(str(name), count) for name, count in most("codec", "video")]
    heights = [(int(height), count) for height, count in most("height", "video")]
    totals = (int(videos), int(failures), int(size), float(seconds), int(damaged), int(unreliable))
    return Holdings(*totals, codecs, heights, [(str(kind), count) for kind, count in errors])


class FailureOrder(TypedDict, total=False):
    """Which page of the failures is wanted: what ``failures_page`` takes; a test holds them together."""

    kind: str | None
    text: str | None
    after: bytes
    skip: int
    limit: int


def failures_page(
    database: Database,
    *,
    kind: str | None = None,
    text: str | None = None,
    after: bytes = b"",
    skip: int = 0,
    limit: int = 50,
) -> tuple[list[Failure], bytes | None, int]:
    """Some files that could not be added by path, where they end (None: no more), and how many in all."""
    where, values = _holds("path", text) if text else (["1"], [])
    if kind:
        where.append("kind = ?")
        values.append(kind)
    clause = " AND ".join(where)
    ((total,),) = database.rows(f"SELECT count(*) FROM failure WHERE {clause}", tuple(values))
    sql = f"SELECT path, kind, message, seen FROM failure WHERE {clause} AND path > ?"
    sql += " ORDER BY path LIMIT ? OFFSET ?"
    rows = database.read(FailureRow, sql, (*values, after, limit + 1, skip))
    found = [Failure(os.fsdecode(row.path), row.kind, row.message, row.seen) for row in rows[:limit]]
    return found, rows[limit - 1].path if len(rows) > limit else None, int(total)
