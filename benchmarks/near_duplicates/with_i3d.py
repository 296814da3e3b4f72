"""Does the clip model help to find near-duplicates, beside the default model's code or its second look?

    python -m benchmarks.near_duplicates.with_i3d  # clips and fingerprints as kept by run.py

The distance of I3D's codes, weighted, is added to the distance of the default model's codes, or to the
verified distance. Writes ``results/near_duplicates_clip.json``: figures, and the paired change that the
addition makes, with 95 % intervals by a bootstrap over scenes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, command_line, write_result
from benchmarks.near_duplicates.clips import originals, queries
from benchmarks.near_duplicates.metrics import FIGURES, Ranking, bootstrap, interval, scene_weights
from benchmarks.near_duplicates.run import KINDS, distances, encode_all, load, pairs_of

NAME = "near_duplicates_clip"
ADDED, TO = "code:semantic", {"codes": "codes:default", "second look": "vhash:default"}
WEIGHTS = (0.1, 0.2, 0.5, 1.0)
DRAWS = 1000


def main() -> None:
    parser = command_line(__doc__)
    parser.parse_args()
    folder = CACHE / "near_duplicates"
    clips = originals(DATA, folder)
    asked = queries(clips, folder)
    pairs = pairs_of(asked, clips)
    paths = [clip.path for clip in clips] + [query.path for query in asked]
    draws = scene_weights([query.original.scene for query in asked], DRAWS)

    def matrix(key: str) -> NDArray[np.float64]:
        tool = load(key)
        if tool is None:
            raise SystemExit(f"{key} cannot be loaded")
        prints, _ = encode_all(tool, folder / "fingerprints" / f"{tool.version}.npz", paths)
        return distances(tool, prints[len(clips) :], prints[: len(clips)])

    added = matrix(ADDED)
    rows: list[dict[str, Any]] = []
    for title, key in TO.items():
        base = matrix(key)
        for kind in KINDS:
            before: NDArray[np.float64] | None = None
            for weight in (0.0, *WEIGHTS):
                ranking = Ranking(base + weight * added, pairs[kind])
                point, samples = ranking.figures(np.ones(len(base))), bootstrap(ranking, draws)
                row: dict[str, Any] = {"to": title, "negatives": kind, "weight": weight}
                for i, figure in enumerate(FIGURES):
                    row[figure] = {"value": float(point[i])}
                    if before is not None:
                        row[figure]["change"] = interval(samples[:, i] - before[:, i])
                before = samples if before is None else before
                rows.append(row)
                print(title, kind, weight, [round(float(x), 3) for x in point], flush=True)
    write_result(NAME, {
        "command": "python -m benchmarks.near_duplicates.with_i3d",
        "added": ADDED, "queries": len(asked), "rows": rows,
    })  # fmt: skip


if __name__ == "__main__":
    main()
