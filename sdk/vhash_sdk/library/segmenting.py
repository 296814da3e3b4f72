"""The segments of a library's videos: encoded and stored for those that lack them."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..encoding.stream import ordered_map
from ..encoding.tracks import kept_segments, kept_track, window_weights
from ..errors import BackendError, SourceError, VhashError
from ..matching.sequence import Segments
from ..matching.track import Track
from ..matching.windows import RATE
from ..scan import modified_ns
from ..video.isolation.pool import DecodePool
from .database import Database
from .rows import Segment, Video, code_array

if TYPE_CHECKING:
    from ..encoding.encoder import Encoder

_LACKING = "FROM video v WHERE NOT EXISTS (SELECT 1 FROM code c WHERE c.video = v.id AND c.kind = 'segment')"


@dataclass(frozen=True)
class Segmented:
    """What became of the segments of one video. They are durable before it is reported.

    Attributes:
        path: of the video.
        segments: how many were stored.
        error: why there are none.
    """

    path: str
    segments: int = 0
    error: VhashError | None = None


def has_segments(database: Database) -> bool:
    """Whether the segments of any video are kept."""
    return bool(database.rows("SELECT 1 FROM code WHERE kind = 'segment' LIMIT 1"))


def lacking(database: Database) -> int:
    """How many videos have no segments."""
    ((count,),) = database.rows(f"SELECT count(*) {_LACKING}")
    return int(count)


def stored_track(database: Database, video: int, bits: int) -> Track | None:
    """The kept segments of one video, for alignment; None where there are none.

    Raises:
        StoreError: the database is damaged.
    """
    select = "SELECT t0, t1, confidence, code FROM code WHERE video = ? AND kind = 'segment' ORDER BY t0"
    rows = database.read(Segment, select, (video,))
    if not rows:
        return None
    codes = code_array(database.path, [row.code for row in rows], bits)
    table = np.array([row[:3] for row in rows], np.float64)
    track = kept_track(codes, table[:, :2].mean(axis=1), bits, float(table[:, 1].max()))
    return replace(track, weights=window_weights(table[:, 2].astype(np.float32)))


def add_segments(
    database: Database,
    encoder: Encoder,
    *,
    workers: int,
    awaiting: Callable[[str], None] | None = None,
) -> Iterator[Segmented]:
    """Encode and store the segments of all videos that lack them; the caller holds the writer's lock.

    Each video is one transaction: all its segments are there or none. May be left at any time.

    Raises:
        StoreError: the disk is full or fails.
    """

    def work(row: Video) -> tuple[Video, Segments | VhashError]:
        path = os.fsdecode(row.path)
        try:
            _check_unchanged(path, row)
            return row, kept_segments(encoder.encode_sequence(path, rate=RATE, decoders=decoders))
        except BackendError:
            raise
        except VhashError as error:
            return row, error

    waiting: deque[str] = deque()

    def rows() -> Iterator[Video]:
        for row in _rows(database):
            waiting.append(os.fsdecode(row.path))
            if awaiting is not None and len(waiting) == 1:
                awaiting(waiting[0])
            yield row

    with DecodePool(workers, encoder.limits) as decoders, ThreadPoolExecutor(workers) as pool:
        found = ordered_map(pool, work, rows(), window=4 * workers)
        with contextlib.closing(found):
            for row, segments in found:
                path = waiting.popleft()
                if isinstance(segments, VhashError):
                    yield Segmented(path, error=segments)
                else:
                    yield _store(database, row, segments)
                if awaiting is not None and waiting:
                    awaiting(waiting[0])


def _rows(database: Database) -> Iterator[Video]:
    """The videos that lack segments, by id."""
    last = 0
    while rows := database.read(
        Video,
        f"SELECT v.id, v.path, v.size, v.mtime_ns, v.digest {_LACKING} AND v.id > ? ORDER BY v.id LIMIT 100",
        (last,),
    ):
        yield from rows
        last = rows[-1].id


def _check_unchanged(path: str, row: Video) -> None:
    try:
        status = os.stat(path)
        same = (status.st_size, modified_ns(status)) == (row.size, row.mtime_ns)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); remove it or bring it back") from error
    if not same:
        raise SourceError(f"{path}: has changed since it was added; add it again")


def _store(database: Database, row: Video, segments: Segments) -> Segmented:
    path = os.fsdecode(row.path)
    try:
        _check_unchanged(path, row)  # what was read while it changed is worth nothing
    except SourceError as error:
        return Segmented(path, error=error)
    with database.transaction(codes=True):
        if not database.rows("SELECT 1 FROM video WHERE id = ? AND digest = ?", (row.id, row.digest)):
            return Segmented(path, error=SourceError(f"{path}: was removed meanwhile"))
        for code, (start, end), confidence in zip(
            segments.codes, segments.spans.tolist(), segments.confidences.tolist(), strict=True
        ):
            database.execute(
                "INSERT INTO code (video, kind, t0, t1, confidence, code) VALUES (?, 'segment', ?, ?, ?, ?)",
                (row.id, start, end, confidence, code.tobytes()),
            )
    return Segmented(path, len(segments))
