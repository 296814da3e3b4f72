"""The table of sounds of a library, which only a library has that was asked to keep them.

A row belongs to a content (``scan.content_digest``), not to a file: a copy or a moved file needs no decoding,
and a changed one lacks its sound by itself. The table is no part of the format that every library has
(``schema``): one without it stays as it is, also where it cannot be written, and any vhash opens one with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import StoreError
from ..matching.sound import Heard, Sound, hear
from .columns import Blob, Digest, Seconds
from .database import Database
from .reading import in_pages
from .records import Entry
from .rows import Video

_TABLE = (
    "CREATE TABLE IF NOT EXISTS sound ("
    " id INTEGER PRIMARY KEY,"
    " digest BLOB NOT NULL UNIQUE,"
    " start REAL NOT NULL,"
    " prints BLOB NOT NULL)"
)
_LACKING = "FROM video v WHERE NOT EXISTS (SELECT 1 FROM sound s WHERE s.digest = v.digest)"


class SoundRow(NamedTuple):
    """The sound of a content: seconds from the first picture on, and ``uint32`` little endian."""

    digest: Digest
    start: Seconds
    prints: Blob


class DigestRow(NamedTuple):
    """The content of a video."""

    digest: Digest


def keeps_sound(database: Database) -> bool:
    """Whether the library keeps sound."""
    return bool(database.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sound'"))


def keep_sound(database: Database) -> None:
    """Keep sound from now on; and forget that of videos that are gone. The caller holds the writer's lock."""
    with database.transaction():
        database.execute(_TABLE)
        database.execute("DELETE FROM sound WHERE digest NOT IN (SELECT digest FROM video)")


def lacking_sound(database: Database) -> int:
    """Of how many videos the sound is not known."""
    if not keeps_sound(database):
        return int(database.rows("SELECT count(*) FROM video")[0][0])
    return int(database.rows(f"SELECT count(*) {_LACKING}")[0][0])


def without_sound(database: Database) -> Iterator[Video]:
    """The videos whose sound is not known, by id."""
    sql = f"SELECT v.id, v.path, v.size, v.mtime_ns, v.digest {_LACKING} AND v.id > ? ORDER BY v.id LIMIT 100"
    return in_pages(database, Video, sql, 0, lambda row: row.id)


def has_sound_of(database: Database, digest: bytes) -> bool:
    """Whether the sound of a content is known."""
    return bool(database.rows("SELECT 1 FROM sound WHERE digest = ?", (digest,)))


def store_sound(database: Database, row: Video, sound: Sound) -> bool:
    """Write down a sound; False: the video is not there any more, or is another one."""
    with database.transaction():
        if not database.rows("SELECT 1 FROM video WHERE id = ? AND digest = ?", (row.id, row.digest)):
            return False
        prints = np.ascontiguousarray(sound.prints, "<u4").tobytes()
        database.execute(
            "INSERT OR REPLACE INTO sound (digest, start, prints) VALUES (?, ?, ?)",
            (row.digest, float(sound.start), prints),
        )
    return True


def sound_at(database: Database, digest: bytes) -> Sound | None:
    """The sound of a content; None where it is not known.

    Raises:
        StoreError: the row is damaged.
    """
    if not keeps_sound(database):
        return None
    rows = database.read(SoundRow, "SELECT digest, start, prints FROM sound WHERE digest = ?", (digest,))
    return _sound(database, rows[0]) if rows else None


def sound_of(database: Database, video: int) -> Sound | None:
    """The sound of a video by its id; None where it is not known."""
    rows = database.read(DigestRow, "SELECT digest FROM video WHERE id = ?", (video,))
    return sound_at(database, rows[0].digest) if rows else None


def heard_between(database: Database, a: Entry, b: Entry) -> Heard | None:
    """What the sounds of two videos say; None where one is not known."""
    first, second = sound_at(database, a.digest), sound_at(database, b.digest)
    return None if first is None or second is None else hear(first, second)


def all_sounds(database: Database) -> tuple[list[int], list[Sound]]:
    """The videos whose sound is known, by id, and their sounds; copies byte for byte share one.

    Raises:
        StoreError: a row is damaged.
    """
    if not keeps_sound(database):
        return [], []
    with database.snapshot():
        sql = "SELECT v.id, s.id FROM video v JOIN sound s ON s.digest = v.digest ORDER BY v.id"
        owners = [(int(video), int(sound)) for video, sound in database.rows(sql)]
        known = {
            number: _sound(database, row)
            for number, row in zip(
                (int(number) for (number,) in database.rows("SELECT id FROM sound ORDER BY id")),
                database.read(SoundRow, "SELECT digest, start, prints FROM sound ORDER BY id"),
                strict=True,
            )
        }
    return [video for video, _ in owners], [known[sound] for _, sound in owners]


def sounds_state(database: Database) -> object:
    """Changes when videos or sounds do."""
    return database.generation(), *database.rows("SELECT count(*), max(id) FROM sound")


def damaged_sounds(database: Database) -> int:
    """How many rows hold no whole number of sub-fingerprints."""
    return int(database.rows("SELECT count(*) FROM sound WHERE length(prints) % 4 != 0")[0][0])


def _sound(database: Database, row: SoundRow) -> Sound:
    if len(row.prints) % 4:
        raise StoreError(f"{database.path}: holds a damaged sound; run `vhash verify`")
    return Sound.from_bytes(row.prints, float(row.start))
