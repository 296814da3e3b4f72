"""DH: Liong, Lu, Wang, Moulin, Zhou, *Deep Hashing for Compact Binary Codes Learning*, CVPR 2015.

Three layers with tanh, h = f(x); min ½‖B − H‖² − λ₁/2N · tr(HHᵀ) + λ₂/2 Σ‖WWᵀ − 1‖² + λ₃/2 Σ(‖W‖² + ‖c‖²),
B = sign H: small quantisation loss, much variance, bits that do not repeat each other. λ₁ = 100, λ₂ = λ₃ =
.001; widths 60-30-16, 80-50-32, 100-80-64; the first layer starts as the PCA, the others as ones on the
diagonal. Ours: the variance is about the mean of H; a video is the mean over its frames, centred, of length
√F (of unit length the biases alone make the quantisation small, and all codes become one); everything
divided by N; 128 bits: 200-160-128; whole-set steps of Adam.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..baselines import principal_components
from ..config import option
from .base import Batch, Method, Schedule, Shape, sign

WIDTHS = {16: (60, 30), 32: (80, 50), 64: (100, 80), 128: (200, 160)}


@dataclass(frozen=True)
class Options(Schedule):
    """Of the objective and the training."""

    epochs: int = option(100, "steps")
    batch: int = option(0, "videos per step; 0 = all of them")
    variance: float = option(100.0, "λ₁")
    orthogonality: float = option(1e-3, "λ₂")
    ridge: float = option(1e-3, "λ₃")


class Layers(nn.Module):
    """Centred vectors of one length through three layers with tanh."""

    def __init__(self, shape: Shape):
        super().__init__()
        hidden = WIDTHS.get(shape.bits, (2 * shape.bits, shape.bits))
        widths = (shape.features, *(min(w, shape.features) for w in hidden), shape.bits)
        self.register_buffer("mean", torch.zeros(shape.features))
        self.gain = shape.features**0.5
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, v: Tensor) -> Tensor:
        """The last layer before its tanh."""
        x = functional.normalize(v.mean(dim=1) - self.mean, dim=1) * self.gain
        for layer in self.linear[:-1]:
            x = layer(x).tanh()
        return self.linear[-1](x)


class Teacher(nn.Module):
    """The three terms."""

    def __init__(self, options: Options):
        super().__init__()
        self.options, self.videos = options, 1

    def start(self, encoder: nn.Module, seen: Tensor) -> None:
        """Centre, PCA, diagonals."""
        x = seen.mean(dim=1)
        encoder.mean.copy_(x.mean(dim=0))
        unit = functional.normalize(x - encoder.mean, dim=1)
        _, basis = principal_components(unit.numpy(), encoder.linear[0].out_features)
        with torch.no_grad():
            for layer in encoder.linear:
                layer.bias.zero_()
                layer.weight.copy_(torch.eye(*layer.weight.shape))
            encoder.linear[0].weight.copy_(torch.from_numpy(basis).T)

    def prepare(self, seen: Tensor, labels: Tensor) -> None:
        """Count the videos."""
        self.videos = len(seen)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """The objective divided by N."""
        o, h = self.options, encoder(batch.v).tanh()
        quantised = (sign(h.detach(), False) - h).square().sum(dim=1).mean()
        rest = -o.variance * (h - h.mean(dim=0)).square().sum(dim=1).mean()
        for layer in encoder.linear:
            eye = torch.eye(layer.out_features)
            rest = rest + o.orthogonality * (layer.weight @ layer.weight.T - eye).square().sum()
            rest = rest + o.ridge * (layer.weight.square().sum() + layer.bias.square().sum())
        return (quantised + rest / self.videos) / 2


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Layers(shape), Teacher(options)


METHOD = Method(
    __doc__,
    ours="variance about the mean; length √F; whole-set Adam; widths of 128 bits",
    missing="",
    supervised=False,
    options=Options,
    make=make,
    narrow={},
)
