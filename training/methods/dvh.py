"""DVH: Liong, Lu, Tan, Zhou, *Deep Video Hashing*, IEEE Transactions on Multimedia 19(6), 2017.

Frames are fused over time within the network; pairs of one class come near, others far; the quantisation
loss is small. We know it by its abstract. Ours: all shapes and weights, the form of the loss,
`training.methods.pairs`, and the fusion: three frames at a time, then the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..uvvh import FrameNorm
from .base import Method, Shape
from .pairs import Options, Teacher


class Fused(nn.Module):
    """DVH: three frames at a time, mean, hash layer."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.reduce = nn.Linear(shape.features, options.hidden)
        self.fuse = nn.Linear(3 * options.hidden, options.hidden)
        self.norm = FrameNorm(options.hidden)
        self.hash = nn.Sequential(nn.Linear(options.hidden, shape.bits), nn.BatchNorm1d(shape.bits))

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        x = self.reduce(v).relu()
        x = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=2) if v.shape[1] > 2 else x.repeat(1, 1, 3)
        return self.hash(self.norm(self.fuse(x)).relu().mean(dim=1))


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Fused(shape, options), Teacher(options)


METHOD = Method(
    __doc__,
    ours="shapes, fusion over three frames: we had the abstract only",
    missing="the CNN that is learned with it",
    supervised=True,
    options=Options,
    make=make,
    narrow={"hidden": 64, "epochs": 20},
)
