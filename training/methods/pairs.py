"""The loss over pairs that SRH and DVH share; its form is ours, for we had their abstracts only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from .base import Batch, Schedule, same_class


@dataclass(frozen=True)
class Options(Schedule):
    """Of the network, the loss and the training; all ours."""

    epochs: int = option(60, "passes over the training videos")
    hidden: int = option(256, "states of the LSTM, or channels of the convolution")
    margin: float = option(0.5, "share of the bits that pairs of two classes should differ in")
    quantise: float = option(0.1, "weight of (|y| − 1)²")


class Teacher(nn.Module):
    """Margin over pairs, and quantisation."""

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Mean over the pairs of one class plus mean over those of two."""
        y = encoder(batch.v).tanh()
        square = y.square().sum(dim=1)
        distance = (square[:, None] + square[None] - 2 * y @ y.T) / (4 * y.shape[1])
        same = same_class(batch.labels)
        near, other = same - torch.eye(len(y)), 1 - same
        far = (self.options.margin - distance).relu()
        pairs = (near * distance).sum() / near.sum().clamp_min(1) + (
            other * far
        ).sum() / other.sum().clamp_min(1)
        return pairs + self.options.quantise * (y.abs() - 1).square().mean()
