"""``vhash migrate``: the videos, judgements and segments of a library in a new one, by another model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_cli import SAMPLES, run, run_json
from vhash_sdk import Library
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.models import zoo

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A library of two videos by the small model, which are no match as a person has said."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("glass.mp4", "chair.mp4"):
        shutil.copy(SAMPLES / name, videos)
    with Library(tmp_path / "old", model="small") as library:
        library.add([videos])
        a, b = sorted(entry.digest for entry in library)
        library.judge([Judgement(a, b, match=False)])
    return tmp_path / "old"


def test_everything_is_in_the_new_library_and_the_old_one_stays(old: Path) -> None:
    document = run_json("migrate", old)
    spec = zoo.load().spec
    new = Path(document["library"]["path"])
    assert new == old.with_name(f"old.{spec.name}") and document["counts"] == {"added": 2}
    assert document["model"]["fingerprint"] == spec.fingerprint and document["segments"] is None
    with Library(old, create=False) as before, Library(new, create=False) as after:
        assert before.spec.name == zoo.load("small").spec.name and after.spec == spec
        assert sorted(entry.path for entry in before) == sorted(entry.path for entry in after)
        assert before.judgements() == after.judgements() != []


def test_it_goes_on_where_it_stopped_and_names_what_is_gone(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with Library(new) as library:  # as if a run had been stopped after the first
        library.add([tmp_path / "videos" / "chair.mp4"])
    (tmp_path / "videos" / "glass.mp4").unlink()
    document = run_json("migrate", old, "--output", new, code=1)
    assert document["counts"] == {"failed": 1, "unchanged": 1}
    assert document["problems"][0]["path"] == str(tmp_path / "videos" / "glass.mp4")
    assert document["library"]["videos"] == 1 and document["previous"]["videos"] == 2


def test_pictures_come_along(old: Path) -> None:
    Image.new("RGB", (64, 48), (200, 90, 30)).save(old.with_name("videos") / "still.png")
    run("add", old, old.with_name("videos"), "--pictures")
    document = run_json("migrate", old)
    assert document["counts"] == {"added": 3} and document["library"]["videos"] == 3


def test_what_is_gone_is_no_pattern_of_other_names(old: Path) -> None:
    videos = old.with_name("videos")
    (videos / "glass.mp4").rename(videos / "glass [ab].mp4")
    run("add", old, videos)
    (videos / "glass [ab].mp4").rename(videos / "glass a.mp4")  # never added by this name
    document = run_json("migrate", old, code=1)
    assert document["counts"] == {"added": 1, "failed": 1}
    assert document["problems"][0]["path"] == str(videos / "glass [ab].mp4")


def test_segments_are_kept_where_they_were(old: Path) -> None:
    run("add", old, old.with_name("videos"), "--segments")
    document = run_json("migrate", old)
    with Library(document["library"]["path"], create=False) as library:
        assert library.has_segments and library.lacking_segments == 0


def test_the_same_model_is_refused_and_so_is_a_library_of_a_third_one(old: Path, tmp_path: Path) -> None:
    assert "another model" in run("migrate", old, "--model", "small", code=3).stderr
    with Library(tmp_path / "third", model="semantic"):
        pass
    assert "belongs to model" in run("migrate", old, "--output", tmp_path / "third", code=3).stderr
    assert not old.with_name("old.lite0-phash-64").exists()
