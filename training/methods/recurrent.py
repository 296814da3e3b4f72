"""LSTMs whose state can be a sign, and the decoders of the recurrent methods."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..losses import reconstruction
from .base import sign


class LSTM(nn.Module):
    """States of an LSTM ``[n, T, width]``, written out step by step so that it exports.

    ``binary``: the state that goes on to the next step is sign(h), h = σ(o) · norm(c) with a batch norm for
    each step (Zhang et al. 2016, the Binary LSTM); what comes back is h, so that sign(h) is the code.
    """

    def __init__(self, features: int, width: int, *, steps: int = 0, binary: bool = False):
        super().__init__()
        self.width, self.binary = width, binary
        self.inputs = nn.Linear(features, 4 * width)
        self.state = nn.Linear(width, 4 * width, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(steps if binary else 0))
        for layer in (self.inputs, self.state):
            for gate in layer.weight.chunk(4):
                nn.init.xavier_uniform_(gate)
        nn.init.zeros_(self.inputs.bias)

    def forward(self, v: Tensor) -> Tensor:
        """All states, in order."""
        x = self.inputs(v)
        state = cell = torch.zeros_like(x[:, 0, : self.width])
        out = []
        for t in range(v.shape[1]):
            i, f, g, o = (x[:, t] + self.state(state)).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = o.sigmoid() * (self.norms[t](cell) if self.binary else cell.tanh())
            state = sign(h, self.training) if self.binary else h
            out.append(h)
        return torch.stack(out, dim=1)


class Unrolled(nn.Module):
    """A code ``[n, k]`` → frames ``[n, T, F]``: an LSTM that starts from the code and reads it each step."""

    def __init__(self, bits: int, features: int, width: int):
        super().__init__()
        self.first = nn.Linear(bits, width)
        self.lstm = nn.LSTM(bits, width, batch_first=True)
        self.out = nn.Linear(width, features) if features else nn.Identity()

    def states(self, b: Tensor, steps: int) -> Tensor:
        """Its states, before they are read out."""
        h = self.first(b).tanh()[None]
        return self.lstm(b[:, None].expand(-1, steps, -1), (h, torch.zeros_like(h)))[0]

    def forward(self, b: Tensor, steps: int) -> Tensor:
        """Reconstruct."""
        return self.out(self.states(b, steps))


def both_orders(forth: nn.Module, back: nn.Module, b: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstruction errors of the frames in order and in reverse."""
    steps = v.shape[1]
    return reconstruction(forth(b, steps), v), reconstruction(back(b, steps), v.flip(1))
