"""Frames as tokens: attention and state-space blocks, a code for each frame, and the masked autoencoder
over them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Shape, sign

Mixer = Callable[[int], nn.Module]


class Attention(nn.Module):
    """Pre-norm block of attention and a perceptron of 4 times the width."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.each = heads, width // heads
        inner = heads * self.each  # 6 heads of 256 are 42 wide: 252
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * inner), nn.Linear(inner, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Mix over time, then within each token."""
        n, steps, _ = x.shape
        parts = self.qkv(self.norm1(x)).reshape(n, steps, 3, self.heads, self.each).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        x = x + self.out(mixed.transpose(1, 2).reshape(n, steps, -1))
        return x + self.mlp(self.norm2(x))


class Selective(nn.Module):
    """A selective state-space layer (Gu & Dao, *Mamba*, 2023), its scan written out over the frames."""

    def __init__(self, width: int, *, state: int = 16, kernel: int = 4):
        super().__init__()
        self.inner, self.state, self.rank = 2 * width, state, -(-width // 16)
        self.inputs = nn.Linear(width, 2 * self.inner, bias=False)
        self.conv = nn.Conv1d(self.inner, self.inner, kernel, groups=self.inner, padding=kernel - 1)
        self.choose = nn.Linear(self.inner, self.rank + 2 * state, bias=False)
        self.step = nn.Linear(self.rank, self.inner)
        self.log_decay = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(self.inner, 1))
        self.skip = nn.Parameter(torch.ones(self.inner))
        self.out = nn.Linear(self.inner, width, bias=False)
        with torch.no_grad():  # steps between .001 and .1 at the start
            steps = torch.exp(torch.rand(self.inner) * 4.605 - 6.908)
            self.step.bias.copy_(steps + (-torch.expm1(-steps)).log())

    def forward(self, x: Tensor) -> Tensor:
        """Scan forth in time."""
        u, gate = self.inputs(x).chunk(2, dim=2)
        u = functional.silu(self.conv(u.mT)[..., : x.shape[1]].mT)
        rank, b, c = self.choose(u).split([self.rank, self.state, self.state], dim=2)
        dt = functional.softplus(self.step(rank))
        decay = torch.exp(dt[..., None] * -self.log_decay.exp())
        given = (dt * u)[..., None] * b[:, :, None]
        h = torch.zeros_like(given[:, 0])
        out = []
        for t in range(x.shape[1]):
            h = decay[:, t] * h + given[:, t]
            out.append((h * c[:, t, None]).sum(dim=2))
        y = torch.stack(out, dim=1) + self.skip * u
        return self.out(y * functional.silu(gate))


class Bidirectional(nn.Module):
    """x + S(norm x) + S(norm x in reverse) in reverse, one layer S for both ways."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.scan = Selective(width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over time, both ways."""
        return x + self.scan(self.norm1(x)) + self.scan(self.norm2(x.flip(1))).flip(1)


def positions(steps: int, width: int) -> Tensor:
    """Sine and cosine positions ``[steps, width]`` (Vaswani et al. 2017)."""
    angle = torch.arange(steps)[:, None] / 10000 ** (torch.arange(width) // 2 * 2 / width)
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())


class TokenHash(nn.Module):
    """A code for each frame; the video's is the sign of their mean."""

    def __init__(self, shape: Shape, width: int, depth: int, mixer: Mixer):
        super().__init__()
        self.embed = nn.Linear(shape.features, width)
        self.register_buffer("place", positions(shape.frames, width), persistent=False)
        self.blocks = nn.Sequential(*(mixer(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, width)
        self.hash = nn.Linear(width, shape.bits)
        self.bits_norm = nn.LayerNorm(shape.bits)
        self.apply(xavier)

    def frames(self, v: Tensor, kept: Tensor | None = None) -> Tensor:
        """Relaxed codes of the frames at ``kept`` ``[n, m]`` (all): ``[n, m, k]``."""
        x = self.embed(v) + self.place
        if kept is not None:
            x = x.gather(1, kept[..., None].expand(-1, -1, x.shape[2]))
        return self.bits_norm(self.hash(self.head(self.norm(self.blocks(x)))))

    def forward(self, v: Tensor) -> Tensor:
        """Logits: how many frames' bits are on, more than off."""
        return sign(self.frames(v), self.training).mean(dim=1)


class MaskedDecoder(nn.Module):
    """Hidden frames ``[n, m, F]`` from the codes of those that were seen."""

    def __init__(self, shape: Shape, width: int, depth: int, mixer: Mixer):
        super().__init__()
        self.embed = nn.Linear(shape.bits, width, bias=False)
        self.hidden = nn.Parameter(torch.empty(width).normal_(0, 0.02))
        self.register_buffer("place", positions(shape.frames, width), persistent=False)
        self.blocks = nn.Sequential(*(mixer(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.out = nn.Linear(width, shape.features)
        self.apply(xavier)

    def forward(self, b: Tensor, kept: Tensor, hidden: Tensor) -> Tensor:
        """Reconstruct the frames at ``hidden``."""
        x = torch.cat([self.embed(b) + self.place[kept], self.hidden + self.place[hidden]], dim=1)
        return self.out(self.norm(self.blocks(x)[:, b.shape[1] :]))


def masked(
    encoder: TokenHash, decoder: MaskedDecoder, v: Tensor, order: Tensor, kept: int
) -> tuple[Tensor, Tensor]:
    """(relaxed code ``[n, k]`` of the first ``kept`` frames of an order, squared error of the others)."""
    seen, hidden = order[:, :kept], order[:, kept:]
    b = sign(encoder.frames(v, seen), True)
    target = v.gather(1, hidden[..., None].expand(-1, -1, v.shape[2]))
    return b.mean(dim=1), functional.mse_loss(decoder(b, seen, hidden), target)


def orders(n: int, frames: int) -> Tensor:
    """A random order of the frames for each of n videos."""
    return torch.rand(n, frames).argsort(dim=1)


def debiased_contrast(one: Tensor, other: Tensor, *, temperature: float, prior: float) -> Tensor:
    """Two views of a video against those of the others (Chuang et al., NeurIPS 2020).

    ``prior`` is how probable it is that another video is of the same kind: that share of the positive's mass
    is taken from the negatives'.
    """
    n = len(one)
    z = functional.normalize(torch.cat([one, other]), dim=1)
    mass = (z @ z.T / temperature).exp()
    positive = mass.diagonal(n).repeat(2)
    same = torch.eye(n, dtype=torch.bool).repeat(2, 2)
    count = 2 * n - 2
    negative = (mass.masked_fill(same, 0).sum(dim=1) - prior * count * positive) / (1 - prior)
    negative = negative.clamp_min(count * torch.e ** (-1 / temperature))
    return (negative / positive).log1p().mean()


def xavier(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases of linear layers; the step of a state space keeps its bias."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None and not (module.bias < -2).any():
            nn.init.zeros_(module.bias)
