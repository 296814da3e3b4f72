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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..codes import pack_bits, unpack_bits
from ..errors import CodeError
from ..spec import ModelSpec
from .frame_lines import alignments, duration_ratio
from .sequence import Sequence

_BITS = {"copy": 128}  # of a frame, by the family of the model


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
    out; where hardly any are left, all seven are 0. Computed by the engine (``csrc/matching``), from bits.

    >>> from vhash_sdk.models import zoo
    >>> generator = np.random.default_rng(0)
    >>> one, two = (FrameCodes(generator.integers(0, 256, (25, 16), np.uint8), zoo.load().spec, 9.0)
    ...             for _ in range(2))
    >>> likeness(one, one).round(2).tolist(), bool(likeness(one, two)[0] < 0.1)
    ([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0], True)
    """
    if a.duration > b.duration:  # of a short part few of the longer one's frames are left, but all of its own
        a, b = b, a
    lines = alignments(len(a.codes), len(b.codes), duration_ratio(a.duration, b.duration))
    codes = np.ascontiguousarray(a.codes), np.ascontiguousarray(b.codes)
    return _core.frame_likeness(*codes, lines.shared, lines.low, lines.part, lines.weights)
