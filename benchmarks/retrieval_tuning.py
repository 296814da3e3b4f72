"""Choose neighbour-uvvh's settings on validation queries: both sides come from the train split.

Database = training data = UCF101 groups 14–25, queries = groups 8–13; the test split is not read.
Writes ``results/retrieval_tuning.json``, each setting's mAP at 16 and 64 bits over 3 seeds::

    python -m benchmarks.retrieval_tuning
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.common import write_result
from benchmarks.retrieval_runs import SEEDS, protocol_sets
from training.data import relevance
from training.metrics import average_precision, hamming
from training.train_neighbour import NeighbourTraining, codes, train

SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "share .028": {"share": 0.028},
    "share .028, 40 epochs": {"share": 0.028, "epochs": 40},
    "share .034": {"share": 0.034},
    "share .015": {"share": 0.015},
    "plain nearest neighbours (no diffusion)": {"restart": 1.0},
    "sign straight through": {"relax": "sign"},
    "no decorrelation": {"decorrelation": 0.0},
    "decorrelation 1": {"decorrelation": 1.0},
    "with bit balance": {"balance": 1.0},
    "neighbours refreshed every 8 epochs": {"refresh": 8},
    "share .028, 40 epochs, refreshed every 16": {"share": 0.028, "epochs": 40, "refresh": 16},
    "order-aware encoder (conv)": {"encoder": "conv"},
}


def main() -> None:
    torch.set_num_threads(1)
    database, queries = protocol_sets("validation")
    relevant, rows = relevance(queries, database), []
    pooled = [s.mean_pooled()[:, None] for s in (database, queries)]  # what the mean encoder sees, once
    for name, setting in SETTINGS.items():
        for bits in (16, 64):
            found = []
            for seed in SEEDS:
                config = NeighbourTraining(bits=bits, seed=seed, **setting)  # type: ignore[arg-type]
                sets = (database.features, queries.features) if config.encoder == "conv" else pooled
                model, _ = train(config, sets[0])
                distances = hamming(codes(model, sets[1]), codes(model, sets[0]))
                found.append(np.nanmean(average_precision(distances, relevant, (5, 100, None)), axis=0))
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
            rows.append(
                {"setting": name, "bits": bits}
                | {
                    k: [round(float(m), 4), round(float(s), 4)]
                    for k, m, s in zip(("map@5", "map@100", "map"), mean, spread, strict=True)
                }
            )
            print(rows[-1], flush=True)
    write_result(
        "retrieval_tuning",
        {
            "command": "python -m benchmarks.retrieval_tuning",
            "protocol": "UCF101 train split only: database = training data = groups 14-25, queries = groups 8-13",  # noqa: E501
            "videos": {"database": len(database), "queries": len(queries)},
            "figures": "mean and standard deviation over 3 seeds, tie-aware, Z = min(R, K)",
            "settings": rows,
        },
    )


if __name__ == "__main__":
    main()
