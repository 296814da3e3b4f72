"""Neighbourhoods of training videos: nearest, k-means, the anchor graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nearest(x: Tensor, k: int) -> Tensor:
    """1 where a column is of the ``k`` nearest of a row by centred cosine, or the row itself: ``[n, n]``."""
    unit = functional.normalize(x - x.mean(dim=0), dim=1)
    found = (unit @ unit.T).topk(min(k + 1, len(x)), dim=1).indices
    return torch.zeros(len(x), len(x)).scatter_(1, found, 1.0).fill_diagonal_(1.0)


def kmeans(x: Tensor, count: int, *, seed: int, rounds: int = 30) -> tuple[Tensor, Tensor]:
    """(centres ``[count, F]``, number of the nearest one for each row); starts by k-means++."""
    drawn = torch.Generator().manual_seed(seed)
    centres = x[torch.randint(len(x), (1,), generator=drawn)]
    for _ in range(count - 1):
        distance = torch.cdist(x, centres).min(dim=1).values.square() + 1e-12
        centres = torch.cat([centres, x[torch.multinomial(distance, 1, generator=drawn)]])
    for _ in range(rounds):
        one_hot = functional.one_hot(torch.cdist(x, centres).argmin(dim=1), count).float()
        size = one_hot.sum(dim=0)[:, None]
        centres = torch.where(size > 0, one_hot.T @ x / size.clamp_min(1), centres)
    return centres, torch.cdist(x, centres).argmin(dim=1)


def anchor_similarity(x: Tensor, anchors: Tensor) -> Tensor:
    """+1 where two videos share one of their 3 nearest anchors, −1 where they meet only at the 5th, else 0.

    The anchor graph (Liu et al., ICML 2011) at three radii, as BTH and S5VH prepare it.
    """
    near = torch.cdist(x, anchors).topk(min(5, len(anchors)), dim=1, largest=False).indices

    def met(count: int) -> Tensor:
        z = torch.zeros(len(x), len(anchors)).scatter_(1, near[:, :count], 1.0)
        return (z @ z.T > 0).float()

    return met(3) - (met(5) - met(4))
