"""R(2+1)D-18 and -34 (Tran et al., CVPR 2018), and the published checkpoints of it.

Two layouts of the channels between a convolution's spatial and temporal half are in the wild
(shared notes A1): IG65M's weights, converted from Caffe2, give each convolution
``in·out·27 // (9·in + 3·out)`` of its own; torchvision computes that number once a block. They
differ in the second convolution of the first block of layers 2 to 4. Checkpoints of both load:
the layout is read from the shapes. IG65M needs batch norm eps 1e-3, torchvision 1e-5.

Published weights, to be downloaded by whoever uses them (neither is needed to run vhash):

- ``r2plus1d_34_clip32_ig65m_from_scratch-*.pth`` (359 classes), ``r2plus1d_34_clip8_*`` (487) and the
  Kinetics-tuned ones (400): releases of github.com/moabitcoin/ig65m-pytorch;
- torchvision's ``r2plus1d_18-91a641e6.pth`` (Kinetics-400).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

Layout = Literal["ig65m", "torchvision"]
BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks of layers 1 to 4 by depth; nobody published weights for 10, which is for trying things out."""
EPS = {"ig65m": 1e-3, "torchvision": 1e-5}
PARAMETERS = {  # (depth, layout, classes): as published; asserted in the tests
    (34, "ig65m", 359): 63_676_142,
    (34, "ig65m", 487): 63_741_806,
    (34, "ig65m", 400): 63_697_175,
    (18, "ig65m", 400): 33_370_839,
    (18, "torchvision", 400): 31_505_325,
}


def mid_planes(before: int, after: int) -> int:
    """Channels between the halves: as many parameters as one 3×3×3 convolution would have.

    >>> mid_planes(64, 64), mid_planes(64, 128), mid_planes(128, 128)
    (144, 230, 288)
    """
    return before * after * 27 // (9 * before + 3 * after)


def factored(before: int, mid: int, after: int, stride: int, eps: float) -> nn.Sequential:
    """1×3×3 convolution, batch norm, ReLU, 3×1×1 convolution."""
    return nn.Sequential(
        nn.Conv3d(before, mid, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(mid, eps=eps),
        nn.ReLU(inplace=True),
        nn.Conv3d(mid, after, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


class Block(nn.Module):
    """Two factored convolutions and the shortcut."""

    def __init__(self, before: int, after: int, stride: int, layout: Layout):
        super().__init__()
        eps = EPS[layout]
        first = mid_planes(before, after)
        second = first if layout == "torchvision" else mid_planes(after, after)
        self.conv1 = nn.Sequential(
            factored(before, first, after, stride, eps), nn.BatchNorm3d(after, eps=eps), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(factored(after, second, after, 1, eps), nn.BatchNorm3d(after, eps=eps))
        self.downsample = (
            nn.Sequential(
                nn.Conv3d(before, after, 1, stride, bias=False), nn.BatchNorm3d(after, eps=eps)
            )
            if stride != 1 or before != after
            else None
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``[n, before, T, H, W]`` → ``[n, after, T / stride, H / stride, W / stride]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return (self.conv2(self.conv1(x)) + shortcut).relu()


class R2Plus1D(nn.Module):
    """A `ClipBackbone`: ``[n, 3, T, H, W]`` → ``[n, 512, ⌈T / 8⌉, ⌈H / 16⌉, ⌈W / 16⌉]``.

    Args:
        depth: 10, 18 or 34.
        layout: of the mid planes.
        classes: width of ``fc``; 0 = none.

    >>> sum(p.numel() for p in R2Plus1D(34).parameters())
    63491975
    """

    width = 512
    mean = (0.43216, 0.394666, 0.37645)
    std = (0.22803, 0.22145, 0.216989)

    def __init__(self, depth: int = 34, *, layout: Layout = "ig65m", classes: int = 0):
        super().__init__()
        if depth not in BLOCKS or layout not in EPS:
            raise ValueError(f"depth {depth}, layout {layout!r}; allowed: 10, 18, 34; ig65m, torchvision")
        self.depth, self.layout = depth, layout
        eps = EPS[layout]
        self.stem = nn.Sequential(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45, eps=eps), nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(64, eps=eps), nn.ReLU(inplace=True),
        )  # fmt: skip
        before = 64
        for stage, blocks in enumerate(BLOCKS[depth]):
            after, stride = 64 << stage, 1 if stage == 0 else 2
            layer = [Block(after if i else before, after, 1 if i else stride, layout) for i in range(blocks)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layer))
            before = after
        self.fc = nn.Linear(self.width, classes) if classes else None
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def tokens(self, frames: int) -> int:
        """⌈T / 8⌉."""
        return -(-frames // 8)

    def forward(self, x: Tensor) -> Tensor:
        """The feature map of layer 4."""
        x = self.stem(x)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of a feature map."""
        if self.fc is None:
            raise ValueError("this network was made without classes")
        return self.fc(features.mean(dim=(2, 3, 4)))


def load_weights(file: Path, *, depth: int = 34) -> R2Plus1D:
    """Read a published checkpoint, without its classifier; in evaluation mode.

    Args:
        file: ``.pth`` (read with ``weights_only``: no code in it can run) or ``.safetensors``.
        depth: 18 or 34.

    Raises:
        ValueError: the weights are of another network; the message names what does not fit.
    """
    return from_state(read_state(file), depth=depth, source=str(file))


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file; a ``state_dict`` inside and a ``module.`` prefix are unwrapped."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"{file}: expected a dictionary of tensors, as torch.save(state_dict) writes")
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def from_state(state: dict[str, Tensor], *, depth: int, source: str) -> R2Plus1D:
    """The network of a state dictionary; layout and eps follow from the shapes."""
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    second = state.get("layer2.0.conv2.0.0.weight")
    if second is None:
        raise ValueError(
            f"{source}: has no layer2.0.conv2.0.0.weight, so it is no R(2+1)D; keys: {sorted(state)[:3]} …"
        )
    layout: Layout = "torchvision" if second.shape[0] == mid_planes(64, 128) else "ig65m"
    model = R2Plus1D(depth, layout=layout)
    wanted = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    kept = {k: v for k, v in state.items() if not k.startswith("fc.")}
    unknown, missing = sorted(kept.keys() - wanted.keys()), sorted(wanted.keys() - kept.keys())
    if unknown or missing:
        layers = {m[1] for k in kept if (m := re.match(r"(layer\d\.\d+)\.", k))}
        raise ValueError(
            f"{source}: not R(2+1)D-{depth} ({len(layers)} blocks, expected {sum(BLOCKS[depth])}); "
            f"missing {missing[:2]}, unknown {unknown[:2]}"
        )
    for name, tensor in wanted.items():
        if kept[name].shape != tensor.shape:
            raise ValueError(
                f"{source}: {name} is {list(kept[name].shape)}, expected {list(tensor.shape)} "
                f"(R(2+1)D-{depth}, {layout} layout)"
            )
    model.load_state_dict(kept, strict=False)
    return model.eval()
