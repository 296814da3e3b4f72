"""The entries and failures of a library as it hands them out, and how they are removed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode
from ..names import absolute
from ..spec import ModelSpec
from ..system.checks import checked_path
from .database import Database
from .on_disk import exists
from .reading import all_failures, paths_under
from .records import Entry, Failure
from .rows import VideoRow, code_array, known_or_nan

_ENTRY = (
    "SELECT v.id, v.path, v.size, v.mtime_ns, v.duration, v.width, v.height, v.rate, v.codec, v.added,"
    " v.digest, v.unreliable, v.damaged, c.confidence, c.code"
    " FROM video v JOIN code c ON c.video = v.id AND c.kind = 'full'"
)
_TABLES: tuple[Literal["video", "failure"], ...] = ("video", "failure")


def entry_of(database: Database, spec: ModelSpec, video: int) -> Entry | None:
    """The entry of a video by its id; None where there is no such video any more."""
    found = _entries(database, spec, "WHERE v.id = ?", video)
    return found[0] if found else None


def entries_of(database: Database, spec: ModelSpec, videos: Iterable[int]) -> list[Entry]:
    """The entries of videos by their ids, without those that are not there any more."""
    where = "WHERE v.id IN (SELECT value FROM json_each(?)) ORDER BY v.id"
    return _entries(database, spec, where, json.dumps(list(videos)))


def entry_at(database: Database, spec: ModelSpec, path: str | os.PathLike[str]) -> Entry | None:
    """The entry of the video at a path, or None."""
    raw = os.fsencode(absolute(checked_path("path", path)))
    found = _entries(database, spec, "WHERE v.path = ?", raw)
    return found[0] if found else None


def all_entries(database: Database, spec: ModelSpec) -> Iterator[Entry]:
    """All entries by their ids; the library may change meanwhile."""
    last = 0
    while found := _entries(database, spec, "WHERE v.id > ? ORDER BY v.id LIMIT 1000", last):
        yield from found
        last = found[-1].id


def _entries(database: Database, spec: ModelSpec, where: str, value: Any) -> list[Entry]:
    """The entries that a clause with one value selects.

    Raises:
        StoreError: a row is damaged.
    """
    rows = database.read(VideoRow, f"{_ENTRY} {where}", (value,))
    codes = code_array(database.path, [row.code for row in rows], spec.bits)
    return [_entry(spec, row, code) for row, code in zip(rows, codes, strict=True)]


def _entry(spec: ModelSpec, row: VideoRow, code: NDArray[np.uint8]) -> Entry:
    whole = VideoCode(
        code,
        spec.bits,
        spec.fingerprint,
        confidence=known_or_nan(row.confidence),
        duration=known_or_nan(row.duration),
        unreliable=row.unreliable,
    )
    place, modified = os.fsdecode(row.path), row.mtime_ns / 1e9
    picture = row.width, row.height, row.rate, row.codec
    return Entry(row.id, place, row.size, modified, row.added, *picture, whole, row.digest, row.damaged)


def failures(database: Database) -> Iterator[Failure]:
    """Files that could not be added, by path; the library may change meanwhile."""
    for row in all_failures(database):
        yield Failure(os.fsdecode(row.path), row.kind, row.message, row.seen)


def remove(
    database: Database, paths: Iterable[str | os.PathLike[str]] = (), *, missing: bool = False
) -> list[str]:
    """Remove entries and failures, see ``Library.remove``; the caller holds the writer's lock."""
    given = [checked_path("path", path) for path in paths]
    # an earlier version kept two slashes at the beginning, where they were given
    roots = [os.fsencode(root) for p in given for root in dict.fromkeys((absolute(p), os.path.abspath(p)))]
    removed: dict[str, None] = {}
    with database.transaction(codes=True):
        for root in roots or ([b"/"] if missing else []):
            for table in _TABLES:
                for path in list(paths_under(database, root, table)):
                    if not missing or not exists(path):
                        database.execute(f"DELETE FROM {table} WHERE path = ?", (path,))
                        removed[os.fsdecode(path)] = None
    return list(removed)
