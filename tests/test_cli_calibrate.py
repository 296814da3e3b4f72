"""``vhash calibrate`` on the sample clips: a file that Encoder takes, a document that follows the schema."""

from __future__ import annotations

import json
from pathlib import Path

from tests.test_cli import VALIDATOR, run
from vhash_sdk import Encoder, zoo

SAMPLES = zoo.FOLDER.with_name("samples")


def test_calibrates_on_own_videos(tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    document = json.loads(run("calibrate", SAMPLES, "--output", target, "--json").stdout)
    VALIDATOR.validate(document)
    assert document["pairs"] == 15 and document["scenes"] == 6 and document["thresholds"] == []
    with Encoder(calibration=target) as encoder:
        assert encoder.calibration is not None and encoder.calibration.pairs == 15
        assert encoder.threshold(fmr=0.2) > 60


def test_needs_two_videos(tmp_path: Path) -> None:
    document = json.loads(
        run("calibrate", SAMPLES / "bunny.mp4", "--output", tmp_path / "x.json", "--json", code=3).stdout
    )
    VALIDATOR.validate(document)
    assert "1 of 1 videos" in document["error"]["message"]
    assert not (tmp_path / "x.json").exists()
