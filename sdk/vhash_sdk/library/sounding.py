"""The sound of a library's videos: fingerprinted, stored, compared."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from ..encoding.stream import ordered_map
from ..errors import MissingDependencyError, OptionError, SourceError, VhashError
from ..matching.sound import Heard, Sound, hear
from ..matching.sound_index import SoundIndex
from ..runtime.onnx import usable_cores
from ..video import Limits, Source
from ..video.isolation.pool import DecodePool
from ..video.sound import check_sound
from .database import Database
from .entries import entry_of
from .lock import writing
from .on_disk import check_unchanged
from .opened import OpenLibrary
from .records import Entry, Sounded, SoundHit
from .rows import Video
from .sounds import (
    all_sounds,
    has_sound_of,
    heard_between,
    keep_sound,
    keeps_sound,
    lacking_sound,
    sound_at,
    sound_of,
    sounds_state,
    store_sound,
    without_sound,
)


class SoundLibrary(OpenLibrary):
    """What a library does with sound."""

    _sounds: tuple[object, list[int], SoundIndex] | None = None  # of the state that is named first

    @property
    def has_sound(self) -> bool:
        """Whether sound is kept: ``add`` then keeps that of new videos too."""
        return keeps_sound(self._db)

    @property
    def lacking_sound(self) -> int:
        """Of how many videos the sound is not known."""
        return lacking_sound(self._db)

    @property
    def sound_missing(self) -> str:
        """What is to be installed before sound can be fingerprinted here; empty where nothing is missing."""
        try:
            check_sound()
        except MissingDependencyError as error:
            return str(error)
        return ""

    def sounding(
        self, *, workers: int | None = None, awaiting: Callable[[str], None] | None = None
    ) -> Iterator[Sounded]:
        """Fingerprint the sound of all videos that lack it; each is durable before it is handed out.

        May be left at any time; the next run goes on from there.

        Args:
            workers: decoding processes; None: one a core.
            awaiting: called with the path whose result is waited for: the oldest in the decoder.

        Raises:
            MissingDependencyError: Chromaprint is not there.
            StoreError: another process writes, or the disk is full or fails.
        """
        check_sound()
        with writing(self._db):
            yield from _add_sounds(self._db, self._sound_limits, workers=workers, awaiting=awaiting)

    def sound(self, entry: Entry) -> Sound | None:
        """The sound of one of its videos; None where it is not known."""
        return sound_at(self._db, entry.digest)

    def hear(self, a: Entry, b: Entry) -> Heard | None:
        """What the sounds of two of its videos say; None where one is not known. Nothing is decoded."""
        return heard_between(self._db, a, b)

    def hear_all(self, sound: Sound, videos: Iterable[int]) -> dict[int, Heard]:
        """What a sound, as ``a``, and those of videos, by their ids, say; where they are known."""
        known = ((video, sound_of(self._db, video)) for video in videos)
        return {video: hear(sound, other) for video, other in known if other is not None}

    def same_sound(self) -> list[tuple[Entry, Entry, Heard]]:
        """The pairs of its videos that share a part of their sound, whatever their pictures, longest first.

        Raises:
            OptionError: no sound is kept.
        """
        ids, index = self._sound_index()
        found = sorted(index.pairs(), key=lambda one: (-_seconds(one[2]), one[:2]))
        entries = {place: entry_of(self._db, self.spec, ids[place]) for one in found for place in one[:2]}
        pairs = ((entries[a], entries[b], heard) for a, b, heard in found)
        return [(a, b, heard) for a, b, heard in pairs if a is not None and b is not None]

    def listen(self, video: Source) -> Sound:
        """The sound of a video that need not be in the library; nothing in it where there is none.

        Raises:
            VideoError: it cannot be read.
            MissingDependencyError: Chromaprint is not there.
        """
        with DecodePool(1, self._sound_limits) as decoders:
            return decoders.sound(video)

    def search_sound(self, video: Source | Sound) -> list[SoundHit]:
        """The videos that share a part of their sound with one, longest first.

        Args:
            video: what ``Encoder.encode`` takes, or what ``listen`` gave.

        Raises:
            VideoError: the query cannot be read.
            OptionError: no sound is kept.
            MissingDependencyError: Chromaprint is not there.
        """
        ids, index = self._sound_index()
        found = index.search(video if isinstance(video, Sound) else self.listen(video))
        hits = ((entry_of(self._db, self.spec, ids[place]), heard) for place, heard in found)
        return [SoundHit(entry, heard) for entry, heard in hits if entry is not None]

    def _sound_index(self) -> tuple[list[int], SoundIndex]:
        if not self.has_sound:
            raise OptionError(
                f"{self.directory}: no sound is kept; `vhash add {self.directory} --sound` keeps it"
            )
        state = sounds_state(self._db)
        if self._sounds is None or self._sounds[0] != state:
            ids, sounds = all_sounds(self._db)
            self._sounds = state, ids, SoundIndex(sounds)
        return self._sounds[1:]

    @property
    def _sound_limits(self) -> Limits:
        return self._encoder.limits if self._encoder is not None else self._limits or Limits()


def _add_sounds(
    database: Database,
    limits: Limits,
    *,
    workers: int | None,
    awaiting: Callable[[str], None] | None,
) -> Iterator[Sounded]:
    """Fingerprint and store; the caller holds the writer's lock. Each video is one transaction."""
    keep_sound(database)
    count = usable_cores() if workers is None else workers

    def work(row: Video) -> tuple[Video, Sound | VhashError]:
        path = os.fsdecode(row.path)
        try:
            check_unchanged(path, row.size, row.mtime_ns)
            return row, decoders.sound(path)
        except VhashError as error:
            return row, error

    waiting: deque[Video] = deque()

    def rows() -> Iterator[Video]:
        for row in without_sound(database):
            # a copy byte for byte of one that is being decoded, or was in the meantime
            if any(row.digest == other.digest for other in waiting) or has_sound_of(database, row.digest):
                continue
            waiting.append(row)
            if awaiting is not None and len(waiting) == 1:
                awaiting(os.fsdecode(row.path))
            yield row

    with DecodePool(count, limits) as decoders, ThreadPoolExecutor(count) as pool:
        found = ordered_map(pool, work, rows(), window=4 * count)
        with contextlib.closing(found):
            for row, sound in found:
                path = os.fsdecode(waiting.popleft().path)
                if isinstance(sound, VhashError):
                    yield Sounded(path, error=sound)
                else:
                    yield _store(database, row, sound)
                if awaiting is not None and waiting:
                    awaiting(os.fsdecode(waiting[0].path))


def _store(database: Database, row: Video, sound: Sound) -> Sounded:
    path = os.fsdecode(row.path)
    try:
        check_unchanged(path, row.size, row.mtime_ns)  # what was read while it changed is worth nothing
    except SourceError as error:
        return Sounded(path, error=error)
    if not store_sound(database, row, sound):
        return Sounded(path, error=SourceError(f"{path}: was removed meanwhile"))
    return Sounded(path, says=sound.says)


def _seconds(heard: Heard) -> float:
    return (heard.a_end or 0.0) - (heard.a_start or 0.0)
