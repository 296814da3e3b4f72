"""What commands write: never over a video, an input or somebody else's file."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from vhash_sdk.cli import demo
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.errors import OptionError
from vhash_sdk.video.outputs import check_output

pytestmark = pytest.mark.usefixtures("remembered")

WRITERS = {
    "encode --index": ("encode", "{other}", "--index", "{file}"),
    "add --report": ("add", "{lib}", "{other}", "--report", "{file}"),
    "dedup --report": ("dedup", "{lib}", "--radius", "40", "--report", "{file}"),
    "dedup --plan": ("dedup", "{lib}", "--radius", "40", "--plan", "{file}"),
    "calibrate --output": ("calibrate", "{other}", "{third}", "--output", "{file}"),
    "compare --strip": ("compare", "{other}", "{third}", "--strip", "{file}"),
}
SUFFIXES = {"dedup --report": ".html", "compare --strip": ".png"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two clips, for each test to copy."""
    library = tmp_path_factory.mktemp("library") / "lib"
    run("add", library, SAMPLES / "chair.mp4", SAMPLES / "glass.mp4")
    return library


@pytest.fixture
def clips(tmp_path: Path, library: Path) -> Path:
    for name in ("chair", "glass", "bunny"):
        shutil.copy(SAMPLES / f"{name}.mp4", tmp_path)
    shutil.copytree(library, tmp_path / "lib")
    return tmp_path


def words(writer: str, folder: Path, file: Path) -> list[str]:
    places = {
        "lib": folder / "lib",
        "other": folder / "glass.mp4",
        "third": folder / "bunny.mp4",
        "file": file,
    }
    return [word.format(**places) for word in WRITERS[writer]]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_video_is_never_written_over(clips: Path, writer: str, force: tuple[str, ...]) -> None:
    before = (SAMPLES / "chair.mp4").read_bytes()
    renamed = clips / f"chair{SUFFIXES.get(writer, '')}"
    shutil.copy(SAMPLES / "chair.mp4", renamed)
    for file in (clips / "chair.mp4", renamed):
        said = run(*words(writer, clips, file), *force, code=3).stderr
        assert file.name in said and ("give " in said or "expected a name" in said)
        assert file.read_bytes() == before
    absent = clips / "absent.mkv"
    run(*words(writer, clips, absent), *force, code=3)
    assert not absent.exists() and not list(clips.glob("*.part"))


@pytest.mark.parametrize("writer", WRITERS)
def test_only_our_own_kind_is_replaced_without_force(clips: Path, writer: str) -> None:
    file = clips / f"thesis{SUFFIXES.get(writer, '')}"
    file.write_text("three years of work")
    said = run(*words(writer, clips, file), code=3).stderr
    assert "vhash wrote" in said and "--force" in said and file.read_text() == "three years of work"
    for force in ("--force",), ():  # then it is ours
        run(*words(writer, clips, file), *force)
        assert b"three years" not in file.read_bytes() and file.stat().st_size > 10
    file.write_bytes(b"")  # as mktemp leaves one
    run(*words(writer, clips, file))


def test_the_name_of_the_index_forgotten(clips: Path) -> None:
    before = {name: (clips / name).read_bytes() for name in ("bunny.mp4", "chair.mp4", "glass.mp4")}
    videos = sorted(clips.glob("*.mp4"))
    assert "is the name of a video" in run("encode", "--index", *videos, code=3).stderr
    assert {name: (clips / name).read_bytes() for name in before} == before
    assert "is no folder" in run("encode", "--output", *videos, code=3).stderr
    (clips / "codes.vhi.names.json").write_text("mine")
    assert "codes.vhi.names.json" in run("encode", videos[0], "--index", clips / "codes.vhi", code=3).stderr


def test_what_the_command_reads_is_never_written_over(clips: Path) -> None:
    lib, said = clips / "lib", clips / "judgements.json"
    said.write_text("[]")
    for file in (
        lib / "library.db",
        lib / "library.db-wal",
        lib / "lock",
        lib / "pairs.npz",
        lib / "parts.json",
    ):
        run("dedup", lib, "--radius", "4", "--plan", file, "--force", code=3)
        run("add", lib, clips / "bunny.mp4", "--report", file, "--force", code=3)
    told = run("dedup", lib, "--radius", "4", "--not-a-match", said, "--plan", said, "--force", code=3)
    assert "is read by this very command" in told.stderr and said.read_text() == "[]"
    run("dedup", lib, "--radius", "4", "--plan", lib, code=3)
    run("dedup", lib, "--radius", "4", "--plan", os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_the_copies_of_a_demo_replace_only_such_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = tuple(variant for variant in demo.VARIANTS if variant.name == "grey")
    monkeypatch.setattr(demo, "VARIANTS", grey)  # one of eight: the writing is the same for all
    run("demo", "--keep", tmp_path / "kept")
    copy = tmp_path / "kept" / "bunny (grey).mp4"
    run("demo", "--keep", tmp_path / "kept")
    shutil.copy(SAMPLES / "chair.mp4", copy)
    assert "bunny (grey).mp4: is a video" in run("demo", "--keep", tmp_path / "kept", code=3).stderr
    assert copy.read_bytes() == (SAMPLES / "chair.mp4").read_bytes()


def test_a_link_to_an_input_is_that_input(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("ours")
    link.symlink_to(file)
    with pytest.raises(OptionError, match="is read by this very command"):
        check_output(link, "plan", option="--plan", inputs=[file], force=True)
