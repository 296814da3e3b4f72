"""DHWCM: Liu, Zhao, Ding, Shen, *Deep Hashing with Category Mask for Fast Video Retrieval*, 2017 (arXiv
1712.08315).

A classifier reads the relaxed bits; its loss keeps classes apart, pairs of one class are drawn together
(intra-pair). Afterwards each class gets a mask over the bits: those that speak against it are filtered out
of the codes that are predicted to be of it. We know the method by its abstract. Ours: the network; a bit
speaks against a class where its weight times its mean over the class is negative; a filtered bit is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import option
from .base import Batch, Method, Pooled, Schedule, Shape, mlp, same_class


@dataclass(frozen=True)
class Options(Schedule):
    """Of the network, the loss and the training; all ours."""

    epochs: int = option(60, "passes over the training videos")
    hidden: int = option(1024, "width of the hidden layer")
    pairs: float = option(1.0, "weight of the pairs of one class")


class MaskedBits(nn.Module):
    """Bits, classifier and each class's mask."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.bits = Pooled(mlp((shape.features, options.hidden, shape.bits), dropout=0.5))
        self.classify = nn.Linear(shape.bits, shape.classes)
        self.register_buffer("mask", torch.ones(shape.classes, shape.bits))

    def forward(self, v: Tensor) -> Tensor:
        """Logits; those of filtered bits negative."""
        z = self.bits(v)
        kept = self.mask[self.classify(z.tanh()).argmax(dim=1)]
        return kept * z - (1 - kept) * (z.abs() + 1e-3)


class Teacher(nn.Module):
    """Classes, pairs, and the masks at the end."""

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Classification and intra-pair loss."""
        y = encoder.bits(batch.v).tanh()
        target = batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp_min(1)
        same = same_class(batch.labels).fill_diagonal_(0)
        distance = torch.cdist(y, y, compute_mode="donot_use_mm_for_euclid_dist").square() / y.shape[1]
        pairs = (same * distance).sum() / same.sum().clamp_min(1)
        return functional.cross_entropy(encoder.classify(y), target) + self.options.pairs * pairs

    @torch.no_grad()
    def finish(self, encoder: nn.Module, seen: Tensor, labels: Tensor) -> None:
        """Filter the bits that speak against each class; never all of one class."""
        y = encoder.eval().bits(seen).tanh()
        mean = labels.T @ y / labels.sum(dim=0)[:, None].clamp_min(1)
        encoder.mask.copy_((encoder.classify.weight * mean >= 0).float())


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return MaskedBits(shape, options), Teacher(options)


METHOD = Method(
    __doc__,
    ours="network, weights, what speaks against a class: we had the abstract only",
    missing="fine-tuning of a CNN",
    supervised=True,
    options=Options,
    make=make,
    narrow={"epochs": 40},
)
