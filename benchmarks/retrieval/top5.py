"""A picture of queries and their five nearest videos by a model's code: right ones green, wrong ones red.

    python -m training.train_semantic --bits 64
    python -m benchmarks.retrieval.top5 runs/semantic/lite0-neighbour-64.safetensors

One query of each class from real10's test split, the database its train split; ties are broken by
the order of the manifest. Writes ``top5.png`` beside the checkpoint; the clips are for research use, so
the picture stays out of the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, command_line
from benchmarks.retrieval.real10_unseen import STORE, mean_features, real10
from training import clips, plots
from training.metrics import hamming
from training.semantic import load_model
from training.train_neighbour import codes
from vhash_sdk.spec import Resize, Sampling

FOUND = 5


def middle_frame(path: str) -> NDArray[np.uint8]:
    """The middle frame of a clip, 96 × 128."""
    return clips.read_frames(DATA / clips.FOLDER / path, Sampling("uniform", 1), Resize("exact", 96, 128))[0]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--store", type=Path, default=STORE, help="frame features of real10")
    options = parser.parse_args()
    model, _ = load_model(options.checkpoint)
    packed = codes(model.encoder, mean_features(options.store)[:, None])
    data, names = real10(), [row["path"] for row in clips.manifest(DATA)]
    database = np.flatnonzero(~data.test)
    rows, titles = [], []
    for label in sorted(set(data.labels.tolist())):
        asked = int(np.flatnonzero(data.test & (data.labels == label))[0])
        nearest = database[np.argsort(hamming(packed[[asked]], packed[database])[0], kind="stable")[:FOUND]]
        found = [(middle_frame(names[i]), bool(data.labels[i] == label)) for i in nearest]
        rows.append([(middle_frame(names[asked]), None), *found])
        titles.append(label)
    columns = ["query", *(f"{place + 1}." for place in range(FOUND))]
    picture = options.checkpoint.with_name("top5.png")
    plots.gallery(rows, picture, titles=titles, columns=columns)
    right = np.mean([right for row in rows for _, right in row[1:]])
    print(f"{picture}: {right:.0%} of the {FOUND * len(rows)} found are of the query's class")


if __name__ == "__main__":
    main()
