"""Frames of two videos brought together: the straight lines in time that one may lie along in the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHIFT = 0.5  # frames from one alignment to the next
_LEAST = 8  # frames that two videos must share


@dataclass(frozen=True, eq=False)
class Alignments:
    """Straight lines from frames of one video to places between frames of another.

    Attributes:
        shared: ``float32[L, Ta]``, 1 where the frame has a counterpart.
        low: ``int64[L, Ta]``, the counterpart lies between this frame and the next one.
        part: ``float32[L, Ta]``, how far towards the next one.
        weights: ``float32[L, Tb]``, how much each frame of the other video takes part.
    """

    shared: NDArray[np.float32]
    low: NDArray[np.int64]
    part: NDArray[np.float32]
    weights: NDArray[np.float32]


@lru_cache(maxsize=512)
def alignments(first: int, second: int, ratio: float) -> Alignments:
    """All lines to try between videos of ``first`` and ``second`` frames; ``ratio`` of their durations."""
    middle = (np.arange(first) + 0.5) / first
    shifts = np.arange(-2, 3) * _SHIFT / second
    tried = [middle + shift for shift in shifts]  # the same span, at whatever speed
    if not 0.98 < ratio < 1.02:
        share = min(ratio, 1 / ratio)  # the shorter one may be cut out of the longer one, at its speed
        starts = np.arange(0, 1 - share + 1e-9, _SHIFT / max(first, second))
        tried += [middle * ratio + start for start in starts] if ratio < 1 else [
            (middle - start) * ratio for start in starts
        ]  # fmt: skip
    place = np.stack(tried) * second - 0.5
    shared = (place >= -0.5) & (place <= second - 0.5)
    enough = shared.sum(1) >= min(_LEAST, first, second)
    place, shared = np.clip(place[enough], 0, second - 1), shared[enough]
    low = np.clip(np.floor(place).astype(np.int64), 0, max(second - 2, 0))
    part = (place - low).astype(np.float32)
    weights = np.zeros((len(place), second), np.float32)
    rows = np.broadcast_to(np.arange(len(place))[:, None], low.shape)
    np.add.at(weights, (rows, low), np.where(shared, 1 - part, 0))
    np.add.at(weights, (rows, np.minimum(low + 1, second - 1)), np.where(shared, part, 0))
    return Alignments(shared.astype(np.float32), low, part, weights)


class Along(NamedTuple):
    """What frames and their counterparts have in common, along each of L lines.

    Attributes:
        product: ``float32[L]``, mean inner product.
        correlation: ``float32[L]``, each side centred on what is shared.
        spread: ``float32[L]``, geometric mean of both sides' mean squared distance from their centres.
    """

    product: NDArray[np.float32]
    correlation: NDArray[np.float32]
    spread: NDArray[np.float32]


def along(a: NDArray[np.float32], b: NDArray[np.float32], lines: Alignments) -> Along:
    """Compare frames ``[Ta, D]`` with ``[Tb, D]`` along lines."""
    inner = a @ b.T  # every frame with every other: an alignment only picks from these
    above = np.minimum(lines.low + 1, len(b) - 1)
    rows = np.arange(len(a))[None]
    part, shared, count = lines.part, lines.shared, np.maximum(lines.shared.sum(1), 1)
    product = (inner[rows, lines.low] * (1 - part) + inner[rows, above] * part) * shared
    own = (a * a).sum(1)
    squares, neighbours = (b * b).sum(1), np.append((b[:-1] * b[1:]).sum(1), 0)
    theirs = (
        squares[lines.low] * (1 - part) ** 2
        + squares[above] * part**2
        + 2 * neighbours[lines.low] * part * (1 - part)
    ) * shared
    mean_a, mean_b = shared @ a / count[:, None], lines.weights @ b / count[:, None]
    covariance = product.sum(1) - count * (mean_a * mean_b).sum(1)
    spread_a = (own * shared).sum(1) - count * (mean_a * mean_a).sum(1)
    spread_b = theirs.sum(1) - count * (mean_b * mean_b).sum(1)
    spread = np.sqrt(np.maximum(spread_a, 1.0) * np.maximum(spread_b, 1.0))
    return Along(product.sum(1) / count, covariance / spread, spread / count)


def duration_ratio(a: float, b: float) -> float:
    """Of two durations in seconds, to a hundredth; 1 where one is not known.

    >>> duration_ratio(5.0, 10.0), duration_ratio(float("nan"), 10.0)
    (0.5, 1.0)
    """
    ratio = a / b if a > 0 and b > 0 else 1.0
    return round(min(max(ratio, 0.05), 20.0), 2)
