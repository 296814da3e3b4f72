"""``vhash calibrate`` on the sample clips: a file that Encoder takes, a document that follows the schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_cli import VALIDATOR, run
from vhash_sdk import Encoder
from vhash_sdk.models import zoo

pytestmark = pytest.mark.usefixtures("remembered")

SAMPLES = zoo.FOLDER.with_name("samples")


def test_calibrates_on_own_videos(tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    document = json.loads(run("calibrate", SAMPLES, "--output", target, "--json").stdout)
    VALIDATOR.validate(document)
    assert document["pairs"] == 10 and document["scenes"] == 5 and document["thresholds"] == []
    with Encoder(calibration=target) as encoder:
        assert encoder.calibration is not None and encoder.calibration.pairs == 10
        assert encoder.threshold(fmr=0.3) > 60


def test_files_of_one_content_count_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(SAMPLES / "bunny.mp4", tmp_path / f"{name}.mp4")
    target = tmp_path / "x.json"
    run("calibrate", tmp_path, "--output", target, code=3)
    document = json.loads(run("calibrate", tmp_path, SAMPLES, "--output", target, "--json").stdout)
    assert document["pairs"] == 10 and document["errors"] == []


def test_needs_two_videos(tmp_path: Path) -> None:
    document = json.loads(
        run("calibrate", SAMPLES / "bunny.mp4", "--output", tmp_path / "x.json", "--json", code=3).stdout
    )
    VALIDATOR.validate(document)
    assert "1 of 1 videos" in document["error"]["message"]
    assert not (tmp_path / "x.json").exists()
