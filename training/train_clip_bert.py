"""Fine-tune a clip network with BERT pooling: read from top to bottom.

The paper's model from the public IG65M weights (one GPU, 24 GB with ``--save-memory``)::

    python -m training.train_clip_bert --dataset ucf101 --videos UCF-101 --splits ucfTrainTestlist \\
        --weights r2plus1d_34_clip32_ig65m_from_scratch-449a7af9.pth --output runs/ucf101 \\
        --precision bf16 --save-memory --workers 16
    python -m training.train_hash --model runs/ucf101/model.safetensors --dataset ucf101 \\
        --videos UCF-101 --splits ucfTrainTestlist --output runs/ucf101/hash

BERT alone on cached tokens of a frozen backbone (minutes on a CPU; see ``training/extract_features.py``)::

    python -m training.train_clip_bert --dataset manifest --videos DATA/videos/real10/manifest.csv \\
        --features STORE --backbone i3d --weights DATA/weights/i3d_rgb_kinetics400_fp16.npz \\
        --output runs/real10 --lr 1e-4

``--bits 64`` trains feature and hash jointly (the paper's section 5 comparison). The plateau and the
best checkpoint use a validation part of the train split, by whole groups; the test split is never
read. Writes ``model.safetensors``, ``curve.json``; ``--resume`` goes on from ``last.safetensors``.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from . import checkpoint, clip_classifier
from .clip_backbone import make_backbone
from .clip_classifier import ClipClassifier
from .clip_data import Clips, VideoSet, carve_validation, read_set
from .clip_model import ClipConfig
from .config import from_command_line, option
from .frame_features import FeatureStore


@dataclass(frozen=True)
class ClipTraining:
    """Everything that decides a run."""

    dataset: Literal["ucf101", "hmdb51", "manifest"] = option("manifest", "how the videos are labelled")
    videos: Path = option(Path("manifest.csv"), "folder of videos, or the manifest.csv")  # noqa: RUF009
    splits: str = option("", "folder of the official split files (ucf101, hmdb51)")
    split: int = option(1, "official split")
    backbone: str = option("r2plus1d_34", "r2plus1d_34, r2plus1d_18, r2plus1d_10 or i3d")
    weights: str = option("", "published weights of the backbone; none = from scratch")
    features: str = option("", "store of the backbone's tokens: it stays frozen, only the rest is trained")
    output: Path = option(Path("runs/clip"), "folder for checkpoint and curve")  # noqa: RUF009
    pooling: Literal["bert", "mean"] = option("bert", "over the backbone's tokens")
    bits: int = option(0, "train the hash network jointly with this many bits; 0 = a classifier")
    sampling: Literal["middle", "uniform"] = option("middle", "of the frames in use; training takes a run")
    frames: int = option(32, "frames of a clip")
    height: int = option(128, "frames are scaled to height x width ...")
    width: int = option(170, "... in pixels")
    crop: int = option(112, "and cropped to a square of this side; 0 = not at all (with features)")
    filter: Literal["bilinear", "area"] = option("bilinear", "of the scaling")
    epochs: int = option(40, "passes over the training part")
    batch: int = option(21, "clips in memory at once")
    accumulate: int = option(6, "batches to one step")
    lr: float = option(1e-5, "AdamW's learning rate")
    weight_decay: float = option(1e-3, "AdamW's weight decay")
    patience: int = option(5, "epochs without a better validation loss before lr x 0.1")
    validation: float = option(0.15, "share of the train split, by groups, for plateau and best epoch")
    precision: Literal["fp32", "bf16"] = option("fp32", "bf16: automatic mixed precision")
    save_memory: bool = option(False, "compute the backbone's activations again in the backward pass")
    workers: int = option(2, "processes that decode")
    device: str = option("auto", "auto, cpu or cuda")
    seed: int = option(0, "of weights, order, augmentation")
    resume: bool = option(False, "go on from last.safetensors in the output folder")

    def network(self, classes: int, layout: str) -> ClipConfig:
        """The network's configuration."""
        return ClipConfig(
            "fine-tuned", backbone=self.backbone, layout=layout, sampling=self.sampling,
            frames=self.frames, height=self.height, width=self.width, crop=self.crop, filter=self.filter,
            pooling=self.pooling, bits=self.bits, classes=classes,
        )  # fmt: skip


@dataclass
class Progress:
    """Where a run is; goes into its checkpoint."""

    epoch: int = 0
    lr: float = 0.0
    best: float = float("inf")
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


Batches = DataLoader[Any]


def main(config: ClipTraining) -> None:
    """Read the set, train, save."""
    data = read_set(config.dataset, config.videos, Path(config.splits) if config.splits else None,
                    split=config.split)  # fmt: skip
    model, _ = train(config, data, verbose=True)
    print(f"{config.output / 'model.safetensors'}: {sum(p.numel() for p in model.parameters()):,} parameters")


def train(
    config: ClipTraining, data: VideoSet, *, verbose: bool = False
) -> tuple[ClipClassifier, list[dict[str, float]]]:
    """Train on the train split; returns the best epoch's model, in evaluation mode, and the curve."""
    device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else
                          "cpu" if config.device == "auto" else config.device)  # fmt: skip
    torch.manual_seed(config.seed)
    weights = Path(config.weights) if config.weights else None
    backbone = make_backbone(config.backbone, weights=weights)
    network = config.network(len(data.classes), getattr(backbone, "layout", "ig65m"))
    model = ClipClassifier(network, backbone, frozen=bool(config.features)).to(device)
    normalise = _normaliser(None if model.frozen else backbone, device)
    fit_rows, held_rows = carve_validation(data, share=config.validation, seed=config.seed)
    fit, held = loaders(config, data, network, fit_rows, held_rows)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    progress = Progress(lr=config.lr)
    best, last = config.output / "model.safetensors", config.output / "last.safetensors"
    if config.resume and last.exists():
        tensors, state = checkpoint.load(last)
        checkpoint.restore(tensors, model, optimiser)
        progress = Progress(**state)

    for epoch in range(progress.epoch, config.epochs):
        for group in optimiser.param_groups:
            group["lr"] = progress.lr
        start, waited, seen, total = time.perf_counter(), 0.0, 0, 0.0
        model.train()
        fit.generator.manual_seed(1000 * config.seed + epoch)  # the order depends on nothing that came before
        if isinstance(fit.dataset, Clips):
            fit.dataset.epoch = epoch
        ask, steps = time.perf_counter(), len(fit)
        for i, (x, y) in enumerate(fit):
            waited += time.perf_counter() - ask
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                scores = model(normalise(x), save_memory=config.save_memory)
            loss = functional.cross_entropy(scores.float(), y.to(device))
            # the last group of batches may be smaller: its mean is over what there is
            group_size = min(config.accumulate, steps - i // config.accumulate * config.accumulate)
            (loss / group_size).backward()
            if (i + 1) % config.accumulate == 0 or i + 1 == steps:
                optimiser.step()
                optimiser.zero_grad()
            total += float(loss.detach()) * len(y)
            seen += len(y)
            ask = time.perf_counter()
        seconds = time.perf_counter() - start
        point = {"epoch": epoch, "lr": progress.lr, "loss": total / max(seen, 1), "seconds": seconds,
                 "clips_per_second": seen / seconds, "share_waiting": waited / seconds}  # fmt: skip
        point |= measure(model, held, normalise, device)
        if point["validation_loss"] < progress.best:
            progress.best, progress.stale = point["validation_loss"], 0
            clip_classifier.save(model, best, training=_plain(config), classes=data.classes)
        else:
            progress.stale += 1
            if progress.stale > config.patience:
                progress.lr, progress.stale = progress.lr * 0.1, 0
        progress.curve.append(point)
        progress.epoch = epoch + 1
        checkpoint.save(last, checkpoint.training_state(model, optimiser), asdict(progress))
        (config.output / "curve.json").write_text(json.dumps(progress.curve, indent=1) + "\n")
        if verbose:
            print(json.dumps({k: round(v, 4) for k, v in point.items()}), flush=True)
    return clip_classifier.load(best)[0], progress.curve


def loaders(
    config: ClipTraining, data: VideoSet, network: ClipConfig, fit: NDArray[Any], held: NDArray[Any]
) -> tuple[Batches, Batches]:
    """Batches of the training part, shuffled, and of the validation part."""
    if config.features:
        tokens = stored_tokens(Path(config.features), data)
        targets = torch.from_numpy(data.targets())
        sets: list[Any] = [TensorDataset(tokens[rows], targets[rows]) for rows in (fit, held)]
        workers = 0
    else:
        sets = [
            Clips(data, fit.tolist(), network, training=True, seed=config.seed),
            Clips(data, held.tolist(), network, training=False),
        ]
        workers = config.workers
    common: dict[str, Any] = {"batch_size": config.batch, "num_workers": workers}
    if workers:  # spawned: PyAV and threads do not survive a fork; pinned: copies overlap with computing
        common |= {"multiprocessing_context": "spawn", "pin_memory": torch.cuda.is_available()}
    # one clip alone cannot be batch-normalised
    alone = config.bits > 0 and len(fit) % config.batch == 1
    return DataLoader(
        sets[0], shuffle=True, generator=torch.Generator(), drop_last=alone, **common
    ), DataLoader(sets[1], **common)


def stored_tokens(store: Path, data: VideoSet) -> Tensor:
    """Features ``[n, T', C]`` of the set's videos, in its order, from a store of ``extract_features``.

    Raises:
        ValueError: a video is not in it.
    """
    found = FeatureStore.open(store)
    place = {name: i for i, name in enumerate(found.names)}
    rows = [place.get(path, -1) for path in data.paths]
    lost = [path for path, row in zip(data.paths, rows, strict=True) if row not in found.done]
    if lost:
        raise ValueError(
            f"{store} lacks {len(lost)} of {len(rows)} videos, e.g. {lost[0]}: extract them first"
        )
    return torch.from_numpy(np.asarray(found.features[rows]))


@torch.inference_mode()
def measure(
    model: ClipClassifier, batches: Batches, normalise: Any, device: torch.device
) -> dict[str, float]:
    """Mean loss and accuracy on the validation part."""
    model.eval()
    loss = right = count = 0.0
    for x, y in batches:
        scores, y = model(normalise(x)), y.to(device)
        loss += float(functional.cross_entropy(scores, y, reduction="sum"))
        right += float((scores.argmax(1) == y).sum())
        count += len(y)
    return {"validation_loss": loss / max(count, 1), "validation_accuracy": right / max(count, 1)}


def _normaliser(backbone: Any, device: torch.device) -> Any:
    if backbone is None:  # tokens
        return lambda x: x.to(device).float()
    mean = torch.tensor(backbone.mean, device=device)[:, None, None, None]
    std = torch.tensor(backbone.std, device=device)[:, None, None, None]
    return lambda x: (x.to(device, non_blocking=True).permute(0, 4, 1, 2, 3).float() / 255 - mean) / std


def _plain(config: ClipTraining) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}


if __name__ == "__main__":
    main(from_command_line(ClipTraining, description=__doc__))
