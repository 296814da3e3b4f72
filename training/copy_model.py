"""The copy descriptor: one picture becomes a unit vector that survives what people do to copies.

EfficientNet-Lite0, generalised mean pooling (Radenović et al. 2018, eq. 2) and one linear layer, as in SSCD
(Pizzi et al. 2022, section 4) but small enough for a laptop.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .efficientnet_lite import FEATURES, EfficientNetLite0

WIDTH = 512
"""Of a descriptor, as the teacher's."""
EXPONENT = 3
"""Of the pooling, as SSCD's; a whole number, for powers with others take longer than many a convolution."""


class CopyNetwork(nn.Module):
    """Pictures ``uint8[n, H, W, 3]`` or float in 0 to 255 → unit vectors ``[n, 512]``.

    H and W must be multiples of 32.

    Args:
        backbone: usually with ImageNet weights.
    """

    def __init__(self, backbone: EfficientNetLite0) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Linear(FEATURES, WIDTH)

    def forward(self, pictures: Tensor) -> Tensor:
        """Descriptors of unit length."""
        x = (pictures.permute(0, 3, 1, 2).float() - 127) / 128
        maps = self.backbone(x.contiguous(memory_format=torch.channels_last))
        # sums where a clamp would do: the quantiser takes every clip for the end of a convolution
        pooled = ((maps * maps * maps).mean((2, 3)) + 1e-12).pow(1 / EXPONENT)
        out = self.project(pooled)
        return out * (out.square().sum(1, keepdim=True) + 1e-12).rsqrt()


def distillation(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean distance on the sphere from what the teacher says of the unedited picture: 1 − cosine."""
    return 1 - (found * wanted).sum(1).mean()


def contrast(found: Tensor, rows: Tensor, bank: Tensor, sources: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the own picture among others that the teacher has described (InfoNCE).

    What shares a source (pictures of one video, or mixed of one) counts neither for nor against; nor do
    pictures that the teacher takes for copies.

    Args:
        found: descriptors ``[n, 512]``.
        rows: of their pictures in the bank, ``int64[n]``.
        bank: the teacher's descriptors of pictures, ``[N, 512]``.
        sources: the two videos or pictures that a row of the bank was made of, ``int64[N, 2]``.
        temperature: of the softmax.
    """
    logits = found @ bank.T / temperature
    own = sources[rows]
    left_out = (own[:, None, :, None] == sources[None, :, None, :]).any((2, 3)) | (bank[rows] @ bank.T > 0.6)
    left_out[torch.arange(len(rows)), rows] = False
    return functional.cross_entropy(logits.masked_fill(left_out, -torch.inf), rows)


def spread(found: Tensor, sources: Tensor) -> Tensor:
    """Differential entropy: minus the mean logarithm of the distance to the nearest other (KoLeo).

    Sablayrolles et al. 2019, eq. 3; it pushes strangers apart, so that one threshold holds everywhere.
    ``sources`` as for ``contrast``: what shares one is no stranger.
    """
    shared = (sources[:, None, :, None] == sources[None, :, None, :]).any((2, 3))
    likeness = (found @ found.T).masked_fill(shared, -1)
    return -(2 - 2 * likeness.amax(1)).clamp(min=1e-6).sqrt().log().mean()
