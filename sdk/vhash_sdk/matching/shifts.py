"""All shifts of one picture over another at once, at some scales and turns: the first step of registration.

By masked normalised cross-correlation (Padfield 2012, IEEE Transactions on Image Processing 21): the Fourier
transform compares all shifts, several frames together. The film that keeps its scale is transformed once for
each turn, whatever the other's scale is; how much both show where they lie on each other are sums over
rectangles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.fft import ifft, irfft, rfft2
from numpy.typing import NDArray

from .pictures import Frames, resized, turned, turned_back, turned_place, without_local_means
from .placement import Placement

SHIFTED = 32
"""Pixels of the longest side of a picture that is shifted."""
_LOCAL = 2  # pixels to either side whose mean is taken off each pixel
_SIDE = 2 * SHIFTED  # of the transform: two pictures beside each other
_OVERLAP = 0.6  # of the smaller picture that has to lie on the other one
_LEAST = 15  # pixels that have to lie on each other
_FULL = 0.1  # of the mean detail of a picture that has to be in the part that is compared
_SMALLEST = 6  # pixels of a side

Turn = tuple[int, bool]


class Shifts(NamedTuple):
    """Where each two frames agree best, at one scale and turn.

    Attributes:
        shifts: ``float64[T, 2]``, rows and columns by which the first one is moved.
        agreement: ``float32[T]``, normalised cross-correlation there.
        pixels: ``float32[T]``, how many lie on each other.
        shapes: of both, (height, width).
    """

    shifts: NDArray[np.float64]
    agreement: Frames
    pixels: Frames
    shapes: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def middle(self) -> NDArray[np.float64]:
        """The middle of the first picture."""
        return (np.array(self.shapes[0]) - 1) / 2

    def overlap(self, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of the smaller picture that is in sight, for each shift."""
        first, second = map(np.array, self.shapes)
        common = np.minimum(second, first + shifts) - np.maximum(0, shifts)
        return np.asarray(np.maximum(common, 0).prod(1) / min(first.prod(), second.prod()), np.float64)


class _Turned(NamedTuple):
    """A film after some turns that all lead to one shape."""

    turns: list[Turn]
    spectra: NDArray[np.complexfloating]  # [K, T, _SIDE, _SIDE // 2 + 1]
    energy: Frames  # [K, height, width]


def shifts(a: Frames, b: Frames, scales: Iterable[float], turns: Sequence[Turn]) -> list[Placement]:
    """The best shift for each scale and turn.

    Args:
        a, b: ``float32[T, height, width]`` with the same T, sides up to ``SHIFTED``.
        scales, turns: of ``b``, as in ``Placement``.
    """
    back = [turned_back(turn) for turn in turns]
    whole: dict[bool, list[_Turned]] = {}
    found = []
    for scale in scales:
        shrinks = scale > 1  # the second film; the first one is turned instead, the other way
        if shrinks not in whole:
            whole[shrinks] = list(_all_turned(a, back) if shrinks else _all_turned(b, turns))
        small = without_local_means(resized(b if shrinks else a, min(scale, 1 / scale)), _LOCAL)
        shape = small.shape[1:]
        if min(*shape, *whole[shrinks][0].energy.shape[1:]) < _SMALLEST:
            continue
        spectra = np.conj(rfft2(small, (_SIDE, _SIDE)))
        for other in whole[shrinks]:
            for turn, place in zip(other.turns, _best(small, spectra, other), strict=True):
                row, column, agreement, shared = place
                middle = row + (shape[0] - 1) / 2, column + (shape[1] - 1) / 2
                if shrinks:
                    height, width = other.energy.shape[1:]
                    there = (height - 1) / 2 - row, (width - 1) / 2 - column
                    turn = turned_back(turn)
                    middle = turned_place(*there, shape, turn)
                found.append(Placement(scale, turn, *middle, agreement, shared))
    return found


def _all_turned(film: Frames, turns: Sequence[Turn]) -> Iterable[_Turned]:
    upright = without_local_means(film, _LOCAL)
    for sideways in (0, 1):
        ours = [turn for turn in turns if turn[0] % 2 == sideways]
        if ours:
            frames = np.stack([turned(upright, turn) for turn in ours])
            yield _Turned(ours, rfft2(frames, (_SIDE, _SIDE)), (frames * frames).sum(1))


def best_each(a: Frames, b: Frames, scale: float, turn: Turn, overlap: float) -> Shifts:
    """Where each two frames of films with as many frames agree best.

    Args:
        a, b: ``float32[T, height, width]``, sides up to ``SHIFTED``.
        scale, turn: of ``b``, as in ``Placement``.
        overlap: share of the smaller picture that has to be in sight.
    """
    first = without_local_means(resized(a, min(1.0, scale)), _LOCAL)
    second = without_local_means(turned(resized(b, min(1.0, 1 / scale)), turn), _LOCAL)
    product = np.conj(rfft2(first, (_SIDE, _SIDE))) * rfft2(second, (_SIDE, _SIDE))
    each = _agreement(product, first * first, second * second, overlap)
    frames, (rows, columns) = np.arange(len(a)), each.best(least_by_chance=True)
    shifts = [
        lines.shifts[at] + _beside(each.agreement, frames, rows, columns, axis)
        for axis, (lines, at) in enumerate(((each.rows, rows), (each.columns, columns)))
    ]
    pixels = each.rows.common[rows] * each.columns.common[columns]
    shapes = first.shape[1:], second.shape[1:]
    return Shifts(np.stack(shifts, 1), each.agreement[frames, rows, columns], pixels, shapes)


def _best(
    small: Frames, spectra: NDArray[np.complexfloating], other: _Turned
) -> Iterable[tuple[int, int, float, float]]:
    """For each turn the best shift of a film over another: rows, columns, agreement, pixels in common."""
    product = (spectra * other.spectra).sum(1)
    each = _agreement(product, (small * small).sum(0)[None], other.energy, _OVERLAP)
    for agreement, row, column in zip(each.agreement, *each.best(), strict=True):
        pixels = each.rows.common[row] * each.columns.common[column]
        shift = int(each.rows.shifts[row]), int(each.columns.shifts[column])
        yield *shift, float(agreement[row, column]), float(pixels)


class _Lines(NamedTuple):
    """N shifts of a line of pixels over another one, and what lies on what then."""

    shifts: NDArray[np.int64]
    lies_on: Frames  # [N, pixels]: which of it lie on the other one
    covered: Frames  # [N, pixels of the other one]: on which ones
    common: NDArray[np.float32]  # [N]


class _Agreement(NamedTuple):
    """Of K pictures with K others for each shift that leaves enough in sight."""

    agreement: Frames  # [K, rows, columns]; 0 where too little shows anything
    rows: _Lines
    columns: _Lines

    def best(self, least_by_chance: bool = False) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where each picture agrees best, many pixels preferred; or where that is least by chance."""
        shared = np.sqrt(np.outer(self.rows.common, self.columns.common))
        score = np.abs(self.agreement)
        if least_by_chance:  # Fisher's transformation: of few pixels too, where they agree perfectly
            score = np.arctanh(np.minimum(score, np.float32(0.999)))
        best = (score * shared).reshape(len(score), -1).argmax(1)
        rows, columns = np.divmod(best, len(self.columns.shifts))
        return rows, columns


def _agreement(
    product: NDArray[np.complexfloating], energy: Frames, others: Frames, overlap: float
) -> _Agreement:
    """The agreement of K pictures with K others, from the product of their transforms."""
    (h, w), (height, width) = energy.shape[1:], others.shape[1:]
    least = max(_LEAST, overlap * min(h * w, height * width))
    rows, columns = _lines(h, height, least / min(w, width)), _lines(w, width, least / min(h, height))
    together = irfft(ifft(product, axis=1)[:, rows.shifts % _SIDE], _SIDE)[..., columns.shifts % _SIDE]
    seen = rows.lies_on @ energy @ columns.lies_on.T
    shown = rows.covered @ others @ columns.covered.T
    shared = np.outer(rows.common, columns.common)
    enough = (shared >= least) & (
        (seen > _FULL * energy.mean((1, 2), keepdims=True) * shared)
        & (shown > _FULL * others.mean((1, 2), keepdims=True) * shared)
    )
    agreement = np.where(enough, together / np.sqrt(np.maximum(seen * shown, 1e-3)), 0)
    return _Agreement(np.asarray(agreement, np.float32), rows, columns)


def _beside(
    agreement: Frames, frames: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp], axis: int
) -> NDArray[np.float64]:
    """How far beside the best whole shift the best one is, by the parabola through its neighbours."""
    padded = np.abs(np.pad(agreement, ((0, 0), (1, 1), (1, 1))))
    low, middle, high = (
        padded[frames, rows + 1 + step * (1 - axis), columns + 1 + step * axis] for step in (-1, 0, 1)
    )
    beside = (high - low) / (2 * np.maximum(2 * middle - low - high, 1e-6))
    return np.where((low > 0) & (high > 0), np.clip(beside, -0.5, 0.5), 0.0)


@lru_cache(maxsize=1024)
def _lines(side: int, other: int, least: float) -> _Lines:
    """Shifts of a line of so many pixels over another one that have at least so many in common."""
    shifts = np.arange(1 - side, other)
    there, back = np.arange(side) + shifts[:, None], np.arange(other) - shifts[:, None]
    lies_on, covered = (there >= 0) & (there < other), (back >= 0) & (back < side)
    enough = lies_on.sum(1) >= min(least, side, other)
    common = lies_on.sum(1, dtype=np.float32)
    return _Lines(
        shifts[enough], lies_on[enough].astype(np.float32), covered[enough].astype(np.float32), common[enough]
    )
