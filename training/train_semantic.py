"""Make the checkpoint of a semantic model: same content, unlabelled, from real10's training clips.

    python -m training.frame_features .cache/real10/lite0_192 --size 192 \\
        --backbone sdk/vhash_sdk/models/lite0-phash-256.int8.onnx \\
        --videos ../shared/data/videos/real10/manifest.csv           # features, about a CPU minute
    python -m training.train_semantic --bits 64                      # seconds
    python -m training.train_semantic --bits 64 --copies             # altered copies too; about 5 CPU minutes
    python export/to_onnx.py runs/semantic/lite0-neighbour-64.safetensors \\
        --output runs/semantic --precision all

Google's ImageNet network stays as it is; the code behind it is neighbour-uvvh (see
`training.neighbour`). Clips: real10's train split without the originals of the near-duplicate
benchmark. With ``--copies`` each comes with the altered copies of `training.augment`, which are
positives of their original: a code for copies as well as for content.
``benchmarks/retrieval/real10_unseen.py`` measures the same recipes on classes that they did not see,
``benchmarks.near_duplicates.run --tools learned:…`` on altered copies.
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
    copies: bool = option(False, "learn from altered copies of the clips too")
    output: Path = option(Path("runs/semantic"), "folder of the checkpoint")  # noqa: RUF009


@dataclass(frozen=True)
class Clips:
    """What a semantic model learns from.

    Attributes:
        names: of the videos, below real10.
        features: ``[n, 1, 1280]``, mean over the frames; of a video, or of an altered copy of one.
        video: number of the name that each row shows.
    """

    names: list[str]
    features: NDArray[np.float32]
    video: NDArray[np.int64]

    def only(self, names: set[str]) -> Clips:
        """The rows of some videos."""
        rows = [self.names[i] in names for i in self.video]
        return Clips(self.names, self.features[rows], self.video[rows])


def main(config: SemanticTraining) -> None:
    """Read features, train, save."""
    store = FeatureStore.open(config.features)
    found = with_copies(config.data) if config.copies else plain(store, config.data)
    training = recipe(config.bits, config.seed)
    encoder, curve = train(training, found.features, twins=found.video)
    name = f"lite0-neighbour-{'copies-' if config.copies else ''}{config.bits}"
    settings = SemanticConfig(name, 1, "neighbour-uvvh", encoder.config)
    model = SemanticModel(settings, encoder, load_imagenet()).eval()
    others = [name for name in store.names if name not in set(found.names)]
    card = {
        "train": {k: v for k, v in asdict(training.tuned()).items() if isinstance(v, int | float)}
        | {"loss": round(curve[-1]["loss"], 4)},
        "clips": {"fit": paths(sorted(found.names)), "tune": paths(others)},
        "backbone": {"package": WEIGHTS_PACKAGE, "sha256": WEIGHTS_SHA256},
    }
    file = config.output / f"{settings.name}.safetensors"
    save_model(model, card, file)
    print(f"{file}  {file.stat().st_size / 1e6:.2f} MB, loss {curve[-1]['loss']:.3f}")


def recipe(bits: int, seed: int) -> NeighbourTraining:
    """Settings for some hundred clips, chosen by the second part of ``unsupervised_tuning.py``.

    Many plain nearest neighbours instead of a random walk: so few clips are mostly of their own
    scenes, and a walk stays in them. Fewer components than for UCF101, as many steps.
    """
    return NeighbourTraining(bits=bits, seed=seed, pca=64, epochs=120, restart=1.0, share=0.06)


def plain(store: FeatureStore, data: Path) -> Clips:
    """The clips of `training_rows`, as they are."""
    rows = training_rows(data)
    features = np.stack([store.features[i].astype(np.float32).mean(axis=0) for i in rows])
    return Clips([store.names[i] for i in rows], features[:, None], np.arange(len(rows)))


def with_copies(data: Path, cache: Path = ROOT / ".cache" / "fused") -> Clips:
    """The clips of `training_rows`, and of each the kinds of copies that shaped the near-duplicate model."""
    from .features import features_of
    from .fused import FusedModel
    from .train_fused import DEFAULT

    manifest = clips.manifest(data)
    names = [manifest[i]["path"] for i in training_rows(data)]
    backbone = FusedModel(DEFAULT.model, load_imagenet()).eval()
    found, differences = features_of(backbone, data, names, cache, seed=DEFAULT.augment_seed)
    originals = found["embedding"]
    # (clip, again) in this order: some alterations were drawn twice
    copies = [originals.repeat(len(d) // len(originals), axis=0) + d for d in differences.values()]
    video = [np.arange(len(originals)).repeat(len(d) // len(originals)) for d in differences.values()]
    rows = np.concatenate([originals, *copies])[:, None]
    return Clips(names, rows, np.concatenate([np.arange(len(originals)), *video]))


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
