"""SRH: Gu, Ma, Yang, *Supervised Recurrent Hashing for Large Scale Video Retrieval*, ACM Multimedia 2016.

An LSTM over the frames, its states max-pooled, then a supervised hashing loss. We know it by its abstract.
Ours: all shapes and weights, and the form of the loss, `training.methods.pairs`.
"""

from __future__ import annotations

from torch import Tensor, nn

from .base import Method, Shape
from .pairs import Options, Teacher
from .recurrent import LSTM


class Recurrent(nn.Module):
    """SRH: LSTM, maximum over the frames, hash layer."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.lstm = LSTM(shape.features, options.hidden)
        self.hash = nn.Sequential(nn.Linear(options.hidden, shape.bits), nn.BatchNorm1d(shape.bits))

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        return self.hash(self.lstm(v).amax(dim=1))


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Recurrent(shape, options), Teacher(options)


METHOD = Method(
    __doc__,
    ours="shapes, the form of the loss: we had the abstract only",
    missing="the CNN that is learned with it",
    supervised=True,
    options=Options,
    make=make,
    narrow={"hidden": 64, "epochs": 20},
)
