"""An open library: what it is, what is in it, and what is held open for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self, Unpack

from ..encoding.encoded import Encoded
from ..encoding.encoder import Encoder
from ..errors import OptionError, SourceError
from ..matching.calibration import Calibration
from ..matching.verdict import Verdict
from ..names import absolute
from ..scan import Found, content_digest
from ..spec import ModelSpec
from ..system.checks import checked_count
from ..system.unpicklable import NotPickled
from ..video import Limits, Source
from .browsing import FailureOrder, Filters, Holdings, Order, Place, failures_page, holdings, mark, page_of
from .cache import Remembered, cached_index
from .companions import Companions
from .entries import all_entries, entries_of, entry_at, failures
from .finding import SegmentIndex, found_frames, segment_index
from .grouping import verdict_for
from .lock import writing
from .looks import Looks
from .model import named, pin_model, pinned_encoder
from .near_pairs import PairCache
from .on_disk import CHANGED, LeftOut, exists, look
from .place import open_database
from .reading import (
    codes_of_parts,
    failure_of,
    files_of,
    has_segments,
    has_stills,
    lacking,
    paths_under,
    state_at,
    video_count,
)
from .records import Entry, Failure, FoundFrame
from .roles import Roles, read_roles, write_roles
from .searching import PictureParts, StoredViews, check_model, query
from .serving import ServedIndex, serve

if TYPE_CHECKING:
    from ..index.memory import Index


class OpenLibrary(NotPickled):
    """What a library is and what is in it; see ``Library`` for how it is opened and what it does."""

    _instead = "open its directory where it is needed"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        model: str | os.PathLike[str] | None = None,
        encoder: Encoder | None = None,
        index: str | ServedIndex | None = None,
        limits: Limits | None = None,
        create: bool = True,
    ) -> None:
        if encoder is not None and limits is not None:
            raise OptionError("limits and encoder were both given; give the limits to the Encoder")
        self._encoder, self._made_encoder, self._limits = encoder, False, limits
        self._db = open_database(directory, create=create)
        self.directory = self._db.path.parent
        self._pairs = PairCache(self.directory / "pairs.npz", writable=not self._db.unwritable)
        try:
            self._pin = pin_model(self._db, self.directory, model=model, encoder=encoder)
            self._served = None if index is None else serve(self._db, index, self._pin.spec)
        except BaseException:
            self._db.close()
            raise
        db, at, spec = self._db, self.directory, self._pin.spec
        self._index = Remembered(db, lambda: cached_index(db, at, spec)[1])
        self._picture_parts = Remembered(db, lambda: PictureParts(db, spec, codes_of_parts(db)))
        self._segment_index = Remembered(db, lambda: segment_index(db, at, spec))
        may = (encoder.limits if encoder is not None else limits) or Limits()
        self._looks = Looks(db, Remembered(db, lambda: StoredViews(db, spec)), at / "looks.npz", may)

    @property
    def spec(self) -> ModelSpec:
        """The specification of the library's model."""
        return self._pin.spec

    @property
    def model(self) -> str:
        """What ``Encoder`` takes for the library's model: the name of a bundled one, or a path."""
        return self._pin.source

    @property
    def patience(self) -> float:
        """Seconds, 2 unless set, that a call waits for another process that writes."""
        return self._db.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._db.patience = seconds

    @property
    def encoder(self) -> Encoder:
        """The encoder of the library's model; made when it is first needed.

        Raises:
            ModelError: the model is not there any more, or is not the same.
        """
        if self._encoder is None:
            encoder = pinned_encoder(self._pin, self.directory, self._limits)
            self._encoder, self._made_encoder = encoder, True
        return self._encoder

    def _encoded(self, sources: Iterable[Source], *, workers: int | None) -> Iterator[Encoded]:
        """What a library keeps of videos: with content boxes, and what a second look takes."""
        return self.encoder.encode_many(sources, workers=workers, isolate=True, detail="views")

    def _segments(self) -> SegmentIndex:
        index = self._segment_index()
        if not len(index) and len(self):
            raise OptionError(
                f"{self.directory}: no segments are kept; make them with `vhash add {self.directory} "
                "--segments` or segmenting()"
            )
        return index

    def index(self) -> Index:
        """The codes of whole videos, ids being those of the entries; read from its cache, or made again.

        Always an index of this process, also where ``search`` looks elsewhere.
        """
        return self._index()

    def find_frame(self, picture: Source | Encoded, k: int = 10) -> list[FoundFrame]:
        """The k videos that a picture is most likely from, and when they show it: the nearest first.

        The code of the picture, or of its content box, is looked up among the kept segments. How near is near
        enough has not been measured for pictures: somebody has to look.

        Args:
            picture: what ``Encoder.encode`` takes, or encoded with ``detail="views"``.
            k: how many videos, each once.

        Raises:
            VideoError: the picture cannot be read.
            OptionError: the library has no segments.
        """
        checked_count("k", k, 1, 1 << 20)
        index = self._segments()
        asked = query(picture, partial(self._encoded, workers=1))
        check_model(asked.code, self.spec, self.directory)
        return list(found_frames(self._db, self.spec, index.nearest(asked.views, k))) if len(index) else []

    def check_writable(self) -> None:
        """Raise StoreError where nothing can be written, whoever else writes now."""
        self._db.check_writable()

    def missing(self, roots: Iterable[str]) -> Iterator[str]:
        """The paths of videos at and under some folders that are not on the disk any more."""
        for root in roots:
            for path in paths_under(self._db, os.fsencode(absolute(root))):
                if not exists(path):
                    yield os.fsdecode(path)

    def companions(self) -> Companions:
        """What answers, after each video that is added, what it is a copy of, as ``duplicates`` decides.

        Raises:
            OptionError: the model is not calibrated.
        """

        def verdict() -> Verdict:
            table = self.calibration
            return verdict_for(self.spec, table, None, fmr=None, radius=None, videos=len(self))

        return Companions(self._db, self.spec, verdict, self._looks)

    def knows(self, found: Found) -> bool:
        """Whether ``add`` would leave a file as it is: in, or failed, and not changed since."""
        path = os.fsencode(found.path)
        row = state_at(self._db, path)
        if row is not None and (row.size, row.mtime_ns) == (found.size, found.mtime_ns):
            return True
        return failure_of(self._db, path, found.size, found.mtime_ns) is not None

    @property
    def generation(self) -> str:
        """Changes whenever codes change."""
        return self._db.generation()

    @property
    def unwritable(self) -> str:
        """Why nothing can be written, or an empty text."""
        return self._db.unwritable

    @property
    def uuid(self) -> str:
        """Drawn when the library was made: tells it from any other, wherever it is moved."""
        return self._db.uuid()

    @property
    def calibration(self) -> Calibration | None:
        """What distances mean for the library's model (or its encoder); None where that is not known."""
        if self._encoder is not None:
            return self._encoder.calibration
        return self._own_calibration

    @cached_property
    def _own_calibration(self) -> Calibration | None:
        """That of the model's file, which takes longer to read than most questions take to be answered."""
        from ..models import zoo

        return zoo.load(self.model).calibration

    @property
    def has_segments(self) -> bool:
        """Whether segments are kept: ``add`` then keeps those of new videos too."""
        return has_segments(self._db)

    @property
    def has_pictures(self) -> bool:
        """Whether pictures are kept: ``add`` then takes others too."""
        return has_stills(self._db)

    def _takes_pictures(self, asked: bool | None) -> bool:
        """Whether ``add`` takes pictures; an encoder that was given may refuse them."""
        if not (self.has_pictures if asked is None else asked):
            return False
        able = self._encoder is None or self._encoder.limits.stills
        if asked and not able:
            raise OptionError(
                f"{self.directory} was opened with an encoder that refuses pictures; "
                "make it with limits=Limits(stills=True)"
            )
        return able

    @property
    def lacking_segments(self) -> int:
        """How many videos have no segments."""
        return lacking(self._db)

    @property
    def roles(self) -> Roles:
        """What folders are for when duplicates are looked for: ``duplicates`` goes by it.

        Raises:
            StoreError: it is kept, but cannot be read.
        """
        return read_roles(self.directory)

    def set_roles(self, roles: Roles) -> None:
        """Keep these roles of folders and no others; ``library.roles.with_more(…)`` are those and more.

        Raises:
            StoreError: another process writes, or nothing can be written there.
        """
        with writing(self._db):
            write_roles(self.directory, roles)

    def failures(self) -> Iterator[Failure]:
        """Files that could not be added, by path."""
        return failures(self._db)

    def get(self, path: str | os.PathLike[str]) -> Entry | None:
        """The entry at a path, or None."""
        return entry_at(self._db, self.spec, path)

    def by_id(self, ids: Iterable[int]) -> list[Entry]:
        """The entries of videos by their ids, without those that are not there any more."""
        return entries_of(self._db, self.spec, ids)

    def page(self, filters: Filters, **order: Unpack[Order]) -> tuple[list[Entry], Place | None, int]:
        """Some entries, the place where they end (None: no more), and how many fit.

        Args:
            filters: which entries.
            **order: ``sort``, ``falling``, ``after``, ``skip`` and ``limit``, as in ``browsing.page_of``.
        """
        return page_of(self._db, self.spec, filters, **order)

    def ids(self) -> list[int]:
        """The ids of all videos, rising."""
        return [int(row[0]) for row in self._db.rows("SELECT id FROM video ORDER BY id")]

    def mark(self) -> tuple[str, int, int, float]:
        """The same as long as ``holdings`` and ``lacking_segments`` are; asked for in no time."""
        return (self.generation, *mark(self._db))

    def holdings(self) -> Holdings:
        """How many videos, bytes, seconds and failures there are, and of which kinds."""
        return holdings(self._db)

    def failures_page(self, **order: Unpack[FailureOrder]) -> tuple[list[Failure], bytes | None, int]:
        """Some failures by path, the place where they end (None: no more), and how many fit.

        Args:
            **order: ``kind``, ``text`` (both None: any), ``after`` (a place), ``skip`` and ``limit``.
        """
        return failures_page(self._db, **order)

    def look(self, entry: Entry) -> LeftOut | None:
        """Why the file of an entry is not what was encoded, or cannot be read; None: it is, and can.

        Size, time and content (``scan.content_digest``, which reads up to 16 MiB) are compared.
        """
        rows = files_of(self._db, [entry.id])
        if not rows:
            return LeftOut(entry.path, "vanished", "it is not in the library any more; add it again")
        found = look(entry.path, rows[0].size, rows[0].mtime_ns, readable=True)
        if isinstance(found, LeftOut):
            return found
        try:
            same = content_digest(entry.path) == entry.digest
        except SourceError as error:
            return LeftOut(entry.path, "unreachable", str(error).removeprefix(f"{entry.path}: "))
        return None if same else LeftOut(entry.path, "changed", CHANGED)

    def __iter__(self) -> Iterator[Entry]:
        """Entries in the order of their ids; the library may change meanwhile."""
        return all_entries(self._db, self.spec)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and self.get(path) is not None

    def __len__(self) -> int:
        return video_count(self._db)

    def close(self) -> None:
        """Close the database, and the encoder and index if the library made them."""
        self._looks.close()
        self._db.close()
        if self._served is not None:
            self._served.close()
        if self._made_encoder and self._encoder is not None:
            self._encoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Library({str(self.directory)!r}, {len(self)} videos, {named(self.spec)})"
