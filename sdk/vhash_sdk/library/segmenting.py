"""The segments of a library's videos: encoded and stored for those that lack them."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..encoding.stream import ordered_map
from ..encoding.tracks import kept_segments
from ..errors import BackendError, SourceError, VhashError
from ..matching.sequence import Segments
from ..matching.windows import RATE
from ..runtime.onnx import usable_cores
from ..video.isolation.pool import DecodePool
from .database import Database
from .on_disk import check_unchanged
from .reading import without_segments
from .records import Segmented
from .rows import Video

if TYPE_CHECKING:
    from ..encoding.encoder import Encoder


def add_segments(
    database: Database,
    encoder: Encoder,
    *,
    workers: int | None = None,
    awaiting: Callable[[str], None] | None = None,
) -> Iterator[Segmented]:
    """Encode and store the segments of all videos that lack them; the caller holds the writer's lock.

    Each video is one transaction: all its segments are there or none. May be left at any time.

    Raises:
        StoreError: the disk is full or fails.
    """

    count = usable_cores() if workers is None else workers

    def work(row: Video) -> tuple[Video, Segments | VhashError]:
        path = os.fsdecode(row.path)
        try:
            check_unchanged(path, row.size, row.mtime_ns)
            return row, kept_segments(encoder.encode_sequence(path, rate=RATE, decoders=decoders))
        except BackendError:
            raise
        except VhashError as error:
            return row, error

    waiting: deque[str] = deque()

    def rows() -> Iterator[Video]:
        for row in without_segments(database):
            waiting.append(os.fsdecode(row.path))
            if awaiting is not None and len(waiting) == 1:
                awaiting(waiting[0])
            yield row

    with DecodePool(count, encoder.limits) as decoders, ThreadPoolExecutor(count) as pool:
        found = ordered_map(pool, work, rows(), window=4 * count)
        with contextlib.closing(found):
            for row, segments in found:
                path = waiting.popleft()
                if isinstance(segments, VhashError):
                    yield Segmented(path, error=segments)
                else:
                    yield _store(database, row, segments)
                if awaiting is not None and waiting:
                    awaiting(waiting[0])


def _store(database: Database, row: Video, segments: Segments) -> Segmented:
    path = os.fsdecode(row.path)
    try:
        check_unchanged(path, row.size, row.mtime_ns)  # what was read while it changed is worth nothing
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
