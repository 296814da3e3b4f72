"""A moment of fuzzing for each format, and everything that fuzzing ever found."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("typer")

from tests.fuzz import TARGETS, fuzz


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_our_own_errors(target: str) -> None:
    report = fuzz(target, 0.5, seed=11)
    assert report.findings == [] and report.runs > 5 and report.places > 1
