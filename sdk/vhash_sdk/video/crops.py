"""The ten crops of a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ten_crops(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Centre and four corners of a clip, each with its mirror image (models.md A3; paper [A] 4.4).

    Args:
        frames: ``uint8[T, H, W, 3]``.
        size: (height, width) of a crop, at most (H, W).

    Returns:
        ``uint8[10, T, height, width, 3]``: centre, top left, top right, bottom left, bottom right,
        then their mirrors in the same order.

    >>> ten_crops(np.zeros((2, 8, 9, 3), np.uint8), (4, 4)).shape
    (10, 2, 4, 4, 3)
    """
    (height, width), (h, w) = frames.shape[1:3], size
    bottom, right = height - h, width - w
    corners = ((bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right))
    crops = np.stack([frames[:, top : top + h, left : left + w] for top, left in corners])
    return np.concatenate([crops, crops[:, :, :, ::-1]])
