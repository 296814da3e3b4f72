"""What a library hands out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..codes import VideoCode
from ..errors import VhashError
from ..matching.alignment import Span
from ..matching.relation import VideoRelation
from ..matching.sound import Heard
from ..matching.third_look_result import ThirdLook

Status = Literal["added", "changed", "unchanged", "moved", "copied", "failed", "skipped", "vanished"]


@dataclass(frozen=True)
class Entry:
    """One video of a library.

    Attributes:
        id: never given to another video.
        path: absolute path when it was added; bytes that are not UTF-8 are surrogate escapes.
        size: bytes. modified, added: seconds since 1970.
        width, height: pixels; rate: frames per second; codec: FFmpeg's name; None where not known.
        code: the code of the whole video, with its confidence and duration in seconds.
        digest: of the file's content (``scan.content_digest``): the same for copies byte for byte.
        damaged: what of the file is missing, as ``VideoInfo.damaged`` says; None: nothing is known.
    """

    id: int
    path: str
    size: int
    modified: float
    added: float
    width: int | None
    height: int | None
    rate: float | None
    codec: str | None
    code: VideoCode
    digest: bytes
    damaged: str | None = None


@dataclass(frozen=True)
class Hit:
    """One answer of a search.

    Attributes:
        distance: Hamming distance in bits.
        entry: the video.
        verified: the verified distance, 0 (surely a copy) to the bits of a code; None where there was
            no second look: codes far apart, or a query or an entry of whose frames nothing is known.
        false_match_rate: how often videos of different scenes get as near as that, by the calibration.
        same: whether they are copies of one video, at a rate of 1e-4; None where nothing can be concluded.
        look: what their pixels say, where there was a third look because of a doubt.
        relation: of the query to the video, e.g. a part of it; None where nothing can be concluded.
    """

    distance: int
    entry: Entry
    verified: int | None = None
    false_match_rate: float | None = None
    same: bool | None = None
    look: ThirdLook | None = None
    relation: VideoRelation | None = None


@dataclass(frozen=True)
class FoundSpan:
    """A part of a clip that is in a video of the library: where, and which video."""

    span: Span
    entry: Entry


@dataclass(frozen=True)
class FoundFrame:
    """A video of the library that shows what a picture shows, as near as any of its kept segments.

    Attributes:
        entry: the video.
        time: seconds from its start to the middle of the nearest segment, which is a second long.
        distance: from the picture to that segment, in bits.
    """

    entry: Entry
    time: float
    distance: int


@dataclass(frozen=True)
class Failure:
    """A file that is not in the library, and why: name of the error's class, message, seconds since 1970."""

    path: str
    kind: str
    message: str
    seen: float


@dataclass(frozen=True)
class Added:
    """What became of one file. It is durable before it is reported.

    Attributes:
        path: absolute path.
        status: ``added``, ``changed`` (encoded again), ``unchanged``, ``moved`` (``previous`` says from
            where), ``copied`` (the same content is known from ``previous``: nothing was decoded),
            ``failed``, ``skipped`` (no video by its first bytes, a link, a pipe), ``vanished`` (in the
            library, not on disk).
        error: why, for ``failed`` and ``skipped``.
        previous: another path of this content.
        known: the failure is from an earlier run and the file has not changed: it was not tried again.
        damaged: what of a file that is in now is missing; None: nothing is known.
        notes: what to know about how it was read (``VideoInfo.notes``).
    """

    path: str
    status: Status
    error: VhashError | None = None
    previous: str | None = None
    known: bool = False
    damaged: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segmented:
    """What became of the segments of one video. They are durable before it is reported.

    Attributes:
        path: of the video.
        segments: how many were stored.
        error: why there are none.
    """

    path: str
    segments: int = 0
    error: VhashError | None = None


@dataclass(frozen=True)
class Sounded:
    """What became of the sound of one video. It is durable before it is reported.

    Attributes:
        path: of the video.
        says: why nothing can be concluded from its sound, or an empty text.
        error: why it is not known.
    """

    path: str
    says: str = ""
    error: VhashError | None = None


@dataclass(frozen=True)
class SoundHit:
    """A video that shares a part of its sound with another one, which is ``a`` in ``heard``."""

    entry: Entry
    heard: Heard


@dataclass(frozen=True)
class AddSummary:
    """What an ``add`` did: how many files ended with each status, and those that failed or were skipped."""

    counts: dict[str, int]
    problems: tuple[Added, ...]

    @classmethod
    def of(cls, results: Iterable[Added]) -> AddSummary:
        """Count results as they come."""
        counts: Counter[str] = Counter()
        problems = []
        for result in results:
            counts[result.status] += 1
            if result.error is not None:
                problems.append(result)
        return cls(dict(counts), tuple(problems))

    def and_more(self, results: Iterable[Segmented | Sounded]) -> AddSummary:
        """The same, and the videos whose segments or sound could not be made as failed."""
        failed = tuple(Added(made.path, "failed", made.error) for made in results if made.error is not None)
        counts = Counter(self.counts)
        counts.update(result.status for result in failed)
        return AddSummary(dict(counts), self.problems + failed)

    def __repr__(self) -> str:
        return f"AddSummary({', '.join(f'{count} {status}' for status, count in self.counts.items())})"
