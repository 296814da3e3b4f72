"""What is known while an ``add`` is under way: by itself, and by another process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from tests.cli.test_cli import run, run_json
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.library.judgements import Judgement

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two copies with other bytes, one with the same, and a stranger."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(SAMPLES / "chair.mp4", folder / "a.mp4")
    (folder / "b.mp4").write_bytes((SAMPLES / "chair.mp4").read_bytes() + b"\0\0\0\x0cfree" + bytes(4))
    shutil.copy(SAMPLES / "chair.mp4", folder / "c.mp4")
    shutil.copy(SAMPLES / "glass.mp4", folder / "d.mp4")
    return folder


def test_each_video_is_told_what_it_is_a_copy_of_so_far(tmp_path: Path, folder: Path) -> None:
    with Library(tmp_path / "lib") as library:
        companions, told = library.companions(), {}
        for result in library.adding(library.scan([folder]), workers=1):
            told[Path(result.path).name] = companions.at(result.path)
        names = {name: [Path(hit.entry.path).name for hit in hits] for name, hits in told.items()}
        assert "a.mp4" in names["b.mp4"] and names["d.mp4"] == []
        for entry in library:  # as decide says of each pair
            same = {
                other.path for other in library if other.id != entry.id and library.decide(entry, other).same
            }
            assert {hit.entry.path for hit in companions.of(entry)} == same
        a, b = (library.get(folder / name) for name in ("a.mp4", "b.mp4"))
        assert a is not None and b is not None
        library.judge([Judgement(a.digest, b.digest, match=False)])
        assert [Path(hit.entry.path).name for hit in companions.of(b)] == []
        library.remove([folder / "a.mp4"])
        assert [Path(hit.entry.path).name for hit in companions.of(library.get(folder / "c.mp4"))] == []  # type: ignore[arg-type]


def test_another_process_groups_what_is_there_so_far(tmp_path: Path, folder: Path) -> None:
    """``vhash dedup`` while an ``add`` holds the library and has more to do."""
    with Library(tmp_path / "lib") as library:
        results = library.adding(library.scan([folder]), workers=1)
        done = {next(results).path for _ in range(2)}
        assert done == {str(folder / "a.mp4"), str(folder / "b.mp4")} or len(done) == 2
        known = {entry.path for entry in library}
        document = run_json("dedup", tmp_path / "lib")
        (group,) = document["groups"]
        members = {group["representative"], *(member["path"] for member in group["members"])}
        assert members <= known and len(members) >= 2
        assert [result.path for result in results]  # and it goes on
        assert len(library) == 4
    (group,) = run_json("dedup", tmp_path / "lib")["groups"]
    assert len(group["members"]) == 2


def test_the_command_tells_matches(tmp_path: Path, folder: Path) -> None:
    document = run_json("add", tmp_path / "lib", folder, "--matches", "--workers", "1")
    assert "b.mp4" in {Path(match["path"]).name for match in document["matches"]}
    assert all(hit["distance"] == 0 for match in document["matches"] for hit in match["of"])
    assert run_json("add", tmp_path / "lib", folder)["matches"] is None
    text = run("add", tmp_path / "other", folder, "--matches", "--workers", "1").stdout
    assert f"copy  {folder / 'b.mp4'}\n" in text and f"  of  {folder / 'a.mp4'}  (0 bits)" in text
