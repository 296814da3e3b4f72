"""Killed or out of space at any change of apply and undo: no survivor is lost, and the journal is true."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acting import kills
from vhash_sdk.acting import acts
from vhash_sdk.acting.steps import Step


def test_a_few_kills_and_full_disks(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path / "scene", every=61, actions=("trash", "move far", "hardlink"))
    assert outcome.lost == [] and outcome.untrue == [] and outcome.kills and outcome.full_disks


@pytest.mark.slow
def test_kills_and_full_disks(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path / "scene", every=16)
    assert outcome.lost == [] and outcome.untrue == []
    assert outcome.kills > 60 and outcome.full_disks > 30 and outcome.settled > 20


def test_what_is_lost_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_setting_aside(step: Step) -> None:
        os.unlink(step.path)
        acts._link(step)

    monkeypatch.setattr(acts, "_stand_in", without_setting_aside)
    outcome = kills.run(tmp_path / "scene", every=3, actions=("hardlink",))
    assert outcome.untrue or outcome.lost
