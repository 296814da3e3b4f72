"""JTAE: Li, Yang, Cao, Huang, *Jointly Modeling Static Visual Appearance and Temporal Pattern for
Unsupervised Video Hashing*, CIKM 2017.

One code has to keep both: what the frames look like on the whole and in which order they come. We know the
paper by its abstract and by how later papers sum it up. So all shapes are ours: an LSTM over the frames and
a layer on their mean meet in the hash layer; an LSTM reconstructs the frames from the code, a second
decoder the mean; the two errors are weighed, with a quantisation term.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from ..losses import quantisation, reconstruction
from .base import Batch, Method, Schedule, Shape, mlp, sign
from .recurrent import LSTM, Unrolled


@dataclass(frozen=True)
class Options(Schedule):
    """Of shapes and training; all ours."""

    weight_decay: float = option(1e-4, "L2 term")
    hidden: int = option(256, "LSTM states and the appearance layer")
    appearance: float = option(1.0, "weight of the mean's reconstruction")
    quantise: float = option(0.1, "weight of the distance between relaxed code and code")


class Joint(nn.Module):
    """Temporal and appearance branch, one hash layer."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.temporal = LSTM(shape.features, options.hidden)
        self.appearance = nn.Linear(shape.features, options.hidden)
        self.hash = nn.Linear(2 * options.hidden, shape.bits)
        self.norm = nn.BatchNorm1d(shape.bits)

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        both = torch.cat([self.temporal(v)[:, -1], self.appearance(v.mean(dim=1)).tanh()], dim=1)
        return self.norm(self.hash(both))


class Teacher(nn.Module):
    """Both decoders."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options = options
        self.temporal = Unrolled(shape.bits, shape.features, options.hidden)
        self.appearance = mlp((shape.bits, options.hidden, shape.features))

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Temporal pattern, appearance, quantisation."""
        z = encoder(batch.v)
        b = sign(z, True)
        temporal = reconstruction(self.temporal(b, batch.v.shape[1]), batch.v)
        appearance = reconstruction(self.appearance(b), batch.v.mean(dim=1))
        return temporal + self.options.appearance * appearance + self.options.quantise * quantisation(z, b)


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Joint(shape, options), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="all shapes and weights: we had the abstract only",
    missing="whatever the paper's text decides beyond its abstract",
    supervised=False,
    options=Options,
    make=make,
    narrow={"hidden": 64, "epochs": 30},
)
