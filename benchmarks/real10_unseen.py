"""Which code finds the same content among classes it never saw: real10, all 45 pairs of classes left out.

    python -m training.frame_features .cache/real10/lite0_224 --size 224 --backbone lite0 \\
        --videos ../shared/data/videos/real10/manifest.csv        # features, about 5 CPU minutes
    python -m benchmarks.real10_unseen                            # everything that is missing
    python -m benchmarks.real10_unseen --again neighbour-uvvh-64  # one method once more

Writes ``results/real10_unseen.json``, one entry a method; entries of other scripts stay (they call
`record`). The protocol is `training.unseen`: what is learned is learned on eight classes, queries and
database are of the other two. The zoo's alias ``semantic`` goes to the best code by ``left out`` mAP.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, write_result
from training import baselines, clips
from training.frame_features import FeatureStore
from training.train_neighbour import NeighbourTraining, codes, train
from training.unseen import Code, Fit, Labelled, Rows, Unseen, unseen_classes

NAME = "real10_unseen"
STORE = CACHE / "real10" / "lite0_224"


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
            "command": "python -m benchmarks.real10_unseen",
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


def lite0(store: Path = STORE) -> NDArray[np.float32]:
    """Mean-pooled EfficientNet-Lite0 features of real10, ``[541, 1280]``, in the manifest's order."""
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
    """neighbour-uvvh on the mean feature."""

    def fit(rows: Rows, seed: int) -> Code:
        model, _ = train(NeighbourTraining(bits=bits, seed=seed), x[rows][:, None])
        return lambda asked: codes(model, x[asked][:, None])

    return fit


def methods(x: NDArray[np.float32]) -> dict[str, tuple[Callable[[], Fit], dict[str, Any]]]:
    """Name → (how to fit it, what the entry says of it)."""
    over = {"features": "EfficientNet-Lite0, 224 × 224, mean of 25 frames"}
    out: dict[str, tuple[Callable[[], Fit], dict[str, Any]]] = {
        "lite0, centred cosine": (lambda: uncoded(x), {"bits": 0, **over})
    }
    for bits in (64, 256):
        out[f"lite0 lsh-{bits}"] = (lambda b=bits: affine(x, "lsh", b), {"bits": bits, **over})  # type: ignore[misc]
        out[f"lite0 neighbour-uvvh-{bits}"] = (lambda b=bits: neighbour(x, b), {"bits": bits, **over})  # type: ignore[misc]
    for kind in ("pca-sign", "itq"):  # 168 videos to learn from, at the least, give no 256 components
        for bits in (64, 128):
            out[f"lite0 {kind}-{bits}"] = (lambda k=kind, b=bits: affine(x, k, b), {"bits": bits, **over})  # type: ignore[misc]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--again", nargs="*", default=[], help="methods to measure though they are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, path = real10(), RESULTS / f"{NAME}.json"
    there = set(json.loads(path.read_text())["models"]) if path.exists() else set()
    for name, (make, about) in methods(lite0()).items():
        if name in there and name not in options.again:
            continue
        start = time.process_time()
        found = unseen_classes(data, make())
        record(name, found, **about, seeds=3, cpu_seconds=round(time.process_time() - start, 1))


if __name__ == "__main__":
    main()
