"""A picture that moves over the other one: pan and scan, slow zoom, automatic reframing.

Where one video shows a window of the other one that grows or wanders, no single placement lays one on the
other. Some moments are registered for themselves, and the placements between them interpolated. The films are
then compared twice: as the one shows them, where all the scenery moves, and as the other one does. Along such
a path two videos of one scenery are alike whatever happens in it: so what moves in it has to be alike too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyfit, polyval
from numpy.typing import NDArray

from .pictures import TURNS, Frames
from .placement import Placement, at_scale, in_place
from .registration import TILE, alike_scaled, refined, register, scales_near

_MOMENTS, _MISSING = 5, 1  # and how many of them may not agree
_AGREE = 0.5  # agreement of the pictures of a moment, below which nothing is followed
_NEAR = 0.45  # of a scale, as a logarithm, that a window may grow or shrink
_GROWS, _WANDERS = 0.08, 3.0  # as a logarithm, and in pixels: less is no movement
_SMOOTH, _DEGREE = 1.0, 3  # pixels from a polynomial: an edit follows a plan, two cameras do not
_SEEN = 0.25  # of the frames in which a place has to be seen
_LEAST = 60  # pixels

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Followed:
    """Two films where one lies on the other along its path, frame by frame.

    Attributes:
        a, b: ``float32[T, P]``, 0 where a frame does not show the place.
        seen: ``bool[T, P]``, whether it does.
        tiles: ``int64[P]``, as in ``registration.Overlaid``.
    """

    a: Frames
    b: Frames
    seen: Mask
    tiles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Path:
    """How one picture moves over the other.

    Attributes:
        ways: ``float64[T, 5]``, growth, tilt, stretch, row and column of each frame, at ``middle``'s scale.
        middle: the placement half-way.
        length: how far it moves in pixels, growth included.
    """

    ways: NDArray[np.float64]
    middle: Placement
    length: float


def path(a: Frames, b: Frames, turns: Sequence[tuple[int, bool]] = TURNS) -> Path | None:
    """How ``b`` moves over ``a``, frame by frame; None where it does not, or nothing agrees.

    Args:
        a, b: ``float32[T, height, width]`` with the same T, frames that belong together in pairs.
        turns: that are tried.
    """
    middles = ((np.arange(_MOMENTS) + 0.5) / _MOMENTS * len(a)).astype(int)
    if len(a) < 2 * _MOMENTS:
        return None
    moments = [slice(max(0, at - 1), at + 2) for at in middles.tolist()]
    first, last = moments[0], moments[-1]
    here, there = a[first], b[first]
    start = max(
        [refined(here, there, in_place(here, there)), *register(here, there, most=1, turns=turns)],
        key=_agrees,
    )
    if _agrees(start) < _AGREE:
        return None
    half = len(moments) // 2
    found: dict[int, Placement] = {0: start}
    for moment in (half, *(i for i in range(1, _MOMENTS) if i != half)):
        if len(found) == 2 and not _moves(found, b) and _still(a[last], b[last], start):
            return None
        next_ = _next(a[moments[moment]], b[moments[moment]], start)
        if next_ is not None:
            found[moment] = next_
        elif moment == half:
            return None
    if len(found) < _MOMENTS - _MISSING:
        return None
    ways = []
    for moment, place in sorted(found.items()):
        frames = a[moments[moment]], b[moments[moment]]
        way = refined(*frames, at_scale(place, found[half].scale, b.shape[1:]))
        ways.append([way.growth, way.tilt, way.stretch, way.row, way.column])
    return _path(np.array(ways), middles[sorted(found)], found[half], len(a), b.shape[1:])


def followed(a: Frames, b: Frames, along: Path) -> tuple[Followed, Followed] | None:
    """Both films as ``b`` shows them, and as ``a`` does; None where too little is seen of either."""
    first, second = alike_scaled(a, b, along.middle)
    (h, w), (height, width) = first.shape[1:], second.shape[1:]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    ys, xs = np.mgrid[:h, :w].astype(np.float64)
    there, back = np.zeros_like(second), np.zeros_like(first)
    shown, covered = np.zeros(second.shape, bool), np.zeros(first.shape, bool)
    for frame, (growth, tilt, stretch, row, column) in enumerate(along.ways.tolist()):
        cosine, sine = np.cos(tilt), np.sin(tilt)
        tall, wide = np.exp(-growth - stretch / 2), np.exp(-growth + stretch / 2)
        down, right = rows - row, columns - column
        y, x = (cosine * down + sine * right) * tall + (h - 1) / 2, (cosine * right - sine * down) * wide
        there[frame], shown[frame] = _sampled(first[frame], y, x + (w - 1) / 2)
        up, left = (ys - (h - 1) / 2) / tall, (xs - (w - 1) / 2) / wide
        back[frame], covered[frame] = _sampled(
            second[frame], cosine * up - sine * left + row, sine * up + cosine * left + column
        )
    ways = _where_seen(there, second, shown), _where_seen(first, back, covered)
    return None if ways[0] is None or ways[1] is None else (ways[0], ways[1])


def _agrees(place: Placement) -> float:
    return abs(place.agreement)


def _next(a: Frames, b: Frames, start: Placement) -> Placement | None:
    """The placement of another moment, of about the same scale; None where it does not agree."""
    scale = start.scale * float(np.exp(start.growth))
    found = register(a, b, most=1, scales=scales_near(scale, _NEAR), turns=(start.turn,))
    agree = [place for place in found if place.agreement * np.sign(start.agreement) >= _AGREE]
    return agree[0] if agree else None


def _still(a: Frames, b: Frames, start: Placement) -> bool:
    """Whether the last moment lies where the first one does."""
    place = refined(a, b, start)
    return _agrees(place) >= _AGREE and not _moves({0: start, 1: place}, b)


def _moves(found: dict[int, Placement], b: Frames) -> bool:
    one, two = (at_scale(place, found[0].scale, b.shape[1:]) for place in (found[0], max(found.items())[1]))
    wandered = np.hypot(one.row - two.row, one.column - two.column)
    return bool(abs(one.growth - two.growth) >= _GROWS or wandered >= _WANDERS)


def _path(
    ways: NDArray[np.float64],
    middles: NDArray[np.intp],
    middle: Placement,
    count: int,
    shape: tuple[int, ...],
) -> Path | None:
    """Placements of all frames from those of some moments; None where they move little, or by no plan."""
    grows, *_, rows, columns = np.ptp(ways, axis=0).tolist()
    wanders = float(np.hypot(rows, columns))
    if grows < _GROWS and wanders < _WANDERS:
        return None
    plan = polyfit(middles, ways, min(_DEGREE, len(middles) - 2))
    off = ways - polyval(middles, plan).T
    side = max(shape) / 2
    if np.abs(off[:, 3:]).max() > _SMOOTH or np.abs(off[:, 0]).max() * side > _SMOOTH:
        return None
    between = np.asarray(polyval(np.arange(count), plan).T, np.float64)
    return Path(between, middle, wanders + grows * side)


def _sampled(frame: Frames, y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[Frames, Mask]:
    """The pixels of a frame at some places, 0 outside of it, and which places are inside."""
    h, w = frame.shape
    inside: Mask = (y >= -0.01) & (y <= h - 0.99) & (x >= -0.01) & (x <= w - 0.99)
    above, left = np.clip(y.astype(np.intp), 0, h - 2), np.clip(x.astype(np.intp), 0, w - 2)
    lower, righter = y - above, x - left
    upper = frame[above, left] * (1 - righter) + frame[above, left + 1] * righter
    under = frame[above + 1, left] * (1 - righter) + frame[above + 1, left + 1] * righter
    return np.where(inside, upper * (1 - lower) + under * lower, 0).astype(np.float32), inside


def _where_seen(a: Frames, b: Frames, seen: Mask) -> Followed | None:
    enough = seen.mean(0) >= _SEEN
    if np.count_nonzero(enough) < _LEAST:
        return None
    rows, columns = (place // TILE for place in np.nonzero(enough))
    _, tiles = np.unique(rows * a.shape[2] + columns, return_inverse=True)
    shown = seen[:, enough]
    return Followed(a[:, enough] * shown, b[:, enough] * shown, shown, tiles.reshape(-1))
