"""KSH: Liu, Wang, Ji, Jiang, Chang, *Supervised Hashing with Kernels*, CVPR 2012.

h(x) = sgn(Σ_j (κ(x_j, x) − μ_j) a_j) over m anchors x_j with a Gaussian κ. Inner products of the codes are
fitted to kS, S = ±1 for pairs of l labelled samples, a bit at a time: R ← R − b bᵀ; each a starts from the
spectral relaxation KᵀRK a = λ KᵀK a, then follows the gradient of −φᵀRφ, φ = 2 / (1 + e^−Ka) − 1 (eqs.
11–16), and is kept where it is no worse than its start (Algorithm 1). m = 300, l = 1,000. Ours: videos are
means over frames; κ's width is the mean distance of samples and anchors; plain gradient ascent with step
halving where the paper has Nesterov's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from .base import Method, Schedule, Shape, same_class


@dataclass(frozen=True)
class Options(Schedule):
    """Of the kernel and the optimisation; the schedule is not used."""

    anchors: int = option(300, "m, drawn from the training videos")
    samples: int = option(1000, "l, whose labels are used")
    steps: int = option(50, "of the gradient, for each bit")


class Kernel(nn.Module):
    """Gaussian kernels to the anchors, centred, then a linear map."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.register_buffer("anchors", torch.zeros(options.anchors, shape.features))
        self.register_buffer("used", torch.zeros(options.anchors))
        self.register_buffer("mean", torch.zeros(options.anchors))
        self.register_buffer("width", torch.ones(()))
        self.map = nn.Linear(options.anchors, shape.bits, bias=False)

    def squares(self, x: Tensor) -> Tensor:
        """Squared distances of ``[n, F]`` to the anchors."""
        square = x.square().sum(dim=1)[:, None] + self.anchors.square().sum(dim=1) - 2 * x @ self.anchors.T
        return square.clamp_min(0)

    def kernel(self, x: Tensor) -> Tensor:
        """Centred kernels ``[n, m]``; anchors that do not exist give 0."""
        return (torch.exp(-self.squares(x) / (2 * self.width.square())) - self.mean) * self.used

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        return self.map(self.kernel(v.mean(dim=1)))


class Teacher(nn.Module):
    """The greedy optimisation."""

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    @torch.no_grad()
    def solve(self, encoder: nn.Module, seen: Tensor, labels: Tensor, seed: int) -> None:
        """Draw anchors and samples, then learn bit after bit."""
        drawn = torch.Generator().manual_seed(seed)
        x = seen.mean(dim=1)
        order = torch.randperm(len(x), generator=drawn)
        count = min(self.options.anchors, len(x))
        encoder.anchors[:count] = x[order[:count]]
        encoder.used[:count] = 1
        encoder.width.copy_(encoder.squares(x)[:, :count].sqrt().mean())
        encoder.mean.copy_(torch.exp(-encoder.squares(x) / (2 * encoder.width.square())).mean(dim=0))
        rows = torch.randperm(len(x), generator=drawn)[: self.options.samples]
        k = encoder.kernel(x[rows])[:, :count].double()
        bits = encoder.map.out_features
        residual = bits * (2 * same_class(labels[rows]).double() - 1)
        gram = k.T @ k
        low = torch.linalg.cholesky(gram + 1e-6 * gram.diagonal().mean() * torch.eye(count, dtype=k.dtype))
        half = torch.linalg.solve_triangular(low, k.T, upper=False)
        encoder.map.weight.zero_()
        for bit in range(bits):
            _, vectors = torch.linalg.eigh(half @ residual @ half.T)
            start = torch.linalg.solve_triangular(low.T, vectors[:, -1:], upper=True)[:, 0]
            start = start * (len(rows) / (start @ gram @ start)) ** 0.5
            a = ascend(start, k, residual, self.options.steps)
            codes = [torch.where(k @ w >= 0, 1.0, -1.0).double() for w in (start, a)]
            better = codes[1] @ residual @ codes[1] >= codes[0] @ residual @ codes[0]
            b, a = (codes[1], a) if better else (codes[0], start)
            encoder.map.weight[bit, :count] = a.float()
            residual = residual - torch.outer(b, b)


def ascend(a: Tensor, k: Tensor, residual: Tensor, steps: int) -> Tensor:
    """Follow the gradient of φ(Ka)ᵀRφ(Ka), halving the step where it overshoots."""

    def phi(w: Tensor) -> Tensor:
        return torch.tanh(k @ w / 2)

    y = phi(a)
    best, step = y @ residual @ y, 1.0
    for _ in range(steps):
        slope = k.T @ ((residual @ y) * (1 - y.square()))
        move = slope * (a.norm() / slope.norm().clamp_min(1e-12))
        tried = a + step * move
        reached = phi(tried)
        value = reached @ residual @ reached
        if value > best:
            a, y, best = tried, reached, value
        else:
            step /= 2
            if step < 1e-4:
                break
    return a


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Kernel(shape, options), Teacher(options)


METHOD = Method(
    __doc__,
    ours="the kernel's width; plain gradient ascent in place of Nesterov's",
    missing="",
    supervised=True,
    options=Options,
    make=make,
    narrow={},
)
