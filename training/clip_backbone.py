"""What a clip network must look like to be pooled, hashed and exported, and the ones there are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, get_args

from torch import Tensor, nn

BackboneName = Literal["i3d", "r2plus1d_34", "r2plus1d_18", "r2plus1d_10"]


class ClipBackbone(Protocol):
    """A network of clips; every implementation is an ``nn.Module``.

    Attributes:
        width: channels C of the feature map.
        mean, std: of RGB in 0 to 1; the network's input is (RGB / 255 − mean) / std.
    """

    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def tokens(self, frames: int) -> int:
        """T', places of the feature map along time for a clip of ``frames`` frames."""

    def __call__(self, x: Tensor) -> Tensor:
        """Normalised clips ``[n, 3, T, H, W]`` → feature map ``[n, C, T', H', W']``."""


def make_backbone(name: str, *, weights: Path | None = None) -> nn.Module:
    """A backbone by name, with random weights or those of a file.

    Args:
        name: ``i3d`` or ``r2plus1d_34`` / ``r2plus1d_18`` (IG65M's layout of mid planes; with weights
            of torchvision's layout, that one).
        weights: what `i3d.load_weights` or `r2plus1d.load_weights` reads.

    Raises:
        ValueError: no such backbone, or the file's weights are not of it.
    """
    from . import i3d, r2plus1d

    if name not in get_args(BackboneName):
        raise ValueError(f"backbone {name!r}; allowed: {', '.join(get_args(BackboneName))}")
    if name == "i3d":
        return i3d.I3D() if weights is None else i3d.load_weights(weights)
    depth = int(name.rsplit("_", 1)[1])
    return r2plus1d.R2Plus1D(depth) if weights is None else r2plus1d.load_weights(weights, depth=depth)
