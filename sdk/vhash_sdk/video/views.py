"""The frames of a video in every way that it is seen: the whole picture, its content box, its panes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..spec import Resize, Sampling
from .box import Box
from .box_finding import find_box
from .decoder import BoxFrames, Clip, Reader
from .pane_finding import find_panes


def sample_views(reader: Reader, sampling: Sampling, resize: Resize) -> Clip:
    """``Reader.sample``, and the frames of the content box and the panes (``Clip``) where there are any.

    They come from the source's own pixels, by reading the video a second time for the box, and for all panes
    together. A model that sees only a part of the picture (``resize.crop``) gets none.

    Raises:
        VideoError: the source cannot be read.
    """
    clip = reader.sample(sampling, resize)
    if resize.crop is not None:
        return clip
    box, panes = find_boxes(clip.frames)
    inside = None if box is None else BoxFrames(box, reader.sample(sampling, resize, box=box).frames)
    seen = _panes(reader, sampling, resize, panes) if panes and resize.rule == "exact" else ()
    return replace(clip, box=inside, panes=seen)


def find_boxes(frames: NDArray[np.uint8]) -> tuple[Box | None, tuple[Box, ...]]:
    """The content box, None where that is all of the picture, and the panes of a split screen.

    Args:
        frames: ``uint8[T, H, W, 3]``, whole frames in order of time.
    """
    return find_box(frames), find_panes(frames)


def _panes(reader: Reader, sampling: Sampling, resize: Resize, panes: Sequence[Box]) -> tuple[BoxFrames, ...]:
    """The frames of halves or quarters: those of the whole picture, twice as large, cut up."""
    high, wide = (1 if pane == 1.0 else 2 for pane in (panes[0].bottom, panes[0].right))
    height, width = resize.height * high, resize.width * wide
    large = reader.sample(sampling, replace(resize, height=height, width=width)).frames
    return tuple(
        BoxFrames(pane, large[:, top:bottom, left:right])
        for pane in panes
        for left, top, right, bottom in [pane.pixels(width, height)]
    )
