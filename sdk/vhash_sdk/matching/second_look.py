"""A second look at two videos whose codes are near: are their frames alike, and do they change alike?

What is kept of a video's frames depends on the family of its model: the codes of single frames
(``frame_codes``), or how the logits move (``trajectory``). Code distance and what the frames say go into one
number, the *verified distance*, which is calibrated like the distance itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import hamming_distance
from ..errors import ModelError
from ..spec import ModelSpec
from .frame_codes import CHANGE, WORST, FrameCodes, frame_bits, likeness
from .sequence import Sequence
from .trajectory import Trajectory, correlations, part_widths

Frames = Trajectory | FrameCodes
"""What is kept of a video's frames."""
_UNIT = 8.0  # bits of verified distance for one nat of evidence


def frames_of(sequence: Sequence) -> Frames:
    """What is kept of a video whose frames are sampled evenly."""
    return (FrameCodes if frame_bits(sequence.spec) else Trajectory).of(sequence)


def frames_from_bytes(data: bytes, spec: ModelSpec, duration: float) -> Frames:
    """Read what ``to_bytes`` of either kind gave.

    Raises:
        CodeError: not as many bytes as the model's videos have.
    """
    return (FrameCodes if frame_bits(spec) else Trajectory).from_bytes(data, spec, duration)


def frames_width(spec: ModelSpec) -> int:
    """Bytes that are kept of the frames of one video."""
    width = frame_bits(spec) // 8 or sum(part_widths(spec))
    return spec.sampling.frames * width


def measures(a: Frames, b: Frames) -> NDArray[np.float64]:
    """What the frames of two videos of one model say: the terms that ``Evidence`` weighs."""
    if isinstance(a, FrameCodes) and isinstance(b, FrameCodes):
        return likeness(a, b)
    assert isinstance(a, Trajectory) and isinstance(b, Trajectory)
    return correlations(a, b)


def worst_and_changes(a: Frames, alike: NDArray[np.float64]) -> tuple[float, float]:
    """Of what ``measures`` gave, what ``Seen`` says of it; 1 where it is not known."""
    return (float(alike[WORST]), float(alike[CHANGE])) if isinstance(a, FrameCodes) else (1.0, 1.0)


@dataclass(frozen=True, eq=False)
class View:
    """One way to see a video: all of it, its content box, or a pane of its split screen.

    Attributes:
        code: ``uint8[(bits + 7) // 8]``.
        frames: None for a model that does not look at single frames.
        pane: whether it is a pane. That of one video may be all of another one; where panes of two are the
            same, the two share a part.
    """

    code: NDArray[np.uint8]
    frames: Frames | None
    pane: bool = False


def nearest_views(a: Many[View], b: Many[View]) -> tuple[int, int, int]:
    """Distance in bits of the nearest pair of views, and the place of each in its video's views."""
    return min((int(hamming_distance(x.code, y.code)), i, j) for i, x, j, y in _compared(a, b))


def _compared(a: Many[View], b: Many[View]) -> Iterator[tuple[int, View, int, View]]:
    """Each two views that make two videos copies if they are alike, and their places."""
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            if not (x.pane and y.pane):
                yield i, x, j, y


class Seen(NamedTuple):
    """What a second look at two videos says.

    Attributes:
        verified: the verified distance, 0 (surely a copy) to all bits (surely none).
        worst: agreement of the quarter of the frames that agree least, -1 to 1, along the best line in time.
        changes: how much changes, and changes alike, in the whole pictures, -1 to 1.

    The latter two are 1 where nothing is known of single frames.
    """

    verified: int
    worst: float = 1.0
    changes: float = 1.0


@dataclass(frozen=True)
class Evidence:
    """Turns code distance and correlations into a verified distance.

    Attributes:
        bias, distance: nats of evidence for a copy, before and for each bit of code distance.
        parts: nats of evidence for a measure of 1, for each of what ``measures`` gives.
    """

    bias: float
    distance: float
    parts: tuple[float, ...]

    def verified(self, a: Many[View], b: Many[View], bits: int) -> int:
        """The verified distance by itself; see ``seen``."""
        return self.seen(a, b, bits).verified

    def seen(self, a: Many[View], b: Many[View], bits: int) -> Seen:
        """What is seen of the best pair of views.

        Where nothing is kept of a video's frames, the verified distance is that of the codes.
        """
        best, changes = Seen(bits), 1.0
        for i, one, j, two in _compared(a, b):
            bitwise = int(hamming_distance(one.code, two.code))
            if one.frames is None or two.frames is None:
                best = min(best, Seen(bitwise))
                continue
            alike = measures(one.frames, two.frames)
            if len(alike) != len(self.parts):
                raise ModelError(
                    f"the second look has weights for {len(self.parts)} measures, not {len(alike)}; "
                    "make the calibration again"
                )
            evidence = self.bias + self.distance * bitwise + float(np.dot(self.parts, alike))
            distance = round(min(max(bits / 2 - _UNIT * evidence, 0), bits))
            worst, changed = worst_and_changes(one.frames, alike)
            if i == j == 0:
                changes = changed
            best = min(best, Seen(distance, worst))
        return best._replace(changes=changes)
