"""Find the panes of a split screen: videos beside each other, above each other, or four in one picture.

Where a picture is composed of several, the line between them stays where it is, and what is on one side of it
says nothing of what is on the other: neighbouring pixels of one scene resemble each other, those of two do
not. A bar between the panes shows as a stretch in the middle that never changes. Works on the frames that the
model sees anyway, as ``box_finding`` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .box import Box
from .box_finding import FRAMES, NOISE, steps

Frames = NDArray[np.uint8]
Strip = NDArray[np.int16]

_STRIP = 12  # pixels to either side of the middle that are looked at
_OFF = 1  # pixels by which the line may be off the middle: of frames that were scaled from odd sizes
_APART = 2  # pixels from the line to what is compared: a step is spread over two
_CLIP = 24.0  # levels beyond which an edge says no more: a bar that both sides have is one edge
_SPLIT = 0.45  # of evidence, from which a line parts two videos
_ALIKE = 0.12  # correlation across a line that runs through one picture
_SOMETHING = 3.0  # levels of a step, below which a place along the line says nothing
_BAR = 12.0  # levels of what is of one colour
_MOSTLY = 0.97  # of a bar's pixels that are
_THINNEST, _THICKEST = 0.01, 0.3  # of the picture, of a bar between panes
_LIVELY = 0.2  # of the mean texture and change, that every pane has to have


def find_panes(frames: NDArray[np.uint8]) -> tuple[Box, ...]:
    """The halves or quarters of a split screen, row by row; none where the picture is one.

    Args:
        frames: ``uint8[T, H, W, 3]``, whole frames in order of time.

    >>> noise = np.random.default_rng(0).integers(0, 255, (2, 9, 11, 7, 3), np.uint8)
    >>> halves = np.concatenate([half.repeat(9, 1).repeat(9, 2) for half in noise], axis=2)
    >>> find_panes(halves)
    (Box(left=0.0, top=0.0, right=0.5, bottom=1.0), Box(left=0.5, top=0.0, right=1.0, bottom=1.0))
    >>> find_panes(halves[:, :, :63].repeat(2, 2))
    ()
    """
    if min(frames.shape[1:3]) < 48:
        return ()
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)
    few = frames[chosen]
    upright, level = _parted(few), _parted(few.swapaxes(1, 2))
    if not (upright or level):
        return ()
    columns = ((0.0, 0.5), (0.5, 1.0)) if upright else ((0.0, 1.0),)
    rows = ((0.0, 0.5), (0.5, 1.0)) if level else ((0.0, 1.0),)
    panes = tuple(Box(left, top, right, bottom) for top, bottom in rows for left, right in columns)
    return panes if _all_lively(few, panes) else ()


def _parted(frames: Frames) -> bool:
    """Whether the line in the middle, from top to bottom, parts two videos; of ``[t, H, W, 3]``."""
    width = frames.shape[2]
    reach = max(_STRIP, round(_THICKEST * width / 2) + 1)
    strip = np.ascontiguousarray(frames[:, :, width // 2 - reach : width // 2 + reach]).astype(np.int16)
    if _THINNEST * width <= _bar(strip, reach) <= _THICKEST * width:
        return True
    near = strip[:, :, reach - _STRIP : reach + _STRIP]
    return any(_evidence(near, _STRIP + off) >= _SPLIT for off in range(-_OFF, _OFF + 1))


def _evidence(strip: Strip, line: int) -> float:
    """How sharp a line is, less how alike what is on both sides of it; 0 where these are too alike."""
    beside = strip[:, :, [line - _APART, line + _APART - 1]]
    before, after = np.clip(beside[:, 2:] - beside[:, :-2], -_CLIP, _CLIP).transpose(2, 0, 1, 3).astype(float)
    both = float((before * before).sum()) * float((after * after).sum())
    alike = float((before * after).sum()) / float(np.sqrt(both + 1e-6))
    if alike >= _ALIKE:
        return 0.0
    step = steps(strip)
    around = np.maximum(np.roll(step, 4, 1), np.roll(step, -4, 1))
    sharp = (step / (step + around + NOISE))[:, line - 1 : line + 2].max(1)
    counts = step[:, line - 5 : line + 6].max(1) >= _SOMETHING
    return float(sharp[counts].mean()) - alike if counts.any() else 0.0


def _bar(strip: Strip, middle: int) -> int:
    """How wide a bar of one colour, that never changes, runs through the middle; 0: none does."""
    here = strip[:, :, middle - 1 : middle + 1]
    colour = np.median(here, axis=(0, 1, 2)).astype(np.int16)
    if (np.abs(here - colour).max(3) < _BAR).mean() < _MOSTLY:
        return 0
    plain = (np.abs(strip - colour).max(3) < _BAR).mean((0, 1)) >= _MOSTLY
    first, last = middle - 1, middle
    while first >= 0 and plain[first]:
        first -= 1
    while last < len(plain) and plain[last]:
        last += 1
    return last - first - 1


def _all_lively(frames: Frames, panes: tuple[Box, ...]) -> bool:
    """Whether there is something to see in every pane."""
    height, width = frames.shape[1:3]
    lively = []
    for pane in panes:
        left, top, right, bottom = pane.pixels(width, height)
        inside = frames[:, top:bottom, left:right].mean(3, dtype=np.float32)
        texture = np.abs(np.diff(inside, axis=1)).mean() + np.abs(np.diff(inside, axis=2)).mean()
        lively.append(float(texture + inside.std(0).mean()))
    return min(lively) >= _LIVELY * float(np.mean(lively))
