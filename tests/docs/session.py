"""A page read from top to bottom at a terminal: its blocks, run in turn in a folder of small clips."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import av

import vhash_sdk
from benchmarks.common import ROOT
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.library.judgements import FILE_KIND

from .pages import Block, blocks_of

PAGES_RUN = [
    ROOT / name
    for name in ("README.md", "docs/library.md", "docs/finding.md", "docs/cli.md", "docs/scale.md")
]
"""Of the tutorials, which are run too, tests/test_tutorials.py says what each has to print."""

CLIPS = {
    "a": "bunny", "b": "chair", "query": "chair", "suspicious": "bunny", "clip": "bunny", "film": "bunny",
    "dubbed": "chair", "videos/c": "backrest", "videos/d": "chair", "videos/e": "chair",
    "archive/f": "backrest", "memes/g": "legs", "uploads/h": "legs",
}  # fmt: skip
"""The files that pages name, and the sample that each of them is."""

_FOLDERS = re.compile(r"(?<![\w./])/(videos|archive|memes|uploads)\b")
"""Folders of a whole machine, which lie in the folder of the test instead."""

_JOURNAL = re.compile(r"plan\.csv\.\d{8}-\d{6}\.journal")
"""A journal's name has the time in it."""

ENDLESS = ("serve", "watch")
"""Commands that go on until they are stopped; tests/serve and tests/library/test_watching.py start them."""

INSTALL = ("pip", "apt")
"""What would change the machine."""


def prepare(place: Path) -> dict[str, str]:
    """A folder with the files that pages name; the environment in which ``vhash`` is this one."""
    for name, sample in CLIPS.items():
        file = place / f"{name}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SAMPLES / f"{sample}.mp4", file)
    with av.open(str(SAMPLES / "bunny.mp4")) as video:
        next(video.decode(video=0)).to_image().save(place / "frame.jpg")
    (place / "judgements.json").write_text(json.dumps({"kind": FILE_KIND, "schema": 1, "pairs": []}))
    (place / "known.csv").write_text(f"{'5a' * 32},100,bridge.jpg\n")  # hashes of PDQ
    (place / "uploads.txt").write_text(f"pdq {'5b' * 32}\n")
    (place / "plan.csv").write_text("group,action,bytes,path\n")
    shim = place / "bin" / "vhash"
    shim.parent.mkdir()
    program = "from vhash_sdk.cli import main; main()"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{program}" "$@"\n')
    shim.chmod(0o755)
    paths = [str(Path(vhash_sdk.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(shim.parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(place),  # where the trash is
        "XDG_DATA_HOME": str(place / "data"),
    }


def script_of(block: Block, place: Path) -> str:
    """What is run of a block of shell: without what installs and what never ends, in the test's folder."""
    lines = block.text.replace("\\\n", " ").splitlines()
    kept = [line for line in lines if not re.match(rf"vhash ({'|'.join(ENDLESS)})\b", line)]
    kept = [line for line in kept if line.split(" ")[0] not in INSTALL]
    text = _JOURNAL.sub("plan.csv.*.journal", "\n".join(kept))
    return _FOLDERS.sub(rf"{place}/\1", text)


def read_through(page: Path, place: Path) -> str:
    """Run what is run of a page; everything that was printed."""
    environment, said = prepare(place), ""
    for block in blocks_of(page):
        if block.not_run or block.made:
            continue
        if block.language == "sh":
            command = ["bash", "-euo", "pipefail", "-c", script_of(block, place)]
        elif block.language == "python":
            command = [sys.executable, "-c", block.text]
        else:
            continue
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, f"{block}:\n{command[-1]}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said
