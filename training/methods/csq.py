"""CSQ: Yuan, Wang, Zhang, Tay, Jie, Liu, Feng, *Central Similarity Quantization for Efficient Image and
Video Retrieval*, CVPR 2020.

Each class has a hash centre, a row of a Hadamard matrix or its opposite; where there are too few, its bits
are drawn. A video of several classes has the majority of their centres. Loss: binary cross-entropy of the
relaxed bits against the centre's (central similarity) and λ (|y| − 1)² (quantisation), y = tanh z.

From the authors' published settings: λ = .05, Adam 1e-3 × .7 every 10 of 90 epochs, batch 64. Ours: the
network, two layers on the mean over frames, where theirs fine-tunes a 3-D CNN; a majority's ties fall to
+1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import option
from .base import Batch, Decay, Method, Pooled, Schedule, Shape, mlp
from .centres import hadamard_centres


@dataclass(frozen=True)
class Options(Schedule):
    """Of the network, the loss and the training."""

    epochs: int = option(90, "passes over the training videos")
    batch: int = option(64, "videos per step")
    decay: Decay = option("step", "of the learning rate")  # noqa: RUF009
    decay_every: int = option(10, "epochs between two steps")
    decay_rate: float = option(0.7, "factor of a step")
    hidden: int = option(1024, "width of the hidden layer")
    quantise: float = option(0.05, "weight of the quantisation")


class Teacher(nn.Module):
    """Centres and the loss against them."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options = options
        self.register_buffer("centres", hadamard_centres(shape.classes, shape.bits, seed=0))

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Central similarity and quantisation."""
        y = encoder(batch.v).tanh()
        centre = torch.where(batch.labels @ self.centres >= 0, 1.0, 0.0)
        central = functional.binary_cross_entropy((y + 1) / 2, centre)
        return central + self.options.quantise * (y.abs() - 1).square().mean()


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    widths = shape.features, options.hidden, shape.bits
    return Pooled(mlp(widths, dropout=0.5)), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="two layers on the mean over frames",
    missing="fine-tuning of a 3-D CNN",
    supervised=True,
    options=Options,
    make=make,
    narrow={"epochs": 40},
)
