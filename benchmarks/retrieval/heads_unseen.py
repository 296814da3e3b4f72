"""The hash heads of `training.methods` on classes they never saw, beside the features that they code: real10.

    python -m benchmarks.retrieval.heads_unseen     # features as for real10_unseen and supervised_runs
    python -m benchmarks.retrieval.heads_unseen --only csq --features i3d

Each head is trained on the train split of eight classes and asked about the other two (`training.unseen`, all
45 pairs), with its narrow options, on principal components of the means. Features: I3D's, those of the copy
descriptor's frames (``training.frame_features .cache/real10/copy_160 --size 160 --backbone copy-256…``), both
joined, and EfficientNet-Lite0's. Each is compared, query by query, with the same features uncoded, and with
I3D's uncoded, which ``semantic`` would have to beat. Writes ``results/heads_unseen.json``, a head at a time.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, RESULTS, command_line, load, write_result
from benchmarks.retrieval.paper_methods import POOLED
from benchmarks.retrieval.real10_unseen import affine, mean_features, real10, uncoded
from benchmarks.retrieval.supervised_runs import real10_tokens
from training import baselines
from training.methods.registry import METHODS
from training.methods.train import encode, train
from training.reduce import Reduced, project
from training.unseen import Code, Fit, Rows, Unseen, unseen_classes
from training.uvvh import feature_scale

NAME = "heads_unseen"
PROTOCOL = "as real10_unseen, one seed; differences paired by query, 95 % by a bootstrap over groups"
BITS = 64
COMPONENTS = 128  # the smallest split has 168 videos to learn from
ABOUT = {
    "i3d": "I3D, mean over windows",
    "copy": "copy descriptor, mean over frames",
    "i3d+copy": "I3D and copy descriptor, unit length each, side by side",
    "lite0": "EfficientNet-Lite0, mean over frames",
}


def features() -> dict[str, NDArray[np.float32]]:
    """Means of each kind, ``[541, F]``."""
    i3d, copy = real10_tokens()[1].float().mean(1).numpy(), mean_features(CACHE / "real10" / "copy_160")
    joined = np.concatenate([baselines.unit_length(i3d), baselines.unit_length(copy)], axis=1)
    return {"i3d": i3d, "copy": copy, "i3d+copy": joined, "lite0": mean_features()}


def learned(x: NDArray[np.float32], labels: NDArray[np.str_], name: str) -> Fit:
    """A method of the registry, on principal components of unit features."""
    unit = baselines.unit_length(x)[:, None]

    def fit(rows: Rows, seed: int) -> Code:
        centre, basis = baselines.principal_components(unit[rows, 0], COMPONENTS)
        seen = project(unit[rows], centre, basis)
        places = torch.as_tensor(centre), torch.as_tensor(basis)
        data = Reduced(
            seen, seen[:0], feature_scale(seen), x.shape[1], *places, np.zeros((0, len(rows)), bool)
        )
        known = labels[rows][:, None] == np.unique(labels[rows])[None]
        method = METHODS[name]
        trained = train(method, method.options(**method.narrow), data, known, bits=BITS, seed=seed)
        return lambda asked: encode(trained.head, project(unit[asked], centre, basis))

    return fit


def entry(found: Unseen, others: dict[str, Unseen], **about: object) -> dict[str, Any]:
    """One code's figures, and its mAP less that of others, with 95 % intervals."""
    out: dict[str, Any] = dict(about)
    for database, cells in found.summary().items():
        out[database] = {"mAP": cells["mAP"]}
        for name, other in others.items():
            gap = found.over(other, database=database)
            out[database][f"over {name}"] = [round(gap[key], 4) for key in ("mean", "low", "high")]
    return out


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", nargs="*", help="methods (default: all that see means)")
    parser.add_argument("--features", nargs="*", choices=ABOUT, help="kinds of features (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, kinds = real10(), features()
    done = load(NAME)["codes"] if (RESULTS / f"{NAME}.json").exists() else {}
    best = unseen_classes(data, uncoded(kinds["i3d"]), seeds=(0,))
    for kind, x in kinds.items():
        own = unseen_classes(data, uncoded(x), seeds=(0,))
        done[kind] = entry(own, {"i3d": best}, bits=0, features=ABOUT[kind])
        for name in ("itq", *POOLED) if kind in (options.features or ABOUT) else ():
            title = f"{kind} {name}"
            if name not in (options.only or (name,)) or title in done:
                continue
            fit = affine(x, "itq", BITS) if name == "itq" else learned(x, data.labels, name)
            start = time.process_time()
            found = unseen_classes(data, fit, seeds=(0,))
            seconds = round(time.process_time() - start, 1)
            about = {"bits": BITS, "features": ABOUT[kind], "cpu_seconds": seconds}
            done[title] = entry(found, {"i3d": best, "uncoded": own}, **about)
            print(title, done[title]["left out"], flush=True)
            command = f"python -m benchmarks.retrieval.{NAME}"
            write_result(NAME, {"command": command, "protocol": PROTOCOL, "codes": done})


if __name__ == "__main__":
    main()
