"""Check a library against itself and against the disk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..codes import as_codes
from ..errors import CodeError, SourceError, StoreError, UnknownIdError, UnsupportedVideoError, VideoError
from ..matching.second_look import frames_width
from ..scan import content_digest
from ..spec import ModelSpec
from ..video.completeness import cut_off
from ..video.rules import DECODING, touched
from ..video.sources import open_media
from .cache import cache_file, cached_index, load_index
from .database import Database
from .on_disk import CHANGED, LeftOut, look
from .reading import segment_codes, states, whole_codes
from .rows import WHOLE_ROWS, VideoState, described, faults, kinds
from .serving import Served
from .sounds import SoundRow, damaged_sounds, keeps_sound

if TYPE_CHECKING:
    from ..index.memory import Index


@dataclass(frozen=True)
class Problem:
    """Something that ``verify`` found.

    Attributes:
        kind: ``database`` (damaged), ``code`` (damaged or missing), ``index`` (not that of the codes),
            ``vanished`` (no such file any more), ``changed`` (the file is not what was encoded),
            ``damaged`` (a part of the file is missing, and was when it was added),
            ``rules`` (older rules coded it, and today's see another picture in the file).
        path: of the video, or of the library's file.
        message: what is wrong, and what to do.
    """

    kind: Literal["database", "code", "index", "vanished", "changed", "damaged", "rules"]
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
        damage += _rows(database)
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


def _rows(database: Database) -> Iterator[str]:
    """Values of any table that should not be there, one example of each column."""
    sound = (("sound", SoundRow),) if keeps_sound(database) else ()
    for table, row in (*WHOLE_ROWS, *sound):
        wrong: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for batch in database.batches(f"SELECT {', '.join(name for name, _ in kinds(row))} FROM {table}"):
            for name, value, kind in faults(row, batch):
                wrong[name] += 1
                examples.setdefault(name, described(name, value, kind))
        for name, count in wrong.items():
            yield f"{count} rows of {table} are damaged: {examples[name]}"
    if sound and (count := damaged_sounds(database)):
        yield f"{count} rows of sound hold no whole number of sub-fingerprints"


def _codes(database: Database, spec: ModelSpec) -> Iterator[Problem]:
    again = "remove it and add it again"
    for (path,) in database.rows(
        "SELECT path FROM video WHERE"
        " (SELECT count(*) FROM code WHERE code.video = video.id AND kind = 'full') != 1"
    ):
        yield Problem("code", os.fsdecode(path), f"has not exactly one code; {again}")
    for batch in database.batches("SELECT path, code FROM code JOIN video ON video.id = code.video"):
        for path, blob in batch:
            try:
                as_codes(np.frombuffer(blob, np.uint8), spec.bits)
            except CodeError as error:
                yield Problem("code", os.fsdecode(path), f"{error}; {again}")
    bytes_each = frames_width(spec)
    for (path,) in database.rows(
        "SELECT path FROM trajectory JOIN video ON video.id = trajectory.video WHERE length(steps) != ?",
        (bytes_each,),
    ):
        yield Problem(
            "code", os.fsdecode(path), f"what is kept of its frames has not {bytes_each} bytes; {again}"
        )
    for where, problem in (
        (
            "kind != 'segment' GROUP BY video, kind, place HAVING count(*) > 1",
            "has two codes of one part of it",
        ),
        ("kind = 'segment' AND (t1 IS NULL OR t1 < t0)", "a segment ends before it starts"),
    ):
        select = "SELECT DISTINCT path FROM code JOIN video ON video.id = code.video WHERE"
        for (path,) in database.rows(f"{select} {where}"):
            yield Problem("code", os.fsdecode(path), f"{problem}; {again}")


def _index(database: Database, directory: Path, spec: ModelSpec) -> Iterator[Problem]:
    generation, index = cached_index(database, directory, spec)
    ids, codes, now = whole_codes(database, spec.bits)
    if generation != now:  # another process has written since: compare again when it is quiet
        return
    if not _holds(index, ids, codes):
        yield Problem(
            "index",
            str(directory),
            "the cached index is not that of the codes; delete index-*.vhi, it is made again",
        )


def _holds(index: Index, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> bool:
    try:
        return len(index) == len(ids) and np.array_equal(index.codes(ids), codes)
    except UnknownIdError:  # a cache of other ids
        return False


def _segments(database: Database, directory: Path, spec: ModelSpec) -> Iterator[Problem]:
    """The kept index of the segments, if there is one, against their codes."""
    generation = database.generation()
    ids, codes = segment_codes(database, spec.bits)
    index = load_index(cache_file(directory, generation, "segments"), len(ids), spec)
    if index is None or generation != database.generation():  # it is made when it is needed
        return
    if not _holds(index, ids, codes):
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
    for row in states(database):
        path = os.fsdecode(row.path)
        try:
            problem = _file(path, row, content)
        except UnsupportedVideoError:  # nothing is known about it
            continue
        except (OSError, ValueError, SourceError) as error:
            problem = Problem("vanished", path, f"cannot be read ({error}); add its new place, or remove it")
        if problem is not None:
            yield problem


def _file(path: str, row: VideoState, content: bool) -> Problem | None:
    """What is wrong with the file of one video; ``content``: read it, whatever its size and time say."""
    status = look(path, row.size, row.mtime_ns)
    if isinstance(status, LeftOut) and status.reason != "changed":
        return Problem("vanished", path, status.message)
    if (content or isinstance(status, LeftOut)) and content_digest(path) != row.digest:
        return Problem("changed", path, CHANGED)
    if said := row.damaged or (_cut_off(path) if content else None):
        return Problem(
            "damaged", path, f"{said.removeprefix('damaged: ')}; get a whole copy, then add it again"
        )
    if (row.frames_rule or 1) < DECODING and (why := touched(path)) is not None:
        return Problem(
            "rules", path, f"{why}, which an older vhash did not heed; add it again, it is coded anew"
        )
    return None


def _cut_off(path: str) -> str | None:
    """Also for what an older version has added, which did not look."""
    try:
        return cut_off(open_media(path, stills=True))
    except VideoError:  # it was one when it was added, and has not changed
        return None
