"""The report about odd files: what FFmpeg shows, and where a code is of something else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")

from benchmarks.robustness import making, media
from benchmarks.robustness.judge import shown
from vhash_sdk.models import zoo
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import open_source


def test_report_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    making.plain()(folder / "good.mp4")
    making.plain()(folder / "a|b.mkv")
    making.over_black("qtrle", "argb")(folder / "alpha.mov")
    (folder / "text.mp4").write_text("a text")
    monkeypatch.setattr(sys, "argv", ["media", str(folder), "--output", str(tmp_path / "report")])
    media.main()
    found = json.loads((tmp_path / "report.json").read_text())
    verdicts = {Path(row["file"]).name: row["verdict"] for row in found["files"]}
    assert verdicts.pop("alpha.mov") in ("another picture", "same picture")  # by the frames rule of the model
    assert verdicts == {"good.mp4": "same picture", "a|b.mkv": "same picture", "text.mp4": "both refuse"}
    text = (tmp_path / "report.md").read_text()
    assert "a\\|b.mkv" in text and "is text, not a video" in text
    assert "same picture" in capsys.readouterr().out


def test_judge_shows_the_pictures_that_were_drawn(tmp_path: Path) -> None:
    spec = zoo.load("default").spec
    drawn = making.uneven(tmp_path / "uneven.mp4")
    seen = shown(tmp_path / "uneven.mp4", spec)
    assert seen.frames is not None and seen.seconds == pytest.approx(len(drawn) / making.RATE, abs=0.05)
    resize = Resize("exact", *spec.resize.output)
    ours = open_source(drawn).sample(Sampling("uniform", spec.sampling.frames), resize)
    assert np.abs(ours.frames.astype(int) - seen.frames).mean() < 6
    assert shown(tmp_path / "missing.mp4", spec).frames is None
