"""benchmarks/gpu/run.py goes through every part where there is no GPU, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "sdk"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--out", str(out), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # half a minute on an idle machine
def test_dry_run_goes_through_every_part_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    assert run(tmp_path, "--minutes", "0", "--parts", "hamming").returncode == 3  # no time for anything
    result = run(tmp_path)
    book = json.loads((tmp_path / "gpu.json").read_text())
    assert book["dry_run"] and set(book["parts"]) == {
        "build", "tests", "sanitizer", "hamming", "frames", "networks", "nvdec", "training",
        "models",
    }  # fmt: skip
    for part in ("build", "tests", "sanitizer", "frames", "networks", "training", "models"):
        for name, case in book["parts"][part].items():
            assert "error" not in case and case.get("passed", True), (part, name, case)
    for name, case in book["parts"]["hamming"].items():
        assert "error" not in case, (name, case)
        assert "absent" not in case or any(peer in name for peer in ("cupy", "faiss", "cuVS")), (name, case)
    # what needs a GPU says why it could not be
    assert "no NVIDIA driver" in book["parts"]["nvdec"]["frames of the sample clips"]["absent"]
    assert result.returncode == 0 and "complete" in result.stdout
    again = run(tmp_path, "--parts", "frames")
    assert "frames ·" not in again.stdout and "complete" in again.stdout


def test_unknown_parts_are_refused(tmp_path: Path) -> None:
    result = run(tmp_path, "--parts", "hamming,none")
    assert result.returncode == 2 and "choose from" in result.stderr
