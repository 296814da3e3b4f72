"""SSTH: Zhang, Wang, Hong, Chua, *Play and Rewind: Optimizing Binary Representations of Videos by
Self-Supervised Temporal Hashing*, ACM Multimedia 2016.

An encoder whose LSTM has a binary state (Binary LSTM) reads the frames; its last state is the code. Two
LSTM decoders reconstruct the frames from it, forth ("play") and back ("rewind"); the sign's gradient is
that of a hard tanh. Ours: a batch norm for each step; the decoders' cells start at zero, so that the code
is the only way through (passing the encoder's cell on, as code of the same group does, lets the video go
round it); Adam.

>>> from training.methods.base import Shape
>>> encoder, _ = make(Shape(4096, 4096, 64, 25), Options())
>>> sum(p.numel() for p in encoder.parameters())  # 4k(F + k + 1) + 2kT
1068416
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..config import option
from .base import Batch, Method, Schedule, Shape, sign
from .recurrent import LSTM, Unrolled, both_orders


@dataclass(frozen=True)
class Options(Schedule):
    """Of the training; the code's length is the state's width."""

    weight_decay: float = option(1e-4, "L2 term")
    hidden: int = option(256, "state of the decoders")


class Last(nn.Module):
    """The last state of the binary LSTM."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.lstm = LSTM(shape.features, shape.bits, steps=shape.frames, binary=True)

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        return self.lstm(v)[:, -1]


class Teacher(nn.Module):
    """Play and rewind."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        sizes = shape.bits, shape.features, options.hidden
        self.forth, self.back = Unrolled(*sizes), Unrolled(*sizes)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Reconstruction, mean of both orders."""
        forth, back = both_orders(self.forth, self.back, sign(encoder(batch.v), True), batch.v)
        return (forth + back) / 2


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Last(shape), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="batch norm for each step; decoders see the code alone; Adam, 100 epochs",
    missing="the paper's optimiser settings",
    supervised=False,
    options=Options,
    make=make,
    narrow={"hidden": 64, "epochs": 30},
)
