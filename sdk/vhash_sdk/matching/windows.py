"""Where one shot ends and the next begins, from the logits of a video's frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..encoding.encoded import segment_spans
from .sequence import Sequence, centred

_SHARE = 0.18  # of all bits: frames of one shot seldom differ in more
_TIMES = 3.0  # a cut stands out from the changes around it,
_SURE = 0.36  # or changes this share of all bits
_AROUND = 2.0  # seconds


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
