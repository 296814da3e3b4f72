"""How a video moves: what the frames' logits of a fused model do about their mean.

Two clips of one scene, filmed by one camera, have nearly the same mean, so nearly the same
code. What is left when each video's own mean is taken off its frames' logits is what happens
in it: a copy shares that, another clip of the scene does not. It is kept as the *trajectory* of
a video, a few kilobytes, and compared over a small set of alignments: the same span (whatever the
speed), or one video cut out of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import CodeError
from ..spec import ModelSpec
from .frame_lines import alignments, along, duration_ratio
from .sequence import Sequence

WIDEST = 64  # logits of each part that are kept: more said nothing more


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


def correlations(a: Trajectory, b: Trajectory) -> NDArray[np.float64]:
    """For each part the largest correlation over alignments, and over mirroring where a part tells it.

    >>> from vhash_sdk.models import zoo
    >>> steps = np.random.default_rng(0).integers(-127, 128, (25, 128)).astype(np.int8)
    >>> one = Trajectory(steps, zoo.load("lite0-phash-256").spec, 10.0)
    >>> correlations(one, one).round(3).tolist()
    [1.0, 1.0]
    """
    lines = alignments(len(a.steps), len(b.steps), duration_ratio(a.duration, b.duration))
    found, at = [], 0
    for part, width in zip(a.spec.parts, part_widths(a.spec), strict=True):
        one, two = (t.steps[:, at : at + width].astype(np.float32) for t in (a, b))
        best = float(along(one, two, lines).correlation.max())
        if part.name == "phash" and width == part.bits[1] - part.bits[0] == math.isqrt(width) ** 2:
            best = max(best, float(along(one * _mirror(width), two, lines).correlation.max()))
        found.append(best)
        at += width
    return np.array(found)


@lru_cache(maxsize=8)
def _mirror(width: int) -> NDArray[np.float32]:
    """Signs of square DCT coefficients when left and right are swapped: odd horizontal frequencies turn."""
    side = math.isqrt(width)
    return np.where(np.arange(width) % side % 2 == 0, 1, -1).astype(np.float32)
