"""What a library says of its videos: which are copies of what, and what people have judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ..codes import VideoCode
from ..encoding.encoded import Encoded
from ..errors import SourceError
from ..matching.calibration import Calibration
from ..matching.verdict import Verdict
from ..scan import content_digest
from ..video import Source
from .grouping import decided, find_groups, verdict_for
from .judgements import Judgement, any_judged, no_match_with, record, recorded
from .lock import writing
from .opened import OpenLibrary
from .records import Entry, Hit
from .searching import Closer, Query, StoredViews, check_model, hits, nearest, nearest_of, query

if TYPE_CHECKING:
    from ..matching.calibration import Rate
    from ..matching.verdict import Decision
    from .duplicates import Groups
    from .roles import Roles


class DecidingLibrary(OpenLibrary):
    """A library that says which of its videos are copies; see ``Library``."""

    def search(
        self,
        video: Source | VideoCode | Encoded | Entry,
        k: int | None = 10,
        *,
        radius: int | None = None,
        pixels: bool = True,
        fits: Callable[[Entry], bool] | None = None,
    ) -> list[Hit]:
        """The k nearest videos (None: all) in order of (distance, id), within ``radius`` bits if it is given.

        The distance is the smallest between whole picture, content box and panes of both videos. What is near
        is looked at a second time, see ``Hit.verified``; a bare code has nothing for that, an ``Encoded``
        only if it was made with ``detail="views"``, an unreliable video (``VideoCode``) too little. Pairs in
        doubt are looked at a third time, by their pixels, which reads their files: see ``Hit.look``. Of a
        video of the library nothing is encoded again, and what was seen of a pair is remembered. Pairs that
        were judged no match (``judge``) are none here either: those of a video of the library, and of a file
        with a content that was judged.

        Args:
            video: what ``Encoder.encode`` takes, its code, what ``encode_many`` made of it, or a video of
                this library.
            k: how many.
            radius: in bits.
            pixels: whether to take third looks, some hundred milliseconds each.
            fits: whether a video is wanted, e.g. by its path; the others are neither told nor looked at. With
                ``k`` the 4,096 nearest are asked about.

        Raises:
            VideoError: the query cannot be read.
            ModelMismatchError: the query is a code of another model.
        """
        return self._answers(self._query(video), video, k, radius=radius, pixels=pixels, fits=fits)

    def _query(self, video: Source | VideoCode | Encoded | Entry) -> Query:
        if isinstance(video, Entry):
            asked = Query(video.code, StoredViews(self._db, self.spec).of(video.id), None)
        else:
            asked = query(video, partial(self._encoded, workers=1))
        check_model(asked.code, self.spec, self.directory)
        return asked

    def _answers(
        self,
        asked: Query,
        video: Source | VideoCode | Encoded | Entry,
        k: int | None,
        *,
        radius: int | None = None,
        pixels: bool = True,
        fits: Callable[[Entry], bool] | None = None,
    ) -> list[Hit]:
        index = self.index() if self._served is None else self._served.current()
        limit = self.spec.bits if radius is None else radius
        find = partial(nearest, index, self._picture_parts(), asked.views, radius=limit)
        near = find(k=k) if fits is None else nearest_of(self._db, self.spec, lambda n: find(k=n), k, fits)
        verdict = Verdict.usual(self.spec, self.calibration, max(1, len(self)))
        closer: Closer | None = None
        if pixels and isinstance(video, Entry):
            closer = partial(self._looks.at, video)
        elif pixels and asked.filmed is not None:
            closer = partial(self._looks.of_query, asked.filmed)
        barred = self._judged_apart(video)
        return hits(self._db, self.spec, verdict, near, asked, closer=closer, barred=barred)

    def judged_apart(self, a: Source | VideoCode | Entry, b: Source | VideoCode | Entry) -> bool:
        """Whether two videos, of the library or files of such contents, were judged no match (``judge``)."""
        barred = self._judged_apart(a)
        return bool(barred) and self._content(b) in barred

    def _judged_apart(self, video: Source | VideoCode | Encoded | Entry) -> set[bytes]:
        """The contents that a query is no match with: a video of the library, or a file of such a content."""
        content = self._content(video) if any_judged(self._db) else None
        return set() if content is None else no_match_with(self._db, content)

    @staticmethod
    def _content(video: Source | VideoCode | Encoded | Entry) -> bytes | None:
        """The digest of what a file holds; None where it is none, or gone since it was encoded."""
        if isinstance(video, Entry):
            return video.digest
        source = video.source if isinstance(video, Encoded) else video
        if not isinstance(source, (str, os.PathLike)):
            return None
        try:
            return content_digest(os.fspath(source))
        except SourceError:
            return None

    def duplicates(
        self,
        *,
        fmr: float | None = None,
        radius: int | None = None,
        keep: str = "longest",
        roles: Roles | None = None,
        calibration: Calibration | None = None,
        ask_disk: bool = True,
        pixels: bool = True,
    ) -> Groups:
        """Groups of videos that are copies of each other, by the bytes that the copies hold, most first.

        Every member of a group is a copy of its representative by the verdict that ``search`` and ``compare``
        give: codes that are near at all are looked at again by their frames, pairs in doubt by their pixels.
        Pairs that were judged no match (``judge``) are never in one group. Only codes that are new since the
        last time are compared with the others, and each pair in doubt is decoded once.

        A file that is gone, has changed since it was added, or cannot be reached is in no group, and a file
        with several names (links, bind mounts) is in one under one of them: the result, a list, says so in
        ``left_out`` and ``same_files``.

        Args:
            fmr: the threshold as a false-match rate: of so many pairs of different scenes, how many match.
                None: the rate that fits so many videos, see ``Calibration.rate_for``.
            radius: the threshold in bits, instead; codes beyond it are not looked at.
            keep: which video of a group represents it: rules in their order, ``"undamaged, longest"``, see
                ``keeping.KeepRules``. ``Member.kept_because`` says which one decided.
            roles: of folders; None: those that the library keeps (``set_roles``).
            calibration: from ``vhash calibrate``; None: that of the model, whose second look counts anyway.
            ask_disk: look at the files. False: go by what the library remembers, e.g. where their disk is
                not mounted; remove nothing by that.
            pixels: whether to take third looks at pairs in doubt, some hundred milliseconds each; without
                ``ask_disk`` there are none.

        Raises:
            OptionError: the model is not calibrated, or not for so small a rate; more pairs are that
                near than anyone could look through; ``radius`` is not between 0 and all bits; no such rule.
        """
        verdict = self._verdict(fmr, radius, calibration)
        given = self.roles if roles is None else roles
        looks = self._looks if pixels and ask_disk else None
        try:
            return find_groups(
                self._db,
                self._pairs,
                self.spec,
                verdict,
                keep=keep,
                roles=given,
                looks=looks,
                ask_disk=ask_disk,
            )
        finally:
            self._looks.save()

    def decide(
        self,
        a: Entry,
        b: Entry,
        *,
        fmr: float | None = None,
        radius: int | None = None,
        calibration: Calibration | None = None,
    ) -> Decision:
        """What ``duplicates`` says of two of its videos: ``same``, and by which distances.

        Judgements included; a pair in doubt is decoded, unless that was done before. Arguments and errors as
        there.
        """
        return decided(self._db, self.spec, self._verdict(fmr, radius, calibration), a, b, self._looks)

    def threshold(self, fmr: float | None = None, *, calibration: Calibration | None = None) -> int:
        """The distance in bits up to which codes alone, without a second look, are taken for copies.

        Args:
            fmr: as a false-match rate; None: the rate that fits so many videos, see
                ``Calibration.rate_for``.
            calibration: from ``vhash calibrate``; None: that of the model.

        Raises:
            OptionError: the model is not calibrated, or not for so small a rate.
            ModelMismatchError: the calibration is of another model.
        """
        radius = self._verdict(fmr, None, calibration).radius
        assert radius is not None
        return radius

    def false_match_rate(self, radius: int, *, calibration: Calibration | None = None) -> Rate | None:
        """How often videos of different scenes are taken for copies by ``duplicates(radius=…)``.

        None where the model is not calibrated.
        """
        verdict = self._verdict(None, radius, calibration)
        if verdict.calibration is None:
            return None
        every = StoredViews(self._db, self.spec).all  # else some pairs get no second look
        return verdict.rate if every else verdict.codes_rate

    def _verdict(self, fmr: float | None, radius: int | None, calibration: Calibration | None) -> Verdict:
        own = self.calibration
        return verdict_for(self.spec, own, calibration, fmr=fmr, radius=radius, videos=len(self))

    def judge(self, judgements: Iterable[Judgement]) -> int:
        """Write down which pairs are no match, or are one after all; returns how many are no match now."""
        with writing(self._db):
            return record(self._db, judgements)

    def judgements(self) -> list[Judgement]:
        """What ``judge`` has written down: the pairs that are no match."""
        return recorded(self._db)
