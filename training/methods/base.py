"""What the methods of the registry share: shapes, schedules, and the head that a checkpoint holds.

A method makes two modules. The **encoder** turns frame features, as the network sees them ``[n, T, F]``,
into logits ``[n, k]`` and is all that a code needs. The **teacher** has the rest: decoders, losses, what is
known of the training videos. It is either stepped (``teacher(encoder, batch)`` is a loss) or solves at once
(``teacher.solve(encoder, seen, labels, seed)``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..config import option
from ..losses import sign_straight_through

Optimiser = Literal["adam", "adamw", "sgd"]
Decay = Literal["none", "step", "cosine"]


@dataclass(frozen=True)
class Shape:
    """What a method is built for; goes into the checkpoint.

    Attributes:
        raw_features: width of a stored frame feature.
        features: F, width that the network sees; smaller where a PCA comes first.
        bits: k, length of the code.
        frames: T.
        classes: of the training labels, for supervised methods.
    """

    raw_features: int
    features: int
    bits: int
    frames: int
    classes: int = 0


@dataclass(frozen=True)
class Schedule:
    """How a stepped method is trained; each method's options start from here."""

    epochs: int = option(100, "passes over the training videos")
    batch: int = option(256, "videos per step; 0 = all of them")
    lr: float = option(1e-3, "learning rate")
    weight_decay: float = option(0.0, "L2 term of adam and sgd, decoupled decay of adamw")
    optimiser: Optimiser = option("adam", "which; sgd has momentum 0.9")  # noqa: RUF009
    decay: Decay = option("none", "of the learning rate")  # noqa: RUF009
    decay_every: int = option(20, "epochs between two steps")
    decay_rate: float = option(0.9, "factor of a step")
    lr_min: float = option(1e-5, "lowest learning rate of step and cosine")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch.

        >>> Schedule(lr=1.0, decay="step", decay_every=2, decay_rate=0.5).rate(5)
        0.25
        """
        if self.decay == "step":
            return max(self.lr_min, self.lr * self.decay_rate ** (epoch // self.decay_every))
        if self.decay == "cosine":
            turn = torch.tensor(torch.pi * epoch / max(1, self.epochs)).cos().item()
            return self.lr_min + (self.lr - self.lr_min) * (1 + turn) / 2
        return self.lr


@dataclass(frozen=True)
class Batch:
    """One step's videos: seen features ``[m, T, F]``, their rows, labels ``[m, classes]`` 0/1, the epoch."""

    v: Tensor
    rows: Tensor
    labels: Tensor
    epoch: int


@dataclass(frozen=True)
class Method:
    """A row of the registry.

    Attributes:
        about: the file's docstring; its first sentence names the method and its paper.
        ours: what the paper leaves open and we decided.
        missing: what of the paper is not here; empty = nothing.
        supervised: whether it reads labels.
        options: dataclass of its options, the paper's where known.
        make: (encoder, teacher) of a shape and options.
        narrow: options of the grid on 2 CPU cores, where the paper's take hours.
    """

    about: str
    ours: str
    missing: str
    supervised: bool
    options: type[Schedule]
    make: Callable[[Shape, Any], tuple[nn.Module, nn.Module]]
    narrow: Mapping[str, Any]

    @property
    def title(self) -> str:
        """As papers print it."""
        return self.about.partition(":")[0]

    @property
    def paper(self) -> str:
        """Authors, title, venue, year."""
        return " ".join(self.about.partition(":")[2].partition(".\n\n")[0].replace("*", "").split())


class Head(nn.Module):
    """Stored frame features ``[n, T, F_raw]`` → logits ``[n, k]``; the bit is logit ≥ 0."""

    def __init__(self, shape: Shape, encoder: nn.Module):
        super().__init__()
        self.shape = shape
        self.encoder = encoder
        self.register_buffer("scale", torch.ones(()))
        if shape.features != shape.raw_features:
            self.register_buffer("centre", torch.zeros(shape.raw_features))
            self.register_buffer("basis", torch.zeros(shape.raw_features, shape.features))

    def set_input(self, scale: float, centre: Tensor | None, basis: Tensor | None) -> None:
        """Fix how stored features become the network's input: (v − centre) · basis · scale."""
        self.scale.fill_(scale)
        if centre is not None and basis is not None:
            self.centre.copy_(centre)
            self.basis.copy_(basis)

    def see(self, features: Tensor) -> Tensor:
        """Stored features as the network sees them, float32 ``[n, T, F]``."""
        v = features.float()
        if self.shape.features != self.shape.raw_features:
            v = (v - self.centre) @ self.basis
        return v * self.scale

    def logits(self, features: Tensor) -> Tensor:
        """Inference: stored features → ``[n, k]``."""
        return self.encoder(self.see(features))

    def parameter_count(self) -> int:
        """Learned parameters that a code needs."""
        return sum(p.numel() for p in self.encoder.parameters())


def sign(z: Tensor, training: bool) -> Tensor:
    """±1, sign(0) = +1; straight through in training, a plain choice in an exported graph."""
    return sign_straight_through(z) if training else torch.where(z >= 0, 1.0, -1.0)


def same_class(labels: Tensor) -> Tensor:
    """1 where two videos share a label, else 0: ``[m, m]``."""
    return (labels @ labels.T > 0).float()


def mlp(widths: tuple[int, ...], *, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()] + ([nn.Dropout(dropout)] if dropout else [])
    return nn.Sequential(*layers[: -2 if dropout else -1])


class Pooled(nn.Module):
    """A network on the mean over frames."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, v: Tensor) -> Tensor:
        """Logits."""
        return self.layers(v.mean(dim=1))
