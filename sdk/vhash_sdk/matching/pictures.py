"""Small grey pictures: scaled, turned, without their local means."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
"""``float32[T, height, width]``."""

TURNS = tuple((quarters, mirrored) for mirrored in (False, True) for quarters in range(4))
"""Quarter turns anticlockwise, after mirroring at the vertical axis or not."""
_LOCAL = 3  # pixels to either side whose mean is taken off each pixel


def without_local_means(frames: Frames, reach: int = _LOCAL) -> Frames:
    """Each pixel less the mean of the pixels around it."""
    around = _box(frames.shape[1], reach) @ frames @ _box(frames.shape[2], reach).T
    return np.asarray(frames - around, np.float32)


def resized(frames: Frames, scale: float) -> Frames:
    """Frames at another scale, antialiased."""
    height, width = scaled_shape(frames.shape[1:], scale)
    if (height, width) == frames.shape[1:]:
        return frames
    rows, columns = _triangles(frames.shape[1], height), _triangles(frames.shape[2], width)
    return np.asarray(rows @ frames @ columns.T, np.float32)


def turned(frames: Frames, turn: tuple[int, bool]) -> Frames:
    """Frames after one of ``TURNS``."""
    quarters, mirrored = turn
    return np.ascontiguousarray(np.rot90(frames[:, :, ::-1] if mirrored else frames, quarters, (1, 2)))


def turned_back(turn: tuple[int, bool]) -> tuple[int, bool]:
    """Which of ``TURNS`` undoes one.

    >>> turned_back((1, False)), turned_back((1, True))
    ((3, False), (1, True))
    """
    quarters, mirrored = turn
    return (quarters if mirrored else -quarters % 4, mirrored)


def turned_place(
    row: float, column: float, shape: tuple[int, ...], turn: tuple[int, bool]
) -> tuple[float, float]:
    """Where a place of a picture of (height, width) ``shape`` is after one of ``TURNS``.

    >>> turned_place(0.0, 7.0, (4, 8), (1, False))
    (0.0, 0.0)
    """
    quarters, mirrored = turn
    height, width = shape
    column = width - 1 - column if mirrored else column
    for _ in range(quarters):
        row, column = width - 1 - column, row
        height, width = width, height
    return row, column


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """(height, width) at another scale."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


@lru_cache(maxsize=256)
def _box(side: int, reach: int) -> Frames:
    """``[side, side]``: the mean over the pixels around each; fewer of them at an end."""
    place = np.arange(side)
    near = np.abs(place[:, None] - place) <= reach
    return np.asarray(near / near.sum(1, keepdims=True), np.float32)


@lru_cache(maxsize=1024)
def _triangles(side: int, wanted: int) -> Frames:
    """``[wanted, side]``: weights of the pixels that each new one is made of."""
    step = side / wanted
    middle = (np.arange(wanted) + 0.5) * step - 0.5
    weights = np.clip(1 - np.abs(np.arange(side) - middle[:, None]) / max(1.0, step), 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
