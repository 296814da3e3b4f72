"""What apply does and refuses, and what undo brings back: files that changed, links, names that are taken."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acting.kills import RADIUS, holds
from tests.fake_encoder import MAGIC, FakeEncoder
from tests.library.test_duplicates import near_code
from vhash_sdk import Library
from vhash_sdk.acting import Doing, How, Threshold, Undone, acts, apply, read_plan, undo
from vhash_sdk.acting.apply import journal_beside
from vhash_sdk.acting.journal import Journal, unfinished
from vhash_sdk.acting.trash import remove_strays
from vhash_sdk.errors import JournalError, MissingDependencyError, OptionError, StoreError
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.library.roles import Roles
from vhash_sdk.names import csv_line
from vhash_sdk.report.plan import csv_rows
from vhash_sdk.system import files

BEST, SAME, OTHER = "best", "same", "other"


class Scene:
    """A video, a copy of its bytes and one of others, a library and a plan."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.plan = root, root / "v", root / "plan.csv"
        self.folder.mkdir()
        for name, code, size in ((BEST, 0, 40), (SAME, 0, 40), (OTHER, 1, 30)):
            self.write(name, code, size)
        self.library = Library(root / "lib", encoder=FakeEncoder())  # type: ignore[arg-type]
        self.again()

    def write(self, name: str, code: int, size: int) -> Path:
        path = self.folder / name
        path.write_bytes(MAGIC + code.to_bytes(8, "little") + b"." * (size - 8))
        return path

    def again(self) -> None:
        """Add what is there, and make a plan anew."""
        self.library.add([self.folder])
        rows = csv_rows(self.library.duplicates(radius=RADIUS), self.library.directory)
        self.plan.write_text("".join(f"{csv_line(row)}\n" for row in rows))

    def rows(self, *rows: tuple[int, str, Path]) -> None:
        """A plan of one's own."""
        lines = [csv_line([group, action, "", str(path)]) for group, action, path in rows]
        self.plan.write_text("\n".join(["group,action,bytes,path", *lines]))

    def apply(self, action: str = "trash", to: object = "", **options: Any) -> list[Doing]:
        how = How(action, str(to), options.pop("different", False))  # type: ignore[arg-type]
        asked = Threshold(radius=options.pop("radius", RADIUS))
        return list(apply(self.library, read_plan(self.plan), how, threshold=asked, **options))

    def journal(self) -> Path:
        (found,) = self.root.glob("plan.csv.*.journal")
        return found

    def undo(self, **options: Any) -> list[Undone]:
        return list(undo(self.journal(), **options))

    def state(self) -> dict[str, tuple[bytes, int, int]]:
        return {
            path.name: (path.read_bytes(), path.lstat().st_mtime_ns, path.lstat().st_mode)
            for path in sorted(self.folder.iterdir())
        }


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    send2trash = pytest.importorskip("send2trash.plat_other")
    monkeypatch.setattr("tests.fake_encoder.code_of", near_code)
    data = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(send2trash, "XDG_DATA_HOME", os.fsencode(data))
    monkeypatch.setattr(send2trash, "HOMETRASH_B", os.fsencode(data / "Trash"))
    monkeypatch.setattr("send2trash.send2trash", send2trash.send2trash)
    scene = Scene(tmp_path)
    yield scene
    scene.library.close()


def said(done: list[Doing]) -> dict[str, str]:
    return {Path(each.path).name: each.state for each in done}


@pytest.mark.parametrize("action", ["trash", "move", "hardlink", "symlink"])
@pytest.mark.parametrize("far", [False, True])
def test_done_and_undone(scene: Scene, action: str, far: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if far:  # no file system here moves at once, or none is the same
        monkeypatch.setattr(files, "_rename_at_once", lambda: lambda source, target: errno.EINVAL)
    before = scene.state()
    options: dict[str, Any] = {"to": scene.root / "gone"} if action == "move" else {}
    links = action.endswith("link")
    dry = scene.apply(action, different=links, dry_run=True, **options)
    assert scene.state() == before and not list(scene.root.glob("*.journal"))
    done = scene.apply(action, different=links, **options)
    assert said(done) == said(dry) == {SAME: "done", OTHER: "done"}
    assert [(each.path, each.kept, each.distance) for each in done] == [
        (each.path, each.kept, each.distance) for each in dry
    ]
    best = scene.folder / BEST
    for name in (SAME, OTHER):
        path = scene.folder / name
        if action == "hardlink":
            assert path.samefile(best) and not path.is_symlink()
        elif action == "symlink":
            assert os.readlink(path) == str(best)
        else:
            assert not path.exists()
    if action == "move":
        assert holds(f"{scene.root}/gone{scene.folder}/{OTHER}", before[OTHER][0])
    assert holds(str(best), before[BEST][0])
    assert {each.state for each in scene.undo(dry_run=True)} == {"restored"}
    assert [(Path(each.path).name, each.state) for each in scene.undo()] == [
        (OTHER, "restored"), (SAME, "restored"),
    ]  # fmt: skip
    assert scene.state() == before and scene.undo() == []
    assert not list(scene.root.rglob(".vhash-*")) and not (scene.root / "gone" / "tmp").exists()
    assert list(scene.library.verify(content=True)) == []


def test_links_stand_for_equal_bytes_only(scene: Scene) -> None:
    done = scene.apply("hardlink")
    assert said(done) == {SAME: "done", OTHER: "refused"}
    assert "the contents differ" in done[1].message and "--different" in done[1].message


def test_what_is_attached_to_a_file_counts(scene: Scene) -> None:
    try:
        os.setxattr(scene.folder / SAME, "user.tag", b"mine")
    except OSError:
        pytest.skip("no attributes on this file system")
    done = scene.apply("symlink")
    assert "what is attached to them differs" in done[0].message and not (scene.folder / SAME).is_symlink()


def touched(scene: Scene) -> None:
    os.utime(scene.folder / OTHER, (1, 1))


def other_content(scene: Scene) -> None:
    path = scene.folder / OTHER
    when = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(when, when))


def survivor_gone(scene: Scene) -> None:
    (scene.folder / BEST).unlink()


def survivor_changed(scene: Scene) -> None:
    scene.write(BEST, 0, 39)


def survivor_is_link(scene: Scene) -> None:
    best = scene.folder / BEST
    best.rename(scene.root / "real")
    best.symlink_to(scene.root / "real")


def victim_is_link(scene: Scene) -> None:
    other = scene.folder / OTHER
    other.rename(scene.root / "real")
    other.symlink_to(scene.root / "real")


def linked_elsewhere(scene: Scene) -> None:
    (scene.root / "elsewhere").hardlink_to(scene.folder / OTHER)


def reference(scene: Scene) -> None:
    scene.library.set_roles(Roles((str(scene.folder / OTHER),)))


def no_match(scene: Scene) -> None:
    ends = [scene.library.get(scene.folder / name) for name in (BEST, OTHER)]
    scene.library.judge([Judgement(*(end.digest for end in ends if end), match=False)])


def forgotten(scene: Scene) -> None:
    scene.library.remove([scene.folder / OTHER])


def vanished(scene: Scene) -> None:
    (scene.folder / OTHER).unlink()


def edited_size(scene: Scene) -> None:
    size = (scene.folder / OTHER).stat().st_size
    scene.plan.write_text(scene.plan.read_text().replace(f",{size},", f",{size + 1},"))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (touched, "not what was encoded"),
        (other_content, "not what was encoded"),
        (survivor_gone, "what is to be kept: "),
        (survivor_changed, "not what was encoded"),
        (survivor_is_link, "is a symbolic link"),
        (victim_is_link, "is a symbolic link"),
        (linked_elsewhere, "has 2 names (hard links), and the plan 1"),
        (reference, "lies in the reference folder"),
        (no_match, "is no copy of "),
        (forgotten, "is not in the library"),
        (vanished, "No such file"),
        (edited_size, "make a new plan"),
    ],
)
@pytest.mark.parametrize("action", ["trash", "hardlink"])
def test_whatever_is_in_doubt_stays(
    scene: Scene, harm: Callable[[Scene], None], says: str, action: str
) -> None:
    harm(scene)
    before = {path: path.lstat() for path in scene.folder.iterdir()}
    for dry_run in (True, False):
        done = scene.apply(action, different=action == "hardlink", dry_run=dry_run)
        (refused,) = [each for each in done if Path(each.path).name == OTHER]
        assert refused.state == "refused" and says in refused.message, refused
    other = scene.folder / OTHER
    assert other not in before or other.lstat() == before[other]


def test_a_stricter_threshold_refuses(scene: Scene) -> None:
    done = scene.apply(radius=0)
    assert said(done) == {SAME: "done", OTHER: "refused"} and "--radius" in done[1].message


def test_a_survivor_never_goes(scene: Scene) -> None:
    best, same, other = (scene.folder / name for name in (BEST, SAME, OTHER))
    scene.rows((1, "keep", best), (1, "duplicate", same), (2, "keep", same), (2, "duplicate", best))
    assert said(scene.apply(dry_run=True)) == {SAME: "refused", BEST: "refused"}
    scene.rows((1, "duplicate", best), (1, "duplicate", same), (1, "duplicate", other))
    assert {"nothing is kept of group 1" in each.message for each in scene.apply(dry_run=True)} == {True}
    scene.rows((1, "keep", best), (1, "duplicate", same), (2, "keep", other), (2, "duplicate", same))
    assert [each.state for each in scene.apply(dry_run=True)] == ["done", "refused"]
    scene.rows((1, "keep", scene.root / "stranger"), (1, "duplicate", same))
    assert "is not in the library" in scene.apply(dry_run=True)[0].message


def test_one_file_under_two_paths_is_no_copy(scene: Scene) -> None:
    (scene.root / "linked").symlink_to(scene.folder)
    scene.library.add([scene.root / "linked" / BEST])
    scene.rows((1, "keep", scene.folder / BEST), (1, "duplicate", scene.root / "linked" / BEST))
    (done,) = scene.apply()
    assert done.state == "refused" and "which this plan keeps" in done.message


def test_all_names_of_a_file_or_none(scene: Scene) -> None:
    (scene.folder / "other2").hardlink_to(scene.folder / OTHER)
    scene.again()
    before = scene.state()
    assert set(said(scene.apply())) == {SAME, OTHER, "other2"} and set(scene.state()) == {BEST}
    assert {each.state for each in scene.undo()} == {"restored"} and scene.state() == before
    assert (scene.folder / "other2").samefile(scene.folder / OTHER)
    lines = scene.plan.read_text().splitlines()
    scene.plan.write_text("\n".join(line for line in lines if "same file" not in line))
    scene.journal().unlink()
    assert said(scene.apply())[OTHER] == "refused"


def test_the_survivor_goes_in_the_very_moment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scene.state()
    send = acts.send

    def meanwhile(*given: Any) -> Any:
        (scene.folder / BEST).unlink()
        return send(*given)

    monkeypatch.setattr(acts, "send", meanwhile)
    done = scene.apply()
    assert said(done) == {SAME: "refused", OTHER: "refused"} and "changed meanwhile" in done[0].message
    assert {name: kept for name, kept in before.items() if name != BEST} == scene.state()


def test_nothing_is_replaced(scene: Scene) -> None:
    target = Path(f"{scene.root}/gone{scene.folder}/{OTHER}")
    target.parent.mkdir(parents=True)
    target.write_text("somebody's")
    done = scene.apply("move", scene.root / "gone")
    assert said(done) == {SAME: "done", OTHER: "refused"} and "is there already" in done[1].message
    (scene.folder / SAME).write_text("a new one")
    (taken,) = scene.undo()
    assert taken.state == "refused" and "something else has its name now" in taken.message
    assert (scene.folder / SAME).read_text() == "a new one" and target.read_text() == "somebody's"
    (scene.folder / SAME).unlink()
    assert [each.state for each in scene.undo()] == ["restored"]


def test_what_cannot_come_back_says_so(scene: Scene) -> None:
    scene.apply()
    for path in (scene.root / "data" / "Trash" / "files").iterdir():
        path.unlink() if path.name == SAME else path.write_text("not what was there")
    assert {each.message.split(": ")[1] for each in scene.undo()} == {
        "is not in the trash any more, or not as it was"
    }
    (scene.folder / SAME).write_bytes((scene.folder / BEST).read_bytes())  # brought back by hand
    assert [each.state for each in scene.undo()] == ["refused", "in place"]


def test_a_link_to_what_has_changed_is_no_file_any_more(scene: Scene) -> None:
    before = scene.state()
    scene.apply("symlink")
    scene.write(BEST, 0, 39)
    (undone,) = scene.undo()
    assert undone.state == "refused" and "does not hold the same bytes any more" in undone.message
    assert os.readlink(scene.folder / SAME) == str(scene.folder / BEST)
    (scene.folder / BEST).write_bytes(before[BEST][0])
    assert [each.state for each in scene.undo()] == ["restored"]
    assert scene.state()[SAME] == before[SAME]


def test_the_last_name_of_what_was_kept_is_not_taken(scene: Scene) -> None:
    content = (scene.folder / BEST).read_bytes()
    scene.apply("hardlink", different=True)
    (scene.folder / BEST).unlink()
    (scene.folder / SAME).unlink()
    states = {Path(each.path).name: each.state for each in scene.undo()}
    assert states[OTHER] == "refused" and (scene.folder / OTHER).read_bytes() == content


def test_a_folder_that_takes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scene.state()
    monkeypatch.setattr(files, "_rename_at_once", lambda: lambda source, target: errno.EACCES)
    done = scene.apply("move", scene.root / "gone")
    assert said(done) == {SAME: "failed", OTHER: "failed"} and "Permission denied" in done[0].message
    assert scene.state() == before and unfinished(scene.journal()) == [] and scene.undo() == []


def test_what_is_asked_for_wrongly(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for action, to, different in (("move", "", False), ("trash", "/x", False), ("trash", "", True)):
        with pytest.raises(OptionError):
            How(action, to, different)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="allowed: 'trash'"):
        scene.apply("delete")
    for to in ("/", scene.library.directory / "x", scene.plan):
        with pytest.raises(OptionError):
            scene.apply("move", to)
    monkeypatch.setitem(__import__("sys").modules, "send2trash", None)
    with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[trash\]"):
        scene.apply()


def test_one_at_a_time(scene: Scene) -> None:
    before = scene.state()
    with scene.library.exclusively(), pytest.raises(StoreError, match="is being written by"):
        scene.apply()
    assert scene.state() == before and not list(scene.root.glob("*.journal"))
    scene.apply()
    with open(scene.journal()) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(JournalError, match="another process writes it"):
            scene.undo()


def test_a_journal_is_new_and_whole(scene: Scene) -> None:
    before = scene.state()
    taken = scene.root / "taken"
    taken.write_text("somebody's")
    for journal in (taken, scene.root / "no" / "folder"):
        with pytest.raises(JournalError, match="cannot be made"):
            scene.apply(journal=journal)
    assert scene.state() == before and taken.read_text() == "somebody's"
    scene.apply()
    content = scene.journal().read_bytes()
    no_state = content.replace(b'"state": "done"', b'"state": "gone"')
    newer, no_path = content.replace(b'"schema": 1', b'"schema": 2'), content.replace(b"/v/", b"/v/../")
    for bad in (b"", b"{}\n", newer, content + b"not JSON\n", no_state, no_path):
        taken.write_bytes(bad)
        with pytest.raises(JournalError, match="nothing is undone by it"):
            list(undo(taken))
    with pytest.raises(JournalError, match="cannot be opened"):
        list(undo(scene.root / "absent"))
    with open(scene.journal(), "ab") as stream:
        stream.write(b'{"step": 3, "state": "beg')  # torn by a crash
    with Journal.open(scene.journal()) as journal:
        assert sorted(journal.steps) == [1, 2]
    assert scene.journal().read_bytes() == content
    assert {each.state for each in scene.undo()} == {"restored"} and scene.state() == before


def test_an_interrupted_run_is_settled_first(scene: Scene) -> None:
    before = scene.state()
    scene.apply("hardlink")
    lines = scene.journal().read_bytes().splitlines(keepends=True)
    scene.journal().write_bytes(
        b"".join(lines[:-1])
    )  # as if it was killed before it could say that it is done
    assert [Path(step.path).name for step in unfinished(scene.journal())] == [SAME]
    with pytest.raises(JournalError, match="was interrupted at .*; first run `vhash undo --unfinished`"):
        journal_beside(read_plan(scene.plan))
    assert [each.state for each in scene.undo(unfinished=True)] == ["restored"] and scene.state() == before
    assert journal_beside(read_plan(scene.plan)).endswith(".journal")


@pytest.mark.parametrize("then", [b"", b'{"step": 1, "state": "undoing"}\n'])
def test_a_target_that_is_the_file_itself_stays(scene: Scene, then: bytes) -> None:
    scene.apply("move", scene.root / "gone")
    before = scene.journal().read_bytes().splitlines(keepends=True)
    assert {each.state for each in scene.undo()} == {"restored"}
    shutil.rmtree(scene.root / "gone", ignore_errors=True)
    (scene.root / "gone").symlink_to("/")  # its target now is the file itself, by another path
    begun = [line for line in before if b'"done"' not in line]
    scene.journal().write_bytes(b"".join(begun) + then)
    assert {each.state for each in scene.undo()} == {"in place"}
    assert set(scene.state()) == {BEST, SAME, OTHER}


def test_what_a_crash_left_in_the_trash_goes(scene: Scene) -> None:
    trash = scene.root / "data" / "Trash"
    for folder in ("files", "info"):
        (trash / folder).mkdir(parents=True)
    torn, others, held = (trash / "info" / f"{name}.trashinfo" for name in (SAME, "another", f"{SAME} 1"))
    for info in (torn, others, held):
        info.touch()
    (trash / "files" / f"{SAME} 1").write_text("somebody's, whose file of information was lost")
    remove_strays(str(scene.folder / SAME))
    assert not torn.exists() and others.exists() and held.exists()
