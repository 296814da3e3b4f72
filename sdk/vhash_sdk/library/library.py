"""A library of videos: paths, metadata and codes that survive crashes; its index is only a cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from ..codes import VideoCode
from ..encoding.encoded import Encoded
from ..errors import OptionError
from ..matching.calibration import Calibration
from ..matching.verdict import Verdict
from ..scan import Found
from ..video import Source
from .adding import Adding
from .checking import Problem, verify
from .entries import remove
from .finding import common_spans, find_clip, found_spans
from .grouping import decided, find_groups, verdict_for
from .judgements import Judgement, record, recorded
from .lock import writing
from .place import scan_beside
from .records import Added, AddSummary, Entry, FoundSpan, Hit, Segmented
from .searching import StoredViews, check_model, hits, nearest, query
from .segmenting import add_segments
from .sounding import SoundLibrary
from .with_parts import LibraryWithParts

if TYPE_CHECKING:
    from ..matching.alignment import Span
    from ..matching.calibration import Rate
    from ..matching.verdict import Decision
    from .duplicates import Groups
    from .roles import Roles


class Library(SoundLibrary, LibraryWithParts):
    """Videos, their metadata and codes in a directory of its own. One thread at a time.

    The truth is an SQLite file: what has been reported as added is on the disk. One process
    writes at a time, any number read. A library belongs to one model for ever. Where nothing can be
    written (a read-only mount, a snapshot, another user's folder), it is read all the same, and what it
    would keep beside it lives in memory.

    Args:
        directory: made where it does not exist, unless ``create`` is False.
        model: alias, name or file of the model of a new library (None: ``default``).
        encoder: encodes with this one; its model must be the library's. None: the library makes
            one when it first needs it.
        index: where ``search`` looks: a Milvus location as for ``open_index``, or an open
            ``MilvusIndex``; it is brought up to date from the library when it is needed. None: an
            index in this process, cached in the library's directory.
        limits: what a source may cost, for the encoder that the library makes.
        create: make a new library where there is none.

    Raises:
        StoreError: no library there, not one that can be read, or the disk fails.
        ModelMismatchError: the library belongs to another model.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Library(folder) as library:
    ...     summary = library.add(["missing.mp4"])
    ...     print(summary, len(library))
    AddSummary(1 failed) 0
    """

    def add(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        exclude: Iterable[str] = (),
        follow_symlinks: bool = False,
        retry: bool = False,
        workers: int | None = None,
        segments: bool | None = None,
        sound: bool | None = None,
        pictures: bool | None = None,
    ) -> AddSummary:
        """Add files and whole folders; only what is new or has changed is decoded.

        Decoding is isolated: no file can take the program down. See ``scan`` for ``paths``,
        ``exclude`` and ``follow_symlinks``, ``adding`` for the rest.

        Args:
            segments: also keep segments, of all videos that lack them, so that ``find`` finds clips in
                them: every video is decoded whole. None: if the library keeps segments already.
            sound: also keep sound, of all videos whose sound is not known. None: if the library keeps it
                already, and Chromaprint is there.
            pictures: take picture files too, each as a video of one frame. None: if it has some already.
        """
        roots = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
        self._db.check_writable()
        found = self.scan(roots, exclude=exclude, follow_symlinks=follow_symlinks)
        summary = AddSummary.of(self.adding(found, roots, retry=retry, workers=workers, pictures=pictures))
        if self.has_segments if segments is None else segments:
            summary = summary.and_more(self.segmenting(workers=workers))
        if sound or (sound is None and self.has_sound and not self.sound_missing):
            summary = summary.and_more(self.sounding(workers=workers))
        return summary

    def scan(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        exclude: Iterable[str] = (),
        follow_symlinks: bool = False,
    ) -> Iterator[Found]:
        """``vhash_sdk.scan.scan`` without the library's own directory.

        Raises:
            OptionError: a path lies in the library's own directory.
        """
        return scan_beside(self.directory, paths, exclude=exclude, follow_symlinks=follow_symlinks)

    def adding(
        self,
        found: Iterable[Found],
        roots: Iterable[str] = (),
        *,
        retry: bool = False,
        workers: int | None = None,
        pictures: bool | None = None,
        awaiting: Callable[[str], None] | None = None,
    ) -> Iterator[Added]:
        """Like ``add``, file by file: each result is durable before it is handed out.

        May be left at any time; what was done stays, and the next run goes on from there.

        Args:
            found: files, from ``scan``.
            roots: entries at and under these paths that are not on disk any more are reported.
            retry: try again what failed before and has not changed.
            workers: decoding processes; None: one a core.
            pictures: as in ``add``.
            awaiting: called with the path whose result is waited for: the oldest in the decoder.

        Raises:
            StoreError: another process writes, or the disk is full or fails.
        """
        encode, stills = partial(self._encoded, workers=workers), self._takes_pictures(pictures)
        run = Adding(self._db, encode, retry=retry, pictures=stills, awaiting=awaiting)
        with writing(self._db):
            yield from run.run(found, roots)

    def search(
        self, video: Source | VideoCode | Encoded, k: int | None = 10, *, radius: int | None = None
    ) -> list[Hit]:
        """The k nearest videos (None: all) in order of (distance, id), within ``radius`` bits if it is given.

        The distance is the smallest between whole picture and content box of both videos. What is near
        is looked at a second time, see ``Hit.verified``; a bare code has nothing for that, an ``Encoded``
        only if it was made with ``detail="views"``, an unreliable video (``VideoCode``) too little.

        Raises:
            VideoError: the query cannot be read.
            ModelMismatchError: the query is a code of another model.
        """
        code, seen = query(video, partial(self._encoded, workers=1))
        check_model(code, self.spec, self.directory)
        index = self.index() if self._served is None else self._served.current()
        limit = self.spec.bits if radius is None else radius
        near = nearest((index, self._boxes()), seen, radius=limit, k=k)
        verdict = Verdict.usual(self.spec, self.calibration)
        return hits(self._db, self.spec, verdict, near, code=code, seen=seen)

    def segmenting(
        self, *, workers: int | None = None, awaiting: Callable[[str], None] | None = None
    ) -> Iterator[Segmented]:
        """Encode the segments of all videos that lack them; each is durable before it is handed out.

        May be left at any time; the next run goes on from there.

        Args:
            workers: decoding processes; None: one a core.
            awaiting: called with the path whose result is waited for: the oldest in the decoder.

        Raises:
            StoreError: another process writes, or the disk is full or fails.
        """
        with writing(self._db):
            yield from add_segments(self._db, self.encoder, workers=workers, awaiting=awaiting)

    def find(self, clip: Source, *, fmr: float | None = None, k: int | None = 10) -> list[FoundSpan]:
        """Where parts of a clip are in the videos of the library, the best k first (None: all).

        Re-encoded, cropped, mirrored, overlaid copies are found, at speeds from 0.8 to 1.25, also
        with other scenes before, between and after. What more than 20 videos share hardly counts.

        Args:
            clip: what ``Encoder.encode`` takes.
            fmr: of clips that are not there, this share is found in an hour of video (an estimate); None:
                what ``benchmarks/near_duplicates/clip_in_video.py`` measures, a score of 3, about 2e-3.
            k: how many spans.

        Raises:
            VideoError: the clip cannot be read.
            OptionError: the library has no segments, or ``fmr`` is no rate.
        """
        found = find_clip(self._segments(), self.encoder, clip, fmr=fmr)
        return list(islice(found_spans(self._db, self.spec, found), k))

    def common_spans(self, a: Entry, b: Entry) -> list[Span]:
        """The parts that two of its videos have in common, the best first; ``a`` is the query.

        From their kept segments: nothing is decoded, and nothing found where one of them has none.
        """
        return common_spans(self._db, self.spec, a, b)

    def duplicates(
        self,
        *,
        fmr: float | None = None,
        radius: int | None = None,
        keep: str = "longest",
        roles: Roles | None = None,
        calibration: Calibration | None = None,
        ask_disk: bool = True,
    ) -> Groups:
        """Groups of videos that are copies of each other, by the bytes that the copies hold, most first.

        Every member of a group is a copy of its representative by the verdict that ``search`` and ``compare``
        give: codes that are near at all are looked at again by their frames. Pairs that were judged no match
        (``judge``) are never in one group. Only codes that are new since the last time are compared with the
        others.

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

        Raises:
            OptionError: the model is not calibrated, or not for so small a rate; more pairs are that
                near than anyone could look through; ``radius`` is not between 0 and all bits; no such rule.
        """
        verdict = self._verdict(fmr, radius, calibration)
        given = self.roles if roles is None else roles
        return find_groups(
            self._db, self._pairs, self.spec, verdict, keep=keep, roles=given, ask_disk=ask_disk
        )

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

        From what is kept, judgements included: nothing is decoded. Arguments and errors as there.
        """
        return decided(self._db, self.spec, self._verdict(fmr, radius, calibration), a, b)

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

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Be the only one that changes the library, or what its files are, while the block runs.

        Raises:
            StoreError: another process does, or nothing can be written there.
        """
        with writing(self._db):
            yield

    def judge(self, judgements: Iterable[Judgement]) -> int:
        """Write down which pairs are no match, or are one after all; returns how many are no match now."""
        with writing(self._db):
            return record(self._db, judgements)

    def judgements(self) -> list[Judgement]:
        """What ``judge`` has written down: the pairs that are no match."""
        return recorded(self._db)

    def serve(self) -> int:
        """Bring the index elsewhere (``index=``) up to date now; returns how many codes it holds.

        ``search`` does so by itself. Raises OptionError where there is none.
        """
        if self._served is None:
            raise OptionError(f"{self.directory} was opened without index=; it serves only this process")
        return len(self._served.current())

    def remove(self, paths: Iterable[str | os.PathLike[str]] = (), *, missing: bool = False) -> list[str]:
        """Remove entries and failures (never files) at and under ``paths``; returns the paths removed.

        Args:
            paths: files and folders.
            missing: only entries whose file is gone; of the whole library if no path is given.
        """
        with writing(self._db):
            return remove(self._db, paths, missing=missing)

    def verify(self, *, content: bool = False) -> Iterator[Problem]:
        """Check the database, every code, the index (one elsewhere too) and every file; yields what is wrong.

        Args:
            content: also digest every file, which reads up to 16 MiB of each.

        Raises:
            StoreError: the index elsewhere holds codes of something else.
            UnreachableError: its server gives no answer.
        """
        return verify(self._db, self.directory, self.spec, content=content, served=self._served)
