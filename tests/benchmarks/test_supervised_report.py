"""The report of the closed sets: what was run is shown, what was not is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import common
from benchmarks.retrieval import supervised_report
from benchmarks.retrieval.supervised_report import Row, closed_table, joint_or_separate, markdown


def separate(hash_: float, trivial: float = 0.5) -> dict[str, float]:
    return {"hash": hash_, "trivial": trivial}


def result(runs: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": {"cpu": "a CPU", "cores": 2, "date": "2026-11-22"},
        "command": "python -m benchmarks.retrieval.supervised_runs",
        "features": {"ucf101": "some", "real10": "others"},
        "runs": {"real10": runs},
    }


RUNS = {
    "uncoded": 0.3893,
    "itq 16": 0.3412,
    "itq 512": None,  # more bits than components
    "bert, separate 16 0": separate(0.60),
    "bert, separate 16 1": separate(0.70),
    "bert, separate 64 0": separate(0.62),
    "bert, separate 64 1": separate(0.71),
    "bert, separate 256 0": separate(0.90),
    "bert, joint 16 0": 0.50,
    "bert, joint 64 0": 0.55,
    "bert, joint 16 2": 0.50,  # a seed that the other has not
}


def lines(table: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_a_row_has_what_was_run() -> None:
    row = Row.of(RUNS, "BERT", "bert, separate", "hash")
    assert row.runs == {16: {0: 0.60, 1: 0.70}, 64: {0: 0.62, 1: 0.71}, 256: {0: 0.90}}
    assert row.cell(16) == "0.650 ± 0.071" and row.cell(256) == "0.900" and row.cell(32) == ""
    assert row.over_lengths() == "0.250" and row.seeds() == "2/2/1"
    itq = Row.of(RUNS, "ITQ", "itq", None)
    assert itq.runs == {16: {0: 0.3412}} and itq.over_lengths() == "" and itq.seeds() == "1"


def test_cells_that_were_not_run_are_empty() -> None:
    shown = lines(closed_table(result(RUNS), "real10"))
    assert shown["BERT, then hash network"] == [
        "0.650 ± 0.071", "", "0.665 ± 0.064", "", "0.900", "", "0.250", "2/2/1",
    ]  # fmt: skip
    assert shown["uncoded floats, centred cosine"][0] == "0.389"
    assert not any(title.startswith(("mean of tokens", "LSH")) for title in shown)


def test_separate_and_joint_are_compared_where_both_were_run() -> None:
    claim = joint_or_separate(result(RUNS))
    assert claim.startswith(
        "At 16, 64 bits, seed by seed (1): one seed's figures differ over the lengths by 0.020"
    )
    assert "by 0.050 where jointly" in claim and "with 1 of 1 seeds" in claim
    assert claim.endswith("Mean mAP 0.610 against 0.525.")
    assert joint_or_separate(result({k: v for k, v in RUNS.items() if "joint 64" not in k})) == ""
    assert joint_or_separate(result({})) == ""


def test_the_report_copes_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(supervised_report, "RESULTS", tmp_path)
    (tmp_path / "clip_hashing.json").write_text(json.dumps(result({"uncoded": 0.4})))
    assert "| 0.400 |" in markdown()
    assert (
        "left out" not in markdown()
        and "Ten crops" not in markdown()
        and "Precision" not in markdown()
        and "UCF101, 14" not in markdown()
    )
    interval = {"mAP": {"mean": 0.9, "interval": [0.8, 0.95]}}
    models = {"i3d lsh-64": {"bits": 64, "left out": interval, "whole": interval}, "lite0": {}}
    (tmp_path / "real10_unseen.json").write_text(json.dumps({"models": models}))
    (tmp_path / "clip_unseen.json").write_text(json.dumps({"models": {"BERT": models["i3d lsh-64"]}}))
    gain = {
        "figure": "mAP",
        "ten crops against": "centre crop",
        "difference": 0.01,
        "interval": [-0.01, 0.03],
    }
    crops = {"paired": [gain], "videos": 145, "of": 541, "queries": 50, "command": "c"}
    (tmp_path / "ten_crops.json").write_text(json.dumps(crops))
    kind = {"bits that agree": 0.97, "embedding: smallest cosine": 0.99}
    export = {"int8 by zero points": {"clips": 40, "command": "c", "zero point 0": kind}}
    (tmp_path / "export_i3d-256.json").write_text(json.dumps(export))
    curve = {"precision at recall": {"0.1": 0.75, "0.5": 0.5}}
    (tmp_path / "clip_curves.json").write_text(
        json.dumps({"command": "c", "sets": {"real10": {"ITQ": curve}}})
    )
    text = markdown()
    assert "| BERT | 64 | 0.900 (0.800 – 0.950) |" in text and "lite0" not in text
    assert "| zero point 0 | 97.00 % | 0.9900 |" in text
    assert "| mAP, against the centre crop | +0.010 | -0.010 to +0.030 |" in text
    assert "| i3d lsh-64 | 64 | 0.900 (0.800 – 0.950) |" in text and "| ITQ | 0.750 | 0.500 |" in text


def test_the_committed_report_is_of_the_committed_results() -> None:
    made_by = "run: python -m benchmarks.retrieval.supervised_report"
    assert supervised_report.FILE.read_text() == markdown(), made_by


def test_curves_of_perfect_codes_and_of_one_code_for_all() -> None:
    pytest.importorskip("torch")
    import numpy as np

    from benchmarks.retrieval.supervised_curves import RADII, figures
    from benchmarks.retrieval.supervised_runs import Closed

    targets = np.repeat(np.arange(4), 5)
    test = np.arange(20) % 5 == 0
    closed = Closed(np.eye(4, dtype=np.float32)[targets], targets, test, 3)
    perfect = figures(closed, np.uint8([[1], [6], [24], [96]])[targets])
    assert perfect["mAP@3"] == 1.0 and perfect["precision at recall"]["0.9"] == 1.0
    assert perfect["within radius"]["0"] == [1.0, 1.0] and perfect["within radius"][str(RADII[-1])] == [
        0.25,
        1.0,
    ]
    same = figures(closed, np.zeros((20, 1), np.uint8))
    assert same["precision at recall"]["0.5"] == pytest.approx(0.25)
    assert "within radius" not in figures(closed, closed.features)


def test_every_nth_video_of_each_class_and_split() -> None:
    pytest.importorskip("torch")
    import numpy as np

    from benchmarks.retrieval.i3d_ten_crops import chosen
    from training.clip_data import VideoSet

    labels, split = np.array(["a", "b"] * 12), np.array((["train"] * 2 + ["test"] * 2) * 6)
    rows = chosen(VideoSet("s", Path(), [str(i) for i in range(24)], labels, labels, split), 4)
    assert rows.tolist() == [0, 1, 2, 3, 16, 17, 18, 19]
