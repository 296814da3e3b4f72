"""Which code finds the same content among classes it never saw: real10, all 45 pairs of classes left out.

    python -m training.frame_features .cache/real10/lite0_192 --size 192 \\
        --backbone sdk/vhash_sdk/models/lite0-phash-256.int8.onnx \\
        --videos ../shared/data/videos/real10/manifest.csv        # features, about a CPU minute
    python -m benchmarks.retrieval.real10_unseen                       # everything that is missing
    python -m benchmarks.retrieval.real10_unseen --again neighbour-64  # one method once more

Writes ``results/real10_unseen.json``, one entry a method; entries of other scripts stay (they call
`record`). The protocol is `training.unseen`: what is learned is learned on eight classes, queries and
database are of the other two. The zoo's alias ``semantic`` goes to the best code by ``left out`` mAP.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, command_line, write_result
from training import baselines, clips, train_semantic
from training.frame_features import FeatureStore
from training.train_neighbour import codes, train
from training.unseen import Code, Fit, Labelled, Rows, Unseen, unseen_classes

NAME = "real10_unseen"
STORE = CACHE / "real10" / "lite0_192"
FEATURES = "EfficientNet-Lite0 int8, 192 × 192, places weighted as in the default model, mean of 25 frames"


def real10(data: Path = DATA) -> Labelled:
    """Labels, groups and split of real10's manifest, in its order."""
    rows = clips.manifest(data)
    return Labelled(
        np.array([row["label"] for row in rows]),
        np.array([row["group"] for row in rows]),
        np.array([row["split"] == "test" for row in rows]),
    )


def record(name: str, found: Unseen, **about: object) -> None:
    """Put one method's entry into the result file; ``about`` says how it was made (bits, features …)."""
    path = RESULTS / f"{NAME}.json"
    models = json.loads(path.read_text())["models"] if path.exists() else {}
    models[name] = {**about, **found.summary()}
    write_result(
        NAME,
        {
            "command": "python -m benchmarks.retrieval.real10_unseen",
            "protocol": "each pair of classes left out in turn (45); learned on the train split of the other "
            "eight; queries: test split of the two; database: train split of the two (left out) or of all "
            "ten (whole); ties averaged over, Z = min(R, K); 95 % intervals by a bootstrap over groups",
            "queries": len(found.queries),
            "groups": len(set(found.groups.tolist())),
            "query_rows": found.queries.tolist(),
            "models": dict(sorted(models.items())),
        },
    )
    figures = models[name]["left out"]["mAP"]
    print(f"{name}: mAP {figures['mean']:.3f} {figures['interval']}", flush=True)


def mean_features(store: Path = STORE) -> NDArray[np.float32]:
    """Lite0 features of real10, means over the frames, ``[541, 1280]``, in the order of the manifest."""
    found = FeatureStore.open(store)
    if found.names != [row["path"] for row in clips.manifest(DATA)] or len(found.done) != len(found.names):
        raise SystemExit(f"{store} is not complete; make it as the docstring says")
    return np.stack([f.astype(np.float32).mean(axis=0) for f in found.features])


def uncoded(x: NDArray[np.float32]) -> Fit:
    """The feature itself, unit length, centred on what may be learned from."""
    unit = baselines.unit_length(x)
    return lambda rows, seed: lambda asked: unit[asked] - unit[rows].mean(axis=0)


def affine(x: NDArray[np.float32], kind: str, bits: int) -> Fit:
    """LSH, PCA-sign or ITQ."""

    def fit(rows: Rows, seed: int) -> Code:
        if kind == "pca-sign":
            hash_ = baselines.pca_sign(x[rows], bits)
        else:
            hash_ = {"lsh": baselines.lsh, "itq": baselines.itq}[kind](x[rows], bits, seed=seed)
        return lambda asked: hash_.code(x[asked])

    return fit


def neighbour(x: NDArray[np.float32], bits: int) -> Fit:
    """The recipe of `training.train_semantic`, on those of the clips that it may use."""
    mine = train_semantic.training_rows(DATA)

    def fit(rows: Rows, seed: int) -> Code:
        model, _ = train(train_semantic.recipe(bits, seed), x[np.intersect1d(mine, rows)][:, None])
        return lambda asked: codes(model, x[asked][:, None])

    return fit


def neighbour_copies(x: NDArray[np.float32], bits: int) -> Fit:
    """The recipe with altered copies; only copies of videos that may be learned from."""
    names = np.array([row["path"] for row in clips.manifest(DATA)])
    every = train_semantic.with_copies(DATA)

    def fit(rows: Rows, seed: int) -> Code:
        mine = every.only(set(names[rows]))
        model, _ = train(train_semantic.recipe(bits, seed), mine.features, twins=mine.video)
        return lambda asked: codes(model, x[asked][:, None])

    return fit


def methods() -> dict[str, tuple[Callable[[], Fit], int]]:
    """Name → (how to fit it, bits)."""
    x = mean_features()
    out: dict[str, tuple[Callable[[], Fit], int]] = {"lite0, centred cosine": (lambda: uncoded(x), 0)}
    for bits in (64, 256):
        out[f"lite0-lsh-{bits}"] = (partial(affine, x, "lsh", bits), bits)
        out[f"lite0-neighbour-{bits}"] = (partial(neighbour, x, bits), bits)
        out[f"lite0-neighbour-copies-{bits}"] = (partial(neighbour_copies, x, bits), bits)
    for kind in ("pca-sign", "itq"):  # 168 videos to learn from, at the least, give no 256 components
        out[f"lite0-{kind}-64"] = (partial(affine, x, kind, 64), 64)
    return out


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--again", nargs="*", default=[], help="methods to measure though they are there")
    parser.add_argument("--only", nargs="*", help="methods to measure (default: all that are missing)")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, path = real10(), RESULTS / f"{NAME}.json"
    there = set(json.loads(path.read_text())["models"]) if path.exists() else set()
    for name, (make, bits) in methods().items():
        if (name in there and name not in options.again) or name not in (options.only or [name]):
            continue
        start = time.process_time()
        found = unseen_classes(data, make(), seeds=tuple(range(options.seeds)))
        seconds = round(time.process_time() - start, 1)
        record(name, found, bits=bits, features=FEATURES, seeds=options.seeds, cpu_seconds=seconds)


if __name__ == "__main__":
    main()
