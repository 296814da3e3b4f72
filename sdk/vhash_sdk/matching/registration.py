"""How one picture lies on another: image registration by normalised cross-correlation.

Two films of one scene are laid on each other by scale, turn, mirroring, shift, and a little tilt and stretch.
All shifts of one scale and turn are compared at once by the Fourier transform (masked normalised
cross-correlation; Padfield 2012, IEEE Transactions on Image Processing 21), several frames together, at a
quarter of the pixels; the best few are then refined. Local means are taken off first, so that light, fades
and gradients say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.fft import irfft2, rfft2
from numpy.typing import NDArray

Frames = NDArray[np.float32]
"""``float32[T, height, width]``."""

TURNS = tuple((quarters, mirrored) for mirrored in (False, True) for quarters in range(4))
"""Quarter turns anticlockwise, after mirroring at the vertical axis or not."""
_LOCAL, _LOCAL_ROUGH = 3, 2  # pixels to either side whose mean is taken off each pixel
_SCALES = tuple(float(scale) for scale in np.exp(np.arange(-12, 13) * 0.08))  # 0.38 to 2.6
TILE = 8
"""Pixels of a side of what is asked for itself whether it moves alike."""
_SIDE = 64  # of the transform: two pictures of 32 pixels beside each other
_OVERLAP = 0.6  # of the smaller picture that has to lie on the other one
_LEAST = 60  # pixels that have to lie on each other
_FULL = 0.1  # of the mean detail of a picture that has to be in the part that is compared
_SMALLEST = 6  # pixels of a side


class Placement(NamedTuple):
    """Where the second picture lies on the first.

    Attributes:
        scale: of the second picture; 2: it shows half of the first, twice as large.
        turn: of ``TURNS``, undoes that of the second picture.
        row, column: the middle of the first picture in the second one, both at the common scale.
        agreement: normalised cross-correlation where they lie on each other, -1 (inverted) to 1.
        pixels: how many lie on each other, at the common scale.
        tilt: radians.
        stretch: of height over width, as a logarithm; growth: correction of the scale, likewise.
    """

    scale: float
    turn: tuple[int, bool]
    row: float
    column: float
    agreement: float
    pixels: float
    tilt: float = 0.0
    stretch: float = 0.0
    growth: float = 0.0

    @property
    def enlarged(self) -> float:
        """How much larger one of them shows the same than the other one, whichever that is: 1 or more."""
        scale = self.scale * float(np.exp(self.growth))
        return max(scale, 1 / scale)

    @property
    def turned(self) -> int:
        """By how many degrees one is turned against the other, either way: 0, 90 or 180."""
        return (0, 90, 180, 90)[self.turn[0]]

    @property
    def significance(self) -> float:
        """How unlikely such an agreement is by chance: few pixels often agree (Fisher's transformation)."""
        return float(np.arctanh(min(abs(self.agreement), 0.999)) * np.sqrt(self.pixels))


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
    first, second = resized(a, 0.5), resized(b, 0.5)
    rough = [place for scale in scales for place in _shifts(first, second, scale, turns)]
    rough.sort(key=lambda place: -place.significance)
    found: list[Placement] = []
    for place in rough:
        # a neighbouring scale says the same again
        if all(place.turn != other.turn or abs(np.log(place.scale / other.scale)) > 0.2 for other in found):
            found.append(place)
        if len(found) == most:
            break
    doubled = (p._replace(row=2 * p.row + 0.5, column=2 * p.column + 0.5) for p in found)
    exact = [refined(a, b, place._replace(pixels=4 * place.pixels)) for place in doubled]
    return sorted(exact, key=lambda place: -place.significance)


def refined(a: Frames, b: Frames, place: Placement) -> Placement:
    """A placement made exact, by steps in one direction at a time that become smaller."""
    first, second = alike_scaled(a, b, place)
    least = 0.5 * min(first[0].size, second[0].size)
    now = np.array([place.growth, place.tilt, place.stretch, place.row, place.column])
    best = _agreement(first, second, now, least)
    steps = np.array([0.04, 0.035, 0.04, 1.0, 1.0])
    for _ in range(4):
        for axis in (3, 4, 0, 2, 1):
            for way in (1, -1):
                while True:
                    then = now.copy()
                    then[axis] += way * steps[axis]
                    agreement = _agreement(first, second, then, least)
                    if abs(agreement) <= abs(best) + 1e-4:
                        break
                    best, now = agreement, then
        steps = steps / 2
    growth, tilt, stretch, row, column = now.tolist()
    return place._replace(row=row, column=column, agreement=best, tilt=tilt, stretch=stretch, growth=growth)


def overlaid(a: Frames, b: Frames, place: Placement) -> Overlaid:
    """Two films, of whatever lengths, laid on each other."""
    first, second = alike_scaled(a, b, place)
    way = np.array([place.growth, place.tilt, place.stretch, place.row, place.column])
    there, seen = _sampled(first, way, second.shape[1:])
    rows, columns = (place // TILE for place in np.nonzero(seen))
    _, tiles = np.unique(rows * _SIDE + columns, return_inverse=True)
    return Overlaid(there, second[:, seen], tiles.reshape(-1))


def in_place(a: Frames, b: Frames) -> Placement:
    """The placement of a copy of the whole picture, whatever its aspect ratio."""
    (h, w), (height, width) = a.shape[1:], b.shape[1:]
    scale = float(np.sqrt(height * width / (h * w)))
    stretch = float(np.log(height * w / (width * h)))
    shown = _scaled_shape((height, width), min(1.0, 1 / scale))
    return Placement(scale, (0, False), (shown[0] - 1) / 2, (shown[1] - 1) / 2, 0.0, 0.0, stretch=stretch)


def scales_near(scale: float, most: float) -> list[float]:
    """Of the scales that are tried those that are no farther off, as a logarithm."""
    return [each for each in _SCALES if abs(np.log(each / scale)) <= most]


def at_scale(place: Placement, scale: float, shape: tuple[int, ...]) -> Placement:
    """The same placement with another scale in its name, and the rest of it as growth.

    Args:
        place: of a second picture of (height, width) ``shape``.
        scale: the other one.
        shape: of the second picture.
    """
    before, after = (_scaled_shape(shape, min(1.0, 1 / each)) for each in (place.scale, scale))
    if place.turn[0] % 2:
        before, after = before[::-1], after[::-1]
    row, column = (
        (at + 0.5) * new / old - 0.5
        for at, old, new in zip((place.row, place.column), before, after, strict=True)
    )
    return place._replace(
        scale=scale, row=row, column=column, growth=place.growth + float(np.log(place.scale / scale))
    )


def without_local_means(frames: Frames, reach: int = _LOCAL) -> Frames:
    """Each pixel less the mean of the pixels around it."""
    around = _box(frames.shape[1], reach) @ frames @ _box(frames.shape[2], reach).T
    return np.asarray(frames - around, np.float32)


def resized(frames: Frames, scale: float) -> Frames:
    """Frames at another scale, antialiased."""
    height, width = _scaled_shape(frames.shape[1:], scale)
    if (height, width) == frames.shape[1:]:
        return frames
    rows, columns = _triangles(frames.shape[1], height), _triangles(frames.shape[2], width)
    return np.asarray(rows @ frames @ columns.T, np.float32)


def turned(frames: Frames, turn: tuple[int, bool]) -> Frames:
    """Frames after one of ``TURNS``."""
    quarters, mirrored = turn
    return np.ascontiguousarray(np.rot90(frames[:, :, ::-1] if mirrored else frames, quarters, (1, 2)))


def _scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def alike_scaled(a: Frames, b: Frames, place: Placement) -> tuple[Frames, Frames]:
    """Both films at the coarser one's scale, without local means; the second one turned."""
    first, second = resized(a, min(1.0, place.scale)), resized(b, min(1.0, 1 / place.scale))
    return without_local_means(first), without_local_means(turned(second, place.turn))


def _shifts(a: Frames, b: Frames, scale: float, tried: Sequence[tuple[int, bool]]) -> list[Placement]:
    """The best shift for each turn, at one scale."""
    first = without_local_means(resized(a, min(1.0, scale)), _LOCAL_ROUGH)
    second = without_local_means(resized(b, min(1.0, 1 / scale)), _LOCAL_ROUGH)
    if min(*first.shape[1:], *second.shape[1:]) < _SMALLEST:
        return []
    (h, w), size = first.shape[1:], (_SIDE, _SIDE)
    energy = (first**2).sum(0)
    moved, theirs, mask = (np.conj(rfft2(x, size)) for x in (first, energy, np.ones((h, w), np.float32)))
    found = []
    for sideways in (0, 1):
        turns = [turn for turn in tried if turn[0] % 2 == sideways]
        if not turns:
            continue
        other = np.stack([turned(second, turn) for turn in turns])  # of one shape, so in one go
        others = (other**2).sum(1)
        height, width = other.shape[2:]
        together = irfft2((moved * rfft2(other, size)).sum(1), size)
        seen = irfft2(theirs * rfft2(np.ones((height, width), np.float32), size), size)
        shown = irfft2(mask * rfft2(others, size), size)
        shared = np.outer(_overlap(h, height), _overlap(w, width))
        enough = (shared >= max(_LEAST / 4, _OVERLAP * min(h * w, height * width))) & (
            (seen > _FULL * energy.mean() * shared) & (shown > _FULL * others[0].mean() * shared)
        )
        agreement = np.where(enough, together / np.sqrt(np.maximum(seen * shown, 1e-3)), 0)
        best = (np.abs(agreement) * np.sqrt(shared)).reshape(len(turns), -1).argmax(1)
        for turn, each, place in zip(turns, agreement, best.tolist(), strict=True):
            row, column = divmod(place, _SIDE)
            row, column = row - _SIDE * (row >= height), column - _SIDE * (column >= width)
            middle = row + (h - 1) / 2, column + (w - 1) / 2
            found.append(Placement(scale, turn, *middle, float(each.flat[place]), float(shared.flat[place])))
    return found


def _agreement(a: Frames, b: Frames, way: NDArray[np.float64], least: float) -> float:
    there, seen = _sampled(a, way, b.shape[1:])
    if there.shape[1] < max(least, _LEAST):
        return 0.0
    here = b[:, seen]
    both = float(np.vdot(there, there)) * float(np.vdot(here, here))
    return float(np.vdot(there, here) / np.sqrt(both + 1.0))


def _sampled(a: Frames, way: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[Frames, NDArray[np.bool_]]:
    """The pixels of films at the places of another picture's grid: ``[T, P]``, and which places those are."""
    growth, tilt, stretch, row, column = way
    (h, w), (rows, columns) = a.shape[1:], _grid(shape[0], shape[1])
    down, right = rows - np.float32(row), columns - np.float32(column)
    cosine, sine = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    y = (cosine * down + sine * right) * np.float32(np.exp(-growth - stretch / 2)) + np.float32((h - 1) / 2)
    x = (cosine * right - sine * down) * np.float32(np.exp(-growth + stretch / 2)) + np.float32((w - 1) / 2)
    seen = (y >= -0.01) & (y <= h - 0.99) & (x >= -0.01) & (x <= w - 0.99)
    y, x = y[seen], x[seen]
    above, left = (np.clip(z.astype(np.intp), 0, n - 2) for z, n in ((y, h), (x, w)))
    lower, righter = y - above, x - left
    first, flat = above * w + left, a.reshape(len(a), -1)
    sampled = flat[:, first] * ((1 - lower) * (1 - righter))
    sampled += flat[:, first + 1] * ((1 - lower) * righter)
    sampled += flat[:, first + w] * (lower * (1 - righter))
    sampled += flat[:, first + w + 1] * (lower * righter)
    return sampled.astype(np.float32, copy=False), seen


@lru_cache(maxsize=64)
def _grid(height: int, width: int) -> tuple[Frames, Frames]:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return rows, columns


@lru_cache(maxsize=256)
def _overlap(first: int, second: int) -> NDArray[np.int64]:
    """Pixels in common of two lines, the first one shifted by 0, 1, …; by negative shifts from the end."""
    shift = np.arange(_SIDE)
    shift = np.where(shift < second, shift, shift - _SIDE)
    common: NDArray[np.int64] = np.minimum(second, first + shift) - np.maximum(0, shift)
    return np.maximum(common, 0)


@lru_cache(maxsize=256)
def _box(side: int, reach: int) -> Frames:
    """``[side, side]``: the mean over the pixels around each; fewer of them at an end."""
    place = np.arange(side)
    near = np.abs(place[:, None] - place) <= reach
    return np.asarray(near / near.sum(1, keepdims=True), np.float32)


@lru_cache(maxsize=1024)
def _triangles(side: int, wanted: int) -> Frames:
    """``[wanted, side]``: weights of the pixels that each new one is made of."""
    step = side / wanted
    middle = (np.arange(wanted) + 0.5) * step - 0.5
    weights = np.clip(1 - np.abs(np.arange(side) - middle[:, None]) / max(1.0, step), 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
