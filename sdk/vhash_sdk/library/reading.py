"""What is read from the tables of a library, by name.

Each function asks one thing. The rows come back typed and checked (``rows``); where there may be many, they
come a few at a time, so that the library may change while somebody goes through them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..encoding.reliability import STILL
from ..encoding.tracks import kept_track, window_weights
from ..errors import StoreError
from ..matching.track import Track
from ..spec import ModelSpec
from .columns import (
    Blob,
    CodeKind,
    Confidence,
    FrameRate,
    Id,
    Nanoseconds,
    PathBytes,
    Place,
    Seconds,
    ShortText,
)
from .database import Database
from .rows import (
    Candidate,
    Coded,
    FailureRow,
    NewCode,
    PathRow,
    RawPath,
    Seen,
    Segment,
    SegmentPlace,
    Video,
    VideoFile,
    VideoState,
    code_array,
    id_array,
)

R = TypeVar("R")
Table = Literal["video", "failure"]
Arrays = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Ids ``int64[n]`` and codes ``uint8[n, bytes]``."""
_STATE = "SELECT id, path, size, mtime_ns, digest, damaged, frames_rule FROM video"
_FAILURE = "SELECT path, kind, message, seen FROM failure"
_OF_PICTURES = "('full', 'box', 'pane')"
_LACKING = "FROM video v WHERE NOT EXISTS (SELECT 1 FROM code c WHERE c.video = v.id AND c.kind = 'segment')"


class Trait(NamedTuple):
    """What some rules and roles ask of a video."""

    id: Id
    path: PathBytes
    codec: ShortText
    rate: FrameRate
    mtime_ns: Nanoseconds


class AnySegment(NamedTuple):
    """A segment with the video that it is of."""

    id: Id
    video: Id
    t0: Seconds
    t1: Seconds
    confidence: Confidence
    code: Blob


class StoredCode(NamedTuple):
    """A code of a whole picture, content box or pane: number of its row, and the video."""

    id: Id
    video: Id
    kind: CodeKind
    place: Place
    code: Blob


def in_pages(
    database: Database, row: Callable[..., R], sql: str, first: object, place: Callable[[R], object]
) -> Iterator[R]:
    """All rows of a query that is asked again and again, each time for those behind the last one read.

    Args:
        database: of the library.
        row: the type of its rows.
        sql: has one placeholder: the place behind which it looks; ordered by that, and limited.
        first: a place before all rows.
        place: of a row.
    """
    last = first
    while found := database.read(row, sql, (last,)):
        yield from found
        last = place(found[-1])


def video_count(database: Database) -> int:
    """How many videos there are."""
    ((count,),) = database.rows("SELECT count(*) FROM video")
    return int(count)


def state_at(database: Database, path: bytes) -> VideoState | None:
    """The file of the video at a path, as it was; None where the library has no such video."""
    rows = database.read(VideoState, f"{_STATE} WHERE path = ? LIMIT 1", (path,))
    return rows[0] if rows else None


def states(database: Database) -> Iterator[VideoState]:
    """The files of all videos, as they were, by id."""
    sql = f"{_STATE} WHERE id > ? ORDER BY id LIMIT 1000"
    return in_pages(database, VideoState, sql, 0, lambda row: row.id)


def with_content(database: Database, digest: bytes) -> list[PathRow]:
    """Videos that have the same content, the first ones by id."""
    return database.read(
        PathRow, "SELECT id, path FROM video WHERE digest = ? ORDER BY id LIMIT 20", (digest,)
    )


def files_of(database: Database, videos: Iterable[int]) -> list[VideoFile]:
    """The files of videos, as they were, by id."""
    return database.read(
        VideoFile,
        "SELECT id, path, size, mtime_ns FROM video WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(videos)),),
    )


def candidates(database: Database) -> list[Candidate]:
    """The codes of pictures and their parts with what grouping takes of their videos, by video."""
    return database.read(
        Candidate,
        "SELECT v.id, v.digest, v.duration, v.width, v.height, v.size, c.code, v.unreliable, v.damaged"
        " FROM video v"
        f" JOIN code c ON c.video = v.id AND c.kind IN {_OF_PICTURES} ORDER BY v.id",
    )


def traits(database: Database) -> list[Trait]:
    """What some rules and roles ask of all videos, by id."""
    return database.read(Trait, "SELECT id, path, codec, rate, mtime_ns FROM video ORDER BY id")


def seen_of(database: Database, video: int) -> list[Seen]:
    """What a second look takes of the views of a video."""
    return database.read(
        Seen,
        "SELECT c.kind, c.code, t.steps, v.duration FROM code c JOIN video v ON v.id = c.video"
        " LEFT JOIN trajectory t ON t.video = c.video AND t.kind = c.kind AND t.place = c.place"
        f" WHERE c.video = ? AND c.kind IN {_OF_PICTURES} ORDER BY c.id",
        (video,),
    )


def any_trajectory(database: Database) -> bool:
    """Whether one video at least can be looked at again."""
    return bool(database.rows("SELECT 1 FROM trajectory LIMIT 1"))


def every_trajectory(database: Database) -> bool:
    """Whether every video can be."""
    without = "SELECT 1 FROM video v WHERE v.id NOT IN (SELECT video FROM trajectory) LIMIT 1"
    return not database.rows(without)


def paths_under(database: Database, root: bytes, table: Table = "video") -> Iterator[bytes]:
    """Paths of the entries at ``root`` and in the folders below it, in order."""
    folder = root.rstrip(b"/") + b"/"
    here = database.read(RawPath, f"SELECT path FROM {table} WHERE path = ?", (root,))
    yield from (row.path for row in here)
    last = folder
    while rows := database.read(
        RawPath,
        f"SELECT path FROM {table} WHERE path > ? AND path < ? ORDER BY path LIMIT 1000",
        (last, folder[:-1] + b"0"),
    ):
        yield from (row.path for row in rows)
        last = rows[-1].path


def all_failures(database: Database) -> Iterator[FailureRow]:
    """Files that could not be added, by path."""
    sql = f"{_FAILURE} WHERE path > ? ORDER BY path LIMIT 1000"
    return in_pages(database, FailureRow, sql, b"", lambda row: row.path)


def failure_of(database: Database, path: bytes, size: int, mtime_ns: int) -> FailureRow | None:
    """Why a file could not be added, if it has not changed since; None where nothing is known against it."""
    sql = f"{_FAILURE} WHERE path = ? AND size = ? AND mtime_ns = ?"
    rows = database.read(FailureRow, sql, (path, size, mtime_ns))
    return rows[0] if rows else None


def has_failed(database: Database, path: bytes) -> bool:
    """Whether a failure of the file at a path is written down."""
    return bool(database.rows("SELECT 1 FROM failure WHERE path = ?", (path,)))


def whole_codes(database: Database, bits: int) -> tuple[NDArray[np.int64], NDArray[np.uint8], str]:
    """(video ids, codes, generation) of the codes of whole pictures.

    Raises:
        StoreError: a code is damaged, or a video has two.
    """
    with database.snapshot():
        rows = database.read(Coded, "SELECT video, code FROM code WHERE kind = 'full' ORDER BY video")
        generation = database.generation()
    ids, codes = _arrays(database, bits, rows)
    if (np.diff(ids) == 0).any():
        raise StoreError(f"{database.path}: a video has two codes of its whole picture; run `vhash verify`")
    return ids, codes, generation


def codes_of_parts(database: Database) -> list[StoredCode]:
    """The codes of content boxes and panes, by their rows."""
    return database.read(
        StoredCode,
        "SELECT id, video, kind, place, code FROM code WHERE kind IN ('box', 'pane') ORDER BY id",
    )


def new_codes(
    database: Database, bits: int, last: int, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8], int] | None:
    """(videos, codes, number of the last row) of codes of whole videos that were written after row ``last``.

    A changed code is a new row, and the latest of a video counts. None where there are no new rows.
    """
    sql = "SELECT id, video, code FROM code WHERE kind = 'full' AND id > ? ORDER BY id LIMIT ?"
    rows = database.read(NewCode, sql, (last, limit))
    if not rows:
        return None
    latest = {row.video: row.code for row in rows}
    return (*_arrays(database, bits, [Coded(*item) for item in latest.items()]), rows[-1].id)


def codes_since(database: Database, last: int, limit: int) -> list[StoredCode]:
    """Codes of pictures and their parts that were written after row ``last``, by their rows."""
    return database.read(
        StoredCode,
        f"SELECT id, video, kind, place, code FROM code WHERE kind IN {_OF_PICTURES} AND id > ?"
        " ORDER BY id LIMIT ?",
        (last, limit),
    )


def last_code(database: Database) -> int:
    """The row of the code of a picture or its part that was written last; 0 where there is none."""
    rows = database.rows(f"SELECT id FROM code WHERE kind IN {_OF_PICTURES} ORDER BY id DESC LIMIT 1")
    return int(rows[0][0]) if rows else 0


def codes_between(database: Database, bits: int, low: int, high: int, limit: int) -> Arrays:
    """Codes of whole videos with low < id ≤ high, by the id of the video."""
    rows = database.read(
        Coded,
        "SELECT video, code FROM code WHERE kind = 'full' AND video > ? AND video <= ? "
        "ORDER BY video LIMIT ?",
        (low, high, limit),
    )
    return _arrays(database, bits, rows)


def segment_codes(database: Database, bits: int) -> Arrays:
    """The codes of all segments, by the ids of their own rows."""
    sql = "SELECT id, code FROM code WHERE kind = 'segment' ORDER BY id"
    return _arrays(database, bits, database.read(Coded, sql))


def _arrays(database: Database, bits: int, rows: Sequence[Coded]) -> Arrays:
    return id_array([row.id for row in rows]), code_array(database.path, [row.code for row in rows], bits)


def segment_places(database: Database) -> list[SegmentPlace]:
    """Where all segments are, by the ids of their own rows."""
    return database.read(
        SegmentPlace, "SELECT id, video, t0, t1 FROM code WHERE kind = 'segment' ORDER BY id"
    )


def segment_pages(database: Database) -> Iterator[list[AnySegment]]:
    """All segments by the ids of their own rows, some thousands at a time."""
    sql = (
        "SELECT id, video, t0, t1, confidence, code FROM code WHERE kind = 'segment' AND id > ?"
        " ORDER BY id LIMIT 8192"
    )
    last = 0
    while rows := database.read(AnySegment, sql, (last,)):
        yield rows
        last = rows[-1].id


def has_segments(database: Database) -> bool:
    """Whether the segments of any video are kept."""
    return bool(database.rows("SELECT 1 FROM code WHERE kind = 'segment' LIMIT 1"))


def has_stills(database: Database) -> bool:
    """Whether any picture is kept."""
    return bool(database.rows("SELECT 1 FROM video WHERE unreliable = ? LIMIT 1", (STILL,)))


def lacking(database: Database) -> int:
    """How many videos have no segments."""
    ((count,),) = database.rows(f"SELECT count(*) {_LACKING}")
    return int(count)


def without_segments(database: Database) -> Iterator[Video]:
    """The videos that have no segments, by id."""
    sql = f"SELECT v.id, v.path, v.size, v.mtime_ns, v.digest {_LACKING} AND v.id > ? ORDER BY v.id LIMIT 100"
    return in_pages(database, Video, sql, 0, lambda row: row.id)


def stored_track(database: Database, video: int, spec: ModelSpec) -> Track | None:
    """The kept segments of one video, for alignment; None where there are none.

    Raises:
        StoreError: the database is damaged.
    """
    select = "SELECT t0, t1, confidence, code FROM code WHERE video = ? AND kind = 'segment' ORDER BY t0"
    rows = database.read(Segment, select, (video,))
    if not rows:
        return None
    codes = code_array(database.path, [row.code for row in rows], spec.bits)
    table = np.array([row[:3] for row in rows], np.float64)
    track = kept_track(codes, table[:, :2].mean(axis=1), spec.bits, float(table[:, 1].max()))
    return replace(track, weights=window_weights(table[:, 2].astype(np.float32)), family=spec.family)
