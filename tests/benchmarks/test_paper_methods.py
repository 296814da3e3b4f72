"""The grid of the papers' methods: resumed, scored, laid out; and the report says what the result says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks.common import RESULTS, ROOT  # noqa: E402 (torch is optional)
from benchmarks.retrieval import paper_methods, paper_tables  # noqa: E402
from training.data import synthetic, train_database_queries  # noqa: E402
from training.methods.registry import METHODS  # noqa: E402


def test_the_grid_has_each_method_once_and_64_bits_first() -> None:
    for name, chosen in paper_methods.INPUTS.items():
        cells = list(chosen.grid())
        methods = {m for m in METHODS if METHODS[m].supervised or name != "i3d"}
        assert len(cells) == len(set(cells)) and cells[0][1] == 64
        assert {m for m, _, _ in cells} == {*methods, *paper_methods.REFERENCES}
        if name != "i3d":
            assert len(cells) == (len(METHODS) + 4) * 4 * 3
        else:  # what finds axes has no more than there are
            assert {b for m, b, _ in cells if m == "itq"} == {16, 32, 64, 128, 256}


def test_a_grid_on_a_toy_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = train_database_queries(synthetic(videos=200, width=32), validation=False)
    chosen = paper_methods.Input("toy", lambda *, features=True: toy, bits=(16, 8))
    monkeypatch.setattr(paper_methods, "INPUTS", {"toy": chosen, "elsewhere": chosen})
    monkeypatch.setattr(paper_methods, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paper_methods, "COMPONENTS", 24)
    monkeypatch.setattr("benchmarks.common.RESULTS", tmp_path)
    there = {"inputs": {"elsewhere": {"table": "made on another machine"}}}
    (tmp_path / "paper_methods.json").write_text(json.dumps(there))
    methods = ["lsh", "itq", "mfh", "dbh", paper_methods.NETWORK]
    monkeypatch.setattr("sys.argv", ["x", "--inputs", "toy", "--only", *methods, "--seeds", "0", "1"])
    paper_methods.main()
    assert capsys.readouterr().out.count("CPU s") == 20
    paper_methods.main()  # nothing is left to do
    assert "CPU s" not in capsys.readouterr().out
    inputs = json.loads((tmp_path / "paper_methods.json").read_text())["inputs"]
    assert inputs["elsewhere"] == there["inputs"]["elsewhere"]
    result = inputs["toy"]
    row = result["table"]["dbh 16"]
    assert row["runs"] == 2 and row["mAP"][0] > result["table"]["lsh 16"]["mAP"][0]
    assert result["seeds not run"]["ssth"]["8"] == 3 and result["seeds not run"]["dbh"] == {"8": 1, "16": 1}
    assert result["table"]["supervised hash network 16"]["mAP"][0] > result["table"]["lsh 16"]["mAP"][0]
    difference, low, high = row["mAP@100 − supervised hash network"]
    assert low <= difference <= high and np.isfinite([low, high]).all()


def test_the_report_shows_the_stored_result() -> None:
    section = "\n".join(paper_tables.papers())
    assert section in (ROOT / "training" / "REPORT.md").read_text("utf-8")
    assert (RESULTS / "paper_methods.json").stat().st_size < 50_000
