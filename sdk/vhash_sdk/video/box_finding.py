"""Find the rectangle that carries the picture: between bars, over a blurred fill, inset in another video.

What people put around a video has straight sides that stay where they are while the pictures
change. A side shows as a step from one row (or column) of pixels to the next that is larger
than the steps beside it, all along its length; edges of a natural scene are neither as straight
nor as long. Rectangles are scored by their weakest side. Works on the frames that the model
sees anyway, so that a video without a rectangle costs a few milliseconds more and no decoding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .box import Box

Map = NDArray[np.float32]
Lines = NDArray[np.int64]

FRAMES = 9  # looked at, spread over the video
LINES = 14  # candidates in each direction
NOISE = 6.0  # steps of so many levels count for half
WEAKEST, MEAN = 0.60, 0.66  # least evidence of a side, and of all sides of a rectangle
INNER = 0.70  # least evidence of a side of a rectangle within another
ENOUGH = 0.80  # more evidence than this says no more
SMALLEST = 0.22  # a side of the rectangle, as a share of the picture's: 2.39:1 on a telephone has 0.235
LIVELY = 0.3  # least texture and change in the rectangle, as a share of what is around it: bars have none
MARGIN = 0.025  # nearer to the picture's own edge than this, a line is not looked for


def find_box(frames: NDArray[np.uint8]) -> Box | None:
    """The part of the picture that carries the video, or None where that is all of it.

    Args:
        frames: ``uint8[T, H, W, 3]``, whole frames in order of time.

    >>> letterbox = np.zeros((25, 192, 192, 3), np.uint8)
    >>> letterbox[:, 48:144] = 60 + 4 * np.arange(25)[:, None, None, None]
    >>> find_box(letterbox)
    Box(left=0.0, top=0.25, right=1.0, bottom=0.75)
    """
    height, width = frames.shape[1:3]
    if min(height, width) < 48:
        return None
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)
    few = frames[chosen].astype(np.int16)
    best = rectangle(Side(few), Side(few.swapaxes(1, 2)), liveliness(few))
    if best is None:
        return None
    left, top, right, bottom = best
    return Box(left / width, top / height, right / width, bottom / height)


def steps(frames: NDArray[np.int16]) -> Map:
    """[t, H, W, 3] → [H, W + 1]: mean step over each boundary between two columns.

    From the second pixel before it to the second one after, for scaling spreads a step over two.
    """
    found = np.zeros((frames.shape[1], frames.shape[2] + 1), np.float32)
    found[:, 2:-2] = np.abs(frames[:, :, 3:] - frames[:, :, :-3]).mean((0, 3), dtype=np.float32)
    return found


def liveliness(frames: NDArray[np.int16]) -> Map:
    """Sums from the upper left corner ``[H + 1, W + 1]`` of texture and change, in grey levels."""
    grey = frames.mean(3, dtype=np.float32)
    found = grey.std(0)
    found[:, 1:] += np.abs(np.diff(grey, axis=2)).mean(0)
    found[1:] += np.abs(np.diff(grey, axis=1)).mean(0)
    return np.pad(found.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0))).astype(np.float32)


def lively(sums: Map, left: Lines, top: Lines, right: Lines, bottom: Lines) -> NDArray[np.bool_]:
    """Whether there is about as much to see inside rectangles, away from their sides, as around them."""
    inset = 4  # the step at a side belongs to neither
    x0, y0, x1, y1 = left + inset, top + inset, right - inset, bottom - inset
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    area, whole = (x1 - x0) * (y1 - y0), sums.shape[0] * sums.shape[1]
    around = (sums[-1, -1] - inside) / np.maximum(whole - area, 1)
    found: NDArray[np.bool_] = inside / np.maximum(area, 1) >= LIVELY * around
    return found


class Side:
    """Evidence for sides between columns of frames ``[t, H, W, 3]``; for rows they are given turned."""

    def __init__(self, frames: NDArray[np.int16]) -> None:
        step = steps(frames)
        self.frames, self.length, self.last = frames, step.shape[0], step.shape[1] - 1
        beside = np.maximum(np.roll(step, 4, 1), np.roll(step, -4, 1))
        sharp = step / (step + beside + NOISE)
        margin = max(5, round(MARGIN * self.last))
        sharp[:, :margin] = sharp[:, -margin:] = 0
        near = np.maximum(sharp, np.maximum(np.roll(sharp, 1, 1), np.roll(sharp, -1, 1)))
        self.sums = np.pad(np.cumsum(near, 0), ((1, 0), (0, 0)))  # [length + 1, boundaries]

    def candidates(self) -> Lines:
        """The boundaries with the most evidence over some stretch, and both edges of the picture."""
        window = max(8, round(0.3 * self.length))
        evidence = ((self.sums[window:] - self.sums[:-window]) / window).max(0)
        found = [0, self.last]
        while len(found) < LINES + 2 and (evidence[line := int(evidence.argmax())]) > 0.45:
            found.append(line)
            evidence[max(0, line - 2) : line + 3] = 0
        return np.array(sorted(found))

    def along(self, line: Lines, start: Lines, stop: Lines) -> Map:
        """Mean evidence of sides from ``start`` to ``stop``; NaN for an edge of the picture."""
        inset = 3  # corners are blurred
        mean = (self.sums[stop - inset, line] - self.sums[start + inset, line]) / (stop - start - 2 * inset)
        return np.where((line == 0) | (line == self.last), np.nan, mean).astype(np.float32)

    def beyond(self, line: Lines, start: Lines, stop: Lines) -> Map:
        """Mean evidence of the continuation beyond both ends: a side of a rectangle has none."""
        reach = round(0.085 * self.length)
        near, far = np.maximum(start - 3, 0), np.maximum(start - 3 - reach, 0)
        after, end = np.minimum(stop + 3, self.length), np.minimum(stop + 3 + reach, self.length)
        count = (near - far) + (end - after)
        total = self.sums[near, line] - self.sums[far, line] + self.sums[end, line] - self.sums[after, line]
        return np.where(count >= 6, total / np.maximum(count, 1), 0).astype(np.float32)

    def sharpest(self, line: int, start: int, stop: int) -> int:
        """The boundary itself, of the five that its step reaches: by ``steps``, and by ``along``."""
        if line in (0, self.last):
            return line
        near = self.frames[:, start:stop, line - 3 : line + 3]
        return line - 2 + int(np.abs(np.diff(near, axis=2)).mean((0, 1, 3)).argmax())


def pairs(lines: Lines, shortest: int) -> tuple[Lines, Lines]:
    """All (first, last) with room for the picture between them."""
    first, last = np.nonzero(lines[None] - lines[:, None] >= shortest)
    return lines[first], lines[last]


Rectangle = tuple[int, int, int, int]


def rectangle(columns: Side, rows: Side, sums: Map) -> Rectangle | None:
    """(left, top, right, bottom) of the rectangle with the best sides, or None.

    A rectangle within it that has four sides of its own is taken instead: a clip may be inset in
    a video that has bars. What is in it must live about as much as what is around it (``liveliness``): a bar
    has straight sides too.
    """
    x = pairs(columns.candidates(), round(SMALLEST * columns.last))
    y = pairs(rows.candidates(), round(SMALLEST * rows.last))
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(len(x[0])), np.arange(len(y[0])), indexing="ij"))
    left, right, top, bottom = x[0][i], x[1][i], y[0][j], y[1][j]
    around = [(columns, left, top, bottom), (rows, top, left, right)]
    around += [(columns, right, top, bottom), (rows, bottom, left, right)]
    evidence = np.stack([side.along(line, start, stop) for side, line, start, stop in around])
    beyond = np.stack([side.beyond(line, start, stop) for side, line, start, stop in around])
    real = ~np.isnan(evidence)
    count = real.sum(0)
    weakest = np.where(real, evidence, 1).min(0)
    mean = np.where(real, evidence, 0).sum(0) / np.maximum(count, 1)
    gain = np.where(real, np.minimum(evidence, ENOUGH) - 0.5 - np.maximum(beyond - 0.5, 0), 0).sum(0)
    gain[(count == 0) | (weakest < WEAKEST) | (mean < MEAN)] = 0
    gain[~lively(sums, left, top, right, bottom)] = 0
    best = int(gain.argmax())
    if gain[best] <= 0:
        return None
    corners = np.stack([left, top, right, bottom])
    inward = np.array([1, 1, -1, -1])[:, None] * (corners - corners[:, best : best + 1])
    within = (inward >= 0).all(0) & ((inward > 4).sum(0) >= 3)
    inner = np.where(within & (count == 4) & (weakest > INNER), gain, 0)
    if inner.max() > 0:
        best = int(inner.argmax())
    x0, y0, x1, y1 = (int(corner) for corner in corners[:, best])
    return (
        columns.sharpest(x0, y0, y1), rows.sharpest(y0, x0, x1),
        columns.sharpest(x1, y0, y1), rows.sharpest(y1, x0, x1),
    )  # fmt: skip
