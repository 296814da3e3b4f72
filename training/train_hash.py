"""Train the hash network on the features of a fine-tuned model: read from top to bottom.

    python -m training.train_hash --model runs/ucf101/model.safetensors --dataset ucf101 \\
        --videos UCF-101 --splits ucfTrainTestlist --output runs/ucf101/hash --bits 16 32 64 128 256 512

The features of all videos are extracted first (``--crops 10`` as in the paper; kept in
``OUTPUT/features``, so a second run starts with the hash). Then, for each length and seed, the schedule
of Algorithm 1: SGD lr 0.05, momentum 0.9, x 0.8 every 60 of 360 steps, the whole train split as
one batch. Writes ``clip-BITS.safetensors`` (what ``export/to_onnx.py`` takes) and ``report.json``:
mAP@K of the test split against the train split, ties averaged over, beside the trivial code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from . import clip_classifier
from .baselines import pack
from .clip_backbone import make_backbone
from .clip_data import VideoSet, read_set
from .clip_model import ClipModel, save_model
from .config import from_command_line, option
from .extract_features import Extraction, extract_clips, network_of
from .hash_net import Dropout, HashConfig, HashNetwork
from .metrics import average_precision, hamming
from .train_clip_bert import stored_tokens

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class HashTraining:
    """Everything that decides a run."""

    model: Path = option(Path("model.safetensors"), "of train_clip_bert")  # noqa: RUF009
    dataset: Literal["ucf101", "hmdb51", "manifest"] = option("manifest", "how the videos are labelled")
    videos: Path = option(Path("manifest.csv"), "folder of videos, or the manifest.csv")  # noqa: RUF009
    splits: str = option("", "folder of the official split files (ucf101, hmdb51)")
    split: int = option(1, "official split")
    weights: str = option("", "published weights of a backbone that stayed frozen")
    crops: int = option(1, "1 or 10, averaged, for the features and in the exported model")
    output: Path = option(Path("runs/hash"), "folder for features, checkpoints and report")  # noqa: RUF009
    name: str = option("clip", "of the models: NAME-BITS")
    bits: tuple[int, ...] = option((64,), "code lengths")
    seeds: tuple[int, ...] = option((0, 1, 2), "the first one's model is kept")
    dropout: Dropout = option("input", "input or per_layer (Algorithm 1's reading)")  # noqa: RUF009
    steps: int = option(360, "of SGD, each over the whole train split")
    k: int = option(100, "cut-off of the mAP (the paper: UCF101 100, HMDB51 70)")
    precision: Literal["fp32", "bf16"] = option("fp32", "bf16: automatic mixed precision")
    engine: Literal["torch", "openvino"] = option("torch", "what computes the features")
    device: str = option("auto", "auto, cpu or cuda")


def main(config: HashTraining) -> None:
    """Extract, train, measure, save."""
    data = read_set(config.dataset, config.videos, Path(config.splits) if config.splits else None,
                    split=config.split)  # fmt: skip
    data = data.only(np.flatnonzero(np.isin(data.split, ("train", "test"))))
    extraction = Extraction(
        store=config.output / "features", model=str(config.model), weights=config.weights,
        crops=config.crops, engine=config.engine,
    )  # fmt: skip
    network, clip = network_of(extraction)
    extract_clips(extraction, data.root, data.paths, network, clip)
    features = stored_tokens(extraction.store, data)[:, 0].float().numpy()
    train, test, y = data.split == "train", data.split == "test", data.targets()
    relevant = data.labels[test][:, None] == data.labels[train][None]
    rows: list[dict[str, Any]] = []
    for bits in config.bits:
        for seed in config.seeds:
            shape = HashConfig(features.shape[1], bits, len(data.classes), dropout=config.dropout)
            hashing = train_hash_network(
                features[train], y[train], shape, seed=seed, steps=config.steps,
                precision=config.precision, device=config.device,
            )  # fmt: skip
            codes = hash_codes(hashing, features)
            trivial = trivial_codes(hashing, features)
            row = {"bits": bits, "seed": seed, "trivial_bits": math.ceil(math.log2(len(data.classes)))}
            for name, found in (("mAP", codes), ("trivial_mAP", trivial)):
                ap = average_precision(hamming(found[test], found[train]), relevant, (config.k,))
                row[f"{name}@{config.k}"] = float(np.nanmean(ap))
            rows.append(row)
            print(json.dumps({k: round(v, 4) for k, v in row.items()}), flush=True)
            if seed == config.seeds[0]:
                _save(config, replace(clip, bits=bits, classes=len(data.classes)), hashing, data)
    (config.output / "report.json").write_text(json.dumps({"set": data.name, "runs": rows}, indent=1) + "\n")


def train_hash_network(
    features: Floats, targets: NDArray[np.integer], shape: HashConfig, *, seed: int = 0, steps: int = 360,
    precision: str = "fp32", device: str = "auto",
) -> HashNetwork:  # fmt: skip
    """The hash network after Algorithm 1's schedule, in evaluation mode, on the CPU.

    Args:
        features: ``[n, width]``, the whole training set.
        targets: class numbers ``[n]``.
        shape: of the network.
        seed, steps, precision, device: of the run; lr drops six times over it, as in 360 steps.
    """
    place = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else
                         "cpu" if device == "auto" else device)  # fmt: skip
    torch.manual_seed(seed)
    network = HashNetwork(shape).to(place).train()
    x, y = torch.from_numpy(features).to(place), torch.from_numpy(np.asarray(targets, np.int64)).to(place)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, steps // 6), gamma=0.8)
    for _ in range(steps):
        with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
            scores = network(x)
        loss = functional.cross_entropy(scores.float(), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval().cpu()


@torch.inference_mode()
def hash_codes(network: HashNetwork, features: Floats) -> Codes:
    """Packed codes ``uint8 [n, bytes]``; the bit is z ≥ 0."""
    return pack(network.logits(torch.from_numpy(features)).numpy())


@torch.inference_mode()
def trivial_codes(network: HashNetwork, features: Floats) -> Codes:
    """The predicted class's number in binary, ⌈log₂ C⌉ bits: what a closed-set figure has to be held against.

    At distance 0 stand the videos of the predicted class; the rest are ranked by an arbitrary number.
    """
    return class_numbers(network(torch.from_numpy(features)).argmax(1).numpy())


def class_numbers(numbers: NDArray[np.integer]) -> Codes:
    """Numbers as packed bits.

    >>> class_numbers(np.array([0, 5]))
    array([[0, 0],
           [5, 0]], dtype=uint8)
    """
    return np.ascontiguousarray(numbers.astype("<u2")).view(np.uint8).reshape(-1, 2)


def spread(figures: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and range of one figure over code lengths: the paper's claim is a small one.

    >>> spread([0.5, 0.7])
    {'mean': 0.6, 'sd': 0.1414, 'range': 0.2}
    """
    x = np.asarray(figures)
    return {"mean": round(float(x.mean()), 4), "sd": round(float(x.std(ddof=1)), 4) if len(x) > 1 else 0.0,
            "range": round(float(np.ptp(x)), 4)}  # fmt: skip


def _save(config: HashTraining, clip: Any, hashing: HashNetwork, data: VideoSet) -> None:
    fine_tuned, about = clip_classifier.load(config.model)
    frozen = Path(config.weights) if fine_tuned.backbone is None else None
    backbone = make_backbone(clip.backbone, weights=frozen) if frozen else fine_tuned.backbone
    model = ClipModel(replace(clip, name=f"{config.name}-{clip.bits}", head="network"), backbone)
    model.pooling, model.hash = fine_tuned.pooling, hashing
    card = {"train": about["training"], "set": data.name, "classes": data.classes}
    file = config.output / f"{config.name}-{clip.bits}.safetensors"
    save_model(model.eval(), card, file, backbone_file=frozen)


if __name__ == "__main__":
    main(from_command_line(HashTraining, description=__doc__))
