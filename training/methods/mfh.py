"""MFH: Song, Yang, Huang, Shen, Hong, *Multiple Feature Hashing for Real-Time Large Scale Near-Duplicate
Video Retrieval*, ACM Multimedia 2011; *Effective Multiple Feature Hashing for Large-Scale Near-Duplicate
Video Retrieval*, IEEE Transactions on Multimedia 15(8), 2013.

For each kind of feature g a k-NN graph with Laplacian L_g; embeddings Y_g that are smooth on it, one Y near
to all of them, and a linear map (W, b) from all features that gives Y:

    min Σ_g tr(Y_gᵀ L_g Y_g) + γ Σ_g ‖Y − Y_g‖² + α(‖XW + 1bᵀ − Y‖² + β‖W‖²),  YᵀY = 1

Y_g = γ(L_g + γ)⁻¹Y and W = (XᵀHX + β)⁻¹XᵀHY, H the centring, leave an eigenproblem in Y: no step is taken.
Here the features are of one kind, so one graph. Ours: a video is the mean over its frames; the constant
vector, which every such problem has as its first solution, is left out; α, β, γ, which the paper chooses on
its own data.

>>> from training.methods.base import Shape
>>> sum(p.numel() for p in make(Shape(4096, 4096, 64, 25), Options())[0].parameters())  # k(F + 1)
262208
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import option
from .base import Method, Pooled, Schedule, Shape
from .graphs import nearest


@dataclass(frozen=True)
class Options(Schedule):
    """Of the graph and the objective; the schedule is not used."""

    neighbours: int = option(5, "of each video in the graph")
    alpha: float = option(1.0, "weight of the linear map")
    beta: float = option(1.0, "its ridge, times the mean square of a feature and the number of videos / 100")
    gamma: float = option(1.0, "weight of the common embedding")


class Teacher(nn.Module):
    """The closed solution."""

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    def solve(self, encoder: nn.Module, seen: Tensor, labels: Tensor, seed: int) -> None:
        """Fit the linear map."""
        o, x, layer = self.options, seen.mean(dim=1).double(), encoder.layers
        n, mean = len(x), x.mean(dim=0)
        graph = nearest(x.float(), o.neighbours).double().fill_diagonal_(0)
        graph = torch.maximum(graph, graph.T)
        laplacian = torch.diag(graph.sum(dim=1)) - graph
        x = x - mean
        ridge = o.beta * x.square().mean() * n / 100 * torch.eye(x.shape[1], dtype=x.dtype)
        to_map = torch.linalg.solve(x.T @ x + ridge, x.T)
        eye = torch.eye(n, dtype=x.dtype)
        smooth = o.gamma * eye - o.gamma**2 * torch.linalg.inv(laplacian + o.gamma * eye)
        centring = eye - 1 / n
        whole = centring @ (smooth + o.alpha * (eye - x @ to_map)) @ centring
        _, vectors = torch.linalg.eigh((whole + whole.T) / 2)
        bits = layer.out_features
        weight = to_map @ vectors[:, 1 : bits + 1] * n**0.5
        with torch.no_grad():
            layer.weight.copy_(weight.T)
            layer.bias.copy_(-(mean @ weight))


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Pooled(nn.Linear(shape.features, shape.bits)), Teacher(options)


METHOD = Method(
    __doc__,
    ours="α = β = γ = 1, graph of 5; the constant solution left out",
    missing="several kinds of features: there is one",
    supervised=False,
    options=Options,
    make=make,
    narrow={},
)
