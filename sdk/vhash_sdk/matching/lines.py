"""The stretches of a query that lie on straight lines in a part of a reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .track import Floats, Times, Track, nearest_windows, similarity
from .votes import SPEEDS

STEP = 0.25
"""Seconds of the grid of offsets."""
_CHANCE = 0.25  # similarity that a window must exceed to prolong a stretch
_BESIDE = 0.12  # the same where a stretch has proved itself
_SHORTEST = 2.0  # seconds of the query
_END = 1.0  # seconds that may lie between an end of the query and the middle of the window there
_PREFER = 0.004  # share of the sum that a speed must gain for each step that it is away from 1
_FINE_SPEEDS = 1 + np.arange(-4, 5) * 0.0075
_USUAL_SPEEDS = np.array([0.8, 24 / 25, 1.0, 25 / 24, 1.25])


class Line(NamedTuple):
    """A stretch: query time t is reference time ``offset + speed * t``, from window ``first`` to ``last``."""

    speed: float
    offset: float
    first: int
    last: int


def lines(query: Track, reference: Track) -> list[Line]:
    """The stretches of one chunk that lie on lines in one part of a reference, the best first."""
    if len(query) < 2 or len(reference) < 2:
        return []
    near = similarity(query.values, reference.values)
    gain = (near - _CHANCE) * query.weights[:, None]
    found = []
    for _ in range(3):  # a scene may come again nearby
        line = _best_line(gain, query, reference, stride=2 if len(query) > 16 else 1)
        if line is None:
            break
        line = _extended(near, query, reference, _refined(near, query, reference, line))
        found.append(line)
        low, high = line.offset + line.speed * query.times[[line.first, line.last]]
        columns = (reference.times > low - 1) & (reference.times < high + 1)
        gain[line.first : line.last + 1, columns] = -_CHANCE
    return found


def _best_line(gain: Floats, query: Track, reference: Track, *, stride: int) -> Line | None:
    """The stretch with the largest sum of gains, by every ``stride``-th window of the query."""
    gain, times = gain[::stride], query.times[::stride]
    ticks = np.rint(np.arange(reference.times[0], reference.times[-1] + STEP / 2, STEP) / STEP) * STEP
    fine = np.full((len(times), len(ticks) + 2), -_CHANCE, np.float32)  # outside there is no similarity
    fine[:, 1:-1] = gain[:, nearest_windows(reference, ticks)]
    begins, along, totals = _sums(fine, times, len(ticks))
    most, best = 0.0, None
    for number, speed in enumerate(SPEEDS):
        total = totals[number]
        last, column = np.unravel_index(int(total.argmax()), total.shape)
        value = float(total[last, column]) * (1 - _PREFER * abs(number - len(SPEEDS) // 2))
        if value > most:
            sums = np.concatenate([[0.0], along[number, : last + 1, column]])
            first = int(sums[:-1].argmin())
            offset = float(ticks[0] + begins[column] * STEP - speed * times[0])
            most, best = (
                value,
                Line(float(speed), offset, first * stride, min(int(last) * stride + stride, len(query)) - 1),
            )
    if best is None or query.times[best.last] - query.times[best.first] < min(
        _SHORTEST, 0.5 * query.duration
    ):
        return None
    return best


def _sums(fine: Floats, times: Times, ticks: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Along lines at all speeds: where they begin, the sums of gains, the largest that end at each window.

    Of shape ``[begins]``, ``[speeds, windows, begins]`` and the same: all at once, since each is small.
    """
    shift = np.rint(SPEEDS[:, None] * (times - times[0]) / STEP).astype(np.int64)
    begins = np.arange(-int(shift[-1, -1]), ticks)  # tick of the query's first window
    at = (begins + shift[:, :, None] + 1).clip(0, ticks + 1)
    at += (np.arange(len(times)) * fine.shape[1])[:, None]
    along = np.take(fine, at).cumsum(axis=1)
    before = np.zeros_like(along)
    np.minimum.accumulate(along[:, :-1], axis=1, out=before[:, 1:])
    np.minimum(before, 0, out=before)
    return begins, along, along - before


def _refined(near: Floats, query: Track, reference: Track, line: Line) -> Line:
    """Speed and offset to a fraction of a step: where the similarity between windows is largest."""
    speed, offset, first, last = line
    rows = np.arange(first, last + 1)
    times, weights = query.times[rows], query.weights[rows]
    middle = float(times[0] + times[-1]) / 2
    centre = offset + speed * middle
    speeds = np.unique([*speed * _FINE_SPEEDS, *_USUAL_SPEEDS[np.abs(_USUAL_SPEEDS / speed - 1) < 0.04]])
    steps = centre + np.arange(-10, 11) * (STEP / 5)
    at = steps[None, :, None] + speeds[:, None, None] * (times - middle)
    sums = (_between(near[rows], reference, at) * weights).sum(axis=2)
    sums *= np.where(np.isin(speeds, _USUAL_SPEEDS), 1 + _PREFER, 1.0)[:, None]
    best, step = np.unravel_index(int(sums.argmax()), sums.shape)
    return Line(float(speeds[best]), float(steps[step] - speeds[best] * middle), first, last)


def _extended(near: Floats, query: Track, reference: Track, line: Line) -> Line:
    """To the ends of the query, where what lies before or after it agrees less, but more than by chance.

    Not to an end that only a chunk of the query has: there the next chunk goes on.
    """
    speed, offset, first, last = line
    at = offset + speed * query.times
    gain = (_between(near, reference, at) - _BESIDE) * query.weights
    gain[(at < reference.times[0] - 0.5) | (at > reference.times[-1] + 0.5)] = -1.0
    begins, ends = query.times[0] <= _END, query.duration - query.times[-1] <= _END
    if begins and first and gain[:first].sum() > 0:
        first = 0
    if ends and last + 1 < len(query) and gain[last + 1 :].sum() > 0:
        last = len(query) - 1
    return Line(speed, offset, first, last)


def _between(near: Floats, reference: Track, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarity of each row ``[…, n]`` at times of the reference, between its windows linearly."""
    right = np.searchsorted(reference.times, at).clip(1, len(reference) - 1)
    width = reference.times[right] - reference.times[right - 1]
    share = ((at - reference.times[right - 1]) / width).clip(0, 1)
    rows = np.arange(len(near))
    mixed: NDArray[np.float64] = near[rows, right - 1] * (1 - share) + near[rows, right] * share
    return mixed
