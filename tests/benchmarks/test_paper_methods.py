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
    cells = list(paper_methods.grid())
    assert len(cells) == len(set(cells)) and {m for m, _, _ in cells} == {*METHODS, *paper_methods.REFERENCES}
    assert len(cells) == (len(METHODS) + 3) * 4 * 3 and cells[0][1] == 64


def test_a_grid_on_a_toy_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = train_database_queries(synthetic(videos=200, width=32), validation=False)
    monkeypatch.setattr(paper_methods, "sets", lambda *, features=True: toy)
    monkeypatch.setattr(paper_methods, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paper_methods, "COMPONENTS", 24)
    monkeypatch.setattr("benchmarks.common.RESULTS", tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["x", "--only", "lsh", "itq", "mfh", "dbh", "--bits", "8", "16", "--seeds", "0", "1"]
    )
    monkeypatch.setattr(paper_methods, "BITS", (16, 8))
    paper_methods.main()
    assert capsys.readouterr().out.count("CPU s") == 16
    paper_methods.main()  # nothing is left to do
    assert "CPU s" not in capsys.readouterr().out
    result = json.loads((tmp_path / "paper_methods.json").read_text())
    row = result["table"]["dbh 16"]
    assert row["runs"] == 2 and row["mAP"][0] > result["table"]["lsh 16"]["mAP"][0]
    assert result["seeds not run"]["ssth"]["8"] == 3 and result["seeds not run"]["dbh"] == {"8": 1, "16": 1}
    difference, low, high = row["mAP@100 − itq"]
    assert low <= difference <= high and np.isfinite([low, high]).all()


def test_the_report_shows_the_stored_result() -> None:
    section = "\n".join(paper_tables.papers())
    assert section in (ROOT / "training" / "REPORT.md").read_text("utf-8")
    assert (RESULTS / "paper_methods.json").stat().st_size < 40_000
