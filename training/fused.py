"""The fused near-duplicate model: signs of projected CNN features beside a frame pHash.

The CNN part (EfficientNet-Lite0, mean over all frames, centred, projected) survives crops,
borders, mirroring and speed changes; the pHash part (DCT of the luma, mean over the frames)
survives heavy compression, grey and overlays. Both see the same whole frame squashed to H×W.

Everything from uint8 frames to packed code is in ``forward``, so that the exported graph needs
no pre- or post-processing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from training.efficientnet_lite import FEATURES, EfficientNetLite0, load_imagenet

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
GRID = 32  # the luma picture of pHash has GRID × GRID pixels


@dataclass(frozen=True)
class FusedConfig:
    """Shape of a fused model; goes into the checkpoint.

    Attributes:
        name, version: of the model, as in its specification.
        size: height and width of a frame, in pixels; a multiple of 32.
        frames: T, frames sampled uniformly from a video.
        cnn_bits: bits from the CNN feature.
        focus: width (standard deviation, as a share of the picture's side) of the Gaussian by which
            the places of the feature map are weighted: what others add to a copy (borders,
            logos, subtitles, a frame around it) lies along the edges. None weighs all alike.
        phash_rows, phash_columns: vertical and horizontal DCT frequencies of the pHash part;
            it has one bit for each pair.
    """

    name: str
    version: int
    size: int
    frames: int
    cnn_bits: int
    focus: float | None
    phash_rows: tuple[int, ...]
    phash_columns: tuple[int, ...]

    @property
    def phash_bits(self) -> int:
        """Bits of the pHash part."""
        return len(self.phash_rows) * len(self.phash_columns)

    @property
    def bits(self) -> int:
        """Bits of the code."""
        return self.cnn_bits + self.phash_bits


def dct_rows(frequencies: tuple[int, ...]) -> Tensor:
    """Rows of the orthonormal DCT-II matrix for GRID samples: ``[len(frequencies), GRID]``."""
    k = torch.tensor(frequencies, dtype=torch.float64)[:, None]
    n = torch.arange(GRID, dtype=torch.float64)[None]
    rows = torch.cos(torch.pi * (n + 0.5) * k / GRID) * (2 / GRID) ** 0.5
    return torch.where(k == 0, rows / 2**0.5, rows).float()


def focus_weights(side: int, focus: float | None) -> Tensor:
    """Weights ``[side * side]`` of the places of a feature map; they sum to 1."""
    offsets = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / side
    line = torch.ones_like(offsets) if focus is None else torch.exp(-0.5 * (offsets / focus) ** 2)
    weights = torch.outer(line, line).flatten()
    return (weights / weights.sum()).float()


class FusedModel(nn.Module):
    """uint8 frames ``[batch, crops, T, H, W, 3]`` → (code uint8, logits, embedding, frame_logits)."""

    def __init__(self, config: FusedConfig, backbone: EfficientNetLite0 | None = None):
        super().__init__()
        if config.size % GRID:
            raise ValueError(f"size={config.size}: expected a multiple of {GRID}")
        self.config = config
        self.backbone = backbone or EfficientNetLite0()
        self.register_buffer("places", focus_weights(config.size // 32, config.focus))
        self.project = nn.Linear(FEATURES, config.cnn_bits)
        cell = config.size // GRID
        self.luma = nn.Conv2d(3, 1, cell, stride=cell)  # mean luma of each cell, of normalised frames
        with torch.no_grad():
            weight = torch.tensor(LUMA)[None, :, None, None] * 128 / (255 * cell * cell)
            self.luma.weight.copy_(weight.expand_as(self.luma.weight))
            self.luma.bias.fill_(127 / 255)
        self.register_buffer("rows", dct_rows(config.phash_rows))
        self.register_buffer("columns", dct_rows(config.phash_columns))
        self.register_buffer("phash_scale", torch.ones(config.phash_bits))
        self.register_buffer("powers", 2.0 ** torch.arange(8), persistent=False)

    def frame_features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """CNN feature ``[batch, T, 1280]`` and luma picture ``[batch, T, 32, 32]`` of each frame."""
        batch, per_video = frames.shape[0], frames.shape[1] * frames.shape[2]
        x = frames.reshape(-1, *frames.shape[3:]).permute(0, 3, 1, 2)
        x = (x.float() - 127) * (1 / 128)
        features = self.backbone(x).flatten(2) @ self.places
        return (
            features.reshape(batch, per_video, FEATURES),
            self.luma(x).reshape(batch, per_video, GRID, GRID),
        )

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Mean CNN feature ``[batch, 1280]`` and mean luma picture ``[batch, 32, 32]``."""
        features, luma = self.frame_features(frames)
        return features.mean(1), luma.mean(1)

    def coefficients(self, luma: Tensor) -> Tensor:
        """DCT coefficients of luma pictures ``[..., 32, 32]``: ``[..., phash_bits]``."""
        return (self.rows @ luma @ self.columns.T).flatten(-2)

    def phash(self, luma: Tensor) -> Tensor:
        """DCT coefficients minus their median ``[batch, phash_bits]``, not yet scaled."""
        coefficients = self.coefficients(luma)
        half = coefficients.shape[1] // 2
        top = coefficients.topk(half + 1, dim=1).values
        return coefficients - top[:, half - 1 :].mean(1, keepdim=True)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(code ``uint8[batch, bits / 8]``, logits ``[batch, bits]``, embedding ``[batch, 1280]``,
        frame_logits ``[batch, T, bits]``).

        ``frame_logits`` are those of single frames, before the median is taken off the pHash part:
        their mean over any frames, so centred, gives the bits of a video of just these frames.
        """
        features, luma = self.frame_features(frames)
        embedding, mean_luma = features.mean(1), luma.mean(1)
        logits = torch.cat([self.project(embedding), self.phash(mean_luma) * self.phash_scale], dim=1)
        bits = (logits >= 0).float().reshape(-1, self.config.bits // 8, 8)
        code = (bits @ self.powers).to(torch.uint8)
        # flattened: the exporter then shares one copy of the projection with the video's own
        projected = self.project(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return code, logits, embedding, torch.cat([projected, self.coefficients(luma)], dim=2)


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the names and float32 bytes of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point():
            digest.update(name.encode() + tensor.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(model: FusedModel, card: dict[str, object], file: Path) -> None:
    """Write configuration, card and everything but the backbone, which is Google's own, into one file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("backbone.")}
    card = card | {"digest": weights_digest(model)}
    # one metadata entry: safetensors keeps no order among several, and the file must not depend on it
    document = json.dumps({"config": asdict(model.config), "card": card}, sort_keys=True)
    save_file(weights, file, metadata={"vhash": document})


def load_checkpoint(file: Path) -> tuple[FusedModel, dict[str, object]]:
    """Read what ``save_checkpoint`` wrote: the model in evaluation mode, and its card.

    Raises:
        ValueError: together with the installed backbone, these are not the weights that were saved.
    """
    with safe_open(file, framework="pt") as stored:
        document = json.loads(stored.metadata()["vhash"])
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    config, card = document["config"], document["card"]
    for field in ("phash_rows", "phash_columns"):
        config[field] = tuple(config[field])
    model = FusedModel(FusedConfig(**config), load_imagenet())
    model.load_state_dict(weights, strict=False)
    if (digest := weights_digest(model)) != card["digest"]:
        raise ValueError(f"{file} was saved with weights {card['digest'][:12]}, but gives {digest[:12]}")
    return model.eval(), card
