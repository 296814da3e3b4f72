"""The windows of a video whose codes are its segments, and the cuts that no window may cross."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..system.checks import check_positive
from .sequence import Segments, Sequence, centred, segment_spans

RATE = 2.0
"""Frames per second of what a library keeps."""
_SHARE = 0.18  # of all bits: frames of one shot seldom differ in more
_TIMES = 3.0  # a cut stands out from the changes around it,
_SURE = 0.36  # or changes this share of all bits
_AROUND = 2.0  # seconds


def segments_of(sequence: Sequence, *, window: float, hop: float, shots: bool = False) -> Segments:
    """Codes of windows of ``window`` seconds that start every ``hop`` seconds; see ``encode_segments``.

    Raises:
        OptionError: ``window`` or ``hop`` is not positive.
    """
    check_windows(window, hop)
    if not shots:
        return sequence.pooled(segment_spans(sequence.duration, window, hop))
    return sequence.pooled(shot_spans(shot_cuts(sequence), sequence.duration, window, hop))


def check_windows(window: float, hop: float) -> None:
    """Raise OptionError unless both are positive seconds."""
    for label, value in (("window", window), ("hop", hop)):
        check_positive(label, value, "seconds", most=1e6)
        if value < 0.01:
            raise OptionError(f"{label}={value!r}: a frame lasts longer; allowed: 0.01 s and more")


def segment_rate(window: float, hop: float) -> float:
    """Frames per second for windows of these seconds: four a window, one a hop and two a second, at least."""
    return max(RATE, 4 / window, 1 / hop)


def shot_cuts(sequence: Sequence) -> NDArray[np.float64]:
    """Times of the cuts in seconds, ascending, each half-way between two frames of the sequence.

    A cut is where neighbouring frames differ in more than 18 % of their bits, and either three times
    as much as the frames around it do at the median (motion changes many bits too, but all the time)
    or in 36 %.
    """
    bits = centred(sequence.logits, sequence.spec) >= 0
    change = np.count_nonzero(bits[1:] != bits[:-1], axis=1) / sequence.bits
    times = (sequence.times[1:] + sequence.times[:-1]) / 2
    cuts = []
    for at in np.flatnonzero(change > _SHARE):
        near = np.abs(times - times[at]) <= _AROUND
        near[at] = False
        usual = float(np.median(change[near])) if near.any() else 0.0
        beside = change[max(0, at - 1) : at + 2]
        if change[at] >= min(_TIMES * usual, _SURE) and change[at] == beside.max():
            cuts.append(times[at])
    return np.asarray(cuts, np.float64)


def shot_spans(cuts: NDArray[np.float64], duration: float, window: float, hop: float) -> NDArray[np.float64]:
    """``segment_spans`` of each shot: no window crosses a cut. ``float64[n, 2]``, in seconds.

    >>> shot_spans(np.array([4.0]), 9.0, window=5.0, hop=5.0).tolist()
    [[0.0, 4.0], [4.0, 9.0]]
    """
    edges = [0.0, *cuts.tolist(), duration]
    return np.concatenate(
        [
            start + segment_spans(end - start, window, hop)
            for start, end in pairwise(edges)
            if end > start or duration <= 0
        ]
    )
