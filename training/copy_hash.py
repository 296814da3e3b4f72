"""The copy model: a descriptor of each frame, their mean, and the signs of a learned projection of it.

The network (``copy_model``) was trained to find copies; the projection to bits was learned after it
(``train_copy_hash``), nested: the first 64 and the first 128 bits are codes of their own. A frame's own bits
are the signs of the same projection of its descriptor alone.

Everything from uint8 frames to packed code is in ``forward``, so that the exported graph needs no pre- or
post-processing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint
from .copy_model import WIDTH, CopyNetwork
from .efficientnet_lite import EfficientNetLite0


@dataclass(frozen=True)
class CopyConfig:
    """Shape of a copy model; goes into the checkpoint.

    Attributes:
        name, version: of the model, as in its specification.
        size: height and width of a frame, in pixels; a multiple of 32.
        frames: T, frames sampled uniformly from a video.
        bits: of a code.
    """

    name: str = "copy-256"
    version: int = 1
    size: int = 192
    frames: int = 25
    bits: int = 256


class CopyHash(nn.Module):
    """uint8 frames ``[batch, crops, T, H, W, 3]`` → (code uint8, logits, embedding, frame_logits)."""

    def __init__(self, config: CopyConfig, network: CopyNetwork | None = None) -> None:
        super().__init__()
        self.config = config
        self.network = network or CopyNetwork(EfficientNetLite0())
        self.project = nn.Linear(WIDTH, config.bits)
        self.register_buffer("powers", 2.0 ** torch.arange(8), persistent=False)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(code ``uint8[batch, bits / 8]``, logits ``[batch, bits]``, embedding ``[batch, 512]``,
        frame_logits ``[batch, T, bits]``).

        The embedding is the mean of unit vectors, one of each frame; the logits are a projection of it, and
        so the mean of ``frame_logits``.
        """
        batch, per_video = frames.shape[0], frames.shape[1] * frames.shape[2]
        features = self.network(frames.reshape(-1, *frames.shape[3:])).reshape(batch, per_video, WIDTH)
        embedding = features.mean(1)
        logits = self.project(embedding)
        bits = (logits >= 0).float().reshape(-1, self.config.bits // 8, 8)
        code = (bits @ self.powers).to(torch.uint8)
        # flattened: the exporter then shares one copy of the projection with the video's own
        framewise = self.project(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return code, logits, embedding, framewise


def prefix(model: CopyHash, name: str, bits: int) -> CopyHash:
    """The same model with the first ``bits`` only."""
    few = CopyHash(CopyConfig(**{**asdict(model.config), "name": name, "bits": bits}), model.network)
    with torch.no_grad():
        few.project.weight.copy_(model.project.weight[:bits])
        few.project.bias.copy_(model.project.bias[:bits])
    return few.eval()


def save_model(model: CopyHash, card: dict[str, object], file: Path) -> None:
    """Write configuration, card and weights (fp16, as the exported files store them)."""
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    checkpoint.save(file, weights, {"copy_model": asdict(model.config), "card": card})


def load_model(file: Path) -> tuple[CopyHash, dict[str, object]]:
    """Read what ``save_model`` wrote: the model in evaluation mode, and its card."""
    weights, config = checkpoint.load(file)
    model = CopyHash(CopyConfig(**config["copy_model"]))
    model.load_state_dict(weights)
    return model.eval(), config["card"]
