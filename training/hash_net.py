"""The supervised hash network (El Abyad et al., sections 4.3, 4.4 and Algorithm 1).

width → 2048 → 1024 → 512 → 256 → bits → classes. The first four layers are Linear → ReLU →
batch norm (the algorithm's "set X to O" is a slip for B); the hash layer is Linear → tanh, and
the classifier reads it. A deployed bit is ``z >= 0`` with z before the tanh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Dropout = Literal["input", "per_layer"]


@dataclass(frozen=True)
class HashConfig:
    """Shape of the network; goes into checkpoints.

    Attributes:
        width: of the feature.
        bits: length of the code.
        classes: it is trained to tell apart.
        layers: hidden widths.
        dropout: ``input``: once, on the feature (section 4.3); ``per_layer``: before each of the hidden
            layers (Algorithm 1's reading, which keeps 0.2⁴ of the signal).
        rate: of the dropout.
    """

    width: int
    bits: int
    classes: int
    layers: tuple[int, ...] = (2048, 1024, 512, 256)
    dropout: Dropout = "input"
    rate: float = 0.8


class HashNetwork(nn.Module):
    """Features ``[n, width]`` → class scores ``[n, classes]`` (``forward``) or bits' logits (``logits``).

    >>> import torch
    >>> net = HashNetwork(HashConfig(512, 64, 101))
    >>> sum(p.numel() for p in net.parameters()), net.eval().logits(torch.zeros(2, 512)).shape
    (3835621, torch.Size([2, 64]))
    """

    def __init__(self, config: HashConfig):
        super().__init__()
        self.config = config
        before, parts = config.width, []
        for i, after in enumerate(config.layers):
            if i == 0 or config.dropout == "per_layer":
                parts.append(nn.Dropout(config.rate))
            parts += [nn.Linear(before, after), nn.ReLU(), nn.BatchNorm1d(after)]
            before = after
        self.hidden = nn.Sequential(*parts)
        self.hash = nn.Linear(before, config.bits)
        self.classifier = nn.Linear(config.bits, config.classes)

    def logits(self, x: Tensor) -> Tensor:
        """z ``[n, bits]``, before the tanh."""
        return self.hash(self.hidden(x))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, from the tanh of z."""
        return self.classifier(self.logits(x).tanh())
