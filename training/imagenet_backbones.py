"""VGG-16 (fc7) and ResNet-50 as frame features, from torchvision-format weights that the user supplies.

The papers' features: 4096-d after the second fully connected layer's ReLU of VGG-16, 2048-d
after the global average pool of ResNet-50. Input as torchvision's: RGB / 255, ImageNet mean and
standard deviation, 224 × 224. Weights are read with ``weights_only=True`` or from safetensors.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


class VGG16fc7(nn.Module):
    """float32 ``[n, 3, 224, 224]`` in 0 to 255 → ``[n, 4096]``; names as in torchvision's ``vgg16``."""

    width = 4096

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for item in VGG16:
            if isinstance(item, str):
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
                channels = item
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of frames."""
        return self.classifier(self.features(_normalised(x)).flatten(1))


class Bottleneck(nn.Module):
    """1×1, 3×3 (stride here, as in torchvision), 1×1 and the shortcut."""

    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
            if stride != 1 or before != 4 * width
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class ResNet50(nn.Module):
    """float32 ``[n, 3, 224, 224]`` in 0 to 255 → ``[n, 2048]``; names as in torchvision's ``resnet50``."""

    width = 2048

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for i, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
            stage = []
            for b in range(blocks):
                stage.append(Bottleneck(before, width, 2 if b == 0 and i > 1 else 1))
                before = 4 * width
            self.add_module(f"layer{i}", nn.Sequential(*stage))

    def forward(self, x: Tensor) -> Tensor:
        """Features of frames."""
        x = self.maxpool(self.bn1(self.conv1(_normalised(x))).relu())
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return x.mean(dim=(2, 3))


KINDS = {"vgg16": VGG16fc7, "resnet50": ResNet50}


def load(kind: str, weights: Path) -> nn.Module:
    """A backbone with the user's weights, in evaluation mode.

    Raises:
        ValueError: unknown kind, or the file's keys or shapes are not torchvision's; the message names some.
    """
    if kind not in KINDS:
        raise ValueError(f"backbone {kind!r}; allowed: {', '.join(KINDS)}")
    if weights.suffix == ".safetensors":
        from safetensors.torch import load_file

        found = load_file(weights)
    else:
        found = torch.load(weights, map_location="cpu", weights_only=True)
    model = KINDS[kind]()
    wanted = {k: v.shape for k, v in model.state_dict().items()}
    # the classifier behind the feature is not ours to check
    extra = [k for k in found if k not in wanted and not k.startswith(("fc.", "classifier.6."))]
    missing = [k for k in wanted if k not in found and not k.endswith("num_batches_tracked")]
    wrong = [k for k in wanted if k in found and found[k].shape != wanted[k]]
    if extra or missing or wrong:
        raise ValueError(
            f"{weights} is no torchvision {kind}: missing {missing[:3]}, "
            f"unknown {extra[:3]}, other shape {wrong[:3]}"
        )
    model.load_state_dict({k: v for k, v in found.items() if k in wanted}, strict=False)
    return model.eval()


def _normalised(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x / 255 - mean) / std
