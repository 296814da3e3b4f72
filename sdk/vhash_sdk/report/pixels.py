"""What a third look says, as text and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..matching.placement import Placement
    from ..matching.third_look_result import ThirdLook

_OTHER_SIZE = 0.1  # of a scale that is told
_SAME = 0.6  # motion below which it was not that which made two videos copies


def look_text(seen: ThirdLook) -> str:
    """What the pixels of two videos say, in a line.

    >>> from vhash_sdk.matching.third_look_result import ThirdLook
    >>> from vhash_sdk.matching.placement import Placement
    >>> look_text(ThirdLook(0.93, 0.0, 1.0, 0.97, 0.2, 5.0, 8.0, Placement(2.0, (1, False), 9, 9, 0.97, 900)))
    'the same moves at the same place (0.93): one is a part of the other, enlarged 2.0 times, turned by 90°'
    >>> look_text(ThirdLook(0.04, 1.0, 1.0, 0.85, 0.2, 5.0, 8.0, None))
    'the pictures agree (0.85), but something else moves in them (0.04)'
    """
    if seen.same:
        how = "" if seen.placement is None else ", ".join(_how(seen.placement))
        inverted = ", inverted" if how and seen.motion < 0 else " inverted" if seen.motion < 0 else ""
        if abs(seen.motion) < _SAME and seen.anywhere > abs(seen.motion):
            return f"the same moves, in another order ({seen.anywhere:.2f})"
        if seen.detail:
            return f"one picture that is held, the same in detail ({seen.detail:.2f})"
        if seen.path:
            how = ", ".join(filter(None, [how, "which moves over the other"]))
        told = f": {how}{inverted}" if how or inverted else ""
        return f"the same moves at the same place ({abs(seen.motion):.2f}){told}"
    if seen.same is False:
        pictures = f"the pictures agree ({abs(seen.still):.2f})"
        if seen.motion * seen.still > 0 and abs(seen.motion) > seen.against:
            return f"{pictures}, but only a part moves alike"
        return f"{pictures}, but something else moves in them ({abs(seen.motion):.2f})"
    return "they do not tell"


def _how(place: Placement) -> list[str]:
    said = []
    if place.enlarged > 1 + _OTHER_SIZE:
        said.append(f"one is a part of the other, enlarged {place.enlarged:.1f} times")
    if place.turned:
        said.append(f"turned by {place.turned}°")
    if place.turn[1]:
        said.append("mirrored")
    return said


def look_entry(seen: ThirdLook | None) -> dict[str, Any] | None:
    """The same for JSON; None where there was no third look."""
    if seen is None:
        return None
    place = seen.placement
    return {
        "same": seen.same,
        "motion": _number(seen.motion, 4),
        "still": _number(seen.still, 4),
        "against": _number(seen.against, 4),
        "agreeing": _number(seen.agreeing, 4),
        "moving": _number(seen.moving, 4),
        "seconds": _number(seen.seconds, 3),
        "anywhere": _number(seen.anywhere, 4),
        "path": _number(seen.path, 2),
        "detail": _number(seen.detail, 4),
        "enlarged": None if place is None else _number(place.enlarged, 3),
        "turned": None if place is None else place.turned,
        "mirrored": None if place is None else place.turn[1],
    }


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None
