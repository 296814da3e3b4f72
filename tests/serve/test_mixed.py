"""The short form of `benchmarks.robustness.serve_mixed`: everything at once, with kills, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnxruntime")

from benchmarks.robustness.serve_mixed import run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_at_once_with_kills(tmp_path: Path) -> None:
    found = run(25.0, tmp_path)
    assert found["faults"] == [] and found["lost"] == []
    assert found["killed"]["servers"] == 1 and found["killed"]["workers"] >= 1
    kinds = {"search by id", "search by code", "look-up", "upload", "groups", "judgement", "wrong", "job"}
    assert kinds <= set(found["statuses"])
    assert found["judged"] and found["taken_back"] and found["added"]
    assert {"bad-request", "not-found", "invalid", "unreadable"} & set(found["problems"])
