"""A video encoder with a learned code in one network: frames → EfficientNet-Lite0 → code.

The backbone is the fused model's (same pictures, same weighting of the places); behind it stands the
inference part of `training.neighbour.NeighbourHash`, of `training.uvvh.UVVH`, or of any method of
`training.methods`. Everything from uint8 frames to packed code is in ``forward``, so that the exported graph
needs no pre- or post-processing.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import checkpoint
from .efficientnet_lite import FEATURES, EfficientNetLite0, load_imagenet
from .fused import focus_weights
from .methods.base import Head
from .methods.registry import HeadConfig
from .neighbour import NeighbourConfig, NeighbourHash
from .uvvh import UVVH, UVVHConfig

Network = NeighbourConfig | UVVHConfig | HeadConfig
Encoder = NeighbourHash | UVVH | Head
LEARNED = ("centre", "basis", "scale", "encoder.", "mu.", "norm.")
"""Tensors of an encoder that a code needs; decoder, projection and log σ are training's alone."""


@dataclass(frozen=True)
class SemanticConfig:
    """Shape of a semantic model; goes into the checkpoint.

    Attributes:
        name, version: of the model, as in its specification.
        family: which encoder: ``neighbour-uvvh``, ``uvvh``, or a method of the registry.
        network: its configuration.
        size: height and width of a frame, in pixels; a multiple of 32.
        frames: T, frames sampled uniformly from a video.
        focus: of the places of the feature map, see `training.fused.FusedConfig`.
    """

    name: str
    version: int
    family: str
    network: Network
    size: int = 192
    frames: int = 25
    focus: float | None = 0.25


class SemanticModel(nn.Module):
    """uint8 frames ``[batch, 1, T, H, W, 3]`` → (code uint8, logits, embedding)."""

    def __init__(
        self,
        config: SemanticConfig,
        encoder: Encoder | None = None,
        backbone: EfficientNetLite0 | None = None,
    ):
        super().__init__()
        self.config = config
        self.backbone = backbone or EfficientNetLite0()
        self.register_buffer("places", focus_weights(config.size // 32, config.focus))
        self.encoder = encoder or make_encoder(config)
        self.register_buffer("powers", 2.0 ** torch.arange(8), persistent=False)

    def frame_features(self, frames: Tensor) -> Tensor:
        """CNN feature of each frame, ``[batch, T, 1280]``."""
        batch, per_video = frames.shape[0], frames.shape[1] * frames.shape[2]
        x = frames.reshape(-1, *frames.shape[3:]).permute(0, 3, 1, 2)
        features = self.backbone((x.float() - 127) * (1 / 128)).flatten(2) @ self.places
        return features.reshape(batch, per_video, FEATURES)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(code ``uint8[batch, bits / 8]``, logits ``[batch, bits]``, embedding ``[batch, 1280]``)."""
        features = self.frame_features(frames)
        logits = self.encoder.logits(features)
        bits = (logits >= 0).float().reshape(-1, self.config.network.bits // 8, 8)
        return (bits @ self.powers).to(torch.uint8), logits, features.mean(1)


def make_encoder(config: SemanticConfig) -> Encoder:
    """The encoder that a configuration names, untrained."""
    if isinstance(config.network, HeadConfig):
        return config.network.head()
    if isinstance(config.network, UVVHConfig):
        return UVVH(config.network)
    return NeighbourHash(config.network)


def learned(encoder: nn.Module) -> dict[str, Tensor]:
    """The tensors of an encoder that decide a code, by name."""
    return {
        name: tensor
        for name, tensor in encoder.state_dict().items()
        if name.startswith(LEARNED) and not name.endswith("num_batches_tracked")
    }


def weights_digest(model: SemanticModel) -> str:
    """SHA-256 over the names and float32 bytes of the weights that decide a code, in order of names."""
    tensors = {f"encoder.{name}": tensor for name, tensor in learned(model.encoder).items()}
    tensors |= {f"backbone.{name}": tensor for name, tensor in model.backbone.state_dict().items()}
    digest = hashlib.sha256()
    for name, tensor in sorted((tensors | {"places": model.places}).items()):
        if tensor.is_floating_point():
            digest.update(name.encode() + tensor.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_model(model: SemanticModel, card: dict[str, Any], file: Path) -> None:
    """Write configuration, card and what was learned; the backbone, which is Google's own, stays outside."""
    about = {"config": asdict(model.config), "digest": weights_digest(model), "card": card}
    checkpoint.save(file, learned(model.encoder), {"semantic_model": about})


def load_model(
    file: Path, *, backbone: EfficientNetLite0 | None = None
) -> tuple[SemanticModel, dict[str, Any]]:
    """Read what `save_model` wrote: the model in evaluation mode, and its card.

    Args:
        file: the checkpoint.
        backbone: None = Google's ImageNet weights.

    Raises:
        ValueError: not such a checkpoint, or together with the backbone not the weights that were saved.
    """
    tensors, stored = checkpoint.load(file)
    about = stored.get("semantic_model")
    if about is None:
        raise ValueError(f"{file} is no semantic model; training/train_semantic.py makes them")
    settings = dict(about["config"])
    network = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.pop("network").items()}
    kinds = {"uvvh": UVVHConfig, "neighbour-uvvh": NeighbourConfig}
    family = settings["family"]
    described = kinds[family](**network) if family in kinds else HeadConfig.of(network)
    model = SemanticModel(SemanticConfig(network=described, **settings), None, backbone or load_imagenet())
    model.encoder.load_state_dict(tensors, strict=False)
    if (digest := weights_digest(model)) != about["digest"]:
        raise ValueError(f"{file} was saved with weights {about['digest'][:12]}, but gives {digest[:12]}")
    return model.eval(), about["card"]
