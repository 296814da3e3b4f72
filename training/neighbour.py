"""neighbour-uvvh: a code that learns which *other* videos are near, beyond the paper.

UVVH has to reconstruct every frame from its code; that spends bits on what a search does not
need, and ends level with ITQ. Here the positives of a contrastive loss are the diffusion
neighbours of the training features (Iscen et al., CVPR 2017 and 2018): videos that many short
steps through the k-NN graph reach. They are of one kind far more often than the nearest by cosine.
No label is used.

Two encoders share the code layer, the loss and the interface of `training.uvvh.UVVH`: ``mean`` (mean
over frames, unit length, PCA, one hidden layer) and ``conv`` (UVVH's order-aware 1-D CNN).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .baselines import unit_length
from .uvvh import ConvEncoder, UVVHConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NeighbourConfig:
    """Shapes of the network.

    Attributes:
        raw_features: width of a stored frame feature.
        features: principal components that the network sees.
        bits: length of the code.
        encoder: ``mean`` or ``conv``.
        hidden: width of the hidden layer.
        dropout: on the input and on the hidden layer, in training.
        frames: T, used by ``conv`` only.
    """

    raw_features: int
    features: int = 128
    bits: int = 64
    encoder: Literal["mean", "conv"] = "mean"
    hidden: int = 512
    dropout: float = 0.2
    frames: int = 25


class NeighbourHash(nn.Module):
    """Frame features ``[n, T, F_raw]`` → logits ``[n, k]``; the bit is logit ≥ 0."""

    def __init__(self, config: NeighbourConfig):
        super().__init__()
        self.config = config
        self.register_buffer("centre", torch.zeros(config.raw_features))
        self.register_buffer("basis", torch.zeros(config.raw_features, config.features))
        if config.encoder == "conv":
            shape = UVVHConfig(config.features, frames=config.frames, widths=(256, 256, config.hidden))
            self.encoder: nn.Module = nn.Sequential(nn.Dropout(config.dropout), ConvEncoder(shape), nn.ReLU())
        else:
            self.encoder = nn.Sequential(
                nn.Dropout(config.dropout),
                nn.Linear(config.features, config.hidden),
                nn.BatchNorm1d(config.hidden),
                nn.ReLU(),
            )
        self.drop = nn.Dropout(config.dropout)
        self.mu = nn.Linear(config.hidden, config.bits)
        # normalising every bit over the batch keeps each near half on, half off
        self.norm = nn.BatchNorm1d(config.bits, affine=False)

    def set_input(self, centre: Tensor, basis: Tensor) -> None:
        """How a unit-length feature becomes the input: (x − centre) · basis; basis holds the scale."""
        self.centre.copy_(centre)
        self.basis.copy_(basis)

    def see(self, features: Tensor) -> Tensor:
        """Stored features as the network sees them: ``[n, F]`` (``mean``) or ``[n, T, F]`` (``conv``)."""
        x = features.float()
        if self.config.encoder == "mean":
            x = x.mean(dim=1)
        return (functional.normalize(x, dim=-1) - self.centre) @ self.basis

    def code(self, seen: Tensor) -> Tensor:
        """Relaxed code ``[n, k]`` of seen features."""
        return self.norm(self.mu(self.drop(self.encoder(seen))))

    def logits(self, features: Tensor) -> Tensor:
        """Inference: stored features ``[n, T, F_raw]`` → ``[n, k]``."""
        return self.code(self.see(features))


def neighbour_graph(features: Floats, k: int, *, power: float = 3.0) -> Floats:
    """Symmetric k-NN graph of rows ``[n, F]``: mean of both directions of max(cosine, 0) ** power."""
    x = unit_length(features)
    similarity = x @ x.T
    np.fill_diagonal(similarity, -1)
    n = len(x)
    nearest = np.argpartition(-similarity, k, axis=1)[:, :k]
    graph = np.zeros((n, n), np.float32)
    rows = np.arange(n)[:, None]
    graph[rows, nearest] = np.maximum(similarity[rows, nearest], 0) ** power
    return (graph + graph.T) / 2


def diffuse(graph: Floats, *, restart: float) -> Floats:
    """Random-walk affinity (1 − αS)⁻¹ of a graph, S = D^−½ A D^−½, α = 1 − restart: ``[n, n]``.

    A dense inverse: fine to some 10,000 videos.
    """
    degree = np.sqrt(graph.sum(axis=1) + 1e-9)
    walk = graph / (degree[:, None] * degree[None])
    return np.linalg.inv(np.eye(len(graph), dtype=np.float32) - np.float32(1 - restart) * walk)


def positives(affinity: Floats, count: int) -> Floats:
    """1 where one video is among the ``count`` strongest of the other, else 0; the diagonal is 0."""
    a = affinity.copy()
    np.fill_diagonal(a, -np.inf)
    out = np.zeros_like(a)
    out[np.arange(len(a))[:, None], np.argpartition(-a, count, axis=1)[:, :count]] = 1
    return np.maximum(out, out.T)
