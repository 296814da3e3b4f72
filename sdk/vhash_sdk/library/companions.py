"""What a video of a library is a copy of, asked while others are still being added.

By what is stored, judgements included; only pairs in doubt are looked at in their files. Only codes that are
new since the last question are read, so that it can be asked after each video of a long ``add``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..index.memory import Index
from ..matching.verdict import Verdict
from ..spec import ModelSpec
from .database import Database
from .entries import entry_at, entry_of
from .judgements import apart
from .looks import Looks
from .reading import codes_since, last_code, video_count, with_content
from .records import Entry, Hit
from .rows import code_array
from .searching import PictureParts, StoredViews, nearest

_PAGE = 4096


class Companions:
    """Knows what each video of a library is a copy of, at any time. Of one thread.

    Args:
        database, spec: of the library.
        verdict: gives what decides, for so many videos as there are by then.
        looks: takes third looks.

    Attributes:
        seen: number of the last code that was read; see ``arrived``.
    """

    def __init__(
        self, database: Database, spec: ModelSpec, verdict: Callable[[], Verdict], looks: Looks
    ) -> None:
        self._database, self._spec, self._verdict, self._looks = database, spec, verdict, looks
        self._index = Index(spec.bits, model=spec.fingerprint)
        self._picture_parts = PictureParts(database, spec)
        self.seen = 0
        verdict()  # a model without calibration is better known before than after
        self._read()

    def at(self, path: str) -> list[Hit]:
        """What the video at a path is a copy of, the nearest first; nothing where it is not in."""
        entry = entry_at(self._database, self._spec, path)
        return [] if entry is None else self.of(entry)

    def of(self, entry: Entry) -> list[Hit]:
        """What a video is a copy of, the nearest first; as ``Library.decide`` says of each pair."""
        self._read()
        verdict, views = self._verdict(), StoredViews(self._database, self._spec)
        seen = views.of(entry.id)
        if not seen:
            return []
        radius = views.reach(verdict, video_count(self._database))
        near = {video for _, video in nearest(self._index, self._picture_parts, seen, radius=radius, k=None)}
        near |= {row.id for row in with_content(self._database, entry.digest)}
        barred = apart(self._database).get(entry.digest, ())
        found = []
        for video in near:
            other = None if video == entry.id else entry_of(self._database, self._spec, video)
            if other is None or other.digest in barred:
                continue
            hit = self._hit(verdict, views, entry, other)
            if hit.same:
                found.append(hit)
        return sorted(found, key=lambda hit: (hit.distance, hit.entry.id))

    def arrived(self, after: int) -> Iterator[Entry]:
        """The videos that have codes behind this one, by number: added or changed since it was the last."""
        last, told = after, set()
        while rows := codes_since(self._database, last, _PAGE):
            last = rows[-1].id
            for row in rows:
                if row.video not in told and (entry := entry_of(self._database, self._spec, row.video)):
                    told.add(row.video)
                    yield entry

    def last(self) -> int:
        """The number of the last code of a whole picture or content box that is stored."""
        return last_code(self._database)

    def _hit(self, verdict: Verdict, views: StoredViews, entry: Entry, other: Entry) -> Hit:
        told_apart = not (entry.code.unreliable or other.code.unreliable)
        closer = partial(self._looks.at, entry, other)
        said = verdict.decide(views.of(entry.id), views.of(other.id), told_apart=told_apart, closer=closer)
        rate = None if said.rate is None else said.rate.estimate
        same = entry.digest == other.digest or said.same
        return Hit(said.distance, other, said.verified, rate, same, said.look, said.relation)

    def _read(self) -> None:
        while rows := codes_since(self._database, self.seen, _PAGE):
            latest = {row.video: row.code for row in rows if row.kind == "full"}
            if latest:
                codes = code_array(self._database.path, list(latest.values()), self._spec.bits)
                self._index.upsert(codes, list(latest))
            self._picture_parts.upsert([row for row in rows if row.kind != "full"])
            self.seen = rows[-1].id
