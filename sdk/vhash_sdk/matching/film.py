"""Small grey frames of a video, and which of them a third look takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .timelines import Timeline

RATE = 8
"""Frames a second of a film."""
SIDE = 64
"""Pixels of the longer side of a film."""
_WHOLE = 12.0  # seconds up to which all of a video is taken
_WINDOWS, _WINDOW = 3, 4.0  # of a longer one so many windows of so many seconds
_SLACK, _MOST_SLACK = 1.0, 4.0  # seconds by which a line may be wrong
_MOST_FRAMES = 960
_GREY = np.array([77, 150, 29], np.uint32)  # ITU-R BT.601's luma, of 256


@dataclass(frozen=True, eq=False)
class Film:
    """Small grey frames of a video.

    Attributes:
        frames: ``uint8[T, height, width]``, the longer side ``SIDE`` pixels.
        times: ``float64[T]``, seconds, ascending.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]

    @classmethod
    def of(cls, frames: NDArray[np.uint8], times: NDArray[np.float64]) -> Film:
        """A film of frames in colour, ``uint8[T, height, width, 3]``."""
        return cls(((frames @ _GREY) >> 8).astype(np.uint8), times)

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """The frames as ``float32``."""
        return self.frames.astype(np.float32)

    def nearest(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """The frame nearest to each time; -1 where none is as near as the rate promises."""
        after = np.clip(np.searchsorted(self.times, times), 1, max(1, len(self.times) - 1))
        before = after - 1
        after = np.minimum(after, len(self.times) - 1)
        sooner = times - self.times[before] <= self.times[after] - times
        place = np.where(sooner, before, after)
        return np.where(np.abs(self.times[place] - times) <= 0.75 / RATE, place, -1)

    def __repr__(self) -> str:
        return f"Film({list(self.frames.shape)}, {self.times[0]:.2f} to {self.times[-1]:.2f} s)"


def film_shape(width: int, height: int) -> tuple[int, int]:
    """(height, width) of the frames of a film.

    >>> film_shape(1920, 1080)
    (36, 64)
    """
    longer = max(width, height)
    # of a strip no more than a few pixels are left: nothing can be said of it
    return max(1, round(SIDE * height / longer)), max(1, round(SIDE * width / longer))


def slack(seconds: float) -> float:
    """By how many seconds a line through the sampled frames of a video of so many seconds may be wrong."""
    return min(_MOST_SLACK, max(_SLACK, seconds / 50))


def exact(a: float, b: float) -> bool:
    """Whether lines between videos of so many seconds are exact enough to say that nothing is alike.

    They go through frames that are seconds apart in long videos: where one of these was trimmed, a line may
    miss what they share. All of a video of the same length is on the line from start to end.

    >>> exact(30.0, 120.0), exact(3600.0, 3600.2), exact(3600.0, 3570.0)
    (True, True, False)
    """
    return max(a, b) / 50 <= _MOST_SLACK or abs(a - b) <= _SLACK


def film_times(
    a: float, b: float, lines: Sequence[Timeline]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times of the frames to take of two videos.

    Args:
        a, b: their durations in seconds.
        lines: from ``timelines``, at least one.

    >>> here, there = film_times(3600.0, 3600.0, [Timeline(1.0, 0.0)])
    >>> len(here), len(there), float(here[0])
    (96, 288, 598.0)
    """
    first = lines[0]
    ends = sorted(((0 - first.offset) / first.speed, (b - first.offset) / first.speed))
    start, end = max(0.0, ends[0]), min(a, ends[1])
    if a <= _WHOLE:
        windows = [(0.0, a)]
    elif end - start <= _WHOLE:
        windows = [(start, max(start, end))]
    else:
        middles = start + (np.arange(_WINDOWS) + 0.5) / _WINDOWS * (end - start)
        windows = [(middle - _WINDOW / 2, middle + _WINDOW / 2) for middle in middles.tolist()]
    if b <= _WHOLE:
        return _steady(windows, a), _steady([(0.0, b)], b)
    more = slack(b)
    there = []
    for line in lines:
        there += [(low - more, high + more) for low, high in
                  (sorted((line.at(low), line.at(high))) for low, high in windows)]  # fmt: skip
        if len(_steady(there, b)) > _MOST_FRAMES:
            del there[-len(windows) :]
            break
    return _steady(windows, a), _steady(there, b)


def part_times(
    part: tuple[float, float], line: Timeline, a: float, b: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times of the frames to take where a part of one video may be in another.

    Args:
        part: its start and end in seconds of the first video; the middle of a long one is taken.
        line: to the seconds of the second video.
        a, b: their durations in seconds.

    >>> here, there = part_times((10.0, 50.0), Timeline(1.0, 600.0), 60.0, 3600.0)
    >>> len(here), float(here[0]), float(there[0])
    (96, 24.0, 623.0)
    """
    middle, most = sum(part) / 2, min(part[1] - part[0], _WHOLE) / 2
    window = middle - most, middle + most
    low, high = sorted(map(line.at, window))
    return _steady([window], a), _steady([(low - _SLACK, high + _SLACK)], b)


def _steady(windows: Sequence[tuple[float, float]], seconds: float) -> NDArray[np.float64]:
    """Ascending times at the rate of a film in windows of a video of so many seconds."""
    steps = [
        np.arange(round(max(0.0, low) * RATE), round(min(high, seconds) * RATE)) for low, high in windows
    ]
    return np.unique(np.concatenate(steps)) / RATE
