"""``vhash add``, ``list``, ``remove``, ``verify`` and ``search`` of a library, as a user meets them."""

from __future__ import annotations

import base64
import csv
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import hostile_files
from tests.cli.test_cli import run, run_json
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.models import zoo

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deep").mkdir()
    shutil.copy(SAMPLES / "chair.mp4", folder / "chair.mp4")
    shutil.copy(SAMPLES / "glass.mp4", folder / "deep" / "glass.mp4")
    strange = os.fsdecode(b"not\nutf-8 \xff.mp4")
    hostile_files.clip(folder / "clip.mp4").rename(folder / strange)
    (folder / "notes.txt").write_text("no video")
    (folder / "broken.mp4").write_bytes((SAMPLES / "bunny.mp4").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def lib(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    lib = tmp_path_factory.mktemp("lib") / "library"
    report = lib.parent / "report.csv"
    result = run("add", lib, folder, "--report", report, code=1)
    assert "3 added" in result.stdout and "1 failed" in result.stdout and "1 skipped" in result.stdout
    assert "DecodeError: 1" in result.stdout and "broken.mp4" in result.stdout
    with open(report, newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((r["status"], r["kind"], Path(r["path"]).name) for r in rows) == [
        ("failed", "DecodeError", "broken.mp4"),
        ("skipped", "UnsupportedVideoError", "notes.txt"),
    ]
    yield lib


def test_a_second_add_says_what_is_unchanged_and_what_failed_before(lib: Path, folder: Path) -> None:
    document = run_json("add", lib, folder, code=1)
    assert document["counts"] == {"failed": 1, "skipped": 1, "unchanged": 3}
    assert document["library"]["videos"] == 3 and document["model"]["name"] == zoo.ALIASES["default"]
    assert {(p["status"], p["known"]) for p in document["problems"]} == {("failed", True), ("skipped", False)}
    assert run_json("add", lib, folder, "--exclude", "*.txt", "--exclude", "broken*")["problems"] == []


def test_list_shows_videos_and_failures(lib: Path, folder: Path) -> None:
    lines = run("list", lib).stdout.splitlines()
    assert len(lines) == 3 and lines[0].endswith(str(folder / "chair.mp4")) and "vh1:" in lines[0]
    assert any(line.endswith(r"not\nutf-8 \xff.mp4") for line in lines)
    videos = run_json("list", lib)["videos"]
    assert [base64.b64decode(v["path_base64"]) for v in videos if "path_base64" in v] == [
        os.fsencode(folder) + b"/not\nutf-8 \xff.mp4"
    ]
    assert videos[0]["codec"] == "h264" and videos[0]["width"] > 0
    (failure,) = run_json("list", lib, "--failed")["failures"]
    assert failure["error"]["type"] == "DecodeError" and "broken.mp4" in run("list", lib, "--failed").stdout


def test_search_finds_a_copy_first(lib: Path, folder: Path) -> None:
    document = run_json("search", lib, SAMPLES / "glass.mp4", "-k", "2")
    assert document["gallery"]["kind"] == "library" and document["gallery"]["videos"] == 3
    first, second = document["queries"][0]["neighbours"]
    assert first["path"] == str(folder / "deep" / "glass.mp4") and first["distance"] == 0 < second["distance"]
    near = run_json("search", lib, SAMPLES / "glass.mp4", "--radius", "0")["queries"][0]["neighbours"]
    assert near == [first]
    assert first["verified"] < 20 and first["false_match_rate"] < 1e-4 < second["false_match_rate"]
    lines = run("search", lib, SAMPLES / "glass.mp4", "-k", "2").stdout.splitlines()
    assert "none seen" in lines[1] and lines[2].split()[3] == f"{second['false_match_rate']:.0e}"
    run("search", lib, SAMPLES / "glass.mp4", "--model", "small", code=3)


def test_lists_on_standard_input_and_globs(folder: Path, tmp_path: Path) -> None:
    names = b"\0".join(os.fsencode(p) for p in (folder / "chair.mp4", folder / "deep"))
    assert "2 added" in run("add", tmp_path / "a", "-", stdin=names).stdout
    result = run("add", tmp_path / "b", f"{folder}/**/gla*.mp4")
    assert "1 added" in result.stdout
    run("add", tmp_path / "c", folder / "missing.mp4", code=3)


def test_verify_and_remove(folder: Path, tmp_path: Path) -> None:
    lib, videos = tmp_path / "lib", tmp_path / "videos"
    videos.mkdir()
    for name in ("one.mp4", "two.mp4"):
        hostile_files.clip(videos / name, seed=len(name) + ord(name[0]))
    run("add", lib, videos)
    assert "nothing wrong" in run("verify", lib, "--content").stdout
    (videos / "one.mp4").unlink()
    (problem,) = run_json("verify", lib, code=1)["problems"]
    assert problem["kind"] == "vanished" and problem["path"] == str(videos / "one.mp4")
    assert "1 vanished" in run("add", lib, videos, code=1).stdout
    run("remove", lib, code=2)
    assert run_json("remove", lib, "--missing")["removed"] == [{"path": str(videos / "one.mp4")}]
    run("remove", lib, videos / "nothing", code=3)
    assert run_json("remove", lib, videos)["removed"] == [{"path": str(videos / "two.mp4")}]
    for command in ("list", "verify"):
        run(command, tmp_path / "absent", code=3)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_ctrl_c_leaves_a_clean_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(12):
        hostile_files.clip(videos / f"{number:02d}.mp4", seed=number)
    hostile_files.endless_search(videos / "06-endless.mkv")
    command = [
        sys.executable,
        "-c",
        "from vhash_sdk.cli import main; main()",
        "add",
        tmp_path / "lib",
        videos,
    ]
    main, other = pty.openpty()
    with subprocess.Popen(command, env=environment(), stderr=other, stdout=other, stdin=other) as program:
        os.close(other)
        deadline, seen = time.monotonic() + 60, b""
        while b"06-endless" not in seen and time.monotonic() < deadline:
            seen += os.read(main, 4096)
        assert b"06-endless" in seen, "the bar does not name the file that all others wait for"
        program.send_signal(signal.SIGINT)
        try:
            while chunk := os.read(main, 4096):
                seen += chunk
        except OSError:  # the program has closed its side
            pass
        assert program.wait(20) == 130
    os.close(main)
    assert b"goes on from here" in seen and b"Traceback" not in seen and b"/13" in seen
    (videos / "06-endless.mkv").unlink()
    with Library(tmp_path / "lib", create=False) as library:
        kept = len(library)
        assert list(library.verify()) == []
    assert kept < 12 and f"{kept} unchanged" in run("add", tmp_path / "lib", videos).stdout


def test_a_second_writer_gets_a_clear_message(folder: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "lib") as library:
        results = library.adding(library.scan([folder]))
        next(iter(results))
        result = run("add", tmp_path / "lib", folder, code=3)
        assert f"is being written by process {os.getpid()}" in result.stderr
        results.close()  # type: ignore[attr-defined]
