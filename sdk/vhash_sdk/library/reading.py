"""What is read from the tables of a library, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from ..encoding.tracks import content, kept_track
from ..matching.track import Track
from .database import Database
from .rows import RawPath, Segment, code_array

LACKING = "FROM video v WHERE NOT EXISTS (SELECT 1 FROM code c WHERE c.video = v.id AND c.kind = 'segment')"


def paths_under(
    database: Database, root: bytes, table: Literal["video", "failure"] = "video"
) -> Iterator[bytes]:
    """Paths of the entries at ``root`` and in the folders below it, in order; a few at a time."""
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


def has_segments(database: Database) -> bool:
    """Whether the segments of any video are kept."""
    return bool(database.rows("SELECT 1 FROM code WHERE kind = 'segment' LIMIT 1"))


def lacking(database: Database) -> int:
    """How many videos have no segments."""
    ((count,),) = database.rows(f"SELECT count(*) {LACKING}")
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
    return replace(track, weights=content(table[:, 2].astype(np.float32)))
