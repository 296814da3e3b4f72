"""``--sound`` of add, dedup, search and compare as a user meets it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.near_duplicates.sound_making import mixed, voice
from tests.cli.test_cli import run, run_json
from tests.sound_files import needs_chromaprint, over, part, tune, video
from vhash_sdk.cli.demo import SAMPLES

needs_chromaprint()

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film, its copy with other pictures, its dub over the same pictures, and one without sound."""
    folder = tmp_path_factory.mktemp("films")
    film = mixed(tune(1, 15), voice(1, 15, "en"), 6)
    over(folder / "film.mp4", SAMPLES / "chair.mp4", film)
    over(folder / "reaction.mp4", SAMPLES / "bunny.mp4", part(film, 2, 15))
    over(folder / "dub.mp4", SAMPLES / "chair.mp4", mixed(tune(1, 15), voice(9, 15, "de"), 6))
    video(folder / "none.mp4", None)
    return folder


@pytest.fixture(scope="module")
def lib(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lib = tmp_path_factory.mktemp("lib") / "library"
    document = run_json("add", lib, folder, "--sound", "--workers", "1")
    assert document["sound"] == {"videos": 4, "without": 1, "failed": [], "missing": None}
    return lib


def test_add_remembers_and_says_what_it_did(lib: Path, folder: Path) -> None:
    assert "sound of 0 videos" in run("add", lib, folder).stdout


def test_dedup_lists_the_same_sound_over_other_pictures(lib: Path, folder: Path) -> None:
    document = run_json("dedup", lib, "--sound")
    (group,) = document["groups"]
    (member,) = group["members"]
    assert {Path(group["representative"]).name, Path(member["path"]).name} == {"film.mp4", "dub.mp4"}
    assert member["sound"]["relation"] == "other sound"  # copies all the same: sound decides nothing
    (pair,) = document["same_sound"]
    assert {Path(pair[side]["path"]).name for side in "ab"} == {"film.mp4", "reaction.mp4"}
    assert pair["copies"] is False and pair["sound"]["bits"] > 0.85
    assert abs(pair["sound"]["offset"]) == pytest.approx(2, abs=0.2)
    text = run("dedup", lib, "--sound").stdout
    assert "sound: other" in text and "same sound over other pictures: 1 pair\n  same, offset " in text
    assert run_json("dedup", lib)["same_sound"] is None
    assert "not with --csv" in run("dedup", lib, "--sound", "--csv", code=2).stderr


def test_search_finds_by_sound_what_pictures_do_not_show(lib: Path, folder: Path) -> None:
    (query,) = run_json("search", lib, folder / "reaction.mp4", "-k", "1", "--sound")["queries"]
    assert {Path(hit["path"]).name for hit in query["same_sound"]} == {"reaction.mp4", "film.mp4"}
    assert query["neighbours"][0]["sound"]["relation"] == "same sound"
    text = run("search", lib, folder / "reaction.mp4", "-k", "1", "--sound").stdout
    assert "same sound: 2 videos, 1 not listed above" in text and "film.mp4" in text
    (query,) = run_json("search", lib, folder / "none.mp4", "--sound")["queries"]
    assert query["same_sound"] == [] and query["neighbours"][0]["sound"]["why"].startswith("a has no sound")
    assert run_json("search", lib, folder / "none.mp4")["queries"][0]["same_sound"] is None
    assert "--sound goes with a library" in run("search", folder, folder, "--sound", code=2).stderr


def test_compare_shows_both_witnesses(folder: Path) -> None:
    document = run_json("compare", folder / "film.mp4", folder / "dub.mp4", "--sound")
    assert document["same"] is not False and document["sound"]["relation"] == "other sound"
    assert [span["sound"] for span in document["spans"]] == [None]  # three seconds are too few to say
    text = run("compare", folder / "film.mp4", folder / "reaction.mp4", "--sound").stdout
    assert "\nsound       same, offset -2.0 s, " in text
    assert run_json("compare", folder / "film.mp4", folder / "dub.mp4")["sound"] is None


def test_a_library_without_sound_says_how_to_keep_it(folder: Path, tmp_path: Path) -> None:
    run("add", tmp_path / "lib", folder / "none.mp4", "--workers", "1")
    for command in (("dedup", tmp_path / "lib"), ("search", tmp_path / "lib", folder / "none.mp4")):
        assert "--sound` keeps it" in run(*command, "--sound", code=3).stderr


def test_without_chromaprint_one_line_says_so(
    lib: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    for command in (
        ("add", tmp_path / "lib", folder, "--sound"),
        ("compare", folder / "film.mp4", folder / "dub.mp4", "--sound"),
        ("search", lib, folder / "film.mp4", "--sound"),
    ):
        said = run(*command, code=3).stderr
        assert said.count("\n") == 1 and "vhash-sdk[sound]" in said and "libchromaprint1" in said
    assert not (tmp_path / "lib").exists()
    assert run_json("add", lib, folder)["sound"]["missing"]
    assert len(run_json("dedup", lib, "--sound")["same_sound"]) == 1  # what is kept needs no Chromaprint
