"""The tutorials, run as they stand: every command and every line of Python, one after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import vhash_sdk
from benchmarks.common import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^(<!-- not run: ([^\n]*) -->\n)?```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, text, why it is not run) of each."""
    found = BLOCK.findall((TUTORIALS / page).read_text("utf-8"))
    return [(language, text, why) for _, why, language, text in found]


def run(page: str, place: Path) -> str:
    """Run a page's blocks in a folder; what they print."""
    paths = [str(Path(vhash_sdk.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(place / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    shim = place / "bin" / "vhash"
    shim.parent.mkdir()
    program = "from vhash_sdk.cli import main; main()"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{program}" "$@"\n')
    shim.chmod(0o755)
    said = ""
    for language, text, why in blocks(page):
        if why or text.startswith("pip install"):
            continue
        command = (
            ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        )
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}:\n{text}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said


def test_every_tutorial_is_run_or_says_why_not() -> None:
    pages = {path.name for path in TUTORIALS.glob("*.md")}
    assert pages == {"duplicates.md", "archive.md", "cpp.md", "own_videos.md", "gpu.md"}
    for page in pages:
        assert all(bool(why) == (page == "gpu.md") for _, _, why in blocks(page)), page


def test_duplicates(tmp_path: Path) -> None:
    said = run("duplicates.md", tmp_path)
    assert (tmp_path / "duplicates.html").is_file()
    assert "(half size)" in said and "(logo)" in said
    assert len(list((tmp_path / "videos").glob("*(half size)*"))) == 5  # moved away, and undone


def test_archive(tmp_path: Path) -> None:
    last = run("archive.md", tmp_path).splitlines()[-1]
    assert last.endswith("bunny.mp4") and " s is 0.7 s of " in last


def test_own_videos(tmp_path: Path) -> None:
    said = run("own_videos.md", tmp_path)
    assert "model.int8.onnx" in said and said.splitlines()[-1].startswith("vh1:")


@pytest.mark.slow
def test_cpp(tmp_path: Path) -> None:
    (tmp_path / "csrc").symlink_to(ROOT / "csrc")
    said = run("cpp.md", tmp_path).splitlines()
    assert "11 at 1 bits" in said and said[-1] == "[[11 10]]"
