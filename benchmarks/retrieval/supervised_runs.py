"""The supervised paper's tables on real data: hash network, BERT, joint training, and what is left unseen.

    python -m training.extract_features --store .cache/real10/i3d_u32_160 --sampling uniform \\
        --height 160 --width 160 --crop 0 --filter area --engine openvino --precision bf16 --threads 1 \\
        --videos ../shared/data/videos/real10/manifest.csv \\
        --weights ../shared/data/weights/i3d_rgb_kinetics400_fp16.npz       # about 4 CPU minutes
    python -m benchmarks.retrieval.supervised_runs                  # everything that is missing: CPU hours
    python -m benchmarks.retrieval.supervised_runs --only ucf101

Closed sets: database = train split, queries = test split of the same classes, ties averaged over.
Such figures measure a classifier, so the trivial code (the predicted class's number) and the
unseen classes (`training.unseen`, in ``results/real10_unseen.json``) belong beside them. Writes
``results/clip_hashing.json`` after every run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, command_line, write_result
from benchmarks.retrieval.real10_unseen import affine, real10, record, uncoded
from training import baselines, clips
from training.clip_data import VideoSet, read_manifest
from training.data import load_ucf101_14c
from training.fit_clip import RIDGE, class_axes
from training.hash_net import HashConfig
from training.metrics import average_precision, cosine_distance, hamming
from training.projection import random_rotation
from training.train_clip_bert import ClipTraining, stored_tokens, train
from training.train_hash import hash_codes, train_hash_network, trivial_codes
from training.unseen import Code, Fit, Rows, unseen_classes

NAME = "clip_hashing"
COMMAND = "python -m benchmarks.retrieval.supervised_runs"
STORE = CACHE / "real10" / "i3d_u32_160"
BITS = (16, 64, 512, 32, 128, 256)  # in the order of their runs
SEEDS = (0, 1, 2)
FEATURES = "I3D (Kinetics-400), 32 frames uniformly, 160 × 160, mean of 4 tokens"
SETS = {"ucf101": "VGG-16, mean of 25 frames, unit length, PCA to 512, rotated", "real10": FEATURES}

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Closed:
    """A closed set: features, class numbers, who is query, cut-off K."""

    features: Floats
    targets: NDArray[np.int64]
    test: NDArray[np.bool_]
    k: int

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """Of the same class, ``[queries, database]``."""
        return self.targets[self.test][:, None] == self.targets[~self.test][None]

    def distances(self, codes: NDArray[Any]) -> NDArray[Any]:
        """``[queries, database]``: Hamming of packed codes, centred cosine of float features."""
        q, d = codes[self.test], codes[~self.test]
        return hamming(q, d) if codes.dtype == np.uint8 else cosine_distance(q - d.mean(0), d - d.mean(0))

    def score(self, codes: NDArray[Any]) -> float:
        """mAP@K of packed codes or of float features."""
        found = average_precision(self.distances(codes), self.relevant, (self.k,))
        return round(float(np.nanmean(found)), 4)

    def codes(self, features: Floats, bits: int, seed: int) -> dict[str, NDArray[np.uint8]]:
        """Packed codes of all videos: the hash network trained on ``features``, and its own prediction."""
        shape = HashConfig(features.shape[1], bits, int(self.targets.max()) + 1)
        # features of all kinds at one scale: the network has no norm before its first layer
        features = features / np.sqrt(np.mean(features[~self.test] ** 2))
        network = train_hash_network(features[~self.test], self.targets[~self.test], shape, seed=seed)
        return {"hash": hash_codes(network, features), "trivial": trivial_codes(network, features)}

    def hashed(self, features: Floats, bits: int, seed: int) -> dict[str, float]:
        """mAP@K of both."""
        return {name: self.score(codes) for name, codes in self.codes(features, bits, seed).items()}


def ucf101() -> Closed:
    """Mean-pooled VGG-16 features, reduced to the paper's width by PCA of the train split.

    Turned at random: the dropout of 0.8 would otherwise mostly drop the few components that count.
    """
    data = load_ucf101_14c(DATA / "features" / "ucf101_14c_vgg16")
    test = data.split == "test"
    unit = baselines.unit_length(data.mean_pooled())
    centre, basis = baselines.principal_components(unit[~test], 512)
    basis = (basis @ random_rotation(512, 512, 0)).astype(np.float32)
    return Closed((unit - centre) @ basis, data.labels.argmax(1), test, 100)


def real10_tokens() -> tuple[VideoSet, torch.Tensor]:
    """The set and its I3D tokens ``[541, 4, 1024]``."""
    videos = read_manifest(DATA / clips.FOLDER / "manifest.csv")
    return videos, stored_tokens(STORE, videos)


def bert_training(output: Path, *, bits: int, seed: int) -> ClipTraining:
    """BERT over frozen I3D tokens; the learning rate is ten times the paper's, for a smaller network part."""
    return ClipTraining(
        videos=DATA / clips.FOLDER / "manifest.csv", features=str(STORE), backbone="i3d", output=output,
        sampling="uniform", height=160, width=160, crop=0, filter="area", bits=bits, seed=seed,
        epochs=25, batch=21, accumulate=1, lr=1e-4, resume=True,  # a run that is complete is only read
    )  # fmt: skip


def bert_feature(videos: VideoSet, tokens: torch.Tensor, seed: int) -> Floats:
    """The class token's output ``[541, 1024]`` after training BERT with a classifier."""
    model, _ = train(bert_training(CACHE / "real10" / f"bert-{seed}", bits=0, seed=seed), videos)
    with torch.inference_mode():
        return model.pooling(tokens.float()).numpy()


def joint_codes(videos: VideoSet, tokens: torch.Tensor, bits: int, seed: int) -> NDArray[np.uint8]:
    """Codes of BERT and hash network trained together."""
    model, _ = train(bert_training(CACHE / "real10" / f"joint-{bits}-{seed}", bits=bits, seed=seed), videos)
    with torch.inference_mode():
        return baselines.pack(model.head.logits(model.pooling(tokens.float())).numpy())


def rotated(x: Floats, dimensions: int, bits: int) -> Fit:
    """Unit length, PCA, random orthogonal rotation to ``bits`` bits: labels are not looked at."""
    unit = baselines.unit_length(x)

    def fit(rows: Rows, seed: int) -> Code:
        centre, basis = baselines.principal_components(unit[rows], dimensions)
        projection = basis @ random_rotation(dimensions, bits, seed).astype(np.float32)
        return lambda asked: baselines.pack((unit[asked] - centre) @ projection)

    return fit


def discriminant(
    x: Floats, labels: NDArray[np.str_], dimensions: int, bits: int, *, ridge: float = RIDGE
) -> Fit:
    """What the bundled clip model does: variation within classes shrunk, then as `rotated`."""
    unit = baselines.unit_length(x)

    def fit(rows: Rows, seed: int) -> Code:
        centre, axes = class_axes(unit[rows], labels[rows], dimensions=dimensions, ridge=ridge)
        projection = (axes @ random_rotation(dimensions, bits, seed)).astype(np.float32)
        return lambda asked: baselines.pack((unit[asked] - centre) @ projection)

    return fit


def supervised(x: Floats, labels: NDArray[np.str_], bits: int, *, precision: str = "fp32") -> Fit:
    """The hash network, trained on eight classes."""

    def fit(rows: Rows, seed: int) -> Code:
        classes, targets = np.unique(labels[rows], return_inverse=True)
        shape = HashConfig(x.shape[1], bits, len(classes))
        scaled = x / np.sqrt(np.mean(x[rows] ** 2))
        network = train_hash_network(scaled[rows], targets, shape, seed=seed, precision=precision)
        return lambda asked: hash_codes(network, scaled[asked])

    return fit


def jobs() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """(part, name, what computes it) on UCF101 features, further seeds last."""
    ucf: list[Closed] = []

    def set_() -> Closed:
        if not ucf:
            ucf.append(ucf101())
        return ucf[0]

    yield "ucf101", "uncoded", lambda: set_().score(set_().features)
    for bits in BITS:
        yield "ucf101", f"hash {bits} 0", lambda b=bits: set_().hashed(set_().features, b, 0)  # type: ignore[misc]
        yield "ucf101", f"itq {bits}", lambda b=bits: _itq(set_(), b)  # type: ignore[misc]
    for seed in SEEDS[1:]:
        for bits in BITS:
            yield "ucf101", f"hash {bits} {seed}", lambda b=bits, s=seed: set_().hashed(set_().features, b, s)  # type: ignore[misc]


def closed_jobs() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Closed-set jobs on real10."""
    videos, tokens = real10_tokens()
    mean = tokens.float().mean(1).numpy()
    test = videos.split == "test"
    bert: dict[int, Closed] = {}

    def averaged() -> Closed:
        return Closed(mean, videos.targets(), test, 70)

    def attended(seed: int) -> Closed:
        if seed not in bert:
            bert[seed] = Closed(bert_feature(videos, tokens, seed), videos.targets(), test, 70)
        return bert[seed]

    yield "real10", "uncoded", lambda: averaged().score(mean)
    for bits in (16, 64, 256):
        yield "real10", f"itq {bits}", lambda b=bits: _itq(averaged(), b)  # type: ignore[misc]
        yield (
            "real10",
            f"lsh {bits}",
            lambda b=bits: averaged().score(baselines.lsh(mean[~test], b).code(mean)),
        )  # type: ignore[misc]
    for seed in SEEDS:
        for bits in BITS:
            yield (
                "real10",
                f"bert, separate {bits} {seed}",
                lambda b=bits, s=seed: attended(s).hashed(attended(s).features, b, s),
            )  # type: ignore[misc]
            yield (
                "real10",
                f"mean, separate {bits} {seed}",
                lambda b=bits, s=seed: averaged().hashed(mean, b, s),
            )  # type: ignore[misc]
        for bits in (16, 64, 512):
            yield (
                "real10",
                f"bert, joint {bits} {seed}",
                lambda b=bits, s=seed: averaged().score(joint_codes(videos, tokens, b, s)),
            )  # type: ignore[misc]


def unseen_jobs() -> Iterator[tuple[str, Callable[[], Fit], int, int]]:
    """(name, how to fit it, bits, seeds) of the unseen-class figures."""
    videos, tokens = real10_tokens()
    x = tokens.float().mean(1).numpy()
    yield "i3d, centred cosine", lambda: uncoded(x), 0, 1
    for bits in (64, 256):
        yield f"i3d lsh-{bits}", lambda b=bits: affine(x, "lsh", b), bits, 3  # type: ignore[misc]
        yield (
            f"i3d class-discriminant-{bits}",
            lambda b=bits: discriminant(x, videos.labels, min(b, 128), b),
            bits,
            3,
        )  # type: ignore[misc]
        yield f"i3d pca-rotation-{bits}", lambda b=bits: rotated(x, min(b, 128), b), bits, 3  # type: ignore[misc]
    for bits in (64, 128):
        yield f"i3d itq-{bits}", lambda b=bits: affine(x, "itq", b), bits, 1  # type: ignore[misc]
    yield "i3d hash network-64, supervised", lambda: supervised(x, videos.labels, 64), 64, 1


def _itq(closed: Closed, bits: int) -> float | None:
    train_rows = closed.features[~closed.test]
    if bits > min(len(train_rows) - 1, train_rows.shape[1]):
        return None
    return closed.score(baselines.itq(train_rows, bits).code(closed.features))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", choices=("ucf101", "real10", "unseen"))
    parser.add_argument("--minutes", type=float, default=1e9, help="start no further run after this long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path, start = RESULTS / f"{NAME}.json", time.monotonic()
    parts: list[Iterator[tuple[str, str, Callable[[], Any]]]] = []
    if options.only in (None, "ucf101"):
        parts.append(jobs())
    if options.only in (None, "real10"):
        parts.append(closed_jobs())
    for part in parts:
        for place, name, compute in part:
            result = json.loads(path.read_text()) if path.exists() else {"runs": {}}
            if name in result["runs"].get(place, {}) or time.monotonic() - start > 60 * options.minutes:
                continue
            found = compute()
            # read again: the parts may run side by side
            result = json.loads(path.read_text()) if path.exists() else {"runs": {}}
            result["runs"].setdefault(place, {})[name] = found
            write_result(
                NAME,
                {
                    "command": "python -m benchmarks.retrieval.supervised_runs",
                    "features": SETS,
                    "runs": result["runs"],
                },
            )
            print(f"{place} {name}: {found}", flush=True)
    if options.only in (None, "unseen"):
        unseen = RESULTS / "real10_unseen.json"
        there = json.loads(unseen.read_text())["models"] if unseen.exists() else {}
        for name, make, bits, seeds in unseen_jobs():
            if name not in there:
                found = unseen_classes(real10(), make(), seeds=range(seeds))
                record(name, found, bits=bits, features=FEATURES, seeds=seeds)


if __name__ == "__main__":
    main()
