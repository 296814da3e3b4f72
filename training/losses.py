"""Losses of the hashing networks: variational, reconstruction, quantisation, neighbours, bit statistics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return torch.where(z >= 0, 1.0, -1.0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return gradient * (z.abs() <= 1)


def sign_straight_through(z: Tensor) -> Tensor:
    """sign(z) with sign(0) = +1; its gradient is that of the identity where abs(z) ≤ 1, else 0.

    >>> z = torch.tensor([-2.0, 0.0, 0.5], requires_grad=True)
    >>> h = sign_straight_through(z); h.sum().backward(); h.tolist(), z.grad.tolist()
    ([-1.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    """
    return _Sign.apply(z)


def kl_divergence(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)), summed over bits, mean over the rest (eq. 14).

    Eq. 7 prints it with a minus, which would maximise it.
    """
    return -0.5 * (1 + 2 * log_sigma - mu.square() - (2 * log_sigma).exp()).sum(dim=-1).mean()


def reconstruction(v: Tensor, target: Tensor) -> Tensor:
    """Squared error summed over the feature, mean over frames and videos (eq. 15)."""
    return (v - target).square().sum(dim=-1).mean()


def quantisation(z: Tensor, h: Tensor) -> Tensor:
    """‖h − z‖₂, mean over videos (the paper's UVVH-q)."""
    return (h.detach() - z).norm(dim=-1).mean()


def neighbour_contrast(z: Tensor, positives: Tensor, *, temperature: float) -> Tensor:
    """InfoNCE with many positives: −log of the softmax mass that each item's neighbours receive.

    Neighbours are never counted as negatives, which plain two-view contrast does and which makes it
    sink with training on few classes (its "negatives" are of the same class).

    Args:
        z: relaxed codes ``[n, k]``, any scale.
        positives: weights ``[n, n]``, 0 = not a neighbour; the diagonal is ignored.
        temperature: of the cosine.
    """
    eye = torch.eye(len(z), dtype=torch.bool, device=z.device)
    unit = functional.normalize(z, dim=1)
    log_mass = (unit @ unit.T / temperature).masked_fill(eye, float("-inf")).log_softmax(dim=1)
    weight = positives.masked_fill(eye, 0)
    has = weight.sum(dim=1) > 0
    if not bool(has.any()):
        return z.sum() * 0
    weight = weight[has] / weight[has].sum(dim=1, keepdim=True)
    return -(weight * log_mass[has].masked_fill(eye[has], 0)).sum(dim=1).mean()


def bit_balance(z: Tensor) -> Tensor:
    """How far each bit is from being on for half of the batch: mean over bits of (mean tanh z)²."""
    return z.tanh().mean(dim=0).square().mean()


def bit_decorrelation(z: Tensor) -> Tensor:
    """Mean squared correlation between different bits of the batch."""
    x = z.tanh()
    x = (x - x.mean(dim=0)) / x.std(dim=0).clamp_min(1e-3)
    correlation = x.T @ x / len(x)
    off = correlation - torch.diag(torch.diagonal(correlation))
    k = z.shape[1]
    return off.square().sum() / (k * max(k - 1, 1))
