"""A library's files as they are now: no group, plan or report goes by what is gone, changed or one file."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import run, run_json
from tests.cli.test_dedup import obey
from tests.fake_encoder import MAGIC, FakeEncoder
from tests.library.test_duplicates import names, near_code
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS
from vhash_sdk.library.duplicates import Groups
from vhash_sdk.library.on_disk import LeftOut, look
from vhash_sdk.video import Limits

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clip, its smaller copy, and a library of both beside them."""
    folder = tmp_path / "v"
    folder.mkdir()
    shutil.copy(SAMPLES / "chair.mp4", folder / "a.mp4")
    half = next(variant for variant in VARIANTS if variant.name == "half size")
    half.write(folder / "a.mp4", folder / "small.mp4")
    run("add", tmp_path / "library", folder)
    return folder


def replaced(folder: Path) -> None:
    shutil.copy(SAMPLES / "glass.mp4", folder / "small.mp4")


def unreachable(folder: Path) -> None:
    (folder / "a.mp4").unlink()
    (folder / "a.mp4").symlink_to(folder / "a.mp4")  # ELOOP: as unreachable as a disk that is not there


@pytest.mark.parametrize(
    ("harm", "name", "reason"),
    [
        (lambda folder: (folder / "a.mp4").unlink(), "a.mp4", "vanished"),
        (replaced, "small.mp4", "changed"),
        (unreachable, "a.mp4", "unreachable"),
        (lambda folder: os.utime(folder / "a.mp4", (1, 1)), "a.mp4", "changed"),
    ],
)
def test_the_last_copy_is_never_offered(
    folder: Path, tmp_path: Path, harm: Callable[[Path], None], name: str, reason: str
) -> None:
    harm(folder)
    lib, plan, table, page = (tmp_path / name for name in ("library", "plan.sh", "plan.csv", "page.html"))
    for file in (plan, table):
        said = run("dedup", lib, "--radius", "60", "--plan", file, "--report", page).stderr
        assert f"left out: {folder / name}: " in said and f"1 near video (1 {reason})" in said
    assert "remove /" not in plan.read_text() and f"# left out, {reason}: {folder / name}" in plan.read_text()
    with open(table, newline="") as file:
        assert [row["action"] for row in csv.DictReader(file)] == ["left out"]
    data = json.loads(page.read_text("utf-8").split('id="data">')[1].split("</script>")[0])
    assert data["groups"] == [] and [each["path"] for each in data["left"]] == [str(folder / name)]
    document = run_json("dedup", lib, "--radius", "60")
    assert document["groups"] == [] and document["bytes"] == 0
    assert [(left["path"], left["reason"]) for left in document["left_out"]] == [(str(folder / name), reason)]


def test_a_plan_looks_again_when_it_runs(folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.sh"
    for harm in (
        lambda: (folder / "a.mp4").unlink(),
        lambda: (folder / "a.mp4").write_bytes(b"cut short"),
        lambda: shutil.copy(SAMPLES / "glass.mp4", folder / "small.mp4"),
        lambda: ((folder / "a.mp4").unlink(), (folder / "a.mp4").symlink_to(folder / "small.mp4")),
    ):
        before = tmp_path / "before"
        shutil.copytree(folder, before)  # with the times of the files
        run("dedup", tmp_path / "library", "--radius", "60", "--plan", plan)
        assert "# remove " in plan.read_text()
        harm()
        assert "left as it is" in obey(plan) and (folder / "small.mp4").exists()
        shutil.rmtree(folder)
        before.rename(folder)
    run("dedup", tmp_path / "library", "--radius", "60", "--plan", plan)
    assert obey(plan) == "" and sorted(os.listdir(folder)) == ["a.mp4"]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tests.fake_encoder.code_of", near_code)
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        yield library


def write(path: Path, code: int, seconds: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(MAGIC + code.to_bytes(8, "little") + b"." * (seconds - 8))
    return path


def same(groups: Groups) -> list[tuple[str, list[str]]]:
    return [(each.path, list(each.names)) for each in groups.same_files]


@pytest.mark.parametrize("kind", ["link", "folder", "hard"])
def test_one_file_under_two_names_is_no_duplicate(library: Library, tmp_path: Path, kind: str) -> None:
    real = write(tmp_path / "v" / "real", 0, 20)
    other = tmp_path / "a" / "real"  # comes first, by name and by id
    if kind == "folder":
        other.parent.symlink_to(real.parent)
    else:
        other.parent.mkdir()
        other.symlink_to(real) if kind == "link" else other.hardlink_to(real)
    library.add([other, real])
    groups = library.duplicates(radius=2)
    assert groups == []
    first, second = (other, real) if kind == "hard" else (real, other)
    assert same(groups) == [(str(first), [str(second)])]


def test_the_real_file_stands_for_all_its_names(library: Library, tmp_path: Path) -> None:
    best = write(tmp_path / "v" / "best", 0, 30)
    copy = write(tmp_path / "v" / "copy", 1, 20)
    for folder in ("a", "b"):
        (tmp_path / folder).symlink_to(tmp_path / "v")
    library.add([tmp_path / "a" / "best", tmp_path / "a" / "copy", tmp_path / "b" / "copy", best, copy])
    groups = library.duplicates(radius=2)
    (group,) = groups
    assert group.representative.path == str(best) and [m.entry.path for m in group.members] == [str(copy)]
    assert group.members[0].not_offered == "" and group.bytes == copy.stat().st_size
    assert same(groups) == [
        (str(best), [str(tmp_path / "a" / "best")]),
        (str(copy), [str(tmp_path / "a" / "copy"), str(tmp_path / "b" / "copy")]),
    ]


def test_what_a_link_leads_to_is_not_offered(library: Library, tmp_path: Path) -> None:
    write(tmp_path / "v" / "best", 0, 30)
    copy = write(tmp_path / "v" / "copy", 1, 20)
    link = tmp_path / "v" / "link"
    link.symlink_to(copy)
    library.add([tmp_path / "v", link])
    (group,) = library.duplicates(radius=2)
    assert names([group]) == [("best", [("copy", 1)])] and group.bytes == 0
    assert group.members[0].not_offered == f"the symbolic link {link} leads to it"
    library.remove([copy])  # the link alone is known now
    (group,) = library.duplicates(radius=2)
    assert names([group]) == [("best", [("link", 1)])] and group.bytes == 0
    assert "symbolic link" in group.members[0].not_offered


def test_hard_links_free_their_bytes_once_or_never(library: Library, tmp_path: Path) -> None:
    best = write(tmp_path / "v" / "best", 0, 30)
    copy = write(tmp_path / "v" / "copy", 1, 20)
    (tmp_path / "v" / "copy2").hardlink_to(copy)
    (tmp_path / "v" / "best2").hardlink_to(best)
    library.add([tmp_path / "v"])
    groups = library.duplicates(radius=2)
    assert names(groups) == [("best", [("copy", 1)])] and groups[0].bytes == copy.stat().st_size
    assert groups[0].members[0].names == (str(tmp_path / "v" / "copy2"),)
    assert [first for first, _ in same(groups)] == [str(best), str(copy)]
    (tmp_path / "elsewhere").hardlink_to(copy)
    (group,) = library.duplicates(radius=2)
    assert group.bytes == 0 and "1 hard link(s) outside the library" in group.members[0].not_offered


def test_names_of_one_file_are_listed_and_kept(folder: Path, tmp_path: Path) -> None:
    lib, plan, table = tmp_path / "library", tmp_path / "plan.sh", tmp_path / "plan.csv"
    (folder / "0.mp4").symlink_to(folder / "a.mp4")
    (folder / "small2.mp4").hardlink_to(folder / "small.mp4")
    run("add", lib, folder, folder / "0.mp4")
    text = run("dedup", lib, "--radius", "60").stdout
    assert f"the same file: {folder / '0.mp4'}" in text and f"keep  {folder / 'a.mp4'}" in text
    document = run_json("dedup", lib, "--radius", "60")
    assert document["bytes"] == (folder / "small.mp4").stat().st_size
    assert [each["path"] for each in document["same_files"]] == [
        str(folder / n) for n in ("a.mp4", "small.mp4")
    ]
    run("dedup", lib, "--radius", "60", "--plan", table)
    with open(table, newline="") as file:
        actions = [(row["action"], Path(row["path"]).name) for row in csv.DictReader(file)]
    assert actions == [
        ("keep", "a.mp4"), ("same file", "0.mp4"), ("duplicate", "small.mp4"), ("same file", "small2.mp4"),
    ]  # fmt: skip
    run("dedup", lib, "--radius", "60", "--plan", plan)
    assert obey(plan) == "" and sorted(os.listdir(folder)) == ["0.mp4", "a.mp4"]
    assert (folder / "0.mp4").stat().st_size == (folder / "a.mp4").stat().st_size


def test_a_bind_mount_is_one_file(library: Library, tmp_path: Path) -> None:
    write(tmp_path / "v" / "clip", 0, 20)
    (tmp_path / "bound").mkdir()
    mount = subprocess.run(
        ["mount", "--bind", tmp_path / "v", tmp_path / "bound"], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("needs the right to mount")
    try:
        library.add([tmp_path / "v", tmp_path / "bound"])
        groups = library.duplicates(radius=2)
        assert groups == [] and len(same(groups)) == 1
    finally:
        subprocess.run(["umount", tmp_path / "bound"], check=True)


def test_whether_a_file_has_changed_is_one_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    status = file.stat()
    known = (str(file), status.st_size, status.st_mtime_ns)
    assert isinstance(look(*known), os.stat_result)
    with monkeypatch.context() as patch:  # root may read everything
        patch.setattr(os, "access", lambda path, mode: False)
        assert isinstance(look(*known), os.stat_result)
        unreadable = look(*known, readable=True)
    assert isinstance(unreadable, LeftOut) and unreadable.reason == "unreachable"
    wanted = {"changed": [(str(file), 6, known[2]), (str(file), 5, 1), (str(tmp_path), *known[1:])]}
    wanted["vanished"] = [(f"{file}.no", 5, 1), (f"{file}/below", 5, 1)]
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    wanted["unreachable"] = [(str(tmp_path / "loop"), 5, 1)]
    for reason, asked in wanted.items():
        for question in asked:
            answer = look(*question)
            assert isinstance(answer, LeftOut) and (answer.path, answer.reason) == (question[0], reason)


def test_all_who_ask_whether_a_file_has_changed_say_the_same(library: Library, tmp_path: Path) -> None:
    gone, changed, touched = (write(tmp_path / "v" / name, code, 20) for code, name in enumerate("abc"))
    library.add([tmp_path / "v"])
    gone.unlink()
    changed.write_bytes(MAGIC + b"something else")
    os.utime(touched, (1, 1))
    words = {
        str(gone): "no such file any more; add its new place, or remove it",
        str(changed): "the file is not what was encoded; add it again",
    }
    assert {problem.path: problem.message for problem in library.verify()} == words
    words[str(touched)] = words[str(changed)]  # segments of it would go by times that nobody has checked
    library.encoder.limits = Limits()  # type: ignore[misc]
    assert {made.path: str(made.error) for made in library.segmenting(workers=1)} == {
        path: f"{path}: {said}" for path, said in words.items()
    }
    assert {left.path: left.message for left in library.duplicates(radius=64).left_out} == words
