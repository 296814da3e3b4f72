"""``vhash apply`` and ``vhash undo`` as a user meets them, on real clips with names that bite."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import run, run_json
from tests.cli.test_dedup import STRANGE
from vhash_sdk.acting.journal import Journal
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS
from vhash_sdk.errors import JournalError

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clip, a smaller copy, and one under a name that bites, in a library; its plan in both forms."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(SAMPLES / "chair.mp4", folder / "chair.mp4")
    shutil.copy(SAMPLES / "chair.mp4", folder / STRANGE)
    half = next(variant for variant in VARIANTS if variant.name == "half size")
    half.write(SAMPLES / "chair.mp4", folder / "small.mp4")
    run("add", tmp_path / "library", folder)
    for plan in ("plan.csv", "plan.sh"):
        run("dedup", tmp_path / "library", "--plan", tmp_path / plan)
    return folder


def test_a_plan_is_done_and_taken_back(folder: Path, tmp_path: Path) -> None:
    plan, to = tmp_path / "plan.csv", tmp_path / "gone"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    dry = run("apply", plan, "--move", to, "--dry-run")
    assert "nothing was changed: a dry run" in dry.stderr and not to.exists()
    result = run("apply", plan, "--move", to)
    assert result.stdout == dry.stdout and len(result.stdout.splitlines()) == 2
    assert r"\n'; touch ruined\xff" in result.stdout and "0 bits from" in result.stdout
    assert sorted(os.listdir(folder)) == ["chair.mp4"]
    (journal,) = tmp_path.glob("plan.csv.*.journal")
    assert f"`vhash undo {journal}` takes it back" in result.stderr
    again = run_json("apply", plan, "--move", to, code=3)
    assert again["counts"] == {"refused": 2} and again["files"][0]["kept"] is None
    assert [step["state"] for step in run_json("undo", journal, "--dry-run")["steps"]] == ["restored"] * 2
    document = run_json("undo", journal)
    assert document["counts"] == {"restored": 2}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert "nothing to undo" in run("undo", journal).stderr


def test_a_script_goes_by_the_lines_that_were_uncovered(folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.sh"
    assert "its 2 lines to remove files still have a #" in run("apply", plan, "--symlink", code=3).stderr
    lines = plan.read_text().split("\n")
    plan.write_text("\n".join(line.removeprefix("# ") if "small" in line else line for line in lines))
    refused = run_json("apply", plan, "--symlink", "--dry-run", code=3)
    assert "the contents differ" in refused["files"][0]["message"] and refused["journal"] is None
    plan.write_text("\n".join(line.removeprefix("# ") if "touch" in line else line for line in lines))
    done = run_json("apply", plan, "--symlink", "--journal", tmp_path / "journal")
    assert done["counts"] == {"done": 1} and done["journal"] == {"path": str(tmp_path / "journal")}
    assert os.readlink(folder / STRANGE) == str(folder / "chair.mp4") and not (tmp_path / "ruined").exists()
    run("undo", tmp_path / "journal")
    assert not (folder / STRANGE).is_symlink()


def test_wrong_usage_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    assert "--trash" in run("apply", plan, code=2).stderr
    run("apply", plan, "--trash", "--symlink", code=2)
    assert "no plan that can be followed" in run("apply", folder / "chair.mp4", "--trash", code=3).stderr
    run("apply", tmp_path / "absent", "--trash", code=3)
    shutil.move(tmp_path / "library", tmp_path / "moved")
    assert "no library there" in run("apply", plan, "--move", tmp_path / "to", code=3).stderr
    found = run_json("apply", plan, "--move", tmp_path / "to", "--library", tmp_path / "moved", "--dry-run")
    assert found["counts"] == {"done": 2} and found["library"] == {"path": str(tmp_path / "moved")}
    lines = [line.rsplit(",", 1)[0] for line in plan.read_text().splitlines()]
    plan.write_text("\n".join(lines))
    assert "give --library LIB" in run("apply", plan, "--move", tmp_path / "to", code=3).stderr
    assert "no journal of `vhash apply`" in run("undo", plan, code=3).stderr


def test_a_full_disk_ends_the_run_and_says_what_was_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    append, calls = Journal._append, []

    def full(journal: Journal, line: dict[str, Any]) -> None:
        calls.append(line)
        if len(calls) == 4:  # after its head, and both lines of the first step
            raise JournalError(f"{journal.file}: the journal cannot be written (No space left on device)")
        append(journal, line)

    monkeypatch.setattr(Journal, "_append", full)
    journal = tmp_path / "journal"
    document = run_json(
        "apply", tmp_path / "plan.csv", "--move", tmp_path / "to", "--journal", journal, code=1
    )
    assert document["counts"] == {"done": 1} and document["error"]["type"] == "JournalError"
    assert len(list(folder.iterdir())) == 2
    monkeypatch.undo()
    assert run_json("undo", journal)["counts"] == {"restored": 1}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
