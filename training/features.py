"""Features of the clips that shape a fused model: of the clips themselves and of altered copies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import AUGMENTATIONS
from training.clips import FOLDER, read_frames
from training.efficientnet_lite import folded
from training.fused import FusedModel
from vhash_sdk.spec import Resize, Sampling

HARD = ("blurred_borders", "inset", "several")  # drawn twice: these vary most
COPY_FRAMES = 3  # frames of a clip that stand for it when copies are compared


def kept(
    file: Path, what: object, make: Callable[[], dict[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float32]]:
    """Arrays from ``file`` if it was made from ``what``, else made now and written there."""
    mark = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    path = file.with_name(f"{file.name}-{mark[:12]}.npz")
    if path.exists():
        with np.load(path) as stored:
            return dict(stored)
    arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return arrays


def clip_features(model: FusedModel, paths: Sequence[Path]) -> dict[str, NDArray[np.float32]]:
    """``embedding`` ``[n, 1280]`` and ``luma`` ``[n, 32, 32]`` of whole clips."""
    sampling, resize = (
        Sampling("uniform", model.config.frames),
        Resize("exact", model.config.size, model.config.size),
    )
    model, found = folded(model), []
    with torch.inference_mode():
        for path in paths:
            frames = torch.from_numpy(read_frames(path, sampling, resize))
            found.append(model.features(frames[None, None]))
    return {
        "embedding": torch.cat([e for e, _ in found]).numpy(),
        "luma": torch.cat([luma for _, luma in found]).numpy(),
    }


def copy_differences(
    model: FusedModel, paths: Sequence[Path], *, seed: int
) -> dict[str, NDArray[np.float32]]:
    """For each augmentation, feature of the altered copy minus feature of the clip ``[n, 1280]``."""
    size = model.config.size
    sampling, resize = Sampling("uniform", COPY_FRAMES), Resize("exact", size, size)
    clips = [
        torch.from_numpy(read_frames(path, sampling, resize)).permute(0, 3, 1, 2).float() for path in paths
    ]
    model = folded(model)

    def feature(frames: Tensor) -> NDArray[np.float32]:
        whole = frames.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return model.features(whole[None, None])[0][0].numpy()

    differences: dict[str, list[NDArray[np.float32]]] = {name: [] for name in AUGMENTATIONS}
    with torch.inference_mode():
        for i, clip in enumerate(clips):
            clean = feature(clip)
            for k, (name, augment) in enumerate(AUGMENTATIONS.items()):
                for again in range(2 if name in HARD else 1):
                    generator = torch.Generator().manual_seed(seed + 1000 * i + 10 * k + again)
                    other = clips[(37 * i + 11 + again) % len(clips)]
                    differences[name].append(feature(augment(clip, other, generator)) - clean)
    return {name: np.stack(found) for name, found in differences.items()}


def features_of(
    model: FusedModel, data: Path, names: Sequence[str], cache: Path, *, seed: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """``clip_features`` and ``copy_differences`` of real10 clips, kept in ``cache``."""
    paths = [data / FOLDER / name for name in names]
    key = [model.config.size, model.config.frames, model.config.focus, list(names)]
    clips = kept(cache / "clips", key, lambda: clip_features(model, paths))
    copies = kept(
        cache / "copies", [*key, seed, COPY_FRAMES], lambda: copy_differences(model, paths, seed=seed)
    )
    return clips, copies
