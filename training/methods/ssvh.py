"""SSVH: Song, Zhang, Li, Gao, Wang, Hong, *Self-Supervised Video Hashing with Hierarchical Binary
Auto-Encoder*, IEEE Transactions on Image Processing 27(7), 2018.

Two LSTM layers: the second, binary, reads every second state of the first, and its last state is the code.
Three decoders of the same build reconstruct the frames forth, back, and their mean. A neighbourhood S, made
before training, is reconstructed too: (b·h_j / k − s_ij)² over all training videos j, whose relaxed codes
are remembered. s = 1 for the K₁ nearest of those K₂ videos whose lists of K₁ nearest overlap most with
one's own.

From the authors' published settings: K₁ = 10, K₂ = 5, s = 0 elsewhere, weights .999 and .001 of
neighbourhood and reconstruction (both as sums), λ = 0.2 for quantisation, L2 1e-4. Ours: the state at every
odd frame, so that the last of 25 reaches the code (theirs has 24 frames); decoders' cells start at zero;
Adam; states as wide as the code in the encoder, as theirs, but ``hidden`` wide in the decoders.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from ..losses import reconstruction
from .base import Batch, Method, Schedule, Shape, sign
from .graphs import nearest
from .recurrent import LSTM, Unrolled, both_orders


@dataclass(frozen=True)
class Options(Schedule):
    """Of shapes, neighbourhood and training."""

    weight_decay: float = option(1e-4, "L2 term")
    hidden: int = option(256, "states of the decoders")
    stride: int = option(2, "frames for each step of the second layer")
    k1: int = option(10, "nearest videos in a list")
    k2: int = option(5, "lists that are joined")
    neighbourhood: float = option(0.999, "weight of the neighbourhood; 1 − it: of the reconstruction")
    quantise: float = option(0.2, "weight of the distance between relaxed code and code")


class Hierarchical(nn.Module):
    """Both encoder layers."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.stride = options.stride
        self.low = LSTM(shape.features, shape.bits)
        steps = -(-shape.frames // options.stride)
        self.high = LSTM(shape.bits, shape.bits, steps=steps, binary=True)

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        offset = (v.shape[1] - 1) % self.stride
        return self.high(self.low(v)[:, offset :: self.stride])[:, -1]


class Decoder(nn.Module):
    """A coarse LSTM from the code, a fine one that gets each coarse state for ``stride`` frames."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.stride = options.stride
        self.coarse = Unrolled(shape.bits, 0, options.hidden)
        self.fine = nn.LSTM(options.hidden, options.hidden, batch_first=True)
        self.out = nn.Linear(options.hidden, shape.features)

    def forward(self, b: Tensor, steps: int) -> Tensor:
        """Reconstruct."""
        coarse = self.coarse.states(b, -(-steps // self.stride))
        return self.out(self.fine(coarse.repeat_interleave(self.stride, dim=1)[:, :steps])[0])


class Teacher(nn.Module):
    """Three decoders and the neighbourhood."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options, self.bits = options, shape.bits
        self.forth, self.back, self.mean = (Decoder(shape, options) for _ in range(3))
        self.register_buffer("memory", torch.empty(0))

    def prepare(self, seen: Tensor, labels: Tensor) -> None:
        """Make the neighbourhood of the training videos; remember no code yet."""
        self.memory = torch.zeros(len(seen), self.bits)
        self.near = joined_lists(nearest(seen.mean(dim=1), self.options.k1), self.options.k2)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Neighbourhood, quantisation, reconstruction."""
        h, steps = encoder(batch.v), batch.v.shape[1]
        b = sign(h, True)
        self.memory[batch.rows] = h.detach()
        error = (h @ self.memory.T / self.bits - self.near[batch.rows]).square().sum(dim=1).mean()
        error = error + self.options.quantise * (h - b.detach()).square().sum(dim=1).mean()
        forth, back = both_orders(self.forth, self.back, b, batch.v)
        mean = reconstruction(self.mean(b, 1), batch.v.mean(dim=1, keepdim=True))
        weight = self.options.neighbourhood
        return weight * error + (1 - weight) * steps * (forth + back + mean) / 3


def joined_lists(near: Tensor, k2: int) -> Tensor:
    """S of the lists of nearest ``[n, n]`` (0/1, itself included), symmetric.

    >>> joined_lists(torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), 1).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    overlap = near @ near.T
    most = torch.zeros_like(near).scatter_(1, overlap.topk(min(k2, len(near)), dim=1).indices, 1.0)
    found = (most @ near > 0).float()
    return torch.maximum(found, found.T)


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Hierarchical(shape, options), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="the last frame reaches the code; decoders see the code alone; Adam",
    missing="peephole connections of the authors' LSTMs",
    supervised=False,
    options=Options,
    make=make,
    narrow={"hidden": 64, "epochs": 30},
)
