"""Train every method of the retrieval table and keep its codes; `retrieval_report.py` reads them.

One run = one method, code length and seed. Its codes go to ``.cache/retrieval/PROTOCOL/``, so the
script can be stopped and started again, and does the missing runs only. Runs are done in the order
of the grid, most telling first::

    python -m benchmarks.retrieval_runs --protocol test

UVVH and its ablations run on PCA-512 features (fitted on the database's frames) with narrowed
layers, `NARROW`, unless the method is one of `FULL`; both are written into the table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import CACHE, DATA
from training import baselines
from training.data import FeatureSet, load_ucf101_14c, train_database_queries
from training.reduce import Reduced, reduce
from training.train_neighbour import NeighbourTraining, train_and_code
from training.train_uvvh import TrainConfig, encode, train

RUNS = CACHE / "retrieval"
BITS = (16, 32, 64, 128)
SEEDS = (0, 1, 2)
AFFINE = ("lsh", "pca-sign", "itq")
UVVH_VARIANTS = ("uvvh-2", "uvh", "uvvh-1", "nopro", "q", "bl1", "bl2", "bl3")
NARROW = {"pca": 512, "widths": (128, 128, 128), "projection": 1024, "hidden": 128}
SHORT = {"stage1": 10, "stage2": 10}
"""A shorter schedule, not chosen by validation: there the paper's 50 + 30 was the best of the few tried."""


def grid() -> Iterator[tuple[str, int, int]]:
    """(method, bits, seed), most telling first."""
    for bits in BITS:
        for seed in SEEDS:
            for method in (*AFFINE, "neighbour-uvvh"):
                yield method, bits, seed
    for seed in SEEDS:
        for method in ("uvvh-2", "uvvh-2-short"):
            yield method, 64, seed
        for method in UVVH_VARIANTS[1:]:
            yield method, 64, seed
    for bits in (16, 32, 128):
        for seed in SEEDS:
            for method in ("uvvh-2", "uvvh-2-short", *UVVH_VARIANTS[1:]):
                yield method, bits, seed


class Sets:
    """The features of one protocol, read once; the PCA is kept in the cache because it takes a minute."""

    def __init__(self, protocol: str):
        self.database, self.queries = protocol_sets(protocol)
        kept = RUNS / protocol / f"pca{NARROW['pca']}.safetensors"
        self.pooled = (self.database.mean_pooled(), self.queries.mean_pooled())
        self.reduced = _reduced(kept, self.database, self.queries)


def run(
    method: str, bits: int, seed: int, sets: Sets, *, precision: str
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Codes of the database and the queries, and the training curve (empty for baselines)."""
    if method in AFFINE:
        fit = {"lsh": baselines.lsh, "itq": baselines.itq}.get(method)
        if fit is None:
            hash_ = baselines.pca_sign(sets.pooled[0], bits)
        else:
            hash_ = fit(sets.pooled[0], bits, seed=seed)
        return hash_.code(sets.pooled[0]), hash_.code(sets.pooled[1]), []
    if method == "neighbour-uvvh":
        return train_and_code(NeighbourTraining(bits=bits, seed=seed), sets.database, sets.queries)
    short = method.endswith("-short")
    config = TrainConfig(
        variant=method.removesuffix("-short"), bits=bits, seed=seed, precision=precision, threads=1,
        measure_every=4, **NARROW, **(SHORT if short else {}),
    )  # fmt: skip
    model, curve = train(config, sets.reduced)
    return (
        *(encode(model, part, sets.reduced.scale) for part in (sets.reduced.database, sets.reduced.queries)),
        curve,
    )


def protocol_sets(protocol: str) -> tuple[FeatureSet, FeatureSet]:
    """(database, queries) of ``test`` or ``validation``."""
    data = load_ucf101_14c(DATA / "features" / "ucf101_14c_vgg16")
    return train_database_queries(data, validation=protocol == "validation")


def _reduced(kept: Path, database: FeatureSet, queries: FeatureSet) -> Reduced:
    from training import checkpoint
    from training.data import relevance

    if not kept.exists():
        made = reduce(database, queries, int(NARROW["pca"]))
        tensors = {
            "database": made.database,
            "queries": made.queries,
            "centre": made.centre,
            "basis": made.basis,
        }
        checkpoint.save(kept, tensors, {"scale": made.scale, "raw_width": made.raw_width})
    t, c = checkpoint.load(kept)
    return Reduced(
        t["database"],
        t["queries"],
        c["scale"],
        c["raw_width"],
        t["centre"],
        t["basis"],
        relevance(queries, database),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", choices=("test", "validation"), default="test")
    parser.add_argument("--minutes", type=float, default=1e9, help="start no further run after this time")
    parser.add_argument("--only", nargs="*", help="methods to do (default: the whole grid)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of UVVH's training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets, start = Sets(arguments.protocol), time.monotonic()
    for method, bits, seed in grid():
        out = RUNS / arguments.protocol / f"{method}_{bits}_{seed}.npz"
        if out.exists() or (arguments.only and method not in arguments.only):
            continue
        if time.monotonic() - start > 60 * arguments.minutes:
            break
        cpu = time.process_time()
        database, queries, curve = run(method, bits, seed, sets, precision=arguments.precision)
        seconds = time.process_time() - cpu
        np.savez(out, database=database, queries=queries, curve=json.dumps(curve), cpu_seconds=seconds)
        print(f"{method} {bits} bits seed {seed}: {seconds:.1f} CPU s", flush=True)


if __name__ == "__main__":
    main()
