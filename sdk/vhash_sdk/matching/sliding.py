"""A picture that slides over another video, and in or out of sight: the transitions of editing programs.

Pan and scan is one too: there the window that is shown slides. At one scale and turn every two frames are
laid on each other by themselves, at whatever shift they agree best. In a copy these shifts follow each other
by a plan, and what moves along it is the same (``following``). After an intro of something else they jump.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .following import Path
from .pictures import Frames, resized
from .placement import Placement
from .shifts import best_each

_TRIED = 12  # frames that tell whether it is worth asking all of them
_SHOWN = 0.2  # of the smaller picture that has to be in sight for a shift to mean something
_AGREE = 0.5  # agreement of two frames that do
_SMOOTH = 1.0  # half pixels that a shift may be off the line through two others beside it
_PLANNED = 0.8  # of the frames that show enough, that have to follow the plan
_OUT_OF_SIGHT = 0.3  # of the time: what is seen for less is no copy
_SLIDES = 12.0  # pixels, a fifth of the picture: less is a camera's movement
_LAST = 3  # steps by which a plan goes on where nothing is seen


def slides(a: Frames, b: Frames, place: Placement) -> Path | None:
    """How one picture slides over the other one; None where it does not, or by no plan.

    Args:
        a, b: ``float32[T, height, width]`` with the same T, frames that belong together in pairs.
        place: whose scale and turn they have.
    """
    scale = place.scale * float(np.exp(place.growth))
    if len(a) < _TRIED or not _worth_it(a, b, scale, place.turn):
        return None
    found = best_each(resized(a, 0.5), resized(b, 0.5), scale, place.turn, _SHOWN)
    sign = 1.0 if found.agreement.sum() >= 0 else -1.0
    planned = _planned(found.shifts, sign * found.agreement >= _AGREE)
    where = np.flatnonzero(planned)
    if len(where) < 2:
        return None
    way = _between(found.shifts, where, len(a))
    shown = found.overlap(way)
    enough = shown >= _SHOWN
    if enough.mean() < 1 - _OUT_OF_SIGHT or planned[enough].mean() < _PLANNED:
        return None
    length = 2 * float(np.hypot(*np.ptp(way[enough], axis=0)))
    if length < _SLIDES:
        return None
    middles = 2 * (way + found.middle) + 0.5
    ways = np.zeros((len(a), 5))
    ways[:, 3:] = middles
    agreement, pixels = float(found.agreement[where].mean()), 4 * float(found.pixels[where].mean())
    row, column = middles[len(middles) // 2].tolist()
    return Path(ways, Placement(scale, place.turn, row, column, agreement, pixels), length)


def _worth_it(a: Frames, b: Frames, scale: float, turn: tuple[int, bool]) -> bool:
    taken = np.linspace(0, len(a) - 1, _TRIED).round().astype(int)
    found = best_each(resized(a[taken], 0.5), resized(b[taken], 0.5), scale, turn, _SHOWN)
    return bool((np.abs(found.agreement) >= _AGREE).mean() >= _PLANNED * (1 - _OUT_OF_SIGHT))


def _planned(shifts: NDArray[np.float64], agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frames agree where the line through two frames beside them leads."""
    found = np.zeros(len(shifts), bool)
    for first, second in ((-1, 1), (-2, -1), (1, 2)):
        at = np.arange(max(0, -first), len(shifts) - max(0, second))
        one, two = at + first, at + second
        line = shifts[one] - first / (second - first) * (shifts[two] - shifts[one])
        near = np.abs(shifts[at] - line).max(1) <= _SMOOTH
        found[at] |= agree[at] & agree[one] & agree[two] & near
    return found


def _between(shifts: NDArray[np.float64], where: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """The shift of every frame: of those that do not follow the plan where it leads."""
    frames = np.arange(count)
    way = np.stack([np.interp(frames, where, shifts[where, axis]) for axis in (0, 1)], 1)
    steps = min(_LAST, len(where) - 1)
    for end, other, beyond in ((0, steps, frames < where[0]), (-1, -1 - steps, frames > where[-1])):
        at, from_ = where[end], where[other]
        step = (shifts[at] - shifts[from_]) / (at - from_)
        way[beyond] = shifts[at] + (frames[beyond] - at)[:, None] * step
    return way
