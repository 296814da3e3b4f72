"""What two videos are to each other, where more can be said than whether they are copies."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from .second_look import View, nearest_views
from .timelines import timelines

_WHOLE = 0.8  # of the longer video that is covered by the shorter one, from which on they are one


class VideoRelation(StrEnum):
    """Of a first video to a second one."""

    SAME = "same video"
    PART = "part of"
    CONTAINS = "contains"
    SHARES = "shares a part"
    TAKE = "same scene, other take"
    UNRELATED = "unrelated"

    @property
    def inverse(self) -> VideoRelation:
        """Of the second video to the first one.

        >>> VideoRelation.PART.inverse.value
        'contains'
        """
        turned = {VideoRelation.PART: VideoRelation.CONTAINS, VideoRelation.CONTAINS: VideoRelation.PART}
        return turned.get(self, self)


def in_a_pane(a: Sequence[View], b: Sequence[View]) -> bool:
    """Whether two copies are so because one is a pane of the other's split screen."""
    if not a or not b:
        return False
    _, i, j = nearest_views(a, b)
    return a[i].pane or b[j].pane


def relation_of_copies(a: Sequence[View], b: Sequence[View]) -> VideoRelation:
    """Whether one of two copies is all of the other one, at any speed, or a part of its time or picture."""
    if not a or not b:
        return VideoRelation.SAME
    _, i, j = nearest_views(a, b)
    if a[i].pane or b[j].pane:
        return VideoRelation.CONTAINS if a[i].pane else VideoRelation.PART
    one, two = a[i].frames, b[j].frames
    if one is None or two is None:
        return VideoRelation.SAME
    shorter, longer = sorted((one.duration, two.duration))
    lines = [] if shorter >= _WHOLE * longer else timelines(one, two)
    if not lines:  # neither is long enough to hold the other and much else, or nothing is known
        return VideoRelation.SAME
    # a second of the first takes so many of the second: the line's speed
    covered = abs(lines[0].speed) * one.duration / two.duration
    if min(covered, 1 / covered) >= _WHOLE:
        return VideoRelation.SAME
    return VideoRelation.PART if covered < 1 else VideoRelation.CONTAINS
