"""The notebooks of the tutorials run as they stand, and what is kept of their answers is small and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import ROOT

from .session import prepare

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
MOST_BYTES = 40_000  # each change of a picture stays in the history for ever


def answers(document: Any) -> str:
    """All that its cells have printed."""
    outputs = [output for cell in document["cells"] for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    return "".join("".join(output.get("text", "")) for output in outputs)


def pictures(document: Any) -> int:
    """How many pictures it shows."""
    outputs = [output for cell in document["cells"] for output in cell.get("outputs", ())]
    return sum(any(kind.startswith("image/") for kind in output.get("data", ())) for output in outputs)


def test_what_is_kept_is_small_and_whole() -> None:
    assert [notebook.name for notebook in NOTEBOOKS] == ["copies.ipynb"]
    assert sum(notebook.stat().st_size for notebook in NOTEBOOKS) <= MOST_BYTES
    document = json.loads(NOTEBOOKS[0].read_text("utf-8"))
    assert "20 videos" in answers(document) and pictures(document) == 3


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("nbclient", "ipykernel", "matplotlib", "PIL"):
        pytest.importorskip(needed, reason="runs notebooks: pip install '.[docs]'")
    from benchmarks.docs.notebooks import run

    for name, value in prepare(tmp_path / "files").items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "empty"
    place.mkdir()
    document = run(notebook, place)
    said = answers(document)
    assert pictures(document) == pictures(json.loads(notebook.read_text("utf-8")))
    assert "20 videos" in said and "bunny (letterbox).mp4" in said and " of 30 copies, " in said
