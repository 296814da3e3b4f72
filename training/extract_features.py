"""Clip features into a store that can be resumed: a backbone's tokens, or the feature of a fine-tuned model.

Tokens ``[T', C]`` of a published backbone (frozen; BERT or a mean is put over them later)::

    python -m training.extract_features STORE --videos DATA/videos/real10/manifest.csv \\
        --backbone i3d --weights DATA/weights/i3d_rgb_kinetics400_fp16.npz

The 512-d feature of a fine-tuned model, mean over ten crops (the paper, section 4.4)::

    python -m training.extract_features STORE --videos DATA/videos/real10/manifest.csv \\
        --model runs/real10/model.safetensors --crops 10

A store is what ``training/frame_features.py`` describes, T' or 1 rows a video; bad files are listed
and skipped, and a second run does what is missing. ``--engine openvino`` computes the same features
(cosine 0.9999999 in fp32) 2.5 to 9 times as fast as PyTorch on a CPU; with ``--precision bf16``, on
CPUs that have it, another 2 to 3 times (cosine 0.9999).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video.crops import ten_crops

from . import clip_classifier
from .clip_backbone import make_backbone
from .clip_model import ClipConfig, tokens_of
from .config import from_command_line, option
from .frame_features import Backbone, FeatureStore, extract, video_names

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Extraction:
    """What to extract, of which videos."""

    store: Path = option(Path("features"), "folder of the store")  # noqa: RUF009
    videos: Path = option(Path("manifest.csv"), "folder of videos, or manifest.csv")  # noqa: RUF009
    model: str = option("", "model.safetensors of train_clip_bert; none = tokens of the bare backbone")
    backbone: str = option("i3d", "without a model: i3d, r2plus1d_34 or r2plus1d_18")
    weights: str = option("", "published weights of the backbone")
    sampling: Literal["middle", "uniform"] = option("middle", "which frames, without a model")
    frames: int = option(32, "of a clip, without a model")
    height: int = option(128, "frames are scaled to height x width ...")
    width: int = option(170, "... in pixels")
    crop: int = option(112, "and cropped to a square of this side; 0 = not at all")
    filter: Literal["bilinear", "area"] = option("bilinear", "of the scaling")
    crops: int = option(1, "1, or 10 whose features are averaged")
    engine: Literal["torch", "openvino"] = option("torch", "what computes the network")
    precision: Literal["fp32", "bf16"] = option("fp32", "of the network")
    threads: int = option(0, "CPU threads; 0 = all")


def main(config: Extraction) -> None:
    """Extract what is missing."""
    root, names = video_names(config.videos)
    network, clip = network_of(config)
    start = time.monotonic()

    def progress(done: int, failed: int, total: int) -> None:
        if (done + failed) % 20 == 0 or done + failed == total:
            print(f"{done} of {total} done, {failed} failed, {time.monotonic() - start:.0f} s", flush=True)

    store = extract_clips(config, root, names, network, clip, progress=progress)
    for name, error in store.errors.items():
        print(f"failed: {name}: {error}")


def network_of(config: Extraction) -> tuple[nn.Module, ClipConfig]:
    """The network (normalised clips ``[n, 3, T, H, W]`` → ``[n, rows, width]``) and its input."""
    weights = Path(config.weights) if config.weights else None
    if not config.model:
        backbone = make_backbone(config.backbone, weights=weights)
        clip = ClipConfig(
            "tokens", backbone=config.backbone, sampling=config.sampling, frames=config.frames,
            height=config.height, width=config.width, crop=config.crop, filter=config.filter,
            crops=config.crops,
        )  # fmt: skip
        return _Tokens(backbone.eval()), clip
    model, _ = clip_classifier.load(Path(config.model))
    backbone = model.backbone
    if backbone is None:
        if weights is None:
            raise ValueError(f"{config.model} was trained over a frozen backbone: pass its weights")
        backbone = make_backbone(model.config.backbone, weights=weights)
    return _Feature(backbone.eval(), model.pooling), replace(model.config, crops=config.crops)


class _Tokens(nn.Module):
    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.mean, self.std = backbone.mean, backbone.std

    def forward(self, x: Tensor) -> Tensor:
        return tokens_of(self.backbone, x)


class _Feature(_Tokens):
    def __init__(self, backbone: nn.Module, pooling: nn.Module):
        super().__init__(backbone)
        self.pooling = pooling

    def forward(self, x: Tensor) -> Tensor:
        return self.pooling(tokens_of(self.backbone, x))[:, None]


def extract_clips(
    config: Extraction, root: Path, names: list[str], network: nn.Module, clip: ClipConfig,
    *, progress: Callable[[int, int, int], None] | None = None,
) -> FeatureStore:  # fmt: skip
    """Fill the store ``config.store`` with the features of the named videos; what is there stays."""
    torch.set_num_threads(config.threads or torch.get_num_threads())
    run, shape = compute(config, network, clip)
    settings = {
        "model": Path(config.model).name, "backbone": clip.backbone, "weights": Path(config.weights).name,
        "sampling": clip.sampling, "clip": clip.frames, "size": [clip.height, clip.width, clip.crop],
        "filter": clip.filter, "crops": config.crops, "engine": config.engine, "precision": config.precision,
    }  # fmt: skip
    store = FeatureStore.create(config.store, names, frames=shape[0], width=shape[1], settings=settings)
    # ten crops are cut here, from the whole scaled frames
    crop = (clip.crop, clip.crop) if clip.crop and clip.crops == 1 else None
    resize = Resize("exact", clip.height, clip.width, crop=crop, filter=clip.filter)  # type: ignore[arg-type]
    sampling = Sampling(clip.sampling, clip.frames)  # type: ignore[arg-type]
    return extract(store, root, run, sampling=sampling, resize=resize, progress=progress)


def compute(config: Extraction, network: nn.Module, clip: ClipConfig) -> tuple[Backbone, tuple[int, int]]:
    """(function from frames ``uint8[T, H, W, 3]`` to features, their shape)."""
    device = torch.device("cuda" if torch.cuda.is_available() and config.engine == "torch" else "cpu")
    network = network.eval().to(device)
    side = (clip.crop, clip.crop) if clip.crop else (clip.height, clip.width)
    example = torch.zeros(1, 3, clip.frames, *side, device=device)
    forward = _openvino(network, example, config) if config.engine == "openvino" else network
    mean = torch.tensor(network.mean, device=device)[:, None, None, None]
    std = torch.tensor(network.std, device=device)[:, None, None, None]

    @torch.inference_mode()
    def features(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        crops = ten_crops(frames, side) if clip.crops == 10 else frames[None]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            found = [
                forward((torch.from_numpy(crop)[None].to(device).permute(0, 4, 1, 2, 3) / 255 - mean) / std)
                for crop in crops
            ]
        return torch.cat(found).float().mean(0).cpu().numpy()

    with torch.inference_mode():
        shape = forward(example).shape
    return features, (shape[1], shape[2])


def _openvino(network: nn.Module, example: Tensor, config: Extraction) -> Network:
    try:
        import openvino as ov
    except ImportError as error:
        raise ImportError("engine openvino: pip install openvino (the extra `openvino`)") from error
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[config.precision]}
    if config.threads:
        hints["INFERENCE_NUM_THREADS"] = config.threads
    converted = ov.convert_model(network, example_input=example, input=list(example.shape))
    compiled = ov.Core().compile_model(converted, "CPU", hints)
    return lambda x: torch.from_numpy(compiled(x.contiguous().float().numpy())[0].copy())


if __name__ == "__main__":
    main(from_command_line(Extraction, description=__doc__))
