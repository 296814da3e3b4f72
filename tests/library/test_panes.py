"""Split screens in a library: a pane may be a copy, and two that share a pane are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import av

from vhash_sdk import Encoder, Library, compare
from vhash_sdk.library.library import Library as Opened
from vhash_sdk.library.place import open_database
from vhash_sdk.library.records import Hit
from vhash_sdk.library.schema import APPLICATION_ID, MIGRATIONS
from vhash_sdk.matching.relation import VideoRelation
from vhash_sdk.models import zoo

SAMPLES = zoo.FOLDER.parent / "samples"
RATE, WIDTH, HEIGHT = 25, 240, 176
SECONDS = 3.0


def frames(name: str) -> np.ndarray:
    """The first seconds of a sample, ``uint8[T, H, W, 3]``."""
    with av.open(str(SAMPLES / f"{name}.mp4")) as video:
        found = [
            frame.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray()
            for frame in video.decode(video=0)
            if frame.time is not None and frame.time < SECONDS
        ]
    return np.stack(found)


def composed(target: Path, *rows: tuple[str, ...]) -> Path:
    """Samples in one picture, row by row."""
    shown = [[frames(name) for name in row] for row in rows]
    count = min(len(video) for row in shown for video in row)
    return write(
        target, np.concatenate([np.concatenate([video[:count] for video in row], 2) for row in shown], 1)
    )


def write(target: Path, whole: np.ndarray) -> Path:
    """Frames ``uint8[T, H, W, 3]`` as a file."""
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "24", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *whole.shape[1:3], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, picture in enumerate(whole):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panes")
    for name in ("bunny", "glass", "legs"):
        composed(folder / f"{name}.mp4", (name,))
    composed(folder / "one of four.mp4", ("legs", "bunny"), ("backrest", "chair"))
    composed(folder / "beside.mp4", ("backrest", "glass"))
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    place = tmp_path_factory.mktemp("library") / "lib"
    with Encoder("copy", threads=1) as encoder, Library(place, encoder=encoder) as library:
        library.add([folder], workers=1)
        yield library


def called(hits: list[Hit]) -> set[str]:
    """The names of what is called a copy."""
    return {Path(hit.entry.path).stem for hit in hits if hit.same}


@pytest.mark.parametrize("pixels", [False, True])
def test_the_video_of_a_pane_is_found(folder: Path, library: Opened, pixels: bool) -> None:
    assert called(library.search(folder / "glass.mp4", pixels=pixels)) == {"glass", "beside"}
    beside = library.get(folder / "beside.mp4")
    assert beside is not None
    assert called(library.search(beside, pixels=pixels)) == {"glass", "beside"}


def test_split_screens_with_one_pane_in_common_share_a_part(folder: Path, library: Opened) -> None:
    one, other = library.get(folder / "one of four.mp4"), library.get(folder / "beside.mp4")
    assert one is not None and other is not None
    said = library.decide(one, other)
    assert said.same is False and said.relation is VideoRelation.SHARES
    groups = library.duplicates()
    for group in groups:
        paths = {group.representative.path, *(member.entry.path for member in group.members)}
        assert not {one.path, other.path} <= paths


def test_a_split_screen_contains_the_videos_of_its_panes(folder: Path, library: Opened) -> None:
    beside, glass = library.get(folder / "beside.mp4"), library.get(folder / "glass.mp4")
    assert beside is not None and glass is not None
    assert library.decide(beside, glass).relation is VideoRelation.CONTAINS
    groups = library.duplicates()
    kept = {Path(group.representative.path).stem: group.members[0] for group in groups}
    assert kept.keys() == {"glass", "legs"} and kept["glass"].entry.path == beside.path
    for member in kept.values():
        assert member.relation is VideoRelation.CONTAINS and "contains the one to keep" in member.not_offered


def test_a_video_is_not_given_up_for_a_split_screen_that_shows_it_small(tmp_path: Path) -> None:
    glass, backrest = frames("glass")[:60], frames("backrest")[:70]
    longer = np.concatenate([glass, glass[-1:].repeat(10, 0)])
    write(tmp_path / "glass.mp4", glass)
    write(tmp_path / "longer.mp4", np.concatenate([backrest, longer], axis=2))
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([tmp_path / "glass.mp4", tmp_path / "longer.mp4"], workers=1)
        (group,) = library.duplicates(keep="longest")
        one, other = library
        hits = {hit.entry.id: hit.relation for hit in library.companions().of(one)}
        assert hits[other.id] is VideoRelation.PART
        assert not library.duplicates(radius=10)[:1] or library.decide(one, other, radius=10).same
    assert Path(group.representative.path).name == "longer.mp4"
    assert "as a pane of a split screen only" in group.members[0].not_offered


def test_compare_names_the_pane(folder: Path) -> None:
    with Encoder("copy", threads=1) as encoder:
        found = compare(folder / "glass.mp4", folder / "beside.mp4", encoder=encoder)
    assert found.same and found.spans and len(found.b.panes) == 2
    assert found.a.view_name(found.seen[0]) == "whole picture"
    assert found.b.view_name(found.seen[1]) == "pane"


def test_a_library_of_before_keeps_what_it_has(tmp_path: Path) -> None:
    """Format 5 had no panes."""
    with closing(sqlite3.connect(tmp_path / "library.db")) as raw:
        for migration in MIGRATIONS[:5]:
            raw.executescript(migration)
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute("PRAGMA user_version = 5")
        raw.execute(
            "INSERT INTO video (id, path, size, mtime_ns, digest, added)"
            " VALUES (1, x'2f61', 1, 1, zeroblob(32), 0)"
        )
        for kind in ("full", "box", "segment", "segment"):
            raw.execute("INSERT INTO code (video, kind, t0, code) VALUES (1, ?, 0, zeroblob(32))", (kind,))
        raw.execute("DELETE FROM code WHERE id = 4")
        raw.execute("INSERT INTO trajectory (video, kind, steps) VALUES (1, 'box', x'01')")
        raw.commit()
    database = open_database(tmp_path, create=False)
    kept = database.rows("SELECT id, kind, place FROM code")
    assert kept == [(1, "full", 0), (2, "box", 0), (3, "segment", 0)]
    assert database.rows("SELECT video, kind, place, steps FROM trajectory") == [(1, "box", 0, b"\1")]
    database.execute("INSERT INTO code (video, kind, t0, code, place) VALUES (1, 'pane', 0, zeroblob(32), 2)")
    assert database.rows("SELECT max(id) FROM code") == [(5,)]  # no number is given twice
    database.close()
