"""BERT temporal pooling (El Abyad et al., section 4.2; ``BERT5`` of Kalfaoglu et al., ECCVW 2020).

A class token before the clip's tokens, learned positions, one transformer block that normalises
first; the class token's output is the clip's feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["layer", "unbiased"]


@dataclass(frozen=True)
class BertConfig:
    """Shape of the pooling; goes into checkpoints.

    Attributes:
        width: of a token, a multiple of ``heads``.
        tokens: of a clip, without the class token.
        heads: of the attention.
        norm: ``layer`` (PyTorch's), or ``unbiased``: divides by (unbiased standard deviation + 1e-6) as
            the authors' code does, so that their checkpoints load.
        dropout: after embedding, attention and both halves.
        keep: probability that a token may be attended to, in training; the class token always is.
    """

    width: int = 512
    tokens: int = 4
    heads: int = 8
    norm: Norm = "layer"
    dropout: float = 0.1
    keep: float = 0.8


class UnbiasedNorm(nn.Module):
    """γ·(x − mean) / (unbiased standard deviation + 1e-6) + β."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """``[..., width]`` → the same shape."""
        centred = x - x.mean(-1, keepdim=True)
        # by hand: ONNX has no unbiased standard deviation
        deviation = (centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
        return self.weight * centred / (deviation + 1e-6) + self.bias


class Attention(nn.Module):
    """Multi-head self-attention with an optional mask of keys."""

    def __init__(self, config: BertConfig):
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width {config.width} is no multiple of {config.heads} heads")
        self.heads, self.dropout = config.heads, config.dropout
        self.query, self.key, self.value, self.output = (
            nn.Linear(config.width, config.width) for _ in range(4)
        )

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """``[n, T, width]``; ``keys``: bool ``[n, T]``, False = not attended to."""
        n, t, width = x.shape
        q, k, v = (
            f(x).reshape(n, t, self.heads, width // self.heads).transpose(1, 2)
            for f in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) * (width // self.heads) ** -0.5
        if keys is not None:
            scores = scores.masked_fill(~keys[:, None, None], -1e9)
        weights = functional.dropout(scores.softmax(-1), self.dropout, self.training)
        return self.output((weights @ v).transpose(1, 2).reshape(n, t, width))


class BertPooling(nn.Module):
    """Tokens ``[n, T, width]`` → feature ``[n, width]``.

    >>> pool = BertPooling(BertConfig())
    >>> sum(p.numel() for p in pool.parameters()), pool(torch.zeros(2, 4, 512)).shape
    (3155456, torch.Size([2, 512]))
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        width = config.width
        norm = nn.LayerNorm if config.norm == "layer" else UnbiasedNorm
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, config.tokens + 1, width) * 0.02)
        self.norm1, self.norm2 = norm(width), norm(width)
        self.attention = Attention(config)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Dropout(config.dropout),
            nn.Linear(4 * width, width),
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """The class token's output."""
        n, t, _ = tokens.shape
        if t != self.config.tokens:
            raise ValueError(f"{t} tokens, made for {self.config.tokens}")
        x = torch.cat([self.class_token.expand(n, -1, -1), tokens], 1) + self.position
        x = self.dropout(x)
        keys = None
        if self.training and self.config.keep < 1:
            keys = torch.rand(n, t + 1, device=x.device) < self.config.keep
            keys[:, 0] = True
        x = x + self.dropout(self.attention(self.norm1(x), keys))
        x = x + self.dropout(self.feed_forward(self.norm2(x)))
        return self.dropout(x)[:, 0]


class MeanPooling(nn.Module):
    """The paper's baseline: the tokens' mean ``[n, width]``."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``[n, T, width]`` → ``[n, width]``."""
        return tokens.mean(1)
