"""Train one method of the registry.

    python -m training.methods --list
    python -m training.methods ssth --data DATA/features/ucf101_14c_vgg16 --bits 64 --output runs/ssth64
    python -m training.methods conmh --data DATA/features/ucf101_14c_vgg16 --pca 512 --options narrow \\
        --output runs/conmh64
    python -m training.methods csq --help                  # the options of one method

Every option of a method has the paper's value where it is known; ``--options narrow`` takes those of the
benchmark's grid, made for 2 CPU cores. Writes ``model.safetensors`` (``training.evaluate`` reads it),
``result.json`` with figures, losses and CPU time, and from time to time ``last.safetensors``: the same
command started again goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
import torch

from ..config import from_command_line, option
from ..data import load_ucf101_14c, synthetic, train_database_queries
from ..metrics import average_precision, hamming
from ..reduce import reduce
from .base import Schedule
from .registry import method, table
from .train import encode, forget, save, train


@dataclass(frozen=True)
class Run:
    """What every method is asked."""

    data: str = option("synthetic", "folder of the UCF101 features, or 'synthetic'")
    output: Path = option(Path("runs/method"), "folder of the checkpoint")  # noqa: RUF009
    bits: int = option(64, "code length")
    seed: int = option(0, "of weights, order and drawing")
    pca: int = option(0, "principal components that frame features are reduced to; 0 = full width")
    options: Literal["paper", "narrow"] = option("paper", "which defaults the method's options have")
    validation: bool = option(False, "queries from the train split (groups 8-13): for tuning")
    threads: int = option(0, "CPU threads; 0 = all")


def main(argv: list[str]) -> None:
    """Read the command line, train, measure, save."""
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return
    if argv[0] == "--list":
        print(table())
        return
    name, chosen = argv[0], None
    try:
        chosen = method(name)
    except ValueError as error:
        raise SystemExit(f"training.methods: {error}") from None
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--options", default="paper")
    narrow = early.parse_known_args(argv[1:])[0].options == "narrow"
    own = chosen.options(**(chosen.narrow if narrow else {}))
    types = get_type_hints(type(own))
    named = [(f.name, types[f.name], option(getattr(own, f.name), f.metadata["help"])) for f in fields(own)]
    asked: Any = make_dataclass("Asked", named, bases=(Run,), frozen=True)
    config = from_command_line(asked, argv[1:], description=f"{chosen.title}: {chosen.paper}")
    run(name, config, replace(own, **{f.name: getattr(config, f.name) for f in fields(own)}))


def run(name: str, config: Run, options: Schedule) -> dict[str, Any]:
    """Train, measure and save one model; the result as it is written."""
    if config.threads:
        torch.set_num_threads(config.threads)
    data = synthetic() if config.data == "synthetic" else load_ucf101_14c(Path(config.data))
    database, queries = train_database_queries(data, validation=config.validation)
    reduced = reduce(database, queries, config.pca)
    last = config.output / "last.safetensors"
    trained = train(
        method(name), options, reduced, database.labels, bits=config.bits, seed=config.seed, last=last
    )
    codes = [encode(trained.head, part) for part in (reduced.queries, reduced.database)]
    ap = np.nanmean(average_precision(hamming(*codes), reduced.relevant, (5, 100, None)), axis=0)
    about = {"data": data.name, "bits": config.bits, "seed": config.seed, "pca": config.pca}
    save(config.output / "model.safetensors", name, options, trained, about)
    result = {
        "method": name, **about, "options": asdict(options),
        **{key: round(float(x), 4) for key, x in zip(("mAP@5", "mAP@100", "mAP"), ap, strict=True)},
        "parameters": trained.head.parameter_count(), "cpu_seconds": round(trained.cpu_seconds, 1),
        "losses": [round(x, 5) for x in trained.losses],
    }  # fmt: skip
    (config.output / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    forget(last)
    shown = {k: v for k, v in result.items() if k not in ("options", "losses")}
    print(json.dumps(shown))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
