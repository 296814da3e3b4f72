"""A clip model from uint8 frames to packed code: backbone → pooling → mean over crops → hash → sign → pack.

Everything is in ``forward``, so that the exported graph needs no pre- or post-processing.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from . import checkpoint
from .bert import BertConfig, BertPooling, MeanPooling
from .clip_backbone import make_backbone
from .hash_net import HashConfig, HashNetwork

Pooling = Literal["bert", "mean"]
Head = Literal["network", "affine"]


@dataclass(frozen=True)
class ClipConfig:
    """Shape of a clip model; goes into the checkpoint.

    Attributes:
        name, version: of the model, as in its specification.
        backbone: a name that ``make_backbone`` knows.
        layout: of R(2+1)D's mid planes: ``ig65m`` or ``torchvision``; ignored by I3D.
        sampling: ``middle`` (consecutive frames, the paper's) or ``uniform``.
        frames: T.
        height, width: that a frame is scaled to before the crop, in pixels.
        crop: side of the square centre crop (or of the ten crops); 0 = the whole scaled frame.
        filter: of the scaling, ``area`` or ``bilinear`` (the paper's).
        crops: 1 or 10.
        pooling: over the backbone's tokens.
        head: ``network`` (supervised, `HashNetwork`) or ``affine`` (length-normalised feature, one
            projection: ITQ, LSH, PCA-sign and what else ends in one matrix).
        bits: of the code.
        classes: of the classifier behind the hash layer, dropped at export.
        norm: of BERT, see `BertConfig`.
    """

    name: str
    version: int = 1
    backbone: str = "i3d"
    layout: str = "ig65m"
    sampling: str = "middle"
    frames: int = 32
    height: int = 128
    width: int = 170
    crop: int = 112
    filter: str = "bilinear"
    crops: int = 1
    pooling: Pooling = "bert"
    head: Head = "network"
    bits: int = 64
    classes: int = 0
    norm: str = "layer"


class AffineHead(nn.Module):
    """(x / ‖x‖ − centre) · projection: ``[n, width]`` → ``[n, bits]``; see `baselines.AffineHash`."""

    def __init__(self, width: int, bits: int):
        super().__init__()
        self.project = nn.Linear(width, bits)

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the bits."""
        return self.project(x / x.norm(dim=1, keepdim=True).clamp_min(1e-12))

    forward = logits


class ClipModel(nn.Module):
    """uint8 frames ``[batch, crops, T, H, W, 3]`` → (code uint8, logits, embedding)."""

    def __init__(self, config: ClipConfig, backbone: nn.Module | None = None):
        super().__init__()
        self.config = config
        self.backbone = backbone if backbone is not None else empty_backbone(config)
        self.pooling = make_pooling(self.backbone, config.pooling, frames=config.frames, norm=config.norm)
        width = self.backbone.width
        if config.head == "affine":
            self.hash: nn.Module = AffineHead(width, config.bits)
        else:
            self.hash = HashNetwork(HashConfig(width, config.bits, max(config.classes, 1)))
        std = 255 * torch.tensor(self.backbone.std)
        self.register_buffer("scale", (1 / std)[:, None, None, None], persistent=False)
        offset = torch.tensor(self.backbone.mean) / torch.tensor(self.backbone.std)
        self.register_buffer("offset", offset[:, None, None, None], persistent=False)
        self.register_buffer("powers", 2.0 ** torch.arange(8), persistent=False)

    def feature(self, clips: Tensor) -> Tensor:
        """Normalised clips ``[n, 3, T, H, W]`` → pooled features ``[n, width]``."""
        return self.pooling(tokens_of(self.backbone, clips))

    def normalised(self, frames: Tensor) -> Tensor:
        """uint8 ``[..., T, H, W, 3]`` → float ``[n, 3, T, H, W]`` as the backbone wants it."""
        x = frames.reshape(-1, *frames.shape[-4:]).permute(0, 4, 1, 2, 3)
        return x.float() * self.scale - self.offset

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(code ``uint8[batch, ⌈bits / 8⌉]``, logits ``[batch, bits]``, embedding ``[batch, width]``)."""
        batch, crops = frames.shape[:2]
        feature = self.feature(self.normalised(frames))
        embedding = feature.reshape(batch, crops, feature.shape[1]).mean(1)
        logits = self.hash.logits(embedding)
        bits = nn.functional.pad((logits >= 0).float(), (0, -self.config.bits % 8))
        code = (bits.reshape(-1, (self.config.bits + 7) // 8, 8) @ self.powers).to(torch.uint8)
        return code, logits, embedding


def tokens_of(backbone: nn.Module, clips: Tensor) -> Tensor:
    """Normalised clips ``[n, 3, T, H, W]`` → spatial means of the feature map ``[n, T', C]``."""
    return backbone(clips).mean(dim=(3, 4)).transpose(1, 2)


def make_pooling(backbone: nn.Module, kind: Pooling, *, frames: int, norm: str = "layer") -> nn.Module:
    """BERT or the mean over the tokens that ``backbone`` makes of ``frames`` frames."""
    if kind == "mean":
        return MeanPooling()
    return BertPooling(BertConfig(backbone.width, backbone.tokens(frames), norm=norm))  # type: ignore[arg-type]


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the names and float32 bytes of the weights that decide a code, in the order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        used = tensor.is_floating_point() and not name.startswith(("hash.classifier", "backbone.logits"))
        if used:
            digest.update(name.encode() + tensor.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_model(model: ClipModel, card: dict[str, Any], file: Path, *, backbone_file: Path | None) -> None:
    """Write a clip model; without its backbone's weights where those are a published file, as they came.

    Args:
        model: what to write.
        card: how it was made, JSON.
        file: ``.safetensors``.
        backbone_file: the unchanged published weights; None: they were trained, so they are stored.
    """
    weights = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    about: dict[str, Any] = {"config": asdict(model.config), "digest": weights_digest(model), "card": card}
    if backbone_file is not None:
        weights = {k: v for k, v in weights.items() if not k.startswith("backbone.")}
        sha256 = hashlib.sha256(backbone_file.read_bytes()).hexdigest()
        about["backbone"] = {"file": backbone_file.name, "sha256": sha256}
    checkpoint.save(file, weights, {"clip_model": about})


def load_model(file: Path, *, weights: Path | None = None) -> tuple[ClipModel, dict[str, Any]]:
    """Read what `save_model` wrote: the model in evaluation mode, and its card.

    Args:
        file: the checkpoint.
        weights: the published backbone weights, or a folder that holds them, where the checkpoint
            does not.

    Raises:
        ValueError: no clip model, the backbone's weights are needed or are others, or the digest differs.
    """
    tensors, config = checkpoint.load(file)
    about = config.get("clip_model")
    if about is None:
        raise ValueError(f"{file} is no clip model; training/train_hash.py makes them")
    settings, backbone = ClipConfig(**about["config"]), None
    if "backbone" in about:
        wanted = about["backbone"]
        found = weights / wanted["file"] if weights is not None and weights.is_dir() else weights
        if found is None or not found.is_file():
            raise ValueError(f"{file} needs {wanted['file']}; pass its path ({weights} does not hold it)")
        if hashlib.sha256(found.read_bytes()).hexdigest() != wanted["sha256"]:
            raise ValueError(f"{found} is not the {wanted['file']} that {file} was made with")
        backbone = make_backbone(settings.backbone, weights=found)
    model = ClipModel(settings, backbone)
    missing = model.load_state_dict(tensors, strict=False)
    lost = [
        k for k in missing.missing_keys
        if not k.endswith("num_batches_tracked") and not (backbone is not None and k.startswith("backbone."))
    ]  # fmt: skip
    if lost or missing.unexpected_keys:
        raise ValueError(f"{file}: missing {lost[:3]}, unknown {missing.unexpected_keys[:3]}")
    if (digest := weights_digest(model)) != about["digest"]:
        raise ValueError(f"{file} was saved with weights {about['digest'][:12]}, but gives {digest[:12]}")
    return model.eval(), about["card"]


def empty_backbone(config: ClipConfig) -> nn.Module:
    """A backbone with random weights, as ``config`` describes it."""
    if config.backbone.startswith("r2plus1d"):
        from .r2plus1d import R2Plus1D

        return R2Plus1D(int(config.backbone.rsplit("_", 1)[1]), layout=config.layout)  # type: ignore[arg-type]
    return make_backbone(config.backbone)
