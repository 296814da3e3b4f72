"""Scoring: figures by their definitions, and the whole report on made-up features."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training.evaluate import KS, Evaluation, compare, main, markdown_table, score
from training.metrics import average_precision
from training.train_neighbour import NeighbourTraining
from training.train_neighbour import main as train_neighbour


def distances(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, (12, 150))


def test_score_gives_the_metrics_own_figures() -> None:
    relevant = np.random.default_rng(3).random((12, 150)) < 0.2
    relevant[4] = False  # nothing to find: left out everywhere
    runs = [distances(0), distances(1)]
    found = score("x", 4, runs, relevant)
    legacy = [np.nanmean(average_precision(d, relevant, KS, normaliser="legacy"), axis=0) for d in runs]
    np.testing.assert_allclose(found.legacy, np.mean(legacy, axis=0))
    best = average_precision(runs[0], relevant, KS, order="optimistic")
    np.testing.assert_allclose(found.bounds[0], np.nanmean(best, axis=0))
    summary = found.summary()
    assert summary["queries"] == 11 and summary["runs"] == 2
    low, high = summary["mAP@100"]["ties"]
    assert low < summary["mAP@100"]["mean"] < high
    same = compare(found, found, k=5)
    assert same["difference"] == 0 and same["interval"] == [0, 0]
    assert markdown_table([found]).count("\n") == 2


def test_report_of_a_checkpoint_and_the_baselines(tmp_path: Path) -> None:
    train_neighbour(NeighbourTraining(bits=16, pca=16, hidden=32, epochs=2, output=tmp_path / "run"))
    checkpoint = str(tmp_path / "run" / "model.safetensors")
    config = Evaluation(checkpoints=(checkpoint,), bits=(16,), output=tmp_path / "report")
    main(config)
    result = json.loads((tmp_path / "report" / "report.json").read_text())
    methods = {row["method"] for row in result["table"]}
    assert methods == {"uncoded, centred cosine", "lsh", "pca-sign", "itq", "neighbour-uvvh"}
    assert result["without_relevant"] == 0
    assert (tmp_path / "report" / "precision_recall.png").stat().st_size > 1000
    main(replace(config, database_data="synthetic", checkpoints=(), output=tmp_path / "cross"))
    crossed = json.loads((tmp_path / "cross" / "report.json").read_text())
    assert crossed["database"] == "synthetic (database)"
