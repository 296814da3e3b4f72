"""I3D, RGB stream: Inception-v1 inflated to three dimensions (Carreira & Zisserman, CVPR 2017).

DeepMind's ImageNet + Kinetics-400 weights, in an ``.npz`` of PyTorch shapes. The network is
TensorFlow's: SAME padding (more of it behind than before where it is odd), batch norm eps 1e-3,
input in −1 to 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Triple = tuple[int, int, int]

BLOCKS = {  # name: channels before, and of b0, b1a, b1b, b2a, b2b, b3
    "m3b": (192, 64, 96, 128, 16, 32, 32),
    "m3c": (256, 128, 128, 192, 32, 96, 64),
    "m4b": (480, 192, 96, 208, 16, 48, 64),
    "m4c": (512, 160, 112, 224, 24, 64, 64),
    "m4d": (512, 128, 128, 256, 24, 64, 64),
    "m4e": (512, 112, 144, 288, 32, 64, 64),
    "m4f": (528, 256, 160, 320, 32, 128, 128),
    "m5b": (832, 256, 160, 320, 32, 128, 128),
    "m5c": (832, 384, 192, 384, 48, 128, 128),
}


def same_padding(sizes: tuple[int, ...], kernel: Triple, stride: Triple) -> list[int]:
    """TensorFlow's SAME padding for the last three axes, in the order of ``functional.pad``.

    >>> same_padding((64, 224, 224), (7, 7, 7), (2, 2, 2))
    [2, 3, 2, 3, 2, 3]
    """
    pads: list[int] = []
    for size, k, s in reversed(list(zip(sizes, kernel, stride, strict=True))):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return pads


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, before: int, after: int, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        # with stride 1 the padding is the same on both sides, whatever the size
        inside = (0, 0, 0) if stride != (1, 1, 1) else tuple(k // 2 for k in kernel)
        self.conv = nn.Conv3d(before, after, kernel, stride, inside, bias=False)
        self.bn = nn.BatchNorm3d(after, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, before, T, H, W]`` → ``[n, after, T', H', W']``."""
        if self.stride != (1, 1, 1):
            x = functional.pad(x, same_padding(tuple(x.shape[2:]), self.kernel, self.stride))
        return self.bn(self.conv(x)).relu()


def max_pool(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """SAME max pooling of what a ReLU gave (so that padding with zeros changes nothing)."""
    return functional.max_pool3d(
        functional.pad(x, same_padding(tuple(x.shape[2:]), kernel, stride)), kernel, stride
    )


class Mixed(nn.Module):
    """An Inception block of four branches."""

    def __init__(self, before: int, b0: int, b1a: int, b1b: int, b2a: int, b2b: int, b3: int):
        super().__init__()
        self.b0 = Unit(before, b0)
        self.b1a, self.b1b = Unit(before, b1a), Unit(b1a, b1b, (3, 3, 3))
        self.b2a, self.b2b = Unit(before, b2a), Unit(b2a, b2b, (3, 3, 3))
        self.b3 = Unit(before, b3)

    def forward(self, x: Tensor) -> Tensor:
        """All branches, concatenated over channels."""
        pooled = functional.max_pool3d(x, 3, 1, 1)
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3(pooled)], 1)


class I3D(nn.Module):
    """A `ClipBackbone`: ``[n, 3, T, H, W]`` → ``[n, 1024, ⌈T / 8⌉, ⌈H / 32⌉, ⌈W / 32⌉]``.

    >>> sum(p.numel() for p in I3D().parameters())
    12697264
    """

    width = 1024
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, classes: int = 400):
        super().__init__()
        self.c1a = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.c2b, self.c2c = Unit(64, 64), Unit(64, 192, (3, 3, 3))
        for name, channels in BLOCKS.items():
            self.add_module(name, Mixed(*channels))
        self.logits = nn.Module()
        self.logits.conv = nn.Conv3d(self.width, classes, 1)

    def tokens(self, frames: int) -> int:
        """⌈T / 8⌉."""
        return -(-frames // 8)

    def forward(self, x: Tensor) -> Tensor:
        """The feature map before the final pooling."""
        x = max_pool(self.c1a(x), (1, 3, 3), (1, 2, 2))
        x = max_pool(self.c2c(self.c2b(x)), (1, 3, 3), (1, 2, 2))
        for name in BLOCKS:
            if name == "m4b":
                x = max_pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "m5b":
                x = max_pool(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(name)(x)
        return x

    def classify(self, features: Tensor) -> Tensor:
        """Kinetics logits ``[n, classes]`` of a feature map: mean over places, two places in time at once."""
        x = features.mean(dim=(3, 4), keepdim=True)
        if x.shape[2] > 1:
            x = functional.avg_pool3d(x, (2, 1, 1), (1, 1, 1))
        return self.logits.conv(x).mean(dim=(2, 3, 4))


def load_weights(file: Path) -> I3D:
    """Read the ``.npz`` of DeepMind's weights; the model comes in evaluation mode, float32.

    Raises:
        ValueError: arrays are missing, unknown or of another shape.
    """
    with np.load(file, allow_pickle=False) as archive:
        found = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.files}
    model = I3D(found["logits.conv.weight"].shape[0] if "logits.conv.weight" in found else 400)
    wanted = {k: v.shape for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = sorted(wanted.keys() ^ found.keys()) or [k for k in wanted if wanted[k] != found[k].shape]
    if wrong:
        raise ValueError(f"{file}: not I3D's {len(wanted)} arrays; missing, unknown or odd: {wrong[:4]}")
    model.load_state_dict(found, strict=False)
    return model.eval()
