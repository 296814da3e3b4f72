"""Which frames are sampled, in whole numbers only, so that every decoder agrees.

Times are integers in units of a stream's time base ("ticks"); a frame is shown from its
presentation time (pts) until the next one's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spec import Sampling


def uniform_times(start: int, end: int, frames: int) -> list[int]:
    """The latest tick at which each of T uniformly spread frames may have started.

    Frame j is the last one with pts ≤ start + (j + 0.5)·(end − start) / T; since a pts is an
    integer, the bound is rounded down.

    >>> uniform_times(0, 100, 4)
    [12, 37, 62, 87]
    """
    return [start + (2 * j + 1) * (end - start) // (2 * frames) for j in range(frames)]


def frame_ranks(sampling: Sampling, count: int) -> list[int]:
    """Which of ``count`` frames of equal duration are sampled.

    ``uniform``: floor((j + 0.5)·D / T); ``middle``: T consecutive ones from (D − T) // 2, and
    j mod D for a video of D < T frames.

    >>> frame_ranks(Sampling("uniform", 4), 100), frame_ranks(Sampling("middle", 3), 2)
    ([12, 37, 62, 87], [0, 1, 0])
    """
    frames = sampling.frames
    if sampling.kind == "uniform":
        return uniform_times(0, count, frames)
    first = max(0, (count - frames) // 2)
    return [(first + j) % count for j in range(frames)]


def last_shown(times: NDArray[np.int64], bounds: list[int]) -> list[int]:
    """For each bound the rank of the last frame with pts ≤ bound; 0 where there is none.

    >>> last_shown(np.array([0, 10, 20]), [-5, 9, 10, 99])
    [0, 0, 1, 2]
    """
    return [max(0, int(rank) - 1) for rank in np.searchsorted(times, bounds, side="right")]
