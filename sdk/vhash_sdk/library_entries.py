"""The rows of a library's videos and failures, read and removed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from .codes import VideoCode
from .library_add import exists, paths_under
from .library_db import Database, sound_rows
from .library_records import Entry, Failure
from .spec import ModelSpec

_ENTRY = (
    "SELECT v.id, v.path, v.size, v.mtime_ns, v.duration, v.width, v.height, v.rate, v.codec, v.added,"
    " v.digest, v.unreliable, v.damaged, c.confidence, c.code"
    " FROM video v JOIN code c ON c.video = v.id AND c.kind = 'full'"
)
_TABLES: tuple[Literal["video", "failure"], ...] = ("video", "failure")


def entries(database: Database, spec: ModelSpec, where: str, value: Any) -> list[Entry]:
    """The entries that a clause with one value selects.

    Raises:
        StoreError: a row is damaged.
    """
    with sound_rows(database.path):
        return [_entry(spec, *row) for row in database.rows(f"{_ENTRY} {where}", (value,))]


def _entry(spec: ModelSpec, video: int, path: bytes, size: int, mtime_ns: int, *rest: Any) -> Entry:
    duration, width, height, rate, codec, added, digest, unreliable, damaged, confidence, blob = rest
    code = VideoCode(
        np.frombuffer(blob, np.uint8),
        spec.bits,
        spec.fingerprint,
        confidence=float("nan") if confidence is None else float(confidence),
        duration=float("nan") if duration is None else float(duration),
        unreliable=unreliable,
    )
    place = os.fsdecode(path)
    return Entry(video, place, size, mtime_ns / 1e9, added, width, height, rate, codec, code, digest, damaged)


def failures(database: Database) -> Iterator[Failure]:
    """Files that could not be added, by path; the library may change meanwhile."""
    last = b""
    while rows := database.rows(
        "SELECT path, kind, message, seen FROM failure WHERE path > ? ORDER BY path LIMIT 1000", (last,)
    ):
        with sound_rows(database.path):
            found = [Failure(os.fsdecode(path), *rest) for path, *rest in rows]
        yield from found
        last = rows[-1][0]


def remove(
    database: Database, paths: Iterable[str | os.PathLike[str]] = (), *, missing: bool = False
) -> list[str]:
    """Remove entries and failures, see ``Library.remove``; the caller holds the writer's lock."""
    roots = [os.fsencode(os.path.abspath(path)) for path in paths]
    removed: dict[str, None] = {}
    with database.transaction(codes=True):
        for root in roots or ([b"/"] if missing else []):
            for table in _TABLES:
                for path in list(paths_under(database, root, table)):
                    if not missing or not exists(path):
                        database.execute(f"DELETE FROM {table} WHERE path = ?", (path,))
                        removed[os.fsdecode(path)] = None
    return list(removed)
