"""Third looks at videos of a library: from their files, and from what was seen before.

What was seen is kept by the contents of both files, so that a pair is decoded once, and by whatever path. The
file may vanish at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from ..encoding.reliability import pixels_tell
from ..matching.alignment import Span
from ..matching.pictures import TURNS
from ..matching.placement import Placement
from ..matching.third_look_result import ThirdLook
from ..system.files import write_whole
from ..video import Limits
from ..video.filming import Filmed, Filming
from .database import Database
from .kept_arrays import read_arrays
from .on_disk import LeftOut, look
from .reading import files_of
from .records import Entry
from .searching import StoredViews

logger = logging.getLogger("vhash_sdk")

VERSION = 6
"""Of what third looks measure: others are taken again."""
_SAVED = 200  # new looks after which all are written, lest a killed run begins anew
_MOST = 1 << 20  # looks that are kept, of 200 bytes; beyond that the oldest go
_DIGEST = 32
_MEASURED, _PLACED = 13, 10  # numbers of a look, and of how two videos lie on each other
NUMBERS = _MEASURED + _PLACED
"""By which a look is kept."""

Pair = tuple[bytes, bytes]
"""The contents of two files, the smaller digest first: a look does not depend on who asks."""


class Looks:
    """Takes third looks at pairs of a library's videos, and remembers them. Of one thread.

    Args:
        database: of the library.
        views: gives what it keeps of its videos by now.
        file: where looks are kept.
        limits: what decoding may cost.
    """

    def __init__(
        self, database: Database, views: Callable[[], StoredViews], file: Path, limits: Limits
    ) -> None:
        self._database, self._views, self._file = database, views, file
        self._filming = Filming(limits)
        self._known: dict[Pair, ThirdLook] | None = None
        self._new = 0

    def at(self, a: Entry, b: Entry) -> ThirdLook | None:
        """What the pixels of two videos say; None where a file is not as it was, or cannot be decoded."""
        first, second = sorted((a, b), key=lambda entry: entry.digest)
        pair = first.digest, second.digest
        if self._known is None:
            self._known = _load(self._file)
        if pair in self._known:
            return self._known[pair]
        one, two = self._filmed(first), self._filmed(second)
        seen = None if one is None or two is None else self._filming.look(one, two)
        if seen is not None:
            self._known[pair] = seen
            self._new += 1
            if self._new >= _SAVED:
                self.save()
        return seen

    def of_query(self, query: Filmed, entry: Entry) -> ThirdLook | None:
        """The same of a video that is not in the library, and one that is."""
        other = self._filmed(entry)
        return None if other is None else self._filming.look(query, other)

    def of_part(self, query: Filmed, entry: Entry, span: Span) -> ThirdLook | None:
        """The same of a part of a query that may be in a video of the library."""
        other = self._filmed(entry)
        return None if other is None else self._filming.look_at_part(query, other, span)

    def of_shared(self, a: Entry, b: Entry, span: Span) -> ThirdLook | None:
        """The same of a part that two videos of the library may share; the first is the query."""
        query = self._filmed(a)
        return None if query is None else self.of_part(query, b, span)

    def at_hand(self, entry: Entry) -> bool:
        """Whether the file of a video is as it was, and its pixels tell something."""
        return self._filmed(entry) is not None

    def _filmed(self, entry: Entry) -> Filmed | None:
        rows = files_of(self._database, [entry.id])
        width, height, seconds = entry.width, entry.height, entry.code.duration
        if not rows or not width or not height or not seconds or not pixels_tell(entry.code.unreliable):
            return None
        if isinstance(look(entry.path, rows[0].size, rows[0].mtime_ns, readable=True), LeftOut):
            return None
        return Filmed(entry.path, width, height, seconds, self._views().of(entry.id))

    def save(self) -> None:
        """Keep what was seen; a disk that refuses costs one warning."""
        if not self._new or self._known is None or self._database.unwritable:
            return
        self._new = 0
        # what another process has seen meanwhile stays
        self._known = {**_load(self._file), **self._known}
        known = list(self._known.items())[-_MOST:]
        try:
            with write_whole(self._file, follow=False) as file:
                np.savez(
                    file,
                    version=np.int64(VERSION),
                    pairs=np.ndarray(
                        (len(known), 2, _DIGEST), np.uint8, b"".join(a + b for (a, b), _ in known)
                    ),
                    looks=np.array([numbers_of(seen) for _, seen in known], np.float64),
                )
        except OSError as error:
            logger.warning("%s: could not be saved (%s); the next run looks again", self._file, error)

    def close(self) -> None:
        """Save, and end the processes that decode."""
        self.save()
        self._filming.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def numbers_of(seen: ThirdLook) -> list[float]:
    """A look as it is kept."""
    *measured, place, divided, apart, anywhere, path, detail, elsewhen = seen
    measured += [divided, apart, anywhere, path, detail, elsewhen]
    if place is None:
        return measured + [0.0] * _PLACED
    moved = [place.row, place.column, place.agreement, place.pixels, place.tilt, place.stretch, place.growth]
    return [*measured, 1.0, place.scale, float(TURNS.index(place.turn)), *moved]


def look_of(numbers: list[float]) -> ThirdLook:
    """The look that was kept so.

    Raises:
        ValueError, IndexError: the numbers are of none.
    """
    motion, against, agreeing, still, moving, variety, seconds, *others = numbers[:_MEASURED]
    placed, scale, turn, *moved = numbers[_MEASURED:]
    if placed and scale <= 0:
        raise ValueError(f"a scale of {scale}")
    place = Placement(scale, TURNS[int(turn)], *moved) if placed else None
    return ThirdLook(motion, against, agreeing, still, moving, variety, seconds, place, *others)


def _load(cache: Path) -> dict[Pair, ThirdLook]:
    """The looks of a file; nothing where it is missing, damaged or of another version."""
    try:
        file = read_arrays(cache)
        version, pairs, looks = int(file["version"]), file["pairs"], file["looks"]
        if version != VERSION or pairs.dtype != np.uint8 or looks.dtype != np.float64:
            return {}
        digests = pairs.reshape(len(looks), 2, _DIGEST)
        if looks.shape != (len(looks), NUMBERS) or not np.isfinite(looks).all():
            return {}
        return {
            (one.tobytes(), other.tobytes()): look_of(numbers)
            for (one, other), numbers in zip(digests, looks.tolist(), strict=True)
        }
    except Exception:  # an archive that anybody may have written can fail in any way
        return {}
