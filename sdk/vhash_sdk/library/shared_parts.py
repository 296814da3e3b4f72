"""What a library says of videos that have parts in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..matching.parts import Relation, SharedSpan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .records import Entry


@dataclass(frozen=True)
class SharedParts:
    """Two videos, of which one is a part of the other, or which share a part.

    Attributes:
        a, b: the videos.
        relation: of the first to the second: ``part of``, ``contains``, ``shares a part``, or ``same video``
            where nearly all of both is the same.
        spans: which part of one is which part of the other, the best first.
        a_covered, b_covered: the share of each that the spans cover, 0 to 1.
    """

    a: Entry
    b: Entry
    relation: Relation
    spans: tuple[SharedSpan, ...]
    a_covered: float
    b_covered: float

    @property
    def seconds(self) -> float:
        """Of the spans together, on the shorter side of each."""
        return sum(span.seconds for span in self.spans)

    def __repr__(self) -> str:
        return f"SharedParts({self.a.path!r} {self.relation} {self.b.path!r}, {self.seconds:.1f} s)"


@dataclass(frozen=True)
class PartPlace:
    """Where a common part is in a video, in seconds."""

    entry: Entry
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class CommonPart:
    """A part that many videos have, such as an intro.

    Attributes:
        id: eight hexadecimal digits; the same in the next run, as long as the first video has it.
        places: where it is, one for each time that a video has it, by the ids of the videos.
        name: what it was called (``Library.name_part``); may be empty.
        codes: ``uint8[n, bytes]``, of its windows in the first video.
    """

    id: str
    places: tuple[PartPlace, ...]
    name: str
    codes: NDArray[np.uint8]

    @property
    def videos(self) -> int:
        """How many videos have it."""
        return len({place.entry.id for place in self.places})

    @property
    def seconds(self) -> float:
        """How long it is, in the first video."""
        return self.places[0].end - self.places[0].start

    def __repr__(self) -> str:
        return f"CommonPart({self.id!r}, {self.name!r}, {self.seconds:.1f} s of {self.videos} videos)"


class Parts(list[SharedParts]):
    """Pairs of videos that share parts, most seconds first, and what was found beside them.

    Attributes:
        common: parts that many videos have, most videos first; no pair has spans in them.
        ignored: how many common parts, and spans of pairs, were left out because somebody ignores them.
        lacking: videos that have no segments: nothing is known of them.
        radius: segments within so many bits were looked at.
        segments: how many of them were compared.
        left: parts in doubt whose pixels the next call looks at: too many for one. Scores decide until then.
    """

    def __init__(
        self,
        pairs: Iterable[SharedParts] = (),
        *,
        common: Iterable[CommonPart] = (),
        ignored: int = 0,
        lacking: int = 0,
        radius: int = 0,
        segments: int = 0,
        left: int = 0,
    ) -> None:
        super().__init__(pairs)
        self.common = tuple(common)
        self.ignored, self.lacking, self.radius, self.segments = ignored, lacking, radius, segments
        self.left = left
