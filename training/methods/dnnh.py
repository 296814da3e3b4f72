"""DNNH: Lai, Pan, Liu, Yan, *Simultaneous Feature Learning and Hash Coding with Deep Neural Networks*, CVPR
2015.

Triplet ranking loss, max(0, ‖b − b⁺‖² − ‖b − b⁻‖² + 1), on relaxed bits in [0, 1]; each bit is read from a
slice of its own of the last feature (divide and encode), 50 values a bit, through a sigmoid and a
piece-wise threshold (0 or 1 outside of ½ ± ε). Ours: the slices stand on the mean over frames, not on a CNN
that is learned with them; every triplet of a batch counts that costs something; ε = 0.4, where nothing is
said of it in what we have; Adam.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from .base import Batch, Method, Schedule, Shape, same_class


@dataclass(frozen=True)
class Options(Schedule):
    """Of the network and the training."""

    epochs: int = option(60, "passes over the training videos")
    batch: int = option(64, "videos per step")
    slice: int = option(50, "values that one bit is read from")
    epsilon: float = option(0.4, "half of the range around ½ that is left as it is")
    margin: float = option(1.0, "of the triplets")


class DivideAndEncode(nn.Module):
    """Features, a slice for each bit, one linear map a slice."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.slices = nn.Linear(shape.features, shape.bits * options.slice)
        self.weight = nn.Parameter(torch.randn(shape.bits, options.slice) / options.slice**0.5)
        self.bias = nn.Parameter(torch.zeros(shape.bits))

    def forward(self, v: Tensor) -> Tensor:
        """Logits, before the sigmoids."""
        x = self.slices(v.mean(dim=1)).relu().unflatten(1, self.weight.shape)
        return (x * self.weight).sum(dim=2) + self.bias


class Teacher(nn.Module):
    """The ranking loss."""

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Mean over the triplets of the batch that cost something."""
        s = encoder(batch.v).sigmoid()
        low, high = 0.5 - self.options.epsilon, 0.5 + self.options.epsilon
        b = torch.where(s < low, 0.0, torch.where(s > high, 1.0, s))
        square = b.square().sum(dim=1)
        distance = square[:, None] + square[None] - 2 * b @ b.T
        same = same_class(batch.labels)
        valid = (same - torch.eye(len(s)))[:, :, None] * (1 - same)[:, None]
        cost = (distance[:, :, None] - distance[:, None] + self.options.margin).relu() * valid
        return cost.sum() / (cost.detach() > 0).sum().clamp_min(1)


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return DivideAndEncode(shape, options), Teacher(options)


METHOD = Method(
    __doc__,
    ours="all triplets of a batch; ε; Adam",
    missing="the CNN that is learned with it",
    supervised=True,
    options=Options,
    make=make,
    narrow={"slice": 16, "epochs": 40},
)
