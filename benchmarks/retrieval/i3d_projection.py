"""How the projection of the bundled clip model was chosen: inside real10's train split.

    python -m benchmarks.retrieval.i3d_projection       # features as for supervised_runs; a few CPU minutes

The unseen-class protocol of `training.unseen`, with a third of each class's groups in the train split as
queries and the rest as database: no video that is ever tested on is looked at. 256 bits, one rotation.
Writes ``results/clip_choice.json``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, write_result
from benchmarks.retrieval.supervised_runs import discriminant, real10_tokens, rotated
from training.clip_data import VideoSet
from training.unseen import DATABASES, Fit, Labelled, unseen_classes

NAME = "clip_choice"
BITS = 256
RIDGES = (0.3, 1.0, 2.0, 4.0)
DIMENSIONS = (64, 96, 112)  # the smallest split has 119 videos to learn from


def held_out(videos: VideoSet, seed: int = 0) -> NDArray[np.bool_]:
    """A third of each class's groups, at least one, ``[n]``."""
    generator, out = np.random.default_rng(seed), np.zeros(len(videos), bool)
    for label in videos.classes:
        mine = videos.labels == label
        groups = generator.permutation(np.unique(videos.groups[mine]))
        out |= mine & np.isin(videos.groups, groups[: max(1, len(groups) // 3)])
    return out


def main() -> None:
    parser = command_line(__doc__)
    parser.parse_args()
    whole, tokens = real10_tokens()
    rows = np.flatnonzero(whole.split == "train")
    videos = whole.only(rows)
    x = tokens.float().mean(1).numpy()[rows]
    data = Labelled(videos.labels, videos.groups, held_out(videos))
    recipes: dict[str, partial[Fit]] = {
        f"pca-rotation, {d} dimensions": partial(rotated, x, d, BITS) for d in DIMENSIONS
    }
    for ridge in RIDGES:
        for d in DIMENSIONS:
            name = f"class-discriminant, ridge {ridge:g}, {d} dimensions"
            recipes[name] = partial(discriminant, x, videos.labels, d, BITS, ridge=ridge)
    models: dict[str, Any] = {}
    for name, make in recipes.items():
        found = unseen_classes(data, make(), seeds=(0,)).summary()
        models[name] = {
            f"{database}, {figure}": found[database][figure]["mean"]
            for database in DATABASES
            for figure in ("mAP", "mAP@5")
        }
        print(name, models[name], flush=True)
    write_result(NAME, {
        "command": "python -m benchmarks.retrieval.i3d_projection", "bits": BITS, "videos": len(videos),
        "queries": int(data.test.sum()), "models": models,
    })  # fmt: skip


if __name__ == "__main__":
    main()
