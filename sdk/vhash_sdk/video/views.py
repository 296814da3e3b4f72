"""The frames of a video in every way that it is seen: the whole picture, its content box, its panes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..spec import Resize, Sampling
from .box import Box
from .box_finding import find_box
from .decoder import BoxFrames, Clip, Reader
from .pane_finding import SplitScreen, find_split

_SIDE = 0.04  # of the picture, by which the sides of a box may be off


def sample_views(reader: Reader, sampling: Sampling, resize: Resize, *, parts: bool = True) -> Clip:
    """``Reader.sample``; with ``parts`` also of the content box and the panes (``Clip``), if there are any.

    These come from the source's own pixels, by reading the video a second time for the box, and for all panes
    together. A model that sees only a part of the picture (``resize.crop``) gets none.

    Raises:
        VideoError: the source cannot be read.
    """
    clip = reader.sample(sampling, resize)
    if not parts or resize.crop is not None:
        return clip
    box, split = find_boxes(clip.frames)
    panes = _panes(reader, sampling, resize, split) if split is not None and resize.rule == "exact" else ()
    around = [pane.place for pane in panes if box is not None and _within(box, pane.place)]
    if box is None or any(_within(pane, box) for pane in around):
        return replace(clip, panes=panes)
    inside = BoxFrames(box, reader.sample(sampling, resize, box=box).frames)
    # within a pane it is no content box of the whole
    return replace(clip, panes=(*panes, inside)) if around else replace(clip, box=inside, panes=panes)


def find_boxes(frames: NDArray[np.uint8]) -> tuple[Box | None, SplitScreen | None]:
    """The content box, None where that is all of the picture, and whether it, or what is in it, is split.

    Args:
        frames: ``uint8[T, H, W, 3]``, whole frames in order of time.
    """
    box, split = find_box(frames), find_split(frames)
    if box is None or split is not None:
        return box, split
    left, top, right, bottom = box.pixels(frames.shape[2], frames.shape[1])
    inner = find_split(frames[:, top:bottom, left:right])
    return box, None if inner is None else replace(inner, region=box)


def _within(inner: Box, outer: Box) -> bool:
    """Whether a box is in another one, or nearly."""
    starts = inner.left >= outer.left - _SIDE and inner.top >= outer.top - _SIDE
    return starts and inner.right <= outer.right + _SIDE and inner.bottom <= outer.bottom + _SIDE


def _panes(reader: Reader, sampling: Sampling, resize: Resize, split: SplitScreen) -> tuple[BoxFrames, ...]:
    """The frames of panes: those of all of them together, as many times as large, cut up."""
    height, width = resize.height, resize.width
    size = replace(resize, height=split.rows * height, width=split.columns * width)
    large = reader.sample(sampling, size, box=split.region).frames
    return tuple(
        BoxFrames(place, large[:, row * height :, column * width :][:, :height, :width])
        for place, (row, column) in zip(split.panes, split.shown, strict=True)
    )
