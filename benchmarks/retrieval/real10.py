"""Retrieval by class on real10: how far a code that was made for copies also finds the same content.

    python -m benchmarks.retrieval.real10

Queries are the test split, the database is the train split; mAP with ties averaged over, the
cut-off normalised by min(R, K). Beside each model's code: its own uncoded embedding, centred
on the train split, by cosine. Clips of one class are often of one camera, so much of what is found
here is the scene; chance is the share of relevant items. Writes results/real10.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, command_line, write_result
from training import clips, metrics
from vhash_sdk import Encoder

KS: tuple[int | None, ...] = (5, 20, 100, None)


def scores(distances: NDArray[Any], relevant: NDArray[np.bool_]) -> dict[str, float]:
    values = metrics.average_precision(distances, relevant, KS)
    return {f"mAP@{k or 'all'}": float(np.nanmean(values[:, i])) for i, k in enumerate(KS)}


def cosine_distances(queries: NDArray[np.float32], database: NDArray[np.float32]) -> NDArray[np.float64]:
    mean = database.mean(0)
    a, b = ((x - mean) / np.linalg.norm(x - mean, axis=1, keepdims=True) for x in (queries, database))
    return 1 - (a @ b.T).astype(np.float64)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", default="default,small")
    options = parser.parse_args()
    rows = clips.manifest(options.data)
    labels = np.array([row["label"] for row in rows])
    test = np.array([row["split"] == "test" for row in rows])
    relevant = labels[test][:, None] == labels[~test][None]
    result: dict[str, Any] = {}
    for name in options.models.split(","):
        encoder = Encoder(name)
        codes, embeddings = [], []
        for row in rows:
            frames = clips.read_frames(
                options.data / clips.FOLDER / row["path"], encoder.spec.sampling, encoder.spec.resize
            )
            code, _, embedding = encoder.encode_frames(frames[None, None])
            codes.append(code[0])
            embeddings.append(embedding[0])
        packed, floats = np.stack(codes), np.stack(embeddings)
        result[encoder.spec.name] = {
            "code": scores(metrics.hamming(packed[test], packed[~test]), relevant),
            "embedding, centred cosine": scores(cosine_distances(floats[test], floats[~test]), relevant),
        }
        for kind, figures in result[encoder.spec.name].items():
            print(
                f"{encoder.spec.name:18s} {kind:26s} "
                + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()),
                flush=True,
            )
    summary = {"queries": int(test.sum()), "database": int((~test).sum()), "chance": float(relevant.mean())}
    print(write_result("real10", {"benchmark": "real10", **summary, "models": result}))


if __name__ == "__main__":
    main()
