"""A library of videos: paths, metadata and codes that survive crashes; its index is only a cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..scan import Found
from ..video import Source
from .adding import Adding
from .checking import Problem, verify
from .deciding import DecidingLibrary
from .entries import entry_of, remove
from .finding import common_spans, find_clip, found_spans, span_of_copies
from .lock import writing
from .place import scan_beside
from .records import Added, AddSummary, Entry, FoundSpan, Segmented
from .searching import StoredViews
from .segmenting import add_segments
from .sounding import SoundLibrary
from .with_parts import LibraryWithParts

if TYPE_CHECKING:
    from ..matching.alignment import Span
    from ..matching.third_look_result import ThirdLook
    from ..video.filming import Filmed


_COPIES = 10
"""Videos, the nearest ones, of which a clip may be a copy as a whole."""


class Library(SoundLibrary, LibraryWithParts, DecidingLibrary):
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

    def find(
        self, clip: Source, *, fmr: float | None = None, k: int | None = 10, pixels: bool = True
    ) -> list[FoundSpan]:
        """Where parts of a clip are in the videos of the library, the best k first (None: all).

        Re-encoded, cropped, mirrored, overlaid copies are found, at speeds from 0.8 to 1.25, also
        with other scenes before, between and after. What more than 20 videos share hardly counts. A video
        that the clip as a whole is a copy of, as ``search`` says of the ten nearest, is found however it was
        altered; that takes the third looks of a search.

        Args:
            clip: what ``Encoder.encode`` takes.
            fmr: of clips that are not there, this share is found in an hour of video (an estimate); None:
                what ``benchmarks/near_duplicates/clip_in_video.py`` measures, a score of 3, about 5e-3 by
                codes alone.
            k: how many spans.
            pixels: whether to take third looks at parts whose score leaves a doubt, up to eight, some hundred
                milliseconds each.

        Raises:
            VideoError: the clip cannot be read.
            OptionError: the library has no segments, or ``fmr`` is no rate.
        """

        def closer(query: Filmed, video: int, span: Span) -> ThirdLook | None:
            entry = entry_of(self._db, self.spec, video)
            return None if entry is None else self._looks.of_part(query, entry, span)

        segments = self._segments()
        found = find_clip(segments, self.encoder, clip, fmr=fmr, closer=closer if pixels else None)
        spans = list(found_spans(self._db, self.spec, found))
        spans += self._of_whole_copies(clip, {one.entry.id for one in spans}, fmr=fmr, pixels=pixels)
        return sorted(spans, key=lambda one: -one.span.score)[:k]

    def _of_whole_copies(
        self, clip: Source, known: Container[int], *, fmr: float | None, pixels: bool
    ) -> Iterator[FoundSpan]:
        """Spans of the videos that a clip is a copy of as a whole: by all that ``search`` looks at."""
        asked, views = self._query(clip), StoredViews(self._db, self.spec)
        for hit in self._answers(asked, clip, _COPIES, pixels=pixels):
            entry, rate = hit.entry, hit.false_match_rate or 0.0
            if hit.same and entry.id not in known and (fmr is None or rate <= fmr):
                seconds = asked.code.duration or 0.0, entry.code.duration or 0.0
                if all(each > 0 for each in seconds):  # what is not known is NaN
                    yield FoundSpan(span_of_copies(asked.views, views.of(entry.id), seconds, rate), entry)

    def common_spans(self, a: Entry, b: Entry) -> list[Span]:
        """The parts that two of its videos have in common, the best first; ``a`` is the query.

        From their kept segments: nothing is decoded, and nothing found where one of them has none.
        """
        return common_spans(self._db, self.spec, a, b)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Be the only one that changes the library, or what its files are, while the block runs.

        Raises:
            StoreError: another process does, or nothing can be written there.
        """
        with writing(self._db):
            yield

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
