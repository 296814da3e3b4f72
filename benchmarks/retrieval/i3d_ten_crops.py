"""Do ten crops help? I3D features of real10: mean over ten crops, centre crop, whole frame.

    python -m benchmarks.retrieval.i3d_ten_crops --every 4  # a quarter of each class: a few CPU minutes
    python -m benchmarks.retrieval.i3d_ten_crops            # all 541 clips: 15 CPU minutes; can be resumed

Crops of 160 out of 183 pixels (the paper: 112 of 128); the whole frames are the store of
`supervised_runs`, which says how to make it. Writes ``results/ten_crops.json``: closed-set mAP@70 and
unseen-class mAP of the uncoded feature, paired differences over queries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, command_line, write_result
from benchmarks.retrieval.real10_unseen import uncoded
from benchmarks.retrieval.supervised_runs import STORE, Closed
from training import clips
from training.clip_data import VideoSet, read_manifest
from training.extract_features import Extraction, extract_clips, network_of
from training.metrics import average_precision, paired_difference
from training.train_clip_bert import stored_tokens
from training.unseen import DATABASES, Labelled, Unseen, unseen_classes

NAME = "ten_crops"
CROPS = {"centre crop": 1, "ten crops": 10}
WEIGHTS = DATA / "weights" / "i3d_rgb_kinetics400_fp16.npz"
K = 70


def chosen(videos: VideoSet, every: int) -> NDArray[np.int64]:
    """Every N-th video of each class and split."""
    kinds = np.char.add(np.char.add(videos.labels, "/"), videos.split)
    return np.sort(np.concatenate([np.flatnonzero(kinds == kind)[::every] for kind in np.unique(kinds)]))


def extract(folder: Path, videos: VideoSet, crops: int) -> None:
    """The features of 160 × 160 crops out of 183 × 183 pixels, as far as they are not there."""
    config = Extraction(
        store=folder, weights=str(WEIGHTS), sampling="uniform", height=183, width=183, crop=160,
        filter="area", crops=crops, engine="openvino", precision="bf16", threads=1,
    )  # fmt: skip
    extract_clips(config, videos.root, videos.paths, *network_of(config))


def closed(features: NDArray[np.float32], videos: VideoSet) -> NDArray[np.float64]:
    """AP@70 of each query in the closed set."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    set_ = Closed(unit, videos.targets(), videos.split == "test", K)
    return average_precision(set_.distances(unit), set_.relevant, (K,))[:, 0]


def differences(
    ap: dict[str, NDArray[np.float64]], unseen: dict[str, Unseen], groups: NDArray[np.str_]
) -> list[dict[str, Any]]:
    """Ten crops against each of the others, per query, with 95 % intervals over groups."""
    out = []
    for other in ("centre crop", "whole frame"):
        found = {f"closed set, mAP@{K}": paired_difference(ap["ten crops"], ap[other], groups=groups)}
        for database in DATABASES:
            found[f"unseen, {database}, mAP"] = unseen["ten crops"].over(unseen[other], database=database)
        for figure, row in found.items():
            interval = [round(float(row[side]), 4) for side in ("low", "high")]
            out.append({
                "ten crops against": other, "figure": figure, "difference": round(float(row["mean"]), 4),
                "interval": interval,
            })  # fmt: skip
    return out


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every N-th video of each class and split")
    options = parser.parse_args()
    whole = read_manifest(DATA / clips.FOLDER / "manifest.csv")
    rows = chosen(whole, options.every)
    videos = whole.only(rows)
    labelled = Labelled(videos.labels, videos.groups, videos.split == "test")
    stores = {"whole frame": STORE}
    for name, crops in CROPS.items():
        stores[name] = CACHE / "real10" / f"i3d_u32_183_{crops}_every{options.every}"
        extract(stores[name], videos, crops)
    ap, unseen, models = {}, {}, {}
    for name, folder in stores.items():
        features = stored_tokens(folder, videos).float().mean(1).numpy()
        ap[name] = closed(features, videos)
        unseen[name] = unseen_classes(labelled, uncoded(features), seeds=(0,))
        summary = unseen[name].summary()
        models[name] = {f"closed set, mAP@{K}": round(float(np.nanmean(ap[name])), 4)}
        models[name] |= {f"unseen, {database}": summary[database]["mAP"] for database in DATABASES}
        print(name, models[name], flush=True)
    queries = videos.split == "test"
    write_result(NAME, {
        "command": f"python -m benchmarks.retrieval.i3d_ten_crops --every {options.every}",
        "features": "I3D, 32 frames uniformly, mean of 4 tokens, OpenVINO bf16, unit length, centred cosine",
        "videos": len(rows), "of": len(whole), "queries": int(queries.sum()),
        "models": models, "paired": differences(ap, unseen, videos.groups[queries]),
    })  # fmt: skip


if __name__ == "__main__":
    main()
