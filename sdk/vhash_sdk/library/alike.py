"""Whether two videos of a library are copies, as groups of duplicates are made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from ..matching.relation import VideoRelation
from ..matching.third_look_result import ThirdLook
from ..matching.verdict import Decision, Verdict
from ..spec import ModelSpec
from .database import Database
from .duplicates import Videos
from .entries import entries_of
from .looks import Looks
from .roles import Places
from .searching import StoredViews

_CROWD = 32  # third looks that found no copy, after which a video of which its code tells little gets no more
_PART_OF_A_PICTURE = 1.25  # times that one picture is larger in the other video, from which on it is a part


@dataclass(frozen=True, eq=False)
class Alike:
    """Says whether two videos, by their places, are copies; keeps what it said.

    Attributes:
        radius: bits between codes, of whatever views, beyond which nothing is a copy.
        said: of those that are.
        unlike: of how many that its code does not tell it from each was found to be no copy.
        related: of those that are not, but something else to each other.
    """

    database: Database
    spec: ModelSpec
    verdict: Verdict
    videos: Videos
    where: Places
    views: StoredViews
    looks: Looks | None
    radius: int
    said: dict[tuple[int, int], Decision] = field(default_factory=dict)
    unlike: Counter[int] = field(default_factory=Counter)
    related: dict[tuple[int, int], Decision] = field(default_factory=dict)

    def __call__(self, a: int, b: int) -> bool:
        """Whether two videos are copies."""
        videos, traits = self.videos, self.videos.traits
        vague = [place for place in (a, b) if not videos.told_apart[place]]
        if traits is not None and self.where.ignored(traits.paths[a], traits.paths[b]):
            return False
        if videos.digests[a] == videos.digests[b] or not (vague or self.views.any):
            return True
        if any(self.unlike[place] >= _CROWD for place in vague):
            return False
        numbers = int(videos.ids[a]), int(videos.ids[b])
        closer = None if self.looks is None else partial(self._closer, self.looks, numbers)
        decision = self.verdict.decide(*map(self.views.of, numbers), told_apart=not vague, closer=closer)
        same = decision.same is True or (decision.same is None and not vague)
        same = same and decision.distance <= self.radius  # panes may have been nearer, which are not compared
        if same:
            self.said[a, b] = decision
        elif vague:
            self.unlike.update(vague if decision.look is not None else ())
        elif decision.relation in (VideoRelation.SHARES, VideoRelation.TAKE):
            self.related[a, b] = decision
        return same

    def parts(self, here: int, members: list[int]) -> set[int]:
        """Those of its members that a video is composed of: parts of it that are no copies of each other."""
        some = [member for member in members if self._contains(here, member)]
        if len(some) < 2 or all(self(some[0], other) for other in some[1:]):
            return set()
        for part in some:
            relation = VideoRelation.CONTAINS
            self.related[here, part] = replace(self.said[here, part], relation=relation)
        return set(some)

    def _contains(self, here: int, member: int) -> bool:
        """Whether a member shows a part of the time or of the picture of another video."""
        decision = self.said.get((here, member))
        if decision is None:
            return False
        look = decision.look
        enlarged = 1.0 if look is None or look.placement is None else look.placement.enlarged
        return decision.relation is VideoRelation.CONTAINS or enlarged >= _PART_OF_A_PICTURE

    def _closer(self, looks: Looks, numbers: tuple[int, int]) -> ThirdLook | None:
        entries = entries_of(self.database, self.spec, numbers)
        return looks.at(*entries) if len(entries) == len(numbers) else None  # else removed just now
