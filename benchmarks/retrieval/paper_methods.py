"""The methods that the two papers compare with, and the best since, in one protocol: every method of
`training.methods` × bits × seeds, on each of `INPUTS`.

    python -m benchmarks.retrieval.paper_methods     # all that is missing; may be stopped at any time
    python -m benchmarks.retrieval.paper_methods --minutes 30 --bits 64
    python -m benchmarks.retrieval.paper_methods --inputs real10 --only ssth conmh --seeds 0

*ucf101*: VGG-16 frames of 14 classes. *real10*: EfficientNet-Lite0 frames of 378 + 163 clips, extracted as
for `real10_unseen`. *i3d*: the I3D windows of the same clips, extracted as for `supervised_runs`, for the
supervised methods. The protocol is that of `unsupervised_runs`: train split = training and database, test
split = queries, ties averaged over. All see the same input, `COMPONENTS` principal components of the frames,
fitted on the videos' means, and have their narrow options, made for two CPU cores
(``python -m training.methods NAME --options narrow``). Codes are kept in ``.cache/retrieval/paper_methods/``,
a run that was stopped goes on, and whatever is there is scored into ``results/paper_methods.json``;
`unsupervised_report` draws the tables. One thread, so that CPU seconds compare.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import CACHE, command_line, load, write_result
from benchmarks.retrieval.supervised_runs import real10_tokens
from benchmarks.retrieval.unsupervised_runs import protocol_sets
from training import baselines, checkpoint
from training.data import FeatureSet, relevance, train_database_queries
from training.evaluate import Scored, compare, score
from training.hash_net import HashConfig
from training.methods.registry import METHODS
from training.methods.train import encode, forget, train
from training.metrics import hamming
from training.projection import random_rotation
from training.reduce import Reduced, project
from training.train_hash import hash_codes, train_hash_network
from training.train_neighbour import NeighbourTraining, train_and_code
from training.train_semantic import recipe
from training.uvvh import feature_scale

NAME = "paper_methods"
RUNS = CACHE / "retrieval" / NAME
BITS = (64, 16, 32, 128)
SEEDS = (0, 1, 2)
COMPONENTS = 256
NETWORK = "supervised hash network"
"""Of the supervised paper, on the mean over frames, turned at random as in `supervised_runs`."""
REFERENCES = ("lsh", "itq", "neighbour-uvvh", NETWORK)
"""Run here too: in the same process on the same videos, so that differences are paired."""
PAPER = "uvvh-2"
"""Its codes are taken from where `unsupervised_runs` left them, where it did."""
POOLED = ("mfh", "ksh", "dbh", "dh", "csq", "dhwcm", "dnnh")
"""They see the mean over frames only: seconds a run."""
ORDERED = ("jtae", "ssth", "ssvh", "conmh", "s5vh", "bth", "srh", "dvh")
SHOWN = ("mAP@5", "mAP@100", "mAP")
Sets = tuple[FeatureSet, FeatureSet]
"""Database and queries."""


@dataclass(frozen=True)
class Input:
    """Features of a set of videos, and what is run on them.

    Attributes:
        about: in a few words.
        sets: reads database and queries; ``features=False``: names and labels may be enough.
        neighbour: options of neighbour-uvvh for so many videos, by bits and seed.
        bits: code lengths, the most telling first.
        supervised: supervised methods only.
        protocol: of `unsupervised_runs`, that UVVH-2's codes are of.
    """

    about: str
    sets: Callable[..., Sets]
    neighbour: Callable[[int, int], NeighbourTraining] = recipe
    bits: tuple[int, ...] = BITS
    supervised: bool = False
    protocol: str | None = None

    def grid(self) -> Iterator[tuple[str, int, int]]:
        """(method, bits, seed): in the order of the lengths, all seeds of what is cheap first."""
        for bits in self.bits:
            for methods in ((*REFERENCES, *POOLED), ORDERED):
                for seed in SEEDS:
                    for method in methods:
                        if self.runs(method, bits):
                            yield method, bits, seed

    def runs(self, method: str, bits: int) -> bool:
        """Whether a method belongs here; what finds axes has at most `COMPONENTS` bits."""
        if method in METHODS:
            return METHODS[method].supervised or not self.supervised
        return bits <= COMPONENTS or method in ("lsh", NETWORK)


def i3d_windows(*, features: bool = True) -> Sets:
    """real10's I3D windows ``[n, 4, 1024]``."""
    videos, tokens = real10_tokens()
    labels = videos.labels[:, None] == np.unique(videos.labels)[None]
    return train_database_queries(
        FeatureSet(
            "real10_i3d", tokens.float().numpy(), labels, list(videos.paths), videos.groups, videos.split,
            np.full(len(labels), -1),
        ),
        validation=False,
    )  # fmt: skip


INPUTS = {
    "ucf101": Input(
        "UCF101, 14 classes: VGG-16, 25 frames", lambda **how: protocol_sets("test", **how),
        lambda bits, seed: NeighbourTraining(bits=bits, seed=seed), protocol="test",
    ),
    "real10": Input(
        "real10: EfficientNet-Lite0, 25 frames", lambda **how: protocol_sets("real10", **how),
        protocol="real10",
    ),
    "i3d": Input(
        "real10: I3D (Kinetics-400), 4 windows", i3d_windows, bits=(64, 16, 512, 32, 128, 256),
        supervised=True,
    ),
}  # fmt: skip


def folder(name: str) -> Path:
    """Where the codes of an input are kept."""
    return RUNS if name == "ucf101" else RUNS / name


def reduced(name: str) -> tuple[Reduced, np.ndarray, np.ndarray]:
    """The reduced frames, and the stored frames' means of database and queries; kept once made."""
    kept = folder(name) / f"means{COMPONENTS}.safetensors"
    if not kept.exists():
        database, queries = INPUTS[name].sets()
        means = [s.mean_pooled() for s in (database, queries)]
        centre, basis = baselines.principal_components(means[0], COMPONENTS)
        seen = [project(s.features, centre, basis) for s in (database, queries)]
        tensors = {"database": seen[0], "queries": seen[1], "centre": centre, "basis": basis}
        tensors |= {"database_means": means[0], "queries_means": means[1]}
        about = {"scale": feature_scale(seen[0]), "raw_width": len(centre)}
        checkpoint.save(kept, {k: torch.as_tensor(v) for k, v in tensors.items()}, about)
    t, c = checkpoint.load(kept)
    database, queries = INPUTS[name].sets(features=False)
    data = Reduced(
        t["database"], t["queries"], c["scale"], c["raw_width"], t["centre"], t["basis"],
        relevance(queries, database),
    )  # fmt: skip
    return data, t["database_means"].numpy(), t["queries_means"].numpy()


def codes(
    name: str, method: str, bits: int, seed: int, data: Reduced, means: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Codes of an input's database and of its queries, and CPU seconds."""
    cpu = time.process_time()
    if method in ("lsh", "itq"):
        hashing = {"lsh": baselines.lsh, "itq": baselines.itq}[method](means[0], bits, seed=seed)
        return hashing.code(means[0]), hashing.code(means[1]), time.process_time() - cpu
    labels = INPUTS[name].sets(features=False)
    if method == "neighbour-uvvh":
        pooled = [with_features(s, m[:, None]) for s, m in zip(labels, means, strict=True)]
        found = train_and_code(INPUTS[name].neighbour(bits, seed), *pooled)
        return found[0], found[1], time.process_time() - cpu
    if method == NETWORK:
        return *hash_network(labels[0], bits, seed, data), time.process_time() - cpu
    chosen = METHODS[method]
    last = folder(name) / f"{method}_{bits}_{seed}.last.safetensors"
    trained = train(
        chosen, chosen.options(**chosen.narrow), data, labels[0].labels, bits=bits, seed=seed, last=last
    )
    out = encode(trained.head, data.database), encode(trained.head, data.queries)
    forget(last)
    return *out, trained.cpu_seconds


def hash_network(database: FeatureSet, bits: int, seed: int, data: Reduced) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the supervised paper's hash network, trained by its Algorithm 1."""
    width = data.database.shape[2]
    turned = [
        x.float().mean(1).numpy() @ random_rotation(width, width, 0) for x in (data.database, data.queries)
    ]
    seen, asked = (np.float32(x / np.sqrt(np.mean(turned[0] ** 2))) for x in turned)
    shape = HashConfig(width, bits, database.labels.shape[1])
    targets = database.labels.argmax(1)
    network = train_hash_network(seen, targets, shape, seed=seed, precision="bf16")
    return hash_codes(network, seen), hash_codes(network, asked)


def with_features(videos: FeatureSet, features: np.ndarray) -> FeatureSet:
    """The same videos with other features."""
    return replace(videos, features=features)


def read_runs(
    name: str,
) -> tuple[dict[tuple[str, int], Scored], dict[str, float], dict[str, Any], FeatureSet]:
    """Everything that was run on an input, scored; mean CPU seconds; what was not run; the queries."""
    chosen = INPUTS[name]
    database, queries = chosen.sets(features=False)
    relevant = relevance(queries, database)
    scored, seconds = {}, {}
    missing: dict[str, dict[str, int]] = defaultdict(dict)
    wanted = dict.fromkeys((method, bits) for method, bits, _ in chosen.grid())
    paper = [(PAPER, bits) for bits in chosen.bits if chosen.protocol]
    for method, bits in sorted((*wanted, *paper), key=lambda cell: cell[1]):
        place = folder(name) if method != PAPER else RUNS.parent / str(chosen.protocol)
        files = [place / f"{method}_{bits}_{seed}.npz" for seed in SEEDS]
        runs = [np.load(file) for file in files if file.exists()]
        if len(runs) < len(SEEDS):
            missing[method][str(bits)] = len(SEEDS) - len(runs)
        if runs:
            distances = [hamming(run["queries"], run["database"]) for run in runs]
            scored[method, bits] = score(method, bits, distances, relevant)
            seconds[f"{method} {bits}"] = round(float(np.mean([run["cpu_seconds"] for run in runs])), 1)
    return scored, seconds, missing, queries


def table(name: str) -> dict[str, Any]:
    """What is written of an input."""
    scored, seconds, missing, queries = read_runs(name)
    rows = {}
    for (method, bits), s in scored.items():
        row = s.summary()
        line: dict[str, Any] = {"runs": row["runs"]} | {k: [row[k]["mean"], row[k]["sd"]] for k in SHOWN}
        supervised = method in METHODS and METHODS[method].supervised
        for other in ("itq", NETWORK) if supervised else ("itq", "neighbour-uvvh", PAPER):
            if method in METHODS and (other, bits) in scored:
                seeds = min(len(s.ap), len(scored[other, bits].ap))
                ours, theirs = (replace(x, ap=x.ap[:seeds]) for x in (s, scored[other, bits]))
                found = compare(ours, theirs, k=100, groups=queries.groups)
                line[f"mAP@100 − {other}"] = [found["difference"], *found["interval"]]
        rows[f"{method} {bits}"] = line
    about = f"{INPUTS[name].about}; {COMPONENTS} principal components, fitted on videos' means"
    return {"input": about, "seeds not run": missing, "cpu_seconds": seconds, "table": rows}


def write() -> Path:
    """Score what is there; an input whose videos or codes are not here keeps the figures that it has."""
    try:
        tables = load(NAME).get("inputs", {})
    except FileNotFoundError:
        tables = {}
    for name in INPUTS:
        if any(folder(name).glob("*_*_*.npz")):
            tables[name] = table(name)
    return write_result(
        NAME,
        {
            "command": f"python -m benchmarks.retrieval.{NAME}",
            "protocol": "train split = training and database, test split = queries; tie-aware, Z = min(R, K)",
            "figures": "narrow options; mean and sd over seeds; differences paired by query, 95 % by a "
            "bootstrap over groups",
            "inputs": tables,
        },
    )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--inputs", nargs="*", choices=INPUTS, help="what to run on (default: all)")
    parser.add_argument("--minutes", type=float, default=1e9, help="start no further run after this time")
    parser.add_argument("--only", nargs="*", help="methods to do (default: the whole grid)")
    parser.add_argument("--bits", nargs="*", type=int, help="lengths to do (default: all)")
    parser.add_argument("--seeds", nargs="*", type=int, help="seeds to do (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    for name in options.inputs or INPUTS:
        folder(name).mkdir(parents=True, exist_ok=True)
        read = None
        for method, bits, seed in INPUTS[name].grid():
            out = folder(name) / f"{method}_{bits}_{seed}.npz"
            if out.exists() or method not in (options.only or (method,)):
                continue
            if bits not in (options.bits or (bits,)) or seed not in (options.seeds or (seed,)):
                continue
            if time.monotonic() - start > 60 * options.minutes:
                break
            read = read or reduced(name)
            database, queries, cpu = codes(name, method, bits, seed, read[0], read[1:])
            new = out.with_suffix(".new.npz")
            np.savez(new, database=database, queries=queries, cpu_seconds=cpu)
            new.replace(out)
            print(f"{name}: {method} {bits} bits seed {seed}: {cpu:.1f} CPU s", flush=True)
    print(write())


if __name__ == "__main__":
    main()
