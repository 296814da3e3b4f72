"""What encoding hands out: a code or an error for each source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..codes import VideoCode
from ..errors import VhashError
from ..matching.sequence import Sequence
from ..matching.verification import Trajectory, View
from ..video import Region, VideoInfo


@dataclass(frozen=True)
class Boxed:
    """The content box of a video, where it is not the whole picture.

    Attributes:
        region: where it is.
        code: the code of what is in it.
        sequence: as in ``Encoded``.
    """

    region: Region
    code: VideoCode
    sequence: Sequence | None = None


@dataclass(frozen=True)
class Encoded:
    """What became of one source of ``encode_many``: a code or an error, never both.

    Attributes:
        source: the source as it was given.
        index: its place in the input, from 0.
        code: its code, or None.
        error: why there is none, or None.
        info: size, duration, rate, codec; None beside an error.
        sequence: the sampled frames' logits, where ``frames=True`` asked for them.
        box: the content box, where ``box=True`` asked for it and it is not the whole picture.
    """

    source: Any
    index: int
    code: VideoCode | None = None
    error: VhashError | None = None
    info: VideoInfo | None = None
    sequence: Sequence | None = None
    box: Boxed | None = None


def views(encoded: Encoded) -> tuple[View, ...]:
    """The views of what ``encode_many(..., frames=True, box=True)`` made of one video."""
    found = [(encoded.code, encoded.sequence)]
    if encoded.box is not None:
        found.append((encoded.box.code, encoded.box.sequence))
    return tuple(
        View(code.code, None if sequence is None else Trajectory.of(sequence))
        for code, sequence in found
        if code is not None
    )
