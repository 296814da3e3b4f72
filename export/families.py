"""Checkpoints of every family as one kind of thing that can be exported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnx
from safetensors import safe_open
from torch import nn

from export.quantise import Clip
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling

OUTPUTS = ("code", "logits", "embedding")


class Quantiser(Protocol):
    """Makes the int8 graph of a family's float graph."""

    def __call__(
        self, model: onnx.ModelProto, clips: Sequence[Clip], *, symmetric: bool = False
    ) -> onnx.ModelProto:
        """Ranges from real ``clips``; ``symmetric``: all zero points 0."""


@dataclass(frozen=True)
class Exportable:
    """What the exporter needs to know of a model.

    Attributes:
        model: uint8 frames ``[batch, crops, T, H, W, 3]`` → what ``outputs`` names, in that order.
        spec: what decides its codes.
        card: what the checkpoint says of its making; ``clips`` names the ones to calibrate and check on.
        outputs: names of the graph's outputs.
        quantise: makes the int8 graph.
        scales: of the frame logits; None where the model has none.
    """

    model: nn.Module
    spec: ModelSpec
    card: dict[str, Any]
    outputs: tuple[str, ...]
    quantise: Quantiser
    scales: list[float] | None = None


def load(checkpoint: Path, *, weights: Path | None = None) -> Exportable:
    """Read a checkpoint of any family.

    Args:
        checkpoint: ``.safetensors`` written by ``training/``.
        weights: published backbone weights, or their folder, where the checkpoint does not hold them.

    Raises:
        ValueError: not a checkpoint of a model that can be exported.
    """
    with safe_open(checkpoint, framework="pt") as stored:
        metadata = dict(stored.metadata() or {})
    if "vhash" in metadata:
        return _fused(checkpoint)
    if "semantic_model" in json.loads(metadata.get("config", "{}")):
        return _semantic(checkpoint)
    if "copy_model" in json.loads(metadata.get("config", "{}")):
        return _copy(checkpoint)
    if "config" in metadata:
        return _clip(checkpoint, weights)
    raise ValueError(f"{checkpoint} carries no configuration: it was not written by training/")


def _fused(checkpoint: Path) -> Exportable:
    from export.quantise import quantise
    from training.fused import load_checkpoint

    model, card = load_checkpoint(checkpoint)

    # what gives each frame logit unit deviation; 4 digits, for only confidences depend on it
    scales = [float(f"{s:.4g}") for s in [1.0] * model.config.cnn_bits + model.phash_scale.tolist()]
    return Exportable(model, fused_specification(model), card, (*OUTPUTS, "frame_logits"), quantise, scales)


def fused_specification(model: Any) -> ModelSpec:
    """What decides the code of a ``FusedModel``."""
    from training.fused import weights_digest

    c = model.config
    parts = (Part("cnn", (0, c.cnn_bits)), Part("phash", (c.cnn_bits, c.bits)))
    return ModelSpec(
        name=c.name,
        version=c.version,
        family="fused",
        bits=c.bits,
        parts=tuple(part for part in parts if part.bits[0] < part.bits[1]),
        sampling=Sampling("uniform", c.frames),
        resize=Resize("exact", c.size, c.size),
        crops=1,
        embedding=model.project.in_features,
        digest=weights_digest(model),
    )


def _semantic(checkpoint: Path) -> Exportable:
    from export.quantise import quantise
    from training.semantic import load_model

    model, card = load_model(checkpoint)

    return Exportable(model, semantic_specification(model), card, OUTPUTS, quantise)


def semantic_specification(model: Any) -> ModelSpec:
    """What decides the code of a ``SemanticModel``."""
    from training.efficientnet_lite import FEATURES
    from training.semantic import weights_digest

    c = model.config
    return ModelSpec(
        name=c.name,
        version=c.version,
        family=c.family,
        bits=c.network.bits,
        parts=(Part("cnn", (0, c.network.bits)),),
        sampling=Sampling("uniform", c.frames),
        resize=Resize("exact", c.size, c.size),
        crops=1,
        embedding=FEATURES,
        digest=weights_digest(model),
    )


def _copy(checkpoint: Path) -> Exportable:
    from export.quantise import quantise
    from training.copy_hash import load_model

    model, card = load_model(checkpoint)

    return Exportable(model, copy_specification(model), card, (*OUTPUTS, "frame_logits"), quantise)


def copy_specification(model: Any) -> ModelSpec:
    """What decides the code of a ``CopyHash``."""
    from training.fused import weights_digest

    c = model.config
    return ModelSpec(
        name=c.name,
        version=c.version,
        family="copy",
        bits=c.bits,
        parts=(Part("copy", (0, c.bits)),),
        sampling=Sampling("uniform", c.frames),
        resize=Resize("exact", c.size, c.size),
        crops=1,
        embedding=model.project.in_features,
        digest=weights_digest(model),
    )


def _clip(checkpoint: Path, weights: Path | None) -> Exportable:
    from export import clip
    from training.clip_model import load_model

    model, card = load_model(checkpoint, weights=weights)

    return Exportable(clip.prepared(model), clip.specification(model), card, OUTPUTS, clip.quantise)
