"""What a library keeps of sound: for whom, for how long, and what it finds by it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import FakeEncoder
from tests.sound_files import needs_chromaprint, part, tune, video
from vhash_sdk.errors import MissingDependencyError, OptionError, StoreError
from vhash_sdk.library import Library
from vhash_sdk.library.schema import MIGRATIONS
from vhash_sdk.video import Limits

needs_chromaprint()


class Place:
    """A library, and a folder of films: two of one tune, one of another, one without sound."""

    def __init__(self, root: Path) -> None:
        self.folder, self.directory = root / "videos", root / "lib"
        self.folder.mkdir()
        wave = tune(1)
        video(self.folder / "a.mp4", wave)
        video(self.folder / "b.mkv", part(wave, 3, 12), scene=1, kilobits=32)
        video(self.folder / "other.mp4", tune(2), scene=2)
        video(self.folder / "none.mp4", None, scene=3)

    def open(self, **options: Any) -> Library:
        encoder = FakeEncoder()
        encoder.limits = Limits()  # type: ignore[attr-defined]
        return Library(self.directory, encoder=encoder, **options)  # type: ignore[arg-type]

    def add(self, **options: Any) -> dict[str, int]:
        with self.open() as library:
            return library.add([self.folder], workers=1, **options).counts

    def pairs(self) -> set[tuple[str, str]]:
        with self.open() as library:
            names = [(Path(a.path).name, Path(b.path).name) for a, b, _ in library.same_sound()]
        return {(min(pair), max(pair)) for pair in names}

    def rows(self) -> int:
        with sqlite3.connect(self.directory / "library.db") as database:
            return int(database.execute("SELECT count(*) FROM sound").fetchone()[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("sound"))
    place.add(sound=True)
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of that which may be changed; its library knows the files where they are now."""
    own = object.__new__(Place)
    own.folder, own.directory = tmp_path / "videos", tmp_path / "lib"
    shutil.copytree(made.folder, own.folder)
    shutil.copytree(made.directory, own.directory)
    shutil.rmtree(own.directory)
    own.add(sound=True)
    return own


def test_it_is_kept_by_wish_then_always(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.add() == {"added": 4}
    with place.open() as library:
        assert not library.has_sound and library.lacking_sound == 4
        with pytest.raises(OptionError, match="no sound is kept; `vhash add .* --sound`"):
            library.same_sound()
        entry = next(iter(library))
        assert library.sound(entry) is None and library.hear(entry, entry) is None
    assert place.add(sound=True) == {"unchanged": 4}
    with place.open() as library:
        assert library.has_sound and library.lacking_sound == 0
    video(place.folder / "new.mp4", tune(2), scene=4)
    place.add()
    assert place.pairs() == {("a.mp4", "b.mkv"), ("new.mp4", "other.mp4")}


def test_pairs_parts_and_what_a_stranger_sounds_like(made: Place, tmp_path: Path) -> None:
    with made.open() as library:
        ((a, b, heard),) = library.same_sound()
        assert {Path(a.path).name, Path(b.path).name} == {"a.mp4", "b.mkv"} and heard.bits > 0.9
        shift = heard.offset if a.path.endswith("a.mp4") else -heard.offset
        assert shift == pytest.approx(-3, abs=0.2) and library.hear(a, b) == heard
        hits = library.search_sound(video(tmp_path / "query.mp4", part(tune(2), 2, 10), scene=5))
        assert [Path(hit.entry.path).name for hit in hits] == ["other.mp4"]
        assert library.search_sound(made.folder / "none.mp4") == []
        said = {Path(e.path).name: library.sound(e).says for e in library}  # type: ignore[union-attr]
        assert [name for name, says in said.items() if says] == ["none.mp4"]


def test_a_copy_and_a_moved_file_need_no_decoding(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(place.folder / "a.mp4", place.folder / "copy.mp4")
    os.rename(place.folder / "b.mkv", place.folder / "moved.mkv")
    monkeypatch.setattr("vhash_sdk.library.sounding.DecodePool.sound", None)
    place.add()
    assert place.pairs() == {("a.mp4", "moved.mkv"), ("copy.mp4", "moved.mkv"), ("a.mp4", "copy.mp4")}


def test_a_changed_file_is_heard_again_and_what_is_gone_is_forgotten(place: Place) -> None:
    assert place.rows() == 4
    video(place.folder / "b.mkv", tune(2), scene=1)
    place.add()
    assert place.pairs() == {("b.mkv", "other.mp4")} and place.rows() == 4
    with place.open() as library:
        library.remove([place.folder / "a.mp4"])
        assert len(library.same_sound()) == 1
    os.remove(place.folder / "a.mp4")
    place.add()
    assert place.rows() == 3


def test_a_file_that_cannot_be_heard_is_a_failure_and_tried_again(place: Place) -> None:
    video(place.folder / "later.mp4", tune(1), scene=6)
    with place.open() as library:
        library.add([place.folder], sound=False)
        os.rename(place.folder / "later.mp4", place.folder / "away")
        (made,) = library.sounding(workers=1)
        assert made.path.endswith("later.mp4") and made.error is not None and library.lacking_sound == 1
        os.rename(place.folder / "away", place.folder / "later.mp4")
        (made,) = library.sounding(workers=1)
        assert made.error is None and library.lacking_sound == 0


def test_it_can_be_left_at_any_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.add()
    with place.open() as library:
        for _ in library.sounding(workers=1):
            break
        assert library.lacking_sound == 3 and len(list(library.sounding(workers=1))) == 3


def test_without_chromaprint_the_rest_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    video(place.folder / "new.mp4", tune(2), scene=4)
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    assert place.add() == {"unchanged": 4, "added": 1}
    with pytest.raises(MissingDependencyError):
        place.add(sound=True)
    assert place.pairs() == {("a.mp4", "b.mkv")}  # what is kept is compared without it


def test_the_format_is_that_of_before_and_old_versions_go_on(made: Place) -> None:
    with sqlite3.connect(made.directory / "library.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert not any("sound" in migration for migration in MIGRATIONS)
    with made.open() as library:
        assert [problem for problem in library.verify() if problem.kind == "database"] == []


def test_a_damaged_row_is_named(place: Place) -> None:
    for value, said in ((b"abc", "holds a damaged sound"), ("text", "holds a damaged row: prints")):
        with sqlite3.connect(place.directory / "library.db") as database:
            database.execute("UPDATE sound SET prints = ? WHERE id = 1", (value,))
        with place.open() as library:
            with pytest.raises(StoreError, match=said):
                library.same_sound()
            (problem,) = library.verify()
            assert problem.kind == "database" and "sound" in problem.message


def test_duplicates_say_what_the_sound_is(place: Place) -> None:
    shutil.copy(place.folder / "a.mp4", place.folder / "copy.mp4")
    place.add()
    with place.open() as library:
        (group,) = library.duplicates(radius=2)
        (member,) = group.members
        assert member.sound is not None and member.sound.same and member.sound.bits == 1
