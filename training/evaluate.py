"""Evaluate codes honestly: tables, curves, paired differences, pictures; Markdown and JSON.

Every trained model of one feature set, with LSH, PCA-sign, ITQ and the uncoded feature beside it::

    python -m training.evaluate --data DATA/features/ucf101_14c_vgg16 --output report \\
        --checkpoints runs/uvvh64/model.safetensors runs/neighbour64/model.safetensors

Cross-dataset: add ``--database-data OTHER`` (a second feature set with the same kind of features and
classes): queries come from ``--data``, the database from the other one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from . import baselines, checkpoint, plots
from .config import from_command_line, option
from .data import FeatureSet, load_ucf101_14c, relevance, synthetic, train_database_queries
from .metrics import (
    average_precision,
    cosine_distance,
    curve_by_radius,
    curve_by_rank,
    hamming,
    paired_difference,
)

KS: tuple[int | None, ...] = (5, 20, 40, 60, 80, 100, None)


def ap_name(k: int | None) -> str:
    """``mAP@5``, or ``mAP`` for the whole ranking."""
    return "mAP" if k is None else f"mAP@{k}"


@dataclass(frozen=True)
class Scored:
    """One method at one code length: per-query AP of each run.

    Attributes:
        method, bits: bits = 0 for floats.
        ap: ``[runs, queries, len(KS)]``, tie-aware, Z = min(R, K); NaN = nothing relevant.
        legacy: mean over runs of mAP with Z = K.
        bounds: mAP of the first run with ties broken for us and against us, ``[2, len(KS)]``.
    """

    method: str
    bits: int
    ap: NDArray[np.float64]
    legacy: NDArray[np.float64]
    bounds: NDArray[np.float64]

    def summary(self) -> dict[str, Any]:
        """Mean, spread over runs (standard deviation), legacy figure and tie bounds for each K."""
        runs = np.nanmean(self.ap, axis=1)
        spread = runs.std(axis=0, ddof=1) if len(runs) > 1 else np.full(len(KS), np.nan)
        out: dict[str, Any] = {"method": self.method, "bits": self.bits, "runs": len(runs)}
        out["queries"] = int((~np.isnan(self.ap[0, :, 0])).sum())
        for i, k in enumerate(KS):
            out[ap_name(k)] = {
                "mean": _round(runs[:, i].mean()),
                "sd": None if np.isnan(spread[i]) else _round(spread[i]),
                "legacy": _round(self.legacy[i]),
                "ties": [_round(self.bounds[1, i]), _round(self.bounds[0, i])],
            }
        return out


def score(method: str, bits: int, distances: Sequence[ArrayLike], relevant: NDArray[np.bool_]) -> Scored:
    """Score runs of one method from their distance matrices ``[queries, database]``."""
    ap = np.stack([average_precision(d, relevant, KS) for d in distances])
    first = np.asarray(distances[0])
    total = (relevant & np.isfinite(first)).sum(
        axis=1
    )  # Z = min(R, K) becomes K; R stays for the whole ranking
    share = [np.minimum(total, k) / k if k else np.ones(len(total)) for k in KS]
    legacy = np.nanmean(ap * np.stack(share, axis=1), axis=(0, 1))
    bounds = [
        np.nanmean(average_precision(first, relevant, KS, order=order), axis=0)
        for order in ("optimistic", "pessimistic")
    ]
    return Scored(method, bits, ap, legacy, np.stack(bounds))


def compare(
    ours: Scored, theirs: Scored, *, k: int | None = 100, groups: ArrayLike | None = None
) -> dict[str, Any]:
    """Paired per-query difference of mAP@K with its 95 % bootstrap interval (over groups if given)."""
    i = KS.index(k)
    found = paired_difference(ours.ap[:, :, i], theirs.ap[:, :, i], groups=groups)
    return {
        "ours": ours.method, "theirs": theirs.method, "bits": ours.bits, "figure": ap_name(k),
        "difference": _round(found["mean"]), "interval": [_round(found["low"]), _round(found["high"])],
        "queries": found["n"], "groups": found["groups"],
    }  # fmt: skip


def markdown_table(scored: Sequence[Scored], ks: Sequence[int | None] = KS) -> str:
    """A table with one row for each method and length: mean ± spread over runs."""
    lines = ["| method | bits | runs | " + " | ".join(ap_name(k) for k in ks) + " |"]
    lines.append("|---|---|---|" + "---|" * len(ks))
    for s in scored:
        row, cells = s.summary(), []
        for k in ks:
            cell = row[ap_name(k)]
            cells.append(f"{cell['mean']:.3f}" + (f" ± {cell['sd']:.3f}" if cell["sd"] is not None else ""))
        lines.append(f"| {s.method} | {s.bits or 'floats'} | {row['runs']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def precision_recall_plot(
    distances: Mapping[str, ArrayLike], relevant: NDArray[np.bool_], file: Path, *, title: str
) -> None:
    """Precision over recall of several methods, expected over ties, mean over queries."""
    series = {}
    for name, d in distances.items():
        curve = curve_by_rank(d, relevant)
        series[name] = (curve.recall, curve.precision)
    plots.lines(series, file, title=title, x="recall", y="precision")


@dataclass(frozen=True)
class Evaluation:
    """Command line of this script."""

    data: str = option("synthetic", "folder of the UCF101 features, or 'synthetic'")
    database_data: str = option("", "cross-dataset: the database's features, another such folder")
    checkpoints: tuple[str, ...] = option(
        (), "model.safetensors of train_uvvh, train_neighbour, training.methods"
    )
    bits: tuple[int, ...] = option((16, 32, 64, 128), "lengths of the baselines")
    output: Path = option(Path("runs/report"), "folder for report and plots")  # noqa: RUF009
    validation: bool = option(False, "queries from the train split (groups 8-13): for tuning")


def main(config: Evaluation) -> None:
    """Score every checkpoint and the baselines; write the report."""
    database, queries = train_database_queries(_read(config.data), validation=config.validation)
    if config.database_data:
        database = _matching(_read(config.database_data), queries)
    relevant = relevance(queries, database)
    pooled = database.mean_pooled(), queries.mean_pooled()
    scored, last = [], {}
    centre = pooled[0].mean(axis=0)
    last["uncoded"] = cosine_distance(pooled[1] - centre, pooled[0] - centre)
    scored.append(score("uncoded, centred cosine", 0, [last["uncoded"]], relevant))
    for bits in config.bits:
        for name, hashes in affine(pooled[0], bits).items():
            runs = [hamming(h.code(pooled[1]), h.code(pooled[0])) for h in hashes]
            scored.append(score(name, bits, runs, relevant))
            last[f"{name} {bits}"] = runs[0]
    for file in config.checkpoints:
        name, bits, code = load_model(Path(file))
        last[f"{name} {bits}"] = hamming(code(queries), code(database))
        scored.append(score(name, bits, [last[f"{name} {bits}"]], relevant))
    config.output.mkdir(parents=True, exist_ok=True)
    precision_recall_plot(last, relevant, config.output / "precision_recall.png", title=queries.name)
    radii = {n: curve_by_radius(d, relevant, range(17)).__dict__ for n, d in last.items() if n != "uncoded"}
    result = {
        "queries": queries.name, "database": database.name, "videos": [len(queries), len(database)],
        "without_relevant": int((~relevant.any(axis=1)).sum()),
        "table": [s.summary() for s in scored], "by_radius": radii,
    }  # fmt: skip
    (config.output / "report.json").write_text(json.dumps(result, indent=1) + "\n")
    heading = f"# {queries.name}: {len(queries)} queries, {len(database)} videos\n\n"
    (config.output / "report.md").write_text(
        heading + markdown_table(scored) + "\n\n![precision over recall](precision_recall.png)\n"
    )
    print(markdown_table(scored))


def affine(pooled: NDArray[np.float32], bits: int, seeds: Sequence[int] = (0, 1, 2)) -> dict[str, list[Any]]:
    """LSH, PCA-sign and ITQ of one length, fitted on pooled features, for each seed where it matters."""
    return {
        "lsh": [baselines.lsh(pooled, bits, seed=s) for s in seeds],
        "pca-sign": [baselines.pca_sign(pooled, bits)],
        "itq": [baselines.itq(pooled, bits, seed=s) for s in seeds],
    }


def load_model(file: Path) -> tuple[str, int, Any]:
    """(name, bits, function from a `FeatureSet` to packed codes) of any checkpoint of this folder."""
    from .neighbour import NeighbourConfig, NeighbourHash
    from .uvvh import UVVH, UVVHConfig

    tensors, config = checkpoint.load(file)
    if "method" in config:
        from .methods.registry import HeadConfig

        described = HeadConfig.of(config)
        head = described.head()
        head.load_state_dict(tensors)
        return described.method, described.bits, _coder(head.eval())
    network = {k: tuple(v) if isinstance(v, list) else v for k, v in config["network"].items()}
    if "variant" in config:
        name, model = config["variant"], UVVH(UVVHConfig(**network))
    else:
        name, model = "neighbour-uvvh", NeighbourHash(NeighbourConfig(**network))
    model.load_state_dict(tensors)
    return name, network["bits"], _coder(model.eval())


def _coder(model: Any) -> Any:
    """Function from a `FeatureSet` to packed codes."""

    @torch.inference_mode()
    def code(data: FeatureSet) -> NDArray[np.uint8]:
        parts = (
            torch.from_numpy(np.ascontiguousarray(data.features[i : i + 64])) for i in range(0, len(data), 64)
        )
        return baselines.pack(torch.cat([model.logits(p) for p in parts]).numpy())

    return code


def _matching(database: FeatureSet, queries: FeatureSet) -> FeatureSet:
    if database.labels.shape[1] != queries.labels.shape[1]:
        raise ValueError(
            f"{database.name} has {database.labels.shape[1]} classes, "
            f"{queries.name} {queries.labels.shape[1]}: "
            "a cross-dataset table needs the same classes in the same order"
        )
    return replace(database, name=f"{database.name} (database)")


def _read(data: str) -> FeatureSet:
    return synthetic() if data == "synthetic" else load_ucf101_14c(Path(data))


def _round(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main(from_command_line(Evaluation, description=__doc__))
