"""On a system without POSIX the index and the encoder work, and what does not says so.

Windows itself was never at hand: Python runs without what it lacks there (``tests.without_posix``), and the
engine's own files are tried by ``.ci/windows`` under Wine.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[1]

CORE = """
import sys
from pathlib import Path

from vhash_sdk import Encoder, Index

sample, folder = map(Path, sys.argv[1:])
encoder = Encoder("small", backend="onnxruntime")
(encoded,) = encoder.encode_many([sample])
code = encoder.encode(sample)
assert encoded.code == code
index = Index(code.bits)
index.add([code] * 3)
index.save(folder / "index.vhash")
assert len(Index.load(folder / "index.vhash")) == 3
with Index.open(folder / "stored", bits=code.bits) as stored:
    stored.add([code])
with Index.open(folder / "stored", mode="r") as stored:
    assert len(stored) == 1
print("works")
"""
REFUSED = """
import sys

from vhash_sdk import Encoder, Library
from vhash_sdk.errors import BackendError

try:
    Library(sys.argv[2] + "/library")
except BackendError as error:
    print(error)
(found,) = Encoder("small", backend="onnxruntime").encode_many([sys.argv[1]], isolate=True)
"""


COMMAND = """
import sys

from vhash_sdk.cli import main

sample, folder = sys.argv[1:]
sys.argv = ["vhash", *COMMAND.replace("SAMPLE", sample).split()]
main()
"""


def run(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "script.py"
    file.write_text(script)
    sample = ROOT / "sdk/vhash_sdk/samples/chair.mp4"
    if not sample.exists():
        from vhash_sdk.cli.demo import SAMPLES

        sample = SAMPLES / "chair.mp4"
    command = [sys.executable, "-m", "tests.without_posix", str(file), str(sample), str(tmp_path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_index_and_encoder_work(tmp_path: Path) -> None:
    done = run(CORE, tmp_path)
    assert done.returncode == 0 and done.stdout == "works\n", done.stderr


def test_what_does_not_work_says_so(tmp_path: Path) -> None:
    done = run(REFUSED, tmp_path)
    assert done.stdout.startswith("a library works on Linux and macOS, not on"), done.stderr
    assert done.returncode == 1 and "isolate=False" in done.stderr


def test_commands(tmp_path: Path) -> None:
    done = run(f'COMMAND = "encode SAMPLE --model small"\n{COMMAND}', tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("vh1:"), done.stderr
    done = run(f'COMMAND = "compare SAMPLE SAMPLE"\n{COMMAND}', tmp_path)
    assert done.returncode and "works on Linux and macOS" in done.stderr, done.stdout
