"""What encoding hands out: a code or an error for each source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..codes import VideoCode
from ..errors import VhashError
from ..matching.second_look import View, frames_of
from ..matching.sequence import Sequence
from ..video import Box, VideoInfo

Detail = Literal["code", "box", "views"]
"""How much ``encode_many`` tells of a video; each word has all that those before it have."""


@dataclass(frozen=True)
class BoxCode:
    """A part of the picture of a video: its content box, or a pane of a split screen.

    Attributes:
        place: where it is.
        code: the code of what is in it.
        sequence: as in ``Encoded``.
    """

    place: Box
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
        sequence: the sampled frames' logits, where ``detail="views"`` asked for them and the model looks
            at single frames.
        box: the content box, where ``detail`` asked for it and it is not the whole picture.
        panes: of a split screen, halves or thirds in either direction, where ``detail`` asked for the box
            and there are any that tell something; a box within one of them is among them.
    """

    source: Any
    index: int
    code: VideoCode | None = None
    error: VhashError | None = None
    info: VideoInfo | None = None
    sequence: Sequence | None = None
    box: BoxCode | None = None
    panes: tuple[BoxCode, ...] = ()


def views(encoded: Encoded) -> tuple[View, ...]:
    """The views of what ``encode_many(..., detail="views")`` made of one video."""
    found = [(encoded.code, encoded.sequence, False)]
    if encoded.box is not None:
        found.append((encoded.box.code, encoded.box.sequence, False))
    found += [(pane.code, pane.sequence, True) for pane in encoded.panes]
    return tuple(
        View(code.code, None if sequence is None else frames_of(sequence), pane)
        for code, sequence, pane in found
        if code is not None
    )
