"""What alignment compares: codes or logits of windows along one video."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Times = NDArray[np.float64]

_ALONE = 1 << 18
"""Multiplications of a product that OpenBLAS does in one thread: more are shared out, and on a machine that
is busy the threads wait for each other far longer than the product takes."""
_FEW = 64  # such products one after the other


@dataclass(frozen=True, eq=False)
class Track:
    """Codes or logits of windows along one video.

    Attributes:
        values: ``float32[n, bits]``: logits, or codes as -1 and 1.
        times: ``float64[n]``, the middle of each window in seconds, ascending.
        duration: of the video, in seconds.
        weights: ``float32[n]``, 0 to 1: how much each window counts (black frames: nothing).
        family: of the model, see ``ModelSpec.family``.
    """

    values: Floats
    times: Times
    duration: float
    weights: Floats
    family: str = ""

    def __len__(self) -> int:
        return len(self.times)

    def between(self, start: float, end: float) -> Track:
        """The windows whose middle lies in ``[start, end)``; times and duration stay those of the video."""
        part = slice(*np.searchsorted(self.times, [start, end]))
        return replace(self, values=self.values[part], times=self.times[part], weights=self.weights[part])

    def __repr__(self) -> str:
        return f"Track({len(self)} windows of {self.duration:.2f} s)"


def similarity(query: Floats, reference: Floats) -> Floats:
    """Agreement of windows ``[n, bits]`` with ``[m, bits]``, -1 to 1; sure bits of the query count more."""
    query = query / np.maximum(np.abs(query).sum(axis=1, keepdims=True), 1e-12)
    signs = np.ascontiguousarray(np.sign(reference + np.float32(1e-30)).T)
    rows = max(1, _ALONE // max(1, signs.size))
    if len(query) > _FEW * rows:  # worth several threads
        agreement: Floats = query @ signs
        return agreement
    agreement = np.empty((len(query), signs.shape[1]), np.float32)
    for first in range(0, len(query), rows):
        np.matmul(query[first : first + rows], signs, out=agreement[first : first + rows])
    return agreement


def nearest_windows(track: Track, times: Times) -> NDArray[np.int64]:
    """For each time the window whose middle is nearest."""
    right = np.minimum(np.searchsorted(track.times, times).clip(1), len(track) - 1)
    left = np.maximum(right - 1, 0)
    nearer: NDArray[np.int64] = np.where(times - track.times[left] <= track.times[right] - times, left, right)
    return nearer
