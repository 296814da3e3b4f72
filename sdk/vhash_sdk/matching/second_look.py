"""A second look at two videos whose codes are near: do their frames change alike over time?

Two clips of one scene, filmed by one camera, have nearly the same mean, so nearly the same
code. What is left when each video's own mean is taken off its frames' logits is what happens
in it: a copy shares that, another clip of the scene does not. It is kept as the *trajectory* of
a video, a few kilobytes, and compared over a small set of alignments: the same span (whatever the
speed), or one video cut out of the other. Code distance and correlations go into one number, the
*verified distance*, which is calibrated like the distance itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..codes import hamming_distance
from ..errors import CodeError, ModelError
from ..spec import ModelSpec
from .sequence import Sequence

WIDEST = 64  # logits of each part that are kept: more said nothing more
_UNIT = 8.0  # bits of verified distance for one nat of evidence
_SHIFT = 0.5  # frames from one alignment to the next
_LEAST = 8  # frames that two videos must share


@dataclass(frozen=True, eq=False)
class Trajectory:
    """How the frames of a video differ from their mean.

    Attributes:
        steps: ``int8[T, D]``; each part of the model has its own scale, its largest value being 127.
        spec: of the model; each part has ``part_widths`` columns, which add up to D.
        duration: seconds; ``nan`` where it is not known.
    """

    steps: NDArray[np.int8]
    spec: ModelSpec
    duration: float

    @classmethod
    def of(cls, sequence: Sequence) -> Trajectory:
        """The trajectory of a video whose frames are sampled evenly."""
        logits = (sequence.logits * sequence.scales).astype(np.float32)
        centred = logits - logits.mean(axis=0)
        kept = []
        for part, width in zip(sequence.spec.parts, part_widths(sequence.spec), strict=True):
            own = centred[:, part.bits[0] : part.bits[0] + width]
            kept.append(np.round(own * (127 / max(float(np.abs(own).max()), 1e-6))))
        return cls(np.concatenate(kept, axis=1).astype(np.int8), sequence.spec, sequence.duration)

    def to_bytes(self) -> bytes:
        """T · D bytes."""
        return self.steps.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, spec: ModelSpec, duration: float) -> Trajectory:
        """Read what ``to_bytes`` gave.

        Raises:
            CodeError: not as many bytes as the model's trajectories have.
        """
        frames, width = spec.sampling.frames, sum(part_widths(spec))
        if len(data) != frames * width:
            raise CodeError(
                f"a trajectory of {len(data)} bytes, not {frames * width} as {spec.name} has; encode it again"
            )
        return cls(np.frombuffer(data, np.int8).reshape(frames, width), spec, duration)

    def __repr__(self) -> str:
        return f"Trajectory({list(self.steps.shape)}, duration={self.duration:.2f} s)"


def part_widths(spec: ModelSpec) -> tuple[int, ...]:
    """Columns that a trajectory has of each part of a model."""
    return tuple(min(WIDEST, part.bits[1] - part.bits[0]) for part in spec.parts)


@dataclass(frozen=True, eq=False)
class View:
    """One way to see a video: all of it, or its content box.

    Attributes:
        code: ``uint8[(bits + 7) // 8]``.
        trajectory: None for a model that does not look at single frames.
    """

    code: NDArray[np.uint8]
    trajectory: Trajectory | None


def nearest_views(a: Many[View], b: Many[View]) -> tuple[int, int, int]:
    """Distance in bits of the nearest pair of views, and the place of each in its video's views."""
    pairs = ((int(hamming_distance(x.code, y.code)), i, j) for i, x in enumerate(a) for j, y in enumerate(b))
    return min(pairs)


@dataclass(frozen=True)
class Evidence:
    """Turns code distance and correlations into a verified distance.

    Attributes:
        bias, distance: nats of evidence for a copy, before and for each bit of code distance.
        parts: nats of evidence for a correlation of 1, for each part of the model.
    """

    bias: float
    distance: float
    parts: tuple[float, ...]

    def verified(self, a: Many[View], b: Many[View], bits: int) -> int:
        """0 (surely a copy) to ``bits`` (surely none): the best over the views of both.

        Where a video has no trajectory, the distance of the codes.
        """
        best = bits
        for one in a:
            for two in b:
                bitwise = int(hamming_distance(one.code, two.code))
                if one.trajectory is None or two.trajectory is None:
                    best = min(best, bitwise)
                    continue
                alike = correlations(one.trajectory, two.trajectory)
                if len(alike) != len(self.parts):
                    raise ModelError(
                        f"the second look has weights for {len(self.parts)} parts, not {len(alike)}; "
                        "make the calibration again"
                    )
                evidence = self.bias + self.distance * bitwise + float(np.dot(self.parts, alike))
                best = min(best, round(min(max(bits / 2 - _UNIT * evidence, 0), bits)))
        return best


def correlations(a: Trajectory, b: Trajectory) -> NDArray[np.float64]:
    """For each part the largest correlation over alignments, and over mirroring where a part tells it.

    >>> from vhash_sdk.models import zoo
    >>> steps = np.random.default_rng(0).integers(-127, 128, (25, 128)).astype(np.int8)
    >>> one = Trajectory(steps, zoo.load().spec, 10.0)
    >>> correlations(one, one).round(3).tolist()
    [1.0, 1.0]
    """
    ratio = a.duration / b.duration if a.duration > 0 and b.duration > 0 else 1.0
    lines = alignments(len(a.steps), len(b.steps), round(min(max(ratio, 0.05), 20.0), 2))
    found, at = [], 0
    for part, width in zip(a.spec.parts, part_widths(a.spec), strict=True):
        one, two = (t.steps[:, at : at + width].astype(np.float32) for t in (a, b))
        best = _along(one, two, lines)
        if part.name == "phash" and width == part.bits[1] - part.bits[0] == math.isqrt(width) ** 2:
            best = max(best, _along(one * _mirror(width), two, lines))
        found.append(best)
        at += width
    return np.array(found)


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


def _along(a: NDArray[np.float32], b: NDArray[np.float32], lines: Alignments) -> float:
    """The largest correlation of frames with their counterparts, each side centred on what is shared."""
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
    return float((covariance / spread).max())


@lru_cache(maxsize=8)
def _mirror(width: int) -> NDArray[np.float32]:
    """Signs of square DCT coefficients when left and right are swapped: odd horizontal frequencies turn."""
    side = math.isqrt(width)
    return np.where(np.arange(width) % side % 2 == 0, 1, -1).astype(np.float32)
