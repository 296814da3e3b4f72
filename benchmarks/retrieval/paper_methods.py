"""The methods that the two papers compare with, and the best since, in one protocol: every method of
`training.methods` × bits × seeds on UCF101 frame features.

    python -m benchmarks.retrieval.paper_methods     # all that is missing; may be stopped at any time
    python -m benchmarks.retrieval.paper_methods --minutes 30 --bits 64
    python -m benchmarks.retrieval.paper_methods --only ssth conmh --seeds 0

The protocol is that of `unsupervised_runs`: train split = training and database, test split = queries, ties
averaged over. All see the same input, `COMPONENTS` principal components of the frames, fitted on the videos'
means, and have their narrow options (``python -m training.methods NAME --options narrow``). Codes are kept
in ``.cache/retrieval/paper_methods/``, a run that was stopped goes on, and whatever is there is scored into
``results/paper_methods.json``; `unsupervised_report` draws the tables. One thread, so that CPU seconds
compare.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.common import CACHE, DATA, command_line, write_result
from training import baselines, checkpoint
from training.data import FeatureSet, load_ucf101_14c, relevance, train_database_queries
from training.evaluate import Scored, compare, score
from training.methods.registry import METHODS
from training.methods.train import encode, forget, train
from training.metrics import hamming
from training.reduce import Reduced, project
from training.train_neighbour import NeighbourTraining, train_and_code
from training.uvvh import feature_scale

NAME = "paper_methods"
RUNS = CACHE / "retrieval" / NAME
BITS = (64, 16, 32, 128)
SEEDS = (0, 1, 2)
COMPONENTS = 256
REFERENCES = ("lsh", "itq", "neighbour-uvvh")
"""Run here too: in the same process on the same videos, so that differences are paired."""
PAPER = "uvvh-2"
"""Its codes are taken from where `unsupervised_runs` left them, where it did."""
POOLED = ("mfh", "ksh", "dbh", "dh", "csq", "dhwcm", "dnnh")
"""They see the mean over frames only: seconds a run."""
ORDERED = ("jtae", "ssth", "ssvh", "conmh", "s5vh", "bth", "srh", "dvh")
SHOWN = ("mAP@5", "mAP@20", "mAP@100", "mAP")


def grid() -> Iterator[tuple[str, int, int]]:
    """(method, bits, seed): 64 bits first, all seeds of what is cheap first."""
    for bits in BITS:
        for methods in ((*REFERENCES, *POOLED), ORDERED):
            for seed in SEEDS:
                for method in methods:
                    yield method, bits, seed


def sets(*, features: bool = True) -> tuple[FeatureSet, FeatureSet]:
    """Database and queries."""
    data = load_ucf101_14c(DATA / "features" / "ucf101_14c_vgg16", features=features)
    return train_database_queries(data, validation=False)


def reduced() -> tuple[Reduced, np.ndarray, np.ndarray]:
    """The reduced frames, and the stored frames' means of database and queries; kept once made."""
    kept = RUNS / f"means{COMPONENTS}.safetensors"
    if not kept.exists():
        database, queries = sets()
        means = [s.mean_pooled() for s in (database, queries)]
        centre, basis = baselines.principal_components(means[0], COMPONENTS)
        seen = [project(s.features, centre, basis) for s in (database, queries)]
        tensors = {"database": seen[0], "queries": seen[1], "centre": centre, "basis": basis}
        tensors |= {"database_means": means[0], "queries_means": means[1]}
        about = {"scale": feature_scale(seen[0]), "raw_width": len(centre)}
        checkpoint.save(kept, {k: torch.as_tensor(v) for k, v in tensors.items()}, about)
    t, c = checkpoint.load(kept)
    database, queries = sets(features=False)
    data = Reduced(
        t["database"], t["queries"], c["scale"], c["raw_width"], t["centre"], t["basis"],
        relevance(queries, database),
    )  # fmt: skip
    return data, t["database_means"].numpy(), t["queries_means"].numpy()


def codes(
    method: str, bits: int, seed: int, data: Reduced, means: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Codes of the database and of the queries, and CPU seconds."""
    cpu = time.process_time()
    if method in ("lsh", "itq"):
        hashing = {"lsh": baselines.lsh, "itq": baselines.itq}[method](means[0], bits, seed=seed)
        return hashing.code(means[0]), hashing.code(means[1]), time.process_time() - cpu
    labels = sets(features=False)
    if method == "neighbour-uvvh":
        pooled = [with_features(s, m[:, None]) for s, m in zip(labels, means, strict=True)]
        found = train_and_code(NeighbourTraining(bits=bits, seed=seed), *pooled)
        return found[0], found[1], time.process_time() - cpu
    chosen = METHODS[method]
    last = RUNS / f"{method}_{bits}_{seed}.last.safetensors"
    trained = train(
        chosen, chosen.options(**chosen.narrow), data, labels[0].labels, bits=bits, seed=seed, last=last
    )
    out = encode(trained.head, data.database), encode(trained.head, data.queries)
    forget(last)
    return *out, trained.cpu_seconds


def with_features(videos: FeatureSet, features: np.ndarray) -> FeatureSet:
    """The same videos with other features."""
    return replace(videos, features=features)


def read_runs() -> tuple[dict[tuple[str, int], Scored], dict[str, float], dict[str, Any], FeatureSet]:
    """Everything that was run, scored; its mean CPU seconds; what was not run; the queries."""
    database, queries = sets(features=False)
    relevant = relevance(queries, database)
    scored, seconds = {}, {}
    missing: dict[str, dict[str, int]] = defaultdict(dict)
    for method in (*REFERENCES, PAPER, *POOLED, *ORDERED):
        for bits in sorted(BITS):
            files = [
                (RUNS if method != PAPER else RUNS.parent / "test") / f"{method}_{bits}_{seed}.npz"
                for seed in SEEDS
            ]
            runs = [np.load(file) for file in files if file.exists()]
            if len(runs) < len(SEEDS) and method != PAPER:
                missing[method][str(bits)] = len(SEEDS) - len(runs)
            if runs:
                distances = [hamming(run["queries"], run["database"]) for run in runs]
                scored[method, bits] = score(method, bits, distances, relevant)
                seconds[f"{method} {bits}"] = round(float(np.mean([run["cpu_seconds"] for run in runs])), 1)
    return scored, seconds, missing, queries


def result() -> dict[str, Any]:
    """What is written."""
    scored, seconds, missing, queries = read_runs()
    table = {}
    for (method, bits), s in scored.items():
        row = s.summary()
        line: dict[str, Any] = {"runs": row["runs"]} | {k: [row[k]["mean"], row[k]["sd"]] for k in SHOWN}
        for other in (*REFERENCES[1:], PAPER):
            if method in METHODS and (other, bits) in scored:
                theirs = replace(
                    scored[other, bits], ap=scored[other, bits].ap[: len(s.ap)]
                )  # the same seeds
                found = compare(s, theirs, k=100, groups=queries.groups)
                line[f"mAP@100 − {other}"] = [found["difference"], *found["interval"]]
        table[f"{method} {bits}"] = line
    return {
        "command": f"python -m benchmarks.retrieval.{NAME}",
        "protocol": "train split = training and database, test split = queries; tie-aware, Z = min(R, K)",
        "input": f"{COMPONENTS} principal components of frames, fitted on videos' means; narrow options",
        "figures": "mean and sd over seeds; differences paired by query, 95 % by a bootstrap over groups",
        "seeds not run": missing, "cpu_seconds": seconds, "table": table,
    }  # fmt: skip


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=1e9, help="start no further run after this time")
    parser.add_argument("--only", nargs="*", help="methods to do (default: the whole grid)")
    parser.add_argument("--bits", nargs="*", type=int, help="lengths to do (default: all)")
    parser.add_argument("--seeds", nargs="*", type=int, help="seeds to do (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, read = time.monotonic(), None
    RUNS.mkdir(parents=True, exist_ok=True)
    for method, bits, seed in grid():
        out = RUNS / f"{method}_{bits}_{seed}.npz"
        if out.exists() or method not in (options.only or (method,)):
            continue
        if bits not in (options.bits or (bits,)) or seed not in (options.seeds or (seed,)):
            continue
        if time.monotonic() - start > 60 * options.minutes:
            break
        read = read or reduced()
        database, queries, cpu = codes(method, bits, seed, read[0], read[1:])
        new = out.with_suffix(".new.npz")
        np.savez(new, database=database, queries=queries, cpu_seconds=cpu)
        new.replace(out)
        print(f"{method} {bits} bits seed {seed}: {cpu:.1f} CPU s", flush=True)
    print(write_result(NAME, result()))


if __name__ == "__main__":
    main()
