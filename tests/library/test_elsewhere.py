"""A library on a full disk, under a clock that jumps, under any umask, in many processes at once."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import MAGIC, FakeEncoder
from tests.library.test_faults import COMPILER, shim  # noqa: F401  (a fixture)
from tests.library.test_library import Place
from vhash_sdk.library import Library

ROOT = Path(__file__).parents[2]
DOING = """
import json, sys
from tests.fake_encoder import FakeEncoder, code_of
from vhash_sdk.errors import StoreError
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.library import Library
directory, folder, what = sys.argv[1:]
said = []
try:
    with Library(directory, encoder=FakeEncoder(), create=False) as library:
        if what == "judge":
            library.judge([Judgement(bytes([n]) * 32, bytes([n + 1]) * 32, False) for n in range(250)])
        elif what == "remove":
            library.remove([folder])
        elif what == "store":
            from vhash_sdk.library.reading import without_segments
            from vhash_sdk.library.segmenting import _store
            import numpy as np
            from vhash_sdk.matching.sequence import Segments
            spans = np.stack([np.arange(500.0), np.arange(500.0) + 1], axis=1)
            made = Segments(np.zeros((500, 8), np.uint8), spans, 64, library.spec.fingerprint,
                            np.ones(500, np.float32))
            for row in list(without_segments(library._db)):
                said.append(_store(library._db, row, made).path)
        else:
            assert len(library.search(code_of(b"3", library.spec), k=5)) == 5
            assert len(library.duplicates(radius=1)) == 1 and not library.has_segments
            assert len(list(library)) == 41 and list(library.failures()) == []
            assert list(library.verify()) == []
except StoreError as error:
    print(error, file=sys.stderr)
    print(json.dumps(said))
    sys.exit(9)
print(json.dumps(said))
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **more}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for number in range(40):
        place.write(f"v{number:02d}", str(number))
    place.write("copy", "3")
    place.add()
    return place


def contents(directory: Path) -> list[object]:
    """Everything that a library holds."""
    with Library(directory, encoder=FakeEncoder(), create=False) as library:  # type: ignore[arg-type]
        assert list(library.verify(content=True)) == []
        tables = ("video", "code", "failure", "not_a_match", "trajectory")
        return [library._db.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("calls", ["write", "short", "sync"])
@pytest.mark.parametrize("what", ["judge", "remove", "store"])
@pytest.mark.parametrize("after", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 8))])
def test_a_full_disk_in_the_middle_of_a_change(
    place: Place, shim: Path, what: str, calls: str, after: int  # noqa: F811
) -> None:  # fmt: skip
    before = contents(place.directory)
    number = errno.EIO if calls == "sync" else errno.ENOSPC
    fault = {"PATH": "library.db", "ERRNO": str(number), "CALLS": calls, "AFTER": str(after)}
    result = subprocess.run(
        [sys.executable, "-c", DOING, place.directory, place.folder, what],
        env=environment(LD_PRELOAD=str(shim), **{f"FAULT_{name}": text for name, text in fault.items()}),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode in (0, 9) and "Traceback" not in result.stderr, result.stderr
    now = contents(place.directory)
    if what == "store":  # each video on its own: what was reported is there, nothing in half
        reported = json.loads(result.stdout or "[]")
        kept = {row[1] for row in now[1] if row[2] == "segment"}  # type: ignore[attr-defined]
        counts = [sum(row[1] == video for row in now[1]) for video in kept]  # type: ignore[attr-defined]
        assert len(reported) <= len(kept) <= len(reported) + 1 and set(counts) <= {501}
    elif result.returncode:
        assert now == before
    else:
        assert now != before


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("path", ["library.db", "index-", "pairs", "lib/"])
def test_a_full_disk_never_stops_reading(place: Place, shim: Path, path: str) -> None:  # noqa: F811
    fault = {"PATH": path, "ERRNO": str(errno.ENOSPC), "CALLS": "write,short", "AFTER": "0"}
    result = subprocess.run(
        [sys.executable, "-c", DOING, place.directory, place.folder, "read"],
        env=environment(LD_PRELOAD=str(shim), **{f"FAULT_{name}": text for name, text in fault.items()}),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert not list(place.directory.glob("*.part"))


@pytest.mark.parametrize("now", [0.0, -1e9, 4e11])
def test_a_clock_that_jumps_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    place.write("later", "later")
    place.write("bad", "BAD")
    assert place.add() == {"unchanged": 41, "added": 1, "failed": 1}
    monkeypatch.undo()
    assert place.add() == {"unchanged": 42, "failed": 1}
    with place.open() as library:
        assert list(library.verify()) == [] and len(list(library)) == 42
        assert [failure.seen for failure in library.failures()] == [now]
        assert len(library.duplicates(radius=0)) == 1


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o027])
def test_any_umask_does(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        place = Place(tmp_path)
        place.write("a", "a")
        place.write("b", "a")
        assert place.add() == {"added": 1, "copied": 1}
        with place.open() as library:
            assert len(library.duplicates(radius=0)) == 1 and list(library.verify()) == []
        modes = [path.stat().st_mode & 0o777 for path in (place.directory, *place.directory.iterdir())]
    finally:
        os.umask(before)
    assert all(mode & mask == 0 and mode & 0o600 == 0o600 for mode in modes)


@pytest.mark.slow
def test_several_processes_add_search_and_group_at_once(tmp_path: Path) -> None:
    program = "benchmarks.robustness.library_processes"
    command = [sys.executable, "-m", program, "--seconds", "4", "--files", "60"]
    result = subprocess.run(
        [*command, "--no-result"], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=180
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"wrong": []' in result.stdout


@pytest.mark.slow
def test_a_library_of_many_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.robustness.library_many", "--files", "600", "--no-result"]
    result = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr
    assert MAGIC and '"videos": 600' in result.stdout
