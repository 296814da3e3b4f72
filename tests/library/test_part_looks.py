"""Parts whose score leaves a doubt: the pixels of both files decide, once, and so many in one run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tests.cli.test_cli import run_json
from tests.library.test_related import SAMPLES, joined
from vhash_sdk import Encoder, Library
from vhash_sdk.codes import VideoCode
from vhash_sdk.library.part_cache import Seen
from vhash_sdk.library.part_looks import Doubt, PartLooks, SharingPair, decided, in_doubt
from vhash_sdk.library.records import Entry
from vhash_sdk.matching.alignment import Span
from vhash_sdk.matching.parts import SharedSpan
from vhash_sdk.matching.third_look import NOTHING
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.video.filming import Filming

COPY = NOTHING._replace(motion=0.9, still=0.9, agreeing=1.0, moving=0.3, variety=5.0, seconds=8.0)
OTHER = COPY._replace(motion=0.1, still=0.2)
SCENE = COPY._replace(motion=0.5, still=0.5)  # neither tells
KEY = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three samples, and one of them, of which the codes tell too little."""
    folder = tmp_path_factory.mktemp("parts")
    shutil.copy(SAMPLES / "legs.mp4", folder)
    joined(folder / "all.mp4", ("glass", 0, 2.4), ("legs", 0, 3.4), ("bunny", 0, 5))
    with Encoder(threads=1) as encoder, Library(folder / "library", encoder=encoder) as library:
        library.add([folder / "legs.mp4", folder / "all.mp4"], segments=True)
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Iterator[Library]:
    shutil.copytree(made / "library", tmp_path / "library")
    with Library(tmp_path / "library") as opened:
        yield opened


def said(library: Library, **how: bool) -> list[tuple[str, str, str]]:
    return [(Path(p.a.path).stem, p.relation, Path(p.b.path).stem) for p in library.parts(**how)]


def test_what_codes_leave_in_doubt_is_found_by_its_pixels_and_remembered(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(library, pixels=False) == []
    assert said(library) == [("legs", "part of", "all")]
    (span,) = library.parts()[0].spans
    assert span.score < 3 and abs(span.b_start - 2.4) < 1 and abs(span.b_end - 5.8) < 1.5
    monkeypatch.setattr(Filming, "look_at_part", lambda *_: pytest.fail("looked at again"))
    with Library(library.directory) as again:
        assert said(again) == [("legs", "part of", "all")] and again.parts().left == 0
        assert said(again, pixels=False) == []


def test_files_that_are_gone_or_others_are_not_looked_at(library: Library, made: Path) -> None:
    legs = made / "legs.mp4"
    kept, status = legs.read_bytes(), legs.stat()
    try:
        legs.write_bytes((made / "all.mp4").read_bytes())
        assert said(library) == []
        legs.unlink()
        assert said(library) == []
        legs.write_bytes(kept)
        assert said(library) == []  # its time has changed
        library.add([legs], segments=True)
        assert said(library) == [("legs", "part of", "all")]
    finally:
        legs.write_bytes(kept)
        os.utime(legs, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_command_goes_without_pixels_too(library: Library) -> None:
    directory = library.directory
    library.close()
    assert run_json("dedup", directory, "--parts", "--no-pixels")["parts"]["pairs"] == []
    found = run_json("dedup", directory, "--parts")["parts"]
    assert [pair["relation"] for pair in found["pairs"]] == ["part of"] and found["left"] == 0
    assert json.dumps(found) == json.dumps(run_json("dedup", directory, "--parts")["parts"])


def span(score: float, *, turned: bool = False) -> SharedSpan:
    return SharedSpan(0.0, 8.0, 100.0, 108.0, score, turned)


@pytest.mark.parametrize(
    ("score", "look", "found"),
    [
        (1.0, COPY, True), (1.0, SCENE, False), (1.0, None, False), (4.0, OTHER, False), (4.0, SCENE, True),
        (4.0, None, True),
    ],
)  # fmt: skip
def test_pixels_decide_as_in_find(score: float, look: ThirdLook | None, found: bool) -> None:
    pair = SharingPair(1, 2, KEY, (span(20.0), span(score)), (0, 1))
    (kept,) = decided([pair], {} if look is None else {(KEY, 1): look})
    assert kept.at == [(KEY, 0), (KEY, 1)][: 1 + found] and len(kept.spans) == 1 + found
    alone = SharingPair(1, 2, KEY, (span(score),), (7,))
    assert len(decided([alone], {} if look is None else {(KEY, 7): look})) == found


def test_what_is_sure_or_runs_backwards_is_in_no_doubt() -> None:
    assert [in_doubt(span(score)) for score in (-2.1, -1.9, 7.9, 8.1)] == [False, True, True, False]
    assert not in_doubt(span(4.0, turned=True))


class Camera:
    """In the place of ``Looks``: says the same of all parts, and notes which ones."""

    def __init__(self, look: ThirdLook | None) -> None:
        self.look, self.asked = look, list[tuple[int, int, Span]]()
        self.gone: set[int] = set()

    def at_hand(self, entry: Entry) -> bool:
        return entry.id not in self.gone

    def of_shared(self, a: Entry, b: Entry, there: Span) -> ThirdLook | None:
        self.asked.append((a.id, b.id, there))
        return self.look


def entry(number: int, seconds: float) -> Entry:
    code = VideoCode(np.zeros(32, np.uint8), 256, "0" * 64, duration=seconds)
    return Entry(number, f"{number}.mp4", 1, 0.0, 0.0, 64, 36, 25.0, "h264", code, bytes(32))


def taken(camera: Camera, seen: Seen, count: int, most: int) -> tuple[int, int]:
    """How many parts are left, and how often what was seen was saved."""
    doubts = [Doubt((KEY, place), 1, place + 2, span(place / 1000)) for place in range(count)]
    entries = {number: entry(number, 60.0 + (number == 1)) for number in range(1, count + 2)}
    saved: list[int] = []
    looks = PartLooks(camera, most)  # type: ignore[arg-type]
    left = looks.take(doubts, entries, seen, lambda: saved.append(len(seen)), None)
    assert not saved or saved[-1] == len(seen)
    return left, len(saved)


def test_the_best_are_looked_at_first_and_the_next_run_goes_on() -> None:
    camera, seen = Camera(COPY), Seen()
    assert taken(camera, seen, 250, 120) == (130, 2)
    assert [other for other, _, _ in camera.asked] == list(range(251, 131, -1))
    # the shorter one is looked for in the longer one
    assert {(one, there.query_start, there.ref_start) for _, one, there in camera.asked} == {(1, 100.0, 0.0)}
    assert taken(camera, seen, 250, 120) == (10, 2) and taken(camera, seen, 250, 120) == (0, 1)
    assert taken(camera, seen, 250, 120) == (0, 0) and len(camera.asked) == 250


def test_a_video_that_shares_nothing_with_many_is_looked_at_no_more() -> None:
    camera, seen = Camera(OTHER), Seen()
    assert taken(camera, seen, 250, 500)[0] == 0 and len(camera.asked) == 32
    assert taken(camera, seen, 250, 500) == (0, 0) and len(camera.asked) == 32


def test_files_that_are_gone_keep_nobody_from_looking_at_the_others() -> None:
    camera, seen = Camera(COPY), Seen()
    camera.gone = set(range(200, 252))
    assert taken(camera, seen, 250, 500)[0] == 0 and len(camera.asked) == len(seen) == 198
    camera.gone = {1}
    assert taken(camera, seen, 250, 500) == (0, 0) and len(camera.asked) == 198


def test_a_file_that_cannot_be_looked_at_is_tried_a_few_times() -> None:
    camera, seen = Camera(None), Seen()
    assert taken(camera, seen, 250, 500) == (0, 0) and len(camera.asked) == 3 and not seen
