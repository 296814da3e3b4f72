"""Third looks of a library: taken once for two contents, kept, and never trusted where they are damaged."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import av

from vhash_sdk import Encoder, Library, Limits, compare
from vhash_sdk.encoding.encoded import views
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.library.library import Library as Opened
from vhash_sdk.library.searching import filmed
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.models import zoo
from vhash_sdk.video.filming import Filmed, Filming

SAMPLES = zoo.FOLDER.parent / "samples"


def enlarged(source: Path, target: Path, part: float) -> Path:
    """The middle of a video, enlarged to its whole size."""
    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        shown = video.streams.video[0]
        stream = output.add_stream("libx264", rate=shown.average_rate or Fraction(25), options={"crf": "26"})
        stream.width, stream.height, stream.pix_fmt = shown.width, shown.height, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in video.decode(shown):
            picture = frame.to_ndarray(format="rgb24")
            height, width = (int(side * part) // 2 * 2 for side in picture.shape[:2])
            top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
            inside = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture[top : top + height, left : left + width]), format="rgb24"
            )
            output.mux(stream.encode(inside.reformat(shown.width, shown.height, "yuv420p")))
        output.mux(stream.encode())
    return target


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    with Encoder("copy", threads=1) as made:
        yield made


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three samples, and the middle half of the first."""
    folder = tmp_path_factory.mktemp("videos")
    taken = [shutil.copy(SAMPLES / f"{name}.mp4", folder) for name in ("bunny", "chair", "glass")]
    return [*map(Path, taken), enlarged(SAMPLES / "bunny.mp4", folder / "middle.mp4", 0.45)]


@pytest.fixture
def library(videos: list[Path], encoder: Encoder, tmp_path: Path) -> Iterator[Opened]:
    with Library(tmp_path / "library", encoder=encoder) as made:
        made.add(videos)
        yield made


def pairs(library: Opened, **how: bool) -> list[tuple[str, str]]:
    return [
        (Path(group.representative.path).stem, Path(member.entry.path).stem)
        for group in library.duplicates(**how)  # type: ignore[arg-type]
        for member in group.members
    ]


def test_everybody_finds_what_only_pixels_tell(library: Opened, videos: list[Path], encoder: Encoder) -> None:
    bunny, *_, middle = videos
    assert pairs(library, pixels=False) == []
    assert pairs(library) in ([("bunny", "middle")], [("middle", "bunny")])
    (member,) = library.duplicates()[0].members
    assert member.look is not None and member.look.same and member.look.placement is not None
    assert member.look.placement.enlarged == pytest.approx(1 / 0.45, rel=0.05)
    hits = {Path(hit.entry.path).stem: hit for hit in library.search(middle)}
    assert hits["middle"].same and hits["bunny"].same and not hits["chair"].same
    assert not next(hit for hit in library.search(middle, pixels=False) if hit.entry.path == str(bunny)).same
    assert compare(bunny, middle, encoder=encoder, spans=False).same
    assert not compare(bunny, middle, encoder=encoder, spans=False, pixels=False).same
    one, other = library.get(bunny), library.get(middle)
    assert one is not None and other is not None and library.decide(one, other).same


def test_a_pair_is_decoded_once_whatever_its_paths(
    library: Opened, videos: list[Path], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pairs(library)
    for path in videos:
        moved = path.rename(path.with_name(f"moved-{path.name}"))
        shutil.copy(moved, path)
        moved.unlink()
        os.utime(path, ns=(1, 1))
    library.add(videos)  # times have changed, contents have not
    monkeypatch.setattr(Filming, "look", lambda *_: pytest.fail("decoded again"))
    with Library(library.directory, encoder=encoder) as again:
        assert pairs(again) == found


@pytest.mark.parametrize("damage", ["cut", "zeros", "text", "other numbers", "no scale", "a pipe", "gone"])
def test_a_damaged_cache_costs_only_time(
    library: Opened, encoder: Encoder, tmp_path: Path, damage: str
) -> None:
    found, cache = pairs(library), library.directory / "looks.npz"
    content = cache.read_bytes()
    if damage == "other numbers":
        np.savez(cache, version=1, pairs=np.zeros(64, np.uint8), looks=np.full((1, 17), np.nan))
    elif damage == "no scale":
        with np.load(cache) as file:
            looks = {name: file[name] for name in file.files}
        looks["looks"][:, 8] = 0
        np.savez(cache, **looks)
    elif damage == "a pipe":
        cache.unlink()
        os.mkfifo(cache)
    elif damage == "gone":
        cache.unlink()
    else:
        cache.write_bytes({"cut": content[:-50], "zeros": bytes(len(content)), "text": b"hello"}[damage])
    with Library(library.directory, encoder=encoder) as again:
        assert pairs(again) == found
        (member,) = again.duplicates()[0].members
        assert member.look is not None and member.look.placement is not None
        assert member.look.placement.enlarged == pytest.approx(1 / 0.45, rel=0.05)


def test_a_file_that_has_changed_is_not_looked_at(library: Opened, videos: list[Path]) -> None:
    bunny, chair, _, middle = videos
    kept = middle.read_bytes()
    try:
        middle.write_bytes(chair.read_bytes())
        one, other = library.get(bunny), library.get(middle)
        assert one is not None and other is not None
        assert library.decide(one, other).look is None
        assert pairs(library) == []
    finally:
        middle.write_bytes(kept)


def test_a_cache_that_cannot_be_written_costs_one_warning(
    library: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vhash_sdk.library.looks.write_whole", full)
    with caplog.at_level(logging.WARNING, "vhash_sdk"):
        assert len(pairs(library)) == 1
    assert [record.message for record in caplog.records if "looks.npz" in record.message] != []
    assert not (library.directory / "looks.npz").exists()


def cut(source: Path, target: Path, frames: int, *, held: bool = False, crf: int = 24) -> Path:
    """The first frames of a video; ``held``: nearly nothing moves, for it is the first one all the time."""
    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        shown = video.streams.video[0]
        stream = output.add_stream(
            "libx264", rate=shown.average_rate or Fraction(25), options={"crf": str(crf)}
        )
        stream.width, stream.height, stream.pix_fmt = shown.width, shown.height, "yuv420p"
        stream.codec_context.thread_count = 1
        pictures = [frame.to_ndarray(format="rgb24") for frame, _ in zip(video.decode(shown), range(frames))]  # noqa: B905
        for number, picture in enumerate(pictures):
            still = picture if not held else (0.998 * pictures[0] + 0.002 * pictures[number]).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(still, format="rgb24")))
        output.mux(stream.encode())
    return target


def test_short_excerpts_are_duplicates_where_their_pixels_say_so(tmp_path: Path, encoder: Encoder) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    for name in ("bunny", "glass"):
        cut(SAMPLES / f"{name}.mp4", folder / f"{name}-short.mp4", 16)
        cut(SAMPLES / f"{name}.mp4", folder / f"{name}-again.mp4", 16, crf=30)
    with Library(tmp_path / "library", encoder=encoder) as library:
        library.add([folder])
        assert all(entry.code.unreliable == "shorter than 1 s" for entry in library)
        assert pairs(library, pixels=False) == []
        assert {frozenset(name.split("-")[0] for name in pair) for pair in pairs(library)} == {
            frozenset({"bunny"}),
            frozenset({"glass"}),
        }
        (found,) = [hit for hit in library.search(folder / "bunny-again.mp4") if hit.same and hit.distance]
        assert Path(found.entry.path).stem == "bunny-short"
    assert compare(folder / "bunny-short.mp4", folder / "bunny-again.mp4", encoder=encoder).same is True
    assert compare(folder / "bunny-short.mp4", folder / "glass-again.mp4", encoder=encoder).same is None


def test_what_does_not_move_at_all_is_told_by_its_detail(tmp_path: Path, encoder: Encoder) -> None:
    files = [
        cut(SAMPLES / f"{name}.mp4", tmp_path / f"{name}-{crf}.mp4", 50, held=True, crf=crf)
        for name, crf in (("bunny", 20), ("bunny", 21), ("glass", 20))
    ]
    with Library(tmp_path / "library", encoder=encoder) as library:
        library.add(files)
        assert {entry.code.unreliable for entry in library} == {"nothing moves"}
        assert len(pairs(library)) == 1
        said = {Path(hit.entry.path).stem: hit.same for hit in library.search(files[0])}
        assert said["bunny-21"] is True and said["glass-20"] is None
        assert {hit.same for hit in library.search(files[0], pixels=False)} == {None}


def test_a_video_of_the_library_is_searched_for_by_what_is_kept(
    library: Opened, videos: list[Path], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bunny, *_, middle = videos
    entry = library.get(middle)
    assert entry is not None
    sent = {hit.entry.path: hit for hit in library.search(middle)}
    with monkeypatch.context() as nothing:
        nothing.setattr(Encoder, "encode_many", lambda *_, **__: pytest.fail("encoded again"))
        own = {hit.entry.path: hit for hit in library.search(entry)}
    assert list(own) == list(sent)
    for path, hit in own.items():
        assert (hit.distance, hit.verified, hit.same, hit.relation) == (
            sent[path].distance, sent[path].verified, sent[path].same, sent[path].relation,
        )  # fmt: skip
    look = own[str(bunny)].look
    assert look is not None and look.same and look.placement is not None
    assert (
        next(hit for hit in library.search(entry, pixels=False) if hit.entry.path == str(bunny)).look is None
    )
    monkeypatch.setattr(Filming, "_film", lambda *_: pytest.fail("decoded again"))
    assert next(hit for hit in library.search(entry) if hit.entry.path == str(bunny)).look == look


def test_what_was_judged_no_match_is_none_in_a_search(
    library: Opened, videos: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    bunny, chair, _, middle = videos
    one, other = library.get(bunny), library.get(middle)
    assert one is not None and other is not None
    library.judge([Judgement(one.digest, other.digest, match=False)])
    elsewhere = Path(shutil.copy(middle, tmp_path / "elsewhere.mp4"))
    (encoded,) = encoder.encode_many([middle], detail="views")
    for asked in (other, middle, str(elsewhere), encoded):
        hits = {Path(hit.entry.path): hit for hit in library.search(asked)}
        assert hits[bunny].same is False and hits[bunny].look is None
        assert hits[bunny].relation in (None, "unrelated")
        assert hits[middle].same is True and hits[chair].same is False
    said = library.decide(one, other)
    assert said.same is False and said.relation is None
    library.judge([Judgement(one.digest, other.digest, match=True)])
    assert all(
        next(hit for hit in library.search(asked) if hit.entry.path == str(bunny)).same
        for asked in (other, middle)
    )


def test_only_what_is_wanted_is_looked_at(
    library: Opened, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bunny, chair, glass, middle = videos
    looked: list[str] = []
    look = Filming.look

    def counting(filming: Filming, query: Filmed, video: Filmed) -> ThirdLook | None:
        looked.append(str(video.source))
        return look(filming, query, video)

    monkeypatch.setattr(Filming, "look", counting)
    every = library.search(middle)
    assert str(bunny) in looked
    looked.clear()
    wanted = {str(chair), str(glass)}
    assert [hit.entry.path for hit in library.search(middle, 1, fits=lambda entry: entry.path in wanted)] == [
        next(hit.entry.path for hit in every if hit.entry.path in wanted)
    ]
    assert str(bunny) not in looked
    few = library.search(middle, fits=lambda entry: entry.path == str(bunny))
    assert [hit.entry.path for hit in few] == [str(bunny)] and few[0].same and looked == [str(bunny)]
    assert library.search(middle, None, fits=lambda entry: True) == every
    assert library.search(middle, fits=lambda entry: False) == []


def test_of_a_bare_code_no_relation_is_told(library: Opened, videos: list[Path], encoder: Encoder) -> None:
    bunny = library.get(videos[0])
    assert bunny is not None
    hits = library.search(bunny.code)
    assert hits[0].entry.id == bunny.id and hits[0].same and all(hit.relation is None for hit in hits)
    said = compare(bunny.code, videos[0], encoder=encoder)
    assert said.same and said.decision.relation is None


def test_looks_of_two_processes_are_all_kept(
    library: Opened, videos: list[Path], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = library.get(videos[-1])
    assert entry is not None
    with Library(library.directory, encoder=encoder) as other:
        other.search(entry)  # not written yet
        bunny = library.get(videos[0])
        assert bunny is not None and library.decide(bunny, entry).look is not None
        with np.load(_saved(library)) as file:
            before = {row.tobytes() for row in file["pairs"]}
    with np.load(library.directory / "looks.npz") as file:
        after = {row.tobytes() for row in file["pairs"]}
    assert before and before <= after


def _saved(library: Opened) -> Path:
    """The file of looks, once a search for duplicates has written it."""
    library.duplicates()
    return library.directory / "looks.npz"


def test_a_file_that_was_replaced_is_filmed_again(
    videos: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    bunny, chair, *_ = videos
    given = tmp_path / "given.mp4"
    shutil.copy(bunny, given)
    one, other = (
        filmed(encoded, views(encoded)) for encoded in encoder.encode_many([bunny, given], detail="views")
    )
    assert one is not None and other is not None
    with Filming(Limits()) as filming:
        first = filming.look(one, other)
        assert first is not None and first.same
        shutil.copy(chair, given)
        assert filming.look(one, other) != first


def test_looks_go_by_what_is_kept_of_a_file_by_now(tmp_path: Path, encoder: Encoder) -> None:
    file = tmp_path / "film.mp4"
    shutil.copy(SAMPLES / "glass.mp4", file)
    with Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([file, SAMPLES / "legs.mp4"], workers=1)
        (before, _) = library
        code = library._looks._views().of(before.id)[0].code
        shutil.copy(SAMPLES / "chair.mp4", file)
        library.add([file], workers=1)
        assert library.get(file) is not None
        assert not np.array_equal(library._looks._views().of(before.id)[0].code, code)
