"""Choose neighbour-uvvh's settings on validation queries: both sides come from the train split.

UCF101: database = training data = groups 14–25, queries = groups 8–13. real10 (some hundred clips,
Lite0 features): queries = a quarter of each class's training groups; `training.train_semantic.recipe`
is chosen here. No test split is read. Writes ``results/retrieval_tuning.json``, mAP over 3 seeds::

    python -m benchmarks.retrieval.unsupervised_tuning
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.common import command_line, write_result
from benchmarks.retrieval.unsupervised_runs import SEEDS, Sets
from training.baselines import itq
from training.data import FeatureSet, relevance
from training.metrics import average_precision, hamming
from training.train_neighbour import NeighbourTraining, codes, train
from training.train_semantic import recipe

SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "128 components, temperature .3, 40 epochs": {"pca": 128, "temperature": 0.3, "epochs": 40},
    "64 components, temperature .4, 80 epochs": {"pca": 64, "temperature": 0.4, "epochs": 80},
    "256 components": {"pca": 256},
    "temperature .2": {"temperature": 0.2},
    "temperature .5": {"temperature": 0.5},
    "80 epochs": {"epochs": 80},
    "20 epochs": {"epochs": 20},
    "hidden layer of 1024": {"hidden": 1024},
    "dropout .4": {"dropout": 0.4},
    "positives: .015 of the videos": {"share": 0.015},
    "positives: .034 of the videos": {"share": 0.034},
    "graph of 10": {"graph": 10},
    "graph of 25": {"graph": 25},
    "restart .06": {"restart": 0.06},
    "plain nearest neighbours (no diffusion)": {"restart": 1.0},
    "sign straight through": {"relax": "sign"},
    "no decorrelation": {"decorrelation": 0.0},
    "decorrelation 1": {"decorrelation": 1.0},
    "with bit balance": {"balance": 1.0},
    "neighbours refreshed every 8 epochs": {"refresh": 8},
    "order-aware encoder (conv)": {"encoder": "conv", "pca": 128},
}


FEW: dict[str, dict[str, object]] = {
    "recipe: plain nearest neighbours, .06 of the videos": {},
    ".028 of the videos": {"share": 0.028},
    "half a random walk (restart .3), .028": {"restart": 0.3, "share": 0.028},
    "UCF101's random walk (restart .03), .028": {"restart": 0.03, "share": 0.028},
    "60 epochs": {"epochs": 60},
    "128 components": {"pca": 128},
}
"""Changes to the recipe for few clips."""


def main() -> None:
    command_line(__doc__).parse_args()
    torch.set_num_threads(1)
    sets = Sets("validation")
    settings: dict[str, dict[str, object] | None] = {"ITQ, for comparison": None, **SETTINGS}
    ucf101 = tune(settings, (16, 32, 64), *sets.pooled, whole=lambda: sets.whole)
    database, queries = real10_validation()
    few: dict[str, dict[str, object] | None] = {"ITQ, for comparison": None, **FEW}
    real10 = tune(few, (64,), database, queries, few=True)
    write_result(
        "retrieval_tuning",
        {
            "command": "python -m benchmarks.retrieval.unsupervised_tuning",
            "protocol": "train splits only. UCF101: database = training data = groups 14-25, queries = "
            "groups 8-13; real10: queries = a quarter of each class's groups, Lite0 features",
            "videos": {
                "UCF101": [len(s) for s in sets.pooled],
                "real10": [len(database), len(queries)],
            },
            "figures": "mean and standard deviation over 3 seeds, tie-aware, Z = min(R, K)",
            "settings": ucf101,
            "real10": real10,
        },
    )


def real10_validation() -> tuple[FeatureSet, FeatureSet]:
    """(database, queries) from real10's train split, mean over the frames; groups stay together."""
    train_split, _ = Sets("real10").pooled
    rng, held = np.random.default_rng(0), np.zeros(len(train_split), bool)
    for label in train_split.labels.T.astype(bool):
        groups = np.unique(train_split.groups[label])
        taken = rng.permutation(groups)[: max(1, len(groups) // 4)]
        held |= label & np.isin(train_split.groups, taken)
    return train_split.take(~held), train_split.take(held)


def tune(
    settings: dict[str, dict[str, object] | None], lengths: tuple[int, ...], database: FeatureSet,
    queries: FeatureSet, *, few: bool = False,
    whole: Callable[[], tuple[FeatureSet, FeatureSet]] | None = None,
) -> list[dict[str, object]]:  # fmt: skip
    """Rows of the result; setting None = ITQ; ``whole`` gives an order-aware encoder its frames."""
    relevant, rows = relevance(queries, database), []
    for name, setting in settings.items():
        for bits in lengths:
            found = []
            for seed in SEEDS:
                if setting is None:
                    hash_ = itq(database.features[:, 0], bits, seed=seed)
                    coded = [hash_.code(s.features[:, 0]) for s in (queries, database)]
                else:
                    base = recipe(bits, seed) if few else NeighbourTraining(bits=bits, seed=seed)
                    config = replace(base, **setting)  # type: ignore[arg-type]
                    seen = whole() if whole and config.encoder == "conv" else (database, queries)
                    model, _ = train(config, seen[0].features)
                    coded = [codes(model, s.features) for s in (seen[1], seen[0])]
                ap = average_precision(hamming(*coded), relevant, (5, 100, None))
                found.append(np.nanmean(ap, axis=0))
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
            figures = zip(("map@5", "map@100", "map"), mean, spread, strict=True)
            rows.append(
                {"setting": name, "bits": bits}
                | {k: [round(float(m), 4), round(float(s), 4)] for k, m, s in figures}
            )
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
