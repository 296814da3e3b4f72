"""Trashes, samples of large files, names that end in a blank, refused undoing: no file is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.acting.test_apply import BEST, OTHER, SAME, Scene, said, scene  # noqa: F401 (a fixture)
from vhash_sdk import scan as scanning
from vhash_sdk.acting import read_plan
from vhash_sdk.acting.trash import _data_home
from vhash_sdk.library.roles import Roles


def test_a_begun_step_that_cannot_be_undone_leaves_the_rest_undoable(scene: Scene) -> None:  # noqa: F811
    before = scene.state()
    scene.apply("move", to=scene.root / "gone")
    lines = scene.journal().read_bytes().splitlines(keepends=True)
    scene.journal().write_bytes(b"".join(lines[:-1]))  # killed before the last step was noted as done
    begun = json.loads(lines[-1])["step"]
    name = scene.folder / Path(scene.undo(dry_run=True)[0].path).name
    name.write_bytes(b"somebody else's")
    assert [each.state for each in scene.undo(unfinished=True)] == ["refused"]
    name.unlink()
    with scene.journal().open("a") as journal:  # what an earlier version wrote of it
        journal.write(json.dumps({"step": begun, "state": "begin", "error": "refused"}) + "\n")
    assert [each.state for each in scene.undo()] == ["restored", "restored"]
    assert scene.state() == before


def test_of_large_files_every_byte_is_compared_before_one_goes(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, size in (("WHOLE_BYTES", 16), ("_EDGE_BYTES", 4), ("_SAMPLES", 1), ("_SAMPLE_BYTES", 1)):
        monkeypatch.setattr(scanning, name, size)
    for name in (BEST, SAME, OTHER):  # digested by samples
        os.utime(scene.folder / name, ns=(1, 1))
    scene.again()
    whole = (scene.folder / SAME).read_bytes()
    (moved,) = (
        Path(each.target) for each in scene.apply("move", to=scene.root / "gone") if SAME in each.path
    )
    copy = bytearray(whole)
    copy[20] ^= 255  # where there is no sample
    (scene.folder / SAME).write_bytes(copy)
    assert {Path(each.path).name: each.state for each in scene.undo()}[SAME] == "in place"
    assert moved.read_bytes() == whole  # the only whole one


def test_nothing_is_taken_from_a_trash(scene: Scene) -> None:  # noqa: F811
    for folder in (".Trash-1000/files", ".Trash", "$RECYCLE.BIN/S-1", "a/Trash/files", "a/Trash/info"):
        (scene.folder / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(scene.folder / BEST, scene.folder / folder / f"{BEST}.mp4")
    (scene.folder / "Trash").mkdir()  # a folder of that name alone is none
    shutil.copy(scene.folder / BEST, scene.folder / "Trash" / "x.mp4")
    found = list(scanning.scan([scene.folder]))
    taken = {Path(each.path).relative_to(scene.folder).as_posix() for each in found if each.error is None}
    assert taken == {BEST, SAME, OTHER, "Trash/x.mp4"}
    assert sum("a trash" in str(each.error) for each in found if each.skipped) == 4


def test_what_is_in_the_trash_is_not_what_is_kept(scene: Scene) -> None:  # noqa: F811
    thrown = scene.folder / ".Trash-1000" / "files" / BEST
    thrown.parent.mkdir(parents=True)
    shutil.move(scene.folder / BEST, thrown)
    scene.library.add([thrown])  # by its name it is taken
    scene.rows((1, "keep", thrown), (1, "remove", scene.folder / SAME))
    (refused,) = scene.apply()
    assert refused.state == "refused" and "is in the trash" in refused.message
    assert (scene.folder / SAME).exists()


@pytest.mark.parametrize(
    ("given", "place"),
    [("", "~/.local/share"), ("~/data", "~/data"), ("data", "~/.local/share"), ("/x", "/x")],
)
def test_where_the_trash_is(given: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", given)
    assert _data_home() == os.path.expanduser(place)


def test_what_is_attached_to_a_file_comes_back(scene: Scene) -> None:  # noqa: F811
    try:
        for name in (BEST, SAME):
            os.setxattr(scene.folder / name, "user.xdg.tags", b"holiday")
    except OSError:
        pytest.skip("this file system keeps no attributes")
    scene.apply("hardlink", different=True)
    scene.undo()
    assert os.getxattr(scene.folder / SAME, "user.xdg.tags") == b"holiday"


def test_a_name_may_end_in_a_blank(scene: Scene) -> None:  # noqa: F811
    shutil.move(scene.folder / SAME, scene.folder / f"{BEST} ")
    scene.again()
    (group,) = read_plan(scene.plan).groups
    assert {Path(each.path).name for each in group.removals} == {f"{BEST} ", OTHER}
    assert said(scene.apply("move", to=scene.root / "gone")) == {f"{BEST} ": "done", OTHER: "done"}
    assert (scene.folder / BEST).exists()


def test_two_slashes_at_the_beginning_are_one(scene: Scene) -> None:  # noqa: F811
    twice = f"/{scene.folder}"
    scene.library.remove([scene.folder])
    scene.library.add([twice])
    assert {entry.path for entry in scene.library} == {str(scene.folder / n) for n in (BEST, SAME, OTHER)}
    assert scene.library.get(f"{twice}/{BEST}") is not None
    assert Roles(references=(twice,)).references == (str(scene.folder),)
    assert len(scene.library.remove([twice])) == 3
