"""Image registration: which placement lays one picture on another one that shows the same.

Two films of one scene are laid on each other by scale, turn, mirroring, shift, and a little tilt and stretch.
All shifts of one scale and turn are compared at once (``shifts``), at a quarter of the pixels; the best few
are then refined. Local means are taken off first, so that light, fades and gradients say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pictures import TURNS, Frames, resized, turned, without_local_means
from .placement import Placement
from .shifts import shifts

_SCALES = tuple(float(scale) for scale in np.exp(np.arange(-12, 13) * 0.08))  # 0.38 to 2.6
TILE = 8
"""Pixels of a side of what is asked for itself whether it moves alike."""
HOPELESS = 0.3
"""Agreement of a placement made exact below which nothing is measured, where there is another one."""
AT_A_LOSS = 0.1
"""Agreement after the longest steps, below which the shorter ones are not tried."""
_LEAST = 60  # pixels that have to lie on each other


@dataclass(frozen=True, eq=False)
class Overlaid:
    """Two films where they lie on each other.

    Attributes:
        a, b: ``float32[Ta, P]``, ``float32[Tb, P]``, the same P places in each frame of both, without local
            means.
        tiles: ``int64[P]``, which tile of ``TILE`` times ``TILE`` pixels each place lies in, from 0.
    """

    a: Frames
    b: Frames
    tiles: NDArray[np.int64]


def register(
    a: Frames,
    b: Frames,
    *,
    most: int = 3,
    scales: Iterable[float] = _SCALES,
    turns: Sequence[tuple[int, bool]] = TURNS,
) -> list[Placement]:
    """Where pictures lie on each other that belong together in pairs, the most likely placements first.

    Args:
        a, b: ``float32[T, height, width]`` with the same T, of any sizes up to 64 pixels.
        most: how many placements.
        scales, turns: that are tried.
    """
    rough = shifts(resized(a, 0.5), resized(b, 0.5), scales, turns)
    rough.sort(key=lambda place: -place.significance)
    # the likeliest turn is none, and where little shows any other one may seem to agree better
    found = [place for place in rough if place.turn == (0, False)][:1]
    most += len(found)
    for place in rough:
        # a neighbouring scale says the same again
        if all(place.turn != other.turn or abs(np.log(place.scale / other.scale)) > 0.2 for other in found):
            found.append(place)
        if len(found) == most:
            break
    doubled = (p._replace(row=2 * p.row + 0.5, column=2 * p.column + 0.5) for p in found)
    exact = [refined(a, b, place._replace(pixels=4 * place.pixels)) for place in doubled]
    return sorted(exact, key=lambda place: -place.significance)


def refined(a: Frames, b: Frames, place: Placement, at_a_loss: float = AT_A_LOSS) -> Placement:
    """A placement made exact, by steps in one direction at a time that become smaller.

    One that agrees less than ``at_a_loss`` after the first of them stays inexact.
    """
    first, second = alike_scaled(a, b, place)
    shapes = first.shape[1:], second.shape[1:]
    first, second = _by_place(first), _by_place(second)
    least = 0.5 * min(len(first), len(second))

    def agreement(way: NDArray[np.float64]) -> float:
        there, seen = _sampled(first, way, *shapes)
        if len(there) < max(least, _LEAST):
            return 0.0
        here = second.take(seen, 0)
        both = float(np.vdot(there, there)) * float(np.vdot(here, here))
        return float(np.vdot(there, here) / np.sqrt(both + 1.0))

    now = np.array([place.growth, place.tilt, place.stretch, place.row, place.column])
    best = agreement(now)
    steps = np.array([0.04, 0.035, 0.04, 1.0, 1.0])
    for _ in range(4):
        for axis in (3, 4, 0, 2, 1):
            for way in (1, -1):
                stays = best
                while True:
                    then = now.copy()
                    then[axis] += way * steps[axis]
                    found = agreement(then)
                    if abs(found) <= abs(best) + 1e-4:
                        break
                    best, now = found, then
                if best != stays:  # the other way leads back
                    break
        steps = steps / 2
        if abs(best) < at_a_loss:
            break
    growth, tilt, stretch, row, column = now.tolist()
    return place._replace(row=row, column=column, agreement=best, tilt=tilt, stretch=stretch, growth=growth)


def overlaid(a: Frames, b: Frames, place: Placement) -> Overlaid:
    """Two films, of whatever lengths, laid on each other."""
    first, second = alike_scaled(a, b, place)
    way = np.array([place.growth, place.tilt, place.stretch, place.row, place.column])
    shape = second.shape[1:]
    there, seen = _sampled(_by_place(first), way, first.shape[1:], shape)
    rows, columns = (each // TILE for each in np.divmod(seen, shape[1]))
    _, tiles = np.unique(rows * shape[1] + columns, return_inverse=True)
    return Overlaid(
        np.ascontiguousarray(there.T), second.reshape(len(second), -1).take(seen, 1), tiles.reshape(-1)
    )


def scales_near(scale: float, most: float) -> list[float]:
    """Of the scales that are tried those that are no farther off, as a logarithm."""
    return [each for each in _SCALES if abs(np.log(each / scale)) <= most]


def alike_scaled(a: Frames, b: Frames, place: Placement) -> tuple[Frames, Frames]:
    """Both films at the coarser one's scale, without local means; the second one turned."""
    first, second = resized(a, min(1.0, place.scale)), resized(b, min(1.0, 1 / place.scale))
    return without_local_means(first), without_local_means(turned(second, place.turn))


def _by_place(frames: Frames) -> Frames:
    """``[height * width, T]``: what is taken of one place in all frames lies together."""
    return np.ascontiguousarray(frames.reshape(len(frames), -1).T)


def _sampled(
    a: Frames, way: NDArray[np.float64], from_: tuple[int, ...], to: tuple[int, ...]
) -> tuple[Frames, NDArray[np.intp]]:
    """The pixels of films at the places of another picture's grid: ``[P, T]``, and which places those are."""
    growth, tilt, stretch, row, column = way.tolist()
    h, w = from_
    down, right = np.arange(to[0])[:, None] - row, np.arange(to[1]) - column
    cosine, sine = math.cos(tilt), math.sin(tilt)
    tall, wide = math.exp(-growth - stretch / 2), math.exp(-growth + stretch / 2)
    y = (tall * cosine * down + (h - 1) / 2).astype(np.float32) + (tall * sine * right).astype(np.float32)
    x = (-wide * sine * down + (w - 1) / 2).astype(np.float32) + (wide * cosine * right).astype(np.float32)
    inside = (y >= -0.01) & (y <= h - 0.99) & (x >= -0.01) & (x <= w - 0.99)
    seen = np.flatnonzero(inside)
    y, x = y.take(seen), x.take(seen)
    above, left = (np.clip(z.astype(np.intp), 0, n - 2) for z, n in ((y, h), (x, w)))
    lower, righter = (y - above).astype(np.float32)[:, None], (x - left).astype(np.float32)[:, None]
    first = above * w + left
    upper, under = a.take(first, 0), a.take(first + w, 0)
    upper += (a.take(first + 1, 0) - upper) * righter
    under += (a.take(first + w + 1, 0) - under) * righter
    upper += (under - upper) * lower
    return upper, seen
