"""Check a library against itself and against the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .codes import as_codes
from .errors import CodeError, SourceError, StoreError, UnknownIdError, UnsupportedVideoError
from .library_cache import cache_file, cached_index, load_index
from .library_db import Database
from .library_serve import Served
from .scan import content_digest, modified_ns
from .spec import ModelSpec
from .verification import part_widths
from .video.rules import DECODING, touched


@dataclass(frozen=True)
class Problem:
    """Something that ``verify`` found.

    Attributes:
        kind: ``database`` (damaged), ``code`` (damaged or missing), ``index`` (not that of the codes),
            ``vanished`` (no such file any more), ``changed`` (the file is not what was encoded),
            ``rules`` (older rules coded it, and today's see another picture in the file).
        path: of the video, or of the library's file.
        message: what is wrong, and what to do.
    """

    kind: Literal["database", "code", "index", "vanished", "changed", "rules"]
    path: str
    message: str


def verify(
    database: Database, directory: Path, spec: ModelSpec, *, content: bool, served: Served | None
) -> Iterator[Problem]:
    """Yield what is wrong with a library; see ``Library.verify``."""
    try:
        damage = [text for (text,) in database.rows("PRAGMA integrity_check") if text != "ok"]
        damage += [
            f"row {row[1]} of {row[0]} belongs to no video"
            for row in database.rows("PRAGMA foreign_key_check")
        ]
        damage += _types(database)
    except StoreError as error:
        yield Problem("database", str(database.path), str(error))
        return
    for text in damage:
        yield Problem(
            "database", str(database.path), f"{text}; bring the library back from a copy, or build it anew"
        )
    if damage:
        return
    broken = False
    for problem in _codes(database, spec):
        broken = True
        yield problem
    if not broken:
        yield from _index(database, directory, spec)
        yield from _segments(database, directory, spec)
        yield from _served(served)
    yield from _files(database, content)


def _types(database: Database) -> Iterator[str]:
    """SQLite stores anything in any column, so a damaged page may put a number where a path was."""
    for table, columns in (
        ("video", "path blob, size integer, mtime_ns integer, digest blob, added real"),
        ("code", "video integer, kind text, t0 real, code blob"),
        ("failure", "path blob, size integer, mtime_ns integer, kind text, message text, seen real"),
        ("not_a_match", "a blob, b blob, noted real"),
        ("trajectory", "video integer, kind text, steps blob"),
    ):
        for column in columns.split(", "):
            name, kind = column.split()
            ((wrong,),) = database.rows(f"SELECT count(*) FROM {table} WHERE typeof({name}) != ?", (kind,))
            if wrong:
                yield f"{wrong} rows of {table} have no {kind} as {name}"


def _codes(database: Database, spec: ModelSpec) -> Iterator[Problem]:
    for (path,) in database.rows(
        "SELECT path FROM video WHERE"
        " (SELECT count(*) FROM code WHERE code.video = video.id AND kind = 'full') != 1"
    ):
        yield Problem("code", os.fsdecode(path), "has not exactly one code; remove it and add it again")
    for path, blob in database.execute("SELECT path, code FROM code JOIN video ON video.id = code.video"):
        try:
            as_codes(np.frombuffer(blob, np.uint8), spec.bits)
        except (CodeError, TypeError, ValueError) as error:
            yield Problem("code", os.fsdecode(path), f"{error}; remove it and add it again")
    bytes_each = spec.sampling.frames * sum(part_widths(spec))
    for (path,) in database.execute(
        "SELECT path FROM trajectory JOIN video ON video.id = trajectory.video WHERE length(steps) != ?",
        (bytes_each,),
    ):
        problem = f"its trajectory has not {bytes_each} bytes; remove it and add it again"
        yield Problem("code", os.fsdecode(path), problem)


def _index(database: Database, directory: Path, spec: ModelSpec) -> Iterator[Problem]:
    generation, index = cached_index(database, directory, spec)
    ids, codes, now = database.codes(spec.bits)
    if generation != now:  # another process has written since: compare again when it is quiet
        return
    if len(index) != len(ids) or not np.array_equal(index.codes(ids), codes):
        yield Problem(
            "index",
            str(directory),
            "the cached index is not that of the codes; delete index-*.vhi, it is made again",
        )


def _segments(database: Database, directory: Path, spec: ModelSpec) -> Iterator[Problem]:
    """The kept index of the segments, if there is one, against their codes."""
    generation = database.generation()
    rows = database.rows("SELECT id, code FROM code WHERE kind = 'segment' ORDER BY id")
    index = load_index(cache_file(directory, generation, "segments"), len(rows), spec)
    if index is None or generation != database.generation():  # it is made when it is needed
        return
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    try:
        same = index.codes(ids).tobytes() == b"".join(code for _, code in rows)
    except UnknownIdError:
        same = False
    if not same:
        yield Problem(
            "index",
            str(directory),
            "the cached index is not that of the segments; delete segments-*.vhi, it is made again",
        )


def _served(served: Served | None) -> Iterator[Problem]:
    if served is not None and (wrong := served.check()):
        yield Problem(
            "index",
            served.where,
            f"codes that differ from the library's: {wrong}; the next search there writes all of them again",
        )


def _files(database: Database, content: bool) -> Iterator[Problem]:
    last = 0
    while rows := database.rows(
        "SELECT id, path, size, mtime_ns, digest, frames_rule FROM video WHERE id > ? ORDER BY id LIMIT 1000",
        (last,),
    ):
        for _, raw, size, mtime_ns, digest, rule in rows:
            path = os.fsdecode(raw)
            try:
                status = os.stat(path)
                same = (status.st_size, modified_ns(status)) == (size, mtime_ns)
                if (content or not same) and content_digest(path) != digest:
                    yield Problem("changed", path, "the file is not what was encoded; add it again")
                elif (rule or 1) < DECODING and (why := touched(path)) is not None:
                    yield Problem(
                        "rules",
                        path,
                        f"{why}, which an older vhash did not heed; add it again, it is coded anew",
                    )
            except UnsupportedVideoError:  # nothing is known about it
                pass
            except FileNotFoundError:
                yield Problem("vanished", path, "no such file any more; add its new place, or remove it")
            except (OSError, ValueError, SourceError) as error:
                yield Problem("vanished", path, f"cannot be read ({error}); add its new place, or remove it")
        last = rows[-1][0]
