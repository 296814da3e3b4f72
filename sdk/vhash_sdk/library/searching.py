"""Searching a library by the codes of its pictures, boxes and panes; what it keeps for a second look."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode, same_model
from ..encoding.encoded import Encoded, views
from ..encoding.reliability import STILL, pixels_tell
from ..errors import CodeError, ModelMismatchError, StoreError
from ..index.memory import Index
from ..index.protocol import CodeIndex
from ..matching.relation import VideoRelation
from ..matching.second_look import Frames, View, frames_from_bytes
from ..matching.third_look_result import ThirdLook
from ..matching.verdict import Decision, Verdict
from ..spec import ModelSpec
from ..video import Source
from ..video.filming import Filmed
from .database import Database
from .entries import entries_of, entry_of
from .model import named
from .reading import StoredCode, any_trajectory, every_trajectory, seen_of
from .records import Entry, Hit
from .rows import Seen, code_array

_EACH = 16
"""Numbers of parts that each video has: of panes from 0 on, of the content box the last."""


class PictureParts:
    """The codes of content boxes and panes of a library's videos.

    Args:
        database, spec: of the library.
        rows: that it begins with.
    """

    def __init__(self, database: Database, spec: ModelSpec, rows: Sequence[StoredCode] = ()) -> None:
        self._file, self._bits = database.path, spec.bits
        self._index = Index(spec.bits, model=spec.fingerprint)
        self.upsert(rows)

    def upsert(self, rows: Sequence[StoredCode]) -> None:
        """Take the codes of rows, each in the place of what was there for its part of its video."""
        latest = {
            _EACH * row.video + (_EACH - 1 if row.kind == "box" else row.place % (_EACH - 1)): row.code
            for row in rows
        }
        if latest:
            self._index.upsert(code_array(self._file, list(latest.values()), self._bits), list(latest))

    def near(self, code: NDArray[np.uint8], radius: int, limit: int | None) -> Iterator[tuple[int, int]]:
        """(video, distance) of the parts that are near, the nearest first; of so many videos at least."""
        matches = self._index.range_search(code, radius, limit=None if limit is None else _EACH * limit)
        return zip((matches.ids // _EACH).tolist(), matches.distances.tolist(), strict=True)


def nearest(
    index: CodeIndex, parts: PictureParts, views: Sequence[View], *, radius: int, k: int | None
) -> list[tuple[int, int]]:
    """The k nearest videos (None: all) as (distance, id), in that order; the nearest views count.

    Args:
        index: of the codes of whole pictures.
        parts: those of boxes and panes.
        views: of the query.
        radius: in bits.
        k: how many.
    """
    best: dict[int, int] = {}
    for view in views:
        matches = index.range_search(view.code, radius, limit=k)
        whole = zip(matches.ids.tolist(), matches.distances.tolist(), strict=True)
        for video, distance in chain(whole, parts.near(view.code, radius, k)):
            best[video] = min(distance, best.get(video, distance))
    return sorted((distance, video) for video, distance in best.items())[:k]


MOST_FILTERED = 4096
"""Near videos that are asked about, where only some are wanted."""


def nearest_of(
    database: Database,
    spec: ModelSpec,
    near: Callable[[int | None], list[tuple[int, int]]],
    k: int | None,
    fits: Callable[[Entry], bool],
) -> list[tuple[int, int]]:
    """The k nearest videos that fit, of the nearest ``MOST_FILTERED`` (``k`` None: of all).

    Args:
        database, spec: of the library.
        near: gives so many nearest ones (None: all), see ``nearest``.
        k: how many.
        fits: whether a video is wanted.
    """
    found: list[tuple[int, int]] = []
    asked, count = 0, None if k is None else min(4 * k, MOST_FILTERED)
    while True:
        every = near(count)
        more = every[asked:]  # those before are the same again
        entries = entries_of(database, spec, [video for _, video in more])
        wanted = {entry.id for entry in entries if fits(entry)}
        found += [one for one in more if one[1] in wanted]
        if k is None or count is None or len(every) < count or len(found) >= k or count >= MOST_FILTERED:
            return found[:k]
        asked, count = len(every), min(4 * count, MOST_FILTERED)


Closer = Callable[[Entry], ThirdLook | None]
"""Takes a third look at a query and a video of the library; None where it cannot."""


class Query(NamedTuple):
    """What is searched for.

    Attributes:
        code: of the whole picture.
        views: what a second look takes; a bare code has nothing for it.
        filmed: what a third look takes; None: there is no video, or nothing can be told by it.
        bare: it is a code and nothing else: how near it is is known, not what videos are to each other.
    """

    code: VideoCode
    views: tuple[View, ...]
    filmed: Filmed | None
    bare: bool = False


def query(
    video: Source | VideoCode | Encoded, encode: Callable[[Iterable[Source]], Iterable[Encoded]]
) -> Query:
    """What is searched for, from whatever was given.

    Raises:
        VideoError: it cannot be read.
    """
    if isinstance(video, VideoCode):
        return Query(video, (View(video.code, None),), None, bare=True)
    if isinstance(video, Encoded):
        encoded = video
    else:
        (encoded,) = encode([video])
    if encoded.error is not None:
        raise encoded.error
    assert encoded.code is not None
    seen = views(encoded)
    return Query(encoded.code, seen, filmed(encoded, seen))


def filmed(encoded: Encoded, seen: Sequence[View]) -> Filmed | None:
    """What a third look takes of a video that was encoded; None where nothing can be told by it."""
    info, code = encoded.info, encoded.code
    if info is None or code is None or not pixels_tell(code.unreliable):
        return None
    return Filmed(encoded.source, info.width, info.height, info.duration, seen)


def hits(
    database: Database,
    spec: ModelSpec,
    verdict: Verdict,
    near: Iterable[tuple[int, int]],
    asked: Query,
    *,
    closer: Closer | None = None,
    barred: Container[bytes] = (),
) -> list[Hit]:
    """What is to be said of the videos that are ``near`` a query, as (distance, id); see ``Hit``.

    Args:
        database, spec: of the library.
        verdict: decides about the second look.
        near: from ``nearest``.
        asked: from ``query``.
        closer: takes a third look at the query and a video of the library; None: nobody does.
        barred: contents that somebody has judged no match with the query.
    """
    kept, code = StoredViews(database, spec), asked.code

    def hit(distance: int, entry: Entry) -> Hit:
        told_apart = not (code.unreliable or entry.code.unreliable)
        theirs = kept.of(entry.id) if verdict.looks_again(distance) else ()
        judged = entry.digest in barred
        third = None if closer is None or judged else partial(closer, entry)
        said = verdict.decide(asked.views, theirs, distance=distance, told_apart=told_apart, closer=third)
        # what is near a picture has been measured for no picture: no rate is known
        still = STILL in (code.unreliable, entry.code.unreliable)
        rate = None if said.rate is None or still else said.rate.estimate
        if judged:
            said = no_match(said)
        relation = None if asked.bare else said.relation
        return Hit(distance, entry, said.verified, rate, said.same, said.look, relation)

    found = ((distance, entry_of(database, spec, video)) for distance, video in near)
    return [hit(distance, entry) for distance, entry in found if entry is not None]  # else gone just now


def no_match(said: Decision) -> Decision:
    """What is said of two videos once somebody has judged that they are no copies."""
    copies = (VideoRelation.SAME, VideoRelation.PART, VideoRelation.CONTAINS)
    return replace(said, same=False, relation=None if said.relation in copies else said.relation)


def check_model(code: VideoCode, spec: ModelSpec, directory: Path) -> None:
    """Raise ModelMismatchError for a code that is not of the library's model."""
    if code.bits != spec.bits or not same_model(code.fingerprint, spec.fingerprint):
        raise ModelMismatchError(
            f"a code of model {code.fingerprint[:8]} ({code.bits} bits) cannot be searched in "
            f"{directory}, which belongs to {named(spec)}; search with the video itself"
        )


class StoredViews:
    """What a library keeps of its videos for a second look.

    Args:
        database: of the library.
        spec: of its model.
    """

    def __init__(self, database: Database, spec: ModelSpec) -> None:
        self._database, self._spec = database, spec
        self.of = lru_cache(maxsize=4096)(self._views)

    @cached_property
    def any(self) -> bool:
        """Whether one video at least can be looked at again."""
        return any_trajectory(self._database)

    @cached_property
    def all(self) -> bool:
        """Whether every video can be."""
        return every_trajectory(self._database)

    def reach(self, verdict: Verdict, videos: int) -> int:
        """The distance of codes up to which pairs of so many videos are asked about, in bits.

        As far as a second look goes, where there is something to look at; the verdict has a threshold.
        """
        assert verdict.radius is not None
        return verdict.candidates(videos) if self.any else verdict.radius

    def _views(self, video: int) -> tuple[View, ...]:
        rows = seen_of(self._database, video)
        if rows and all(row.kind == "pane" for row in rows):
            raise StoreError(f"{self._database.path}: a video has panes but no picture; run `vhash verify`")
        codes = code_array(self._database.path, [row.code for row in rows], self._spec.bits)
        return tuple(
            View(code, self._frames(row), row.kind == "pane") for code, row in zip(codes, rows, strict=True)
        )

    def _frames(self, row: Seen) -> Frames | None:
        if row.steps is None:
            return None
        try:
            return frames_from_bytes(row.steps, self._spec, row.duration or np.nan)
        except CodeError as error:
            raise StoreError(
                f"{self._database.path}: holds a damaged row ({error}); run `vhash verify`"
            ) from error
