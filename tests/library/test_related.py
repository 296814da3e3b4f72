"""What two videos are to each other where they are no duplicates: parts, shared parts, other takes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import av

from tests.cli.test_cli import run, run_json
from vhash_sdk import Encoder, Library
from vhash_sdk.library.library import Library as Opened
from vhash_sdk.library.roles import Roles
from vhash_sdk.matching.relation import VideoRelation, relation_of_copies
from vhash_sdk.matching.second_look import View
from vhash_sdk.models import zoo

SAMPLES = zoo.FOLDER.parent / "samples"
RATE, WIDTH, HEIGHT = 25, 320, 240


def joined(target: Path, *pieces: tuple[str, float, float]) -> Path:
    """Pieces of samples one after the other: (name, start, end) in seconds."""
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "26", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        count = 0
        for name, start, end in pieces:
            with av.open(str(SAMPLES / f"{name}.mp4")) as video:
                for frame in video.decode(video=0):
                    if frame.time is None or not start <= frame.time < end:
                        continue
                    picture = frame.reformat(WIDTH, HEIGHT, "yuv420p")
                    picture.pts, picture.time_base, picture.pict_type = count, Fraction(1, RATE), 0
                    output.mux(stream.encode(picture))
                    count += 1
        output.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("related")
    joined(folder / "bunny.mp4", ("bunny", 0, 5))
    joined(folder / "glass.mp4", ("glass", 0, 2.4))
    joined(folder / "legs.mp4", ("legs", 0, 3.4))
    joined(folder / "all of them.mp4", ("glass", 0, 2.4), ("legs", 0, 3.4), ("bunny", 0, 5))
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    place = tmp_path_factory.mktemp("library") / "lib"
    with Encoder("copy", threads=1) as encoder, Library(place, encoder=encoder) as library:
        library.add([folder], workers=1)
        yield library


def test_a_video_of_several_others_is_no_duplicate_of_any(folder: Path, library: Opened) -> None:
    groups = library.duplicates()
    assert list(groups) == []
    whole = str(folder / "all of them.mp4")
    told = {(pair.relation, Path(pair.b.path).stem) for pair in groups.related if pair.a.path == whole}
    assert len(told) >= 2 and {relation for relation, _ in told} <= {
        VideoRelation.CONTAINS,
        VideoRelation.SHARES,
    }


def test_a_part_alone_is_grouped_and_called_a_part(folder: Path, tmp_path: Path) -> None:
    part = joined(tmp_path / "part.mp4", ("bunny", 1.0, 3.4))
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([folder / "bunny.mp4", folder / "legs.mp4", part], workers=1)
        (group,) = library.duplicates()
        assert Path(group.representative.path).name == "bunny.mp4"
        assert [(Path(m.entry.path).name, m.relation) for m in group.members] == [("part.mp4", "part of")]
        first, *_ = [hit for hit in library.search(part) if hit.entry.path != str(part)]
        assert first.same and first.relation is VideoRelation.PART
        back = [hit for hit in library.search(folder / "bunny.mp4") if hit.entry.path == str(part)]
        assert back[0].relation is VideoRelation.CONTAINS


def test_what_holds_more_than_is_kept_is_not_offered_for_removal(folder: Path, tmp_path: Path) -> None:
    """A compilation beside a reference: its other parts may be nowhere else."""
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([folder / "bunny.mp4", folder / "all of them.mp4"])
        (kept,) = library.duplicates(keep="longest")[0].members
        assert kept.relation is VideoRelation.PART and not kept.not_offered
        references = Roles(references=(str(folder / "bunny.mp4"),))
        (member,) = library.duplicates(keep="reference, longest", roles=references)[0].members
        assert member.relation is VideoRelation.CONTAINS and "and more" in member.not_offered


def test_a_shared_intro_is_told_and_not_grouped(tmp_path: Path) -> None:
    one = joined(tmp_path / "one.mp4", ("bunny", 0, 3), ("glass", 0, 2.4))
    other = joined(tmp_path / "other.mp4", ("bunny", 0, 3), ("chair", 0, 2.4))
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([one, other], workers=1)
        groups = library.duplicates()
        assert list(groups) == [] and [pair.relation for pair in groups.related] == [VideoRelation.SHARES]
    document = run_json("dedup", tmp_path / "lib")
    assert [pair["relation"] for pair in document["related"]] == ["shares a part"]
    text = run("dedup", tmp_path / "lib").stdout
    assert "No duplicates, but related:" in text and "shares a part with" in text
    said = run("compare", one, other).stdout
    assert "not the same video, but they share a part" in said


def test_without_pixels_frames_tell_it_too(tmp_path: Path) -> None:
    one = joined(tmp_path / "one.mp4", ("glass", 0, 2.4), ("bunny", 0, 3))
    other = joined(tmp_path / "other.mp4", ("glass", 0, 2.4), ("chair", 0, 3))
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([one, other], workers=1)
        groups = library.duplicates(pixels=False)
        assert list(groups) == []
        assert {pair.relation for pair in groups.related} <= {VideoRelation.SHARES}


def test_the_relation_of_copies_goes_by_how_much_is_covered(library: Opened, folder: Path) -> None:
    entry = library.get(folder / "bunny.mp4")
    assert entry is not None
    views = library.encoder.encode_many([folder / "bunny.mp4"], detail="views")
    (view, *_) = views_of(next(iter(views)))
    assert relation_of_copies([view], [view]) is VideoRelation.SAME
    assert relation_of_copies([View(view.code, None)], [view]) is VideoRelation.SAME  # nothing is known
    assert relation_of_copies([], []) is VideoRelation.SAME
    for relation in VideoRelation:
        assert relation.inverse.inverse is relation


def views_of(encoded: object) -> tuple[View, ...]:
    from vhash_sdk.encoding.encoded import Encoded, views

    assert isinstance(encoded, Encoded)
    found = views(encoded)
    assert all(np.asarray(view.code).dtype == np.uint8 for view in found)
    return found
