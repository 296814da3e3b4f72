"""Precision over recall on the closed sets, 64 bits, seed 0: the codes that `supervised_runs` only scores.

    python -m benchmarks.retrieval.supervised_curves  # minutes; supervised_runs has left its BERTs in .cache

Codes are kept in ``.cache/clip_curves/``, so a second run only draws. Writes ``results/clip_curves.json`` and
``training/report/clip_precision_recall_SET.webp``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, ROOT, command_line, write_result
from benchmarks.retrieval.supervised_runs import (
    Closed,
    Floats,
    bert_feature,
    joint_codes,
    real10_tokens,
    ucf101,
)
from training import baselines
from training.evaluate import precision_recall_plot
from training.metrics import curve_by_radius, curve_by_rank

NAME = "clip_curves"
BITS, SEED = 64, 0
RECALLS = tuple(round(0.1 * i, 1) for i in range(1, 11))
RADII = tuple(range(0, 33, 2))
FOLDER = CACHE / NAME
PLOTS = ROOT / "training" / "report"

Codes = dict[str, NDArray[np.uint8]]


def kept(place: str, method: str, make: Callable[[], Codes]) -> Codes:
    """The codes of a method, from the cache where it has them."""
    file = FOLDER / f"{place} {method}.npz"
    if not file.exists():
        found = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **found)
        print(f"{file.name} made", flush=True)
    with np.load(file) as archive:
        return {name: archive[name] for name in archive.files}


def unlearned(closed: Closed, place: str) -> Codes:
    """ITQ and LSH of the closed set's features."""
    database = closed.features[~closed.test]

    def make() -> Codes:
        return {
            "ITQ": baselines.itq(database, BITS).code(closed.features),
            "LSH": baselines.lsh(database, BITS).code(closed.features),
        }

    return kept(place, "baselines", make)


def ucf101_codes() -> tuple[Closed, Codes]:
    """The set on VGG-16 features, and each method's codes."""
    closed = ucf101()
    network = kept("ucf101", "hash", lambda: closed.codes(closed.features, BITS, SEED))
    named = {"hash network": network["hash"], "trivial code": network["trivial"]}
    return closed, named | unlearned(closed, "ucf101")


def real10_codes() -> tuple[Closed, Codes]:
    """The set on I3D tokens, and each method's codes."""
    videos, tokens = real10_tokens()
    mean: Floats = tokens.float().mean(1).numpy()
    closed = Closed(mean, videos.targets(), videos.split == "test", 70)
    bert = kept("real10", "bert", lambda: closed.codes(bert_feature(videos, tokens, SEED), BITS, SEED))
    averaged = kept("real10", "mean", lambda: closed.codes(mean, BITS, SEED))
    joint = kept("real10", "joint", lambda: {"joint": joint_codes(videos, tokens, BITS, SEED)})
    named = {
        "BERT, then hash network": bert["hash"], "BERT and hash network jointly": joint["joint"],
        "mean of tokens, then hash network": averaged["hash"], "trivial code of BERT's": bert["trivial"],
    }  # fmt: skip
    return closed, named | unlearned(closed, "real10")


def figures(closed: Closed, codes: NDArray[Any]) -> dict[str, Any]:
    """mAP@K, precision at `RECALLS` along the ranking, and within `RADII` where these are codes."""
    distances = closed.distances(codes)
    curve = curve_by_rank(distances, closed.relevant)
    at = np.interp(RECALLS, curve.recall, curve.precision)
    out: dict[str, Any] = {
        f"mAP@{closed.k}": closed.score(codes),
        "precision at recall": {str(r): round(float(p), 4) for r, p in zip(RECALLS, at, strict=True)},
    }
    if codes.dtype == np.uint8:
        within = curve_by_radius(distances, closed.relevant, RADII)
        out["within radius"] = {
            str(radius): [round(precision, 4), round(recall, 4)]
            for radius, precision, recall in zip(within.at, within.precision, within.recall, strict=True)
        }
    return out


def main() -> None:
    command_line(__doc__).parse_args()
    torch.set_num_threads(1)
    sets: dict[str, Any] = {}
    for place, make in {"ucf101": ucf101_codes, "real10": real10_codes}.items():
        closed, codes = make()
        methods: dict[str, NDArray[Any]] = {**codes, "uncoded floats": closed.features}
        sets[place] = {name: figures(closed, each) for name, each in methods.items()}
        precision_recall_plot(
            {name: closed.distances(each) for name, each in methods.items()}, closed.relevant,
            PLOTS / f"clip_precision_recall_{place}.webp",
            title=f"{place}, closed set, {BITS} bits, seed {SEED}",
        )  # fmt: skip
    command = "python -m benchmarks.retrieval.supervised_curves"
    write_result(
        NAME,
        {"command": command, "bits": BITS, "seed": SEED, "within radius": "precision, recall", "sets": sets},
    )


if __name__ == "__main__":
    main()
