"""The codes of a video's frames, and what two videos' frames have in common.

Of a model that was trained on single frames (family ``copy``) every frame has a code of its own, the first
bits of the same projection. 25 frames of 128 bits are 400 bytes a video. They say four things that the code
of the whole does not: whether the frames are alike in their order, all of them or only some (a shared
intro), whether they are alike in any order (a re-ordered copy, a part among other matter), whether they
*change* alike, and whether each video comes back to its own earlier pictures at the same times as the other
one (temporal self-similarity, Junejo et al. 2008): that survives any crop, turn or colour, since each video
is only compared with itself. Two takes of one scene do neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import pack_bits, unpack_bits
from ..errors import CodeError
from ..spec import ModelSpec
from .frame_lines import Alignments, alignments, along, duration_ratio, products
from .sequence import Sequence

_BITS = {"copy": 128}  # of a frame, by the family of the model
_LEAST = 2  # frames that two videos must share
_MOVING = 0.25  # spread of the frames about their mean, as a share of the bits, that counts as full motion


def frame_bits(spec: ModelSpec) -> int:
    """Bits of a frame's code; 0 for a model whose frames have none."""
    return min(_BITS.get(spec.family, 0), spec.bits)


@dataclass(frozen=True, eq=False)
class FrameCodes:
    """The codes of frames that are sampled evenly.

    Attributes:
        codes: ``uint8[T, frame_bits / 8]``; all bits 0 where a frame shows nothing (black, a plain colour).
        spec: of the model.
        duration: seconds; ``nan`` where it is not known.
    """

    codes: NDArray[np.uint8]
    spec: ModelSpec
    duration: float

    @classmethod
    def of(cls, sequence: Sequence) -> FrameCodes:
        """The codes of a video whose frames are sampled evenly."""
        logits = sequence.logits[:, : frame_bits(sequence.spec)]
        bits = (logits >= 0) & logits.any(axis=1, keepdims=True)
        return cls(pack_bits(bits), sequence.spec, sequence.duration)

    def to_bytes(self) -> bytes:
        """T · frame_bits / 8 bytes."""
        return self.codes.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, spec: ModelSpec, duration: float) -> FrameCodes:
        """Read what ``to_bytes`` gave.

        Raises:
            CodeError: not as many bytes as the model's videos have.
        """
        frames, width = spec.sampling.frames, frame_bits(spec) // 8
        if len(data) != frames * width:
            raise CodeError(
                f"codes of frames in {len(data)} bytes, not {frames * width} as {spec.name} has; "
                "encode it again"
            )
        return cls(np.frombuffer(data, np.uint8).reshape(frames, width), spec, duration)

    @cached_property
    def shows(self) -> NDArray[np.float32]:
        """1 where a frame shows something, else 0: ``float32[T, 1]``."""
        shown: NDArray[np.float32] = np.count_nonzero(self.codes, axis=1)[:, None].astype(np.float32)
        return np.minimum(shown, np.float32(1))

    @cached_property
    def signs(self) -> NDArray[np.float32]:
        """The bits as -1 and 1, 0 where a frame shows nothing: ``float32[T, frame_bits]``."""
        bits = unpack_bits(self.codes, 8 * self.codes.shape[1])
        signs: NDArray[np.float32] = (2 * bits.astype(np.float32) - 1) * self.shows
        return signs

    def __repr__(self) -> str:
        return f"FrameCodes({list(self.codes.shape)}, duration={self.duration:.2f} s)"


WORST, CHANGE, AGAINST = 1, 3, (4, 6)
"""Which of the measures are those of the worst quarter and of change alike; which speak against a copy."""


def likeness(a: FrameCodes, b: FrameCodes) -> NDArray[np.float64]:
    """(in order, worst quarter, any order, change alike, otherwise, same pattern, another).

    Gives ``float64[7]``. *In order*: mean agreement of the frames, -1 to 1, along the best alignment,
    forwards or backwards; *worst quarter*: of the frames along it, where two videos only share a part. *Any
    order*: mean agreement of each frame with the most similar one of the other video, of the video whose
    frames are all found. *Change alike*: correlation over time, times the share of full motion; *otherwise*:
    what it lacks of 1, times the same. *Same pattern*: correlation of how like each two frames of one video
    are with how like the same two of the other one are, times the share of full motion; *another*: what it
    lacks of 1, times the same. Where nothing moves the last four are 0. Frames that show nothing are left
    out; where hardly any are left, all seven are 0.

    >>> from vhash_sdk.models import zoo
    >>> generator = np.random.default_rng(0)
    >>> one, two = (FrameCodes(generator.integers(0, 256, (25, 16), np.uint8), zoo.load().spec, 9.0)
    ...             for _ in range(2))
    >>> likeness(one, one).round(2).tolist(), bool(likeness(one, two)[0] < 0.1)
    ([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0], True)
    """
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


class _Way(NamedTuple):
    """What two videos have in common, one of them taken forwards or backwards."""

    ordered: float
    worst: float
    together: float
    pattern: float
    moving: float


def _along(a: FrameCodes, b: FrameCodes, lines: Alignments, *, turned: bool) -> _Way:
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
    worst = np.sort(each)[: max(1, len(each) // 4)]
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
