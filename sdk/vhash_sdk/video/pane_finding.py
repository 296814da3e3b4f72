"""Find the panes of a split screen: videos beside each other, above each other, or four in one picture.

Where a picture is composed of several, the line between them stays where it is, and what is on one side of it
says nothing of what is on the other: neighbouring pixels of one scene resemble each other, those of two do
not. A bar between the panes shows as a stretch in the middle that never changes. Works on the frames that the
model sees anyway, as ``box_finding`` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .box import WHOLE, Box
from .box_finding import FRAMES, NOISE, Map, steps

Frames = NDArray[np.uint8]

_STRIP = 12  # pixels to either side of the middle that are looked at
_OFF = 1  # pixels by which the line may be off the middle: of frames that were scaled from odd sizes
_APART = 2  # pixels from the line to what is compared: a step is spread over two
_CLIP = 24.0  # levels beyond which an edge says no more: a bar that both sides have is one edge
_SPLIT = 0.45  # of evidence, from which a line parts two videos
_ALIKE = 0.12  # correlation across a line that runs through one picture
_SOMETHING = 3.0  # levels of a step, below which a place along the line says nothing
_BAR = 12.0  # levels of what is of one colour
_MOSTLY = 0.97  # of a bar's pixels that are
_SMALLEST = 40  # pixels of a side of frames
_THINNEST, _THICKEST = 0.01, 0.25  # of the picture, of a bar between panes
_LIVELY = 0.2  # of the mean texture and change, that every pane has to have


@dataclass(frozen=True)
class SplitScreen:
    """How a picture is composed of several of one size.

    Attributes:
        rows, columns: of panes.
        shown: (row, column) of those that show something, from the upper left corner.
        region: where all of them are together.
    """

    rows: int
    columns: int
    shown: tuple[tuple[int, int], ...]
    region: Box = WHOLE

    @property
    def panes(self) -> tuple[Box, ...]:
        """Where those are that show something."""
        left, top = self.region.left, self.region.top
        width, height = self.region.right - left, self.region.bottom - top

        def box(row: int, column: int) -> Box:
            across = (left + width * (column + step) / self.columns for step in (0, 1))
            down = (top + height * (row + step) / self.rows for step in (0, 1))
            (start, end), (upper, lower) = across, down
            return Box(start, upper, min(end, 1.0), min(lower, 1.0))

        return tuple(box(*pane) for pane in self.shown)


def find_split(frames: NDArray[np.uint8]) -> SplitScreen | None:
    """The panes of a split screen, halves or thirds in either direction; None where the picture is one.

    Args:
        frames: ``uint8[T, H, W, 3]``, whole frames in order of time.

    >>> noise = np.random.default_rng(0).integers(0, 255, (2, 9, 11, 7, 3), np.uint8)
    >>> halves = np.concatenate([half.repeat(9, 1).repeat(9, 2) for half in noise], axis=2)
    >>> split = find_split(halves)
    >>> split.panes
    (Box(left=0.0, top=0.0, right=0.5, bottom=1.0), Box(left=0.5, top=0.0, right=1.0, bottom=1.0))
    >>> find_split(halves[:, :, :63].repeat(2, 2)) is None
    True
    """
    if min(frames.shape[1:3]) < _SMALLEST:
        return None
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)
    few = frames[chosen]
    columns, rows = _parts(few), _parts(few.swapaxes(1, 2))
    if columns == rows == 1:
        return None
    shown = _lively(few, rows, columns)
    return SplitScreen(rows, columns, shown) if len(shown) > max(1, rows * columns // 2) else None


def _parts(frames: Frames) -> int:
    """Into how many of one width lines from top to bottom part the picture ``[t, H, W, 3]``: 1, 2 or 3."""
    width = frames.shape[2]
    if _parted(frames, width // 2):
        return 2
    return 3 if all(_parted(frames, round(third * width / 3)) for third in (1, 2)) else 1


def _parted(frames: Frames, middle: int) -> bool:
    """Whether a line from top to bottom, or one beside it, parts two videos; of ``[t, H, W, 3]``."""
    if _bar(frames, middle):
        return True
    # a line runs between the column before it and the one with its number
    first = middle - _OFF - _APART
    beside = frames[:, :, first : middle + _OFF + _APART].astype(np.int16)
    along = np.clip(beside[:, 2:] - beside[:, :-2], -_CLIP, _CLIP).astype(np.float32)
    alike = {line: _alike(along, line - first) for line in range(middle - _OFF, middle + _OFF + 1)}
    if min(alike.values()) >= _ALIKE:
        return False
    step = steps(frames[:, :, middle - _STRIP : middle + _STRIP].astype(np.int16))
    return any(
        agreement < _ALIKE and _sharpness(step, line - middle + _STRIP) - agreement >= _SPLIT
        for line, agreement in alike.items()
    )


def _alike(along: NDArray[np.float32], line: int) -> float:
    """Correlation of how the picture goes on along a line, on both sides of it."""
    before, after = along[:, :, line - _APART], along[:, :, line + _APART - 1]
    both = float(np.square(before).sum()) * float(np.square(after).sum())
    return float((before * after).sum()) / math.sqrt(both + 1e-6)


def _sharpness(step: Map, line: int) -> float:
    """How much larger the step at a line is than those beside it, where there is any, 0 to 1."""
    around = np.maximum(np.roll(step, 4, 1), np.roll(step, -4, 1))
    sharp = (step / (step + around + NOISE))[:, line - 1 : line + 2].max(1)
    counts = step[:, line - 5 : line + 6].max(1) >= _SOMETHING
    return float(sharp[counts].mean()) if counts.any() else 0.0


def _bar(frames: Frames, middle: int) -> bool:
    """Whether a bar of one colour, that never changes, runs along a line, with pictures on both sides."""
    here = frames[:, :, middle - 1 : middle + 1].astype(np.int16)
    colour = np.median(here[0], axis=(0, 1)).astype(np.int16)
    if (np.abs(here[0] - colour).max(2) < _BAR).mean() < _MOSTLY:
        return False
    width = frames.shape[2]
    reach = round(_THICKEST * width / 2) + 1
    strip = frames[:, :, middle - reach : middle + reach].astype(np.int16)
    plain = (np.abs(strip - colour).max(3) < _BAR).mean((0, 1)) >= _MOSTLY
    if not plain[reach - 1 : reach + 1].all():
        return False
    others = np.flatnonzero(~plain)
    before, after = others[others < reach], others[others >= reach]
    if not len(before) or not len(after):  # wider than a bar between panes
        return False
    return bool(after[0] - before[-1] - 1 >= _THINNEST * width)


def _lively(frames: Frames, rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    """(row, column) of the panes in which there is something to see."""
    grey = frames.mean(3, dtype=np.float32)
    amounts = [
        float(inside.std(0).mean() + sum(np.abs(np.diff(inside, axis=axis)).mean() for axis in (1, 2)))
        for row in np.array_split(grey, rows, axis=1)
        for inside in np.array_split(row, columns, axis=2)
    ]
    least = _LIVELY * sum(amounts) / len(amounts)
    return tuple(divmod(place, columns) for place, amount in enumerate(amounts) if amount >= least)
