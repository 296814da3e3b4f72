"""Hash centres: codes that are far from each other, one for each class or cluster."""

from __future__ import annotations

import torch
from torch import Tensor


def hadamard(order: int) -> Tensor:
    """Sylvester's Hadamard matrix ``[order, order]`` of a power of 2.

    >>> hadamard(2).tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """
    h = torch.ones(1, 1)
    while len(h) < order:
        h = torch.cat([torch.cat([h, h], dim=1), torch.cat([h, -h], dim=1)])
    return h


def hadamard_centres(count: int, bits: int, *, seed: int) -> Tensor:
    """±1 centres ``[count, bits]``: rows of a Hadamard matrix and their opposites, k/2 apart or more.

    Where there are not enough of them, or k is no power of 2, each bit is drawn evenly (Yuan et al. 2020,
    Algorithm 1); of 10 draws the one whose nearest two are farthest apart is taken.

    >>> c = hadamard_centres(20, 16, seed=0)
    >>> sorted({int(d) for d in (16 - c @ c.T).flatten() / 2})
    [0, 8, 16]
    """
    if count <= 2 * bits and bits & (bits - 1) == 0:
        h = hadamard(bits)
        return torch.cat([h, -h])[:count]
    drawn = torch.Generator().manual_seed(seed)
    best, apart = torch.empty(0), -1.0
    for _ in range(10):
        centres = torch.randint(2, (count, bits), generator=drawn) * 2.0 - 1
        nearest = float(((bits - centres @ centres.T) / 2).fill_diagonal_(bits).min())
        if nearest > apart:
            best, apart = centres, nearest
    return best
