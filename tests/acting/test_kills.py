"""Killed or out of space at any change of apply and undo: no survivor is lost, and the journal is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acting import kills
from vhash_sdk.acting.journal import Journal
from vhash_sdk.acting.steps import Step


def test_a_few_kills_and_full_disks(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path / "scene", every=61, actions=("trash", "move far", "hardlink"))
    assert outcome.lost == [] and outcome.untrue == [] and outcome.kills and outcome.full_disks


@pytest.mark.slow
def test_kills_and_full_disks(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path / "scene", every=16)
    assert outcome.lost == [] and outcome.untrue == []
    assert outcome.kills > 60 and outcome.full_disks > 30 and outcome.settled > 20


def test_a_journal_that_comes_late_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note, waiting = Journal.note, []

    def begin(journal: Journal, step: Step) -> None:
        waiting.append(step)

    def late(journal: Journal, step: Step, **changes: Any) -> Step:
        for each in waiting:
            journal._append(each.record())
        waiting.clear()
        return note(journal, step, **changes)

    monkeypatch.setattr(Journal, "begin", begin)
    monkeypatch.setattr(Journal, "note", late)
    outcome = kills.run(tmp_path / "scene", every=6, actions=("trash",), phases=("apply",))
    assert outcome.untrue and outcome.lost
