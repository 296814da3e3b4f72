"""Pictures in a library: asked for, remembered, searched, never concluded from."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

import av

from tests.cli.test_cli import run, run_json
from tests.library.test_library import FakeEncoder
from vhash_sdk import Encoder, Library, Limits, compare
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.encoding.reliability import STILL
from vhash_sdk.errors import OptionError

pytestmark = pytest.mark.usefixtures("remembered")
AT = 60
"""The frame of a clip that is made into a picture."""


def still(video: Path, kind: str = "JPEG", frame: int = AT) -> tuple[float, bytes]:
    """(seconds, file) of one frame of a clip."""
    with av.open(str(video)) as container:
        for number, found in enumerate(container.decode(video=0)):
            if number == frame:
                file = io.BytesIO()
                found.to_image().resize((320, 180)).save(file, kind)
                return float(found.time or 0), file.getvalue()
    raise AssertionError(f"{video} has no frame {frame}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "videos").mkdir()
    for name in ("bunny", "chair", "legs"):
        shutil.copy(SAMPLES / f"{name}.mp4", folder / "videos")
    (folder / "videos" / "poster.jpg").write_bytes(still(SAMPLES / "bunny.mp4")[1])
    return folder


@pytest.fixture(scope="module")
def library(place: Path) -> Iterator[Library]:
    with Library(place / "lib") as library:
        assert library.add([place / "videos"]).counts == {"added": 3, "skipped": 1}
        assert not library.has_pictures
        library.add([place / "videos"], pictures=True, segments=True, workers=1)
        assert library.has_pictures
        yield library


def test_pictures_are_added_where_they_are_asked_for_and_then_always(place: Path, library: Library) -> None:
    assert {Path(entry.path).name for entry in library} == {
        "bunny.mp4",
        "chair.mp4",
        "legs.mp4",
        "poster.jpg",
    }
    other = place / "other"
    other.mkdir()
    (other / "poster.png").write_bytes(still(SAMPLES / "chair.mp4", "PNG")[1])
    assert library.add([other], pictures=False).counts == {"skipped": 1}
    assert library.add([other], workers=1).counts == {"added": 1}
    assert library.add([other]).counts == {"unchanged": 1}
    library.remove([other])


def test_a_frame_finds_its_video_and_the_second(library: Library) -> None:
    for name in ("bunny", "chair", "legs"):
        seconds, picture = still(SAMPLES / f"{name}.mp4", "PNG")
        found = [each for each in library.find_frame(picture) if each.entry.code.unreliable != STILL]
        assert Path(found[0].entry.path).stem == name
        assert abs(found[0].time - seconds) <= 1
        assert [each.distance for each in found] == sorted(each.distance for each in found)
        assert len({each.entry.id for each in found}) == len(found) == 3


def test_nothing_is_concluded_from_a_picture(place: Path, library: Library) -> None:
    poster = place / "videos" / "poster.jpg"
    hits = library.search(poster)
    assert Path(hits[0].entry.path) == poster and hits[0].distance == 0
    assert all(hit.same is None and hit.false_match_rate is None for hit in hits)
    assert library.duplicates() == []
    video = library.get(place / "videos" / "bunny.mp4")
    entry = library.get(poster)
    assert video is not None and entry is not None
    assert not library.decide(entry, video).same
    with Encoder(limits=Limits(stills=True)) as encoder:
        found = compare(poster, place / "videos" / "bunny.mp4", encoder=encoder)
        assert found.same is None and found.false_match_rate is None and found.spans == ()
        assert found.moment is not None and abs(found.moment.time - 2.4) <= 1
        both = compare(poster, poster, encoder=encoder)
        assert both.same is None and both.moment is None and both.distance == 0


def test_pictures_with_the_same_bytes_are_copies(place: Path, tmp_path: Path) -> None:
    """What nothing needs to be concluded for."""
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(place / "videos" / "poster.jpg", tmp_path / name)
    with Library(tmp_path / "lib") as library:
        library.add([tmp_path / "a.jpg", tmp_path / "b.jpg"], pictures=True, workers=1)
        a, b = library
        assert library.decide(a, b).same


def test_an_encoder_that_refuses_pictures_says_so(tmp_path: Path) -> None:
    refused = pytest.raises(OptionError, match=r"Limits\(stills=True\)")
    with Encoder() as encoder, Library(tmp_path / "lib", encoder=encoder) as library, refused:
        library.add([tmp_path / "videos"], pictures=True)
    with Library(tmp_path / "other", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        assert library.add([SAMPLES / "no"]).counts == {"failed": 1}


def test_without_segments_a_frame_cannot_be_found(tmp_path: Path, place: Path) -> None:
    with Library(tmp_path / "lib") as library:
        library.add([place / "videos" / "bunny.mp4"], workers=1)
        with pytest.raises(OptionError, match="no segments are kept"):
            library.find_frame(place / "videos" / "poster.jpg")


def test_the_commands_take_pictures(place: Path, library: Library) -> None:
    poster, lib = place / "videos" / "poster.jpg", library.directory
    found = run_json("find", lib, poster, "-k", 2)["clips"][0]
    assert found["spans"] == [] and [Path(each["path"]).name for each in found["frames"]] == [
        "poster.jpg",
        "bunny.mp4",
    ]
    assert found["frames"][1]["time"] == pytest.approx(2.4, abs=1)
    text = run("find", lib, poster).stdout
    assert f"is {poster}" in text and "of " + str(place / "videos" / "bunny.mp4") in text
    query = run_json("search", lib, poster)["queries"][0]
    assert query["neighbours"][0]["same"] is None and query["frames"][0]["distance"] == 0
    assert run_json("search", lib, place / "videos" / "chair.mp4")["queries"][0]["frames"] == []
    assert run_json("encode", poster)["videos"][0]["code"].startswith("vh1:")
    assert run_json("compare", poster, place / "videos" / "bunny.mp4")["moment"]["distance"] < 60
    assert "Nothing is concluded" in run("compare", poster, place / "videos" / "bunny.mp4").stdout
