"""``frame_codes.likeness`` in numpy, as it was before C++: what the tests compare it with."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vhash_sdk.codes import unpack_bits
from vhash_sdk.matching.frame_codes import FrameCodes
from vhash_sdk.matching.frame_lines import Alignments, alignments, along, duration_ratio

_LEAST = 2
_MOVING = 0.25


class _Frames:
    """Codes, what they show, and their bits as -1 and 1, 0 where a frame shows nothing."""

    def __init__(self, video: FrameCodes) -> None:
        self.codes, self.duration = video.codes, video.duration
        self.shows = np.minimum(np.count_nonzero(video.codes, axis=1)[:, None], 1).astype(np.float32)
        bits = unpack_bits(video.codes, 8 * video.codes.shape[1])
        self.signs = (2 * bits.astype(np.float32) - 1) * self.shows


def likeness(one: FrameCodes, other: FrameCodes) -> NDArray[np.float64]:
    """What ``frame_codes.likeness`` gives."""
    a, b = _Frames(one), _Frames(other)
    if min(a.shows.sum(), b.shows.sum()) < _LEAST:
        return np.zeros(7)
    if a.duration > b.duration:  # of a short part few of the longer one's frames are left, but all of its own
        a, b = b, a
    bits = a.signs.shape[1]
    lines = alignments(len(a.codes), len(b.codes), duration_ratio(a.duration, b.duration))
    every = a.signs @ b.signs.T / bits
    free = max(_mean_of_best(every, a.shows, b.shows), _mean_of_best(every.T, b.shows, a.shows))
    ways = [_along(a, b, lines, turned=turned) for turned in (False, True)]
    straight = max(ways, key=lambda way: way.ordered)
    moved = max(ways, key=lambda way: way.together)
    changed = [moved.moving * moved.together, moved.moving * (1 - moved.together)]
    patterned = max(ways, key=lambda way: way.pattern)
    came_back = [patterned.moving * patterned.pattern, patterned.moving * (1 - patterned.pattern)]
    return np.array([straight.ordered, straight.worst, free, *changed, *came_back])


def products(
    a: NDArray[np.float32], b: NDArray[np.float32], lines: Alignments, line: int
) -> NDArray[np.float32]:
    """Inner product of each frame of ``a`` that has a counterpart in ``b`` with it, along one line."""
    shared = lines.shared[line] > 0
    low, part = lines.low[line][shared], lines.part[line][shared, None]
    theirs = b[low] * (1 - part) + b[np.minimum(low + 1, len(b) - 1)] * part
    found: NDArray[np.float32] = (a[shared] * theirs).sum(1)
    return found


class _Way(NamedTuple):
    """What two videos have in common, one of them taken forwards or backwards."""

    ordered: float
    worst: float
    together: float
    pattern: float
    moving: float


def _along(a: _Frames, b: _Frames, lines: Alignments, *, turned: bool) -> _Way:
    step = -1 if turned else 1
    there, shown = np.ascontiguousarray(b.signs[::step]), np.ascontiguousarray(b.shows[::step])
    bits, found = a.signs.shape[1], along(a.signs, there, lines)
    both = along(a.shows, shown, lines).product  # the share of frames that are compared
    enough = both * lines.shared.sum(1) >= _LEAST
    if not enough.any():
        return _Way(0.0, 0.0, 0.0, 0.0, 0.0)
    line = int(np.where(enough, found.product / np.maximum(both, 1e-6), -np.inf).argmax())
    compared = products(a.shows, shown, lines, line)
    each = products(a.signs, there, lines, line)[compared > 0.5] / bits
    worst = np.sort(each)[: max(1, len(each) // 4)] if len(each) else np.zeros(1)
    best = int(np.where(enough, found.correlation, -np.inf).argmax())
    moving = min(1.0, float(found.spread[best]) / bits / _MOVING)
    ordered = float(found.product[line] / both[line] / bits)
    patterns = _patterns(a.signs, there, a.shows, shown, lines)
    pattern = float(np.where(enough, patterns, -1).max())
    return _Way(ordered, float(worst.mean()), float(found.correlation[best]), pattern, moving)


def _patterns(
    a: NDArray[np.float32], b: NDArray[np.float32], shows: NDArray[np.float32], others: NDArray[np.float32],
    lines: Alignments,
) -> NDArray[np.float32]:  # fmt: skip
    """Correlation of two videos' temporal self-similarity along each line: ``float32[L]``.

    Between two frames the nearer one counts. Frames that show nothing are left out.
    """
    nearest = np.minimum(lines.low + (lines.part >= 0.5), len(b) - 1)
    taken = lines.shared * shows[:, 0] * others[nearest, 0]
    first, second = _two_frames(len(a))
    pairs = taken[:, first] * taken[:, second]
    x, y = (a @ a.T)[first, second] * pairs, (b @ b.T)[nearest[:, first], nearest[:, second]] * pairs
    count = np.maximum(pairs.sum(1), 1)
    covariance = (x * y).sum(1) - x.sum(1) * y.sum(1) / count
    spreads = ((z * z).sum(1) - z.sum(1) ** 2 / count for z in (x, y))
    found: NDArray[np.float32] = covariance / np.sqrt(np.prod([np.maximum(z, 1) for z in spreads], axis=0))
    return found


@lru_cache(maxsize=16)
def _two_frames(frames: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of each two frames, the earlier one first."""
    return np.triu_indices(frames, 1)


def _mean_of_best(
    every: NDArray[np.float32], shows: NDArray[np.float32], others: NDArray[np.float32]
) -> float:
    """Mean agreement of the frames that show something with the most similar one of the others."""
    best = np.where(others.T > 0, every, -1).max(1)
    return float(best @ shows[:, 0] / shows.sum())
