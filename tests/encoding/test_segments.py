"""Segments: from windows of one video to clips found in a library, with real videos and the real model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.test_cli import run, run_json
from vhash_sdk import Encoder, Index, Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import transcode
from vhash_sdk.codes import pack_bits
from vhash_sdk.encoding.tracks import kept_segments, query_track
from vhash_sdk.errors import OptionError
from vhash_sdk.library.finding import COMMON, SegmentIndex
from vhash_sdk.matching.sequence import centred
from vhash_sdk.matching.track import Track
from vhash_sdk.matching.windows import shot_cuts
from vhash_sdk.video.isolation.pool import DecodePool

pytestmark = pytest.mark.usefixtures("remembered")

ORDER = ("chair", "bunny", "glass", "meadow", "legs")
MEADOW = (slice(50, 230), slice(240, 480))  # of bunny.mp4, enlarged: a scene of its own
MIRROR = (("hflip", ""),)


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    with Encoder() as encoder:
        yield encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long.mp4``: five samples one after the other; ``clip.mp4``: a mirrored part of it."""
    folder = tmp_path_factory.mktemp("videos")
    with av.open(str(folder / "long.mp4"), "w") as writer:
        stream = writer.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "50"}
        count = 0
        for name in ORDER:
            with av.open(str(SAMPLES / f"{'bunny' if name == 'meadow' else name}.mp4")) as reader:
                for frame in reader.decode(video=0):
                    if frame.time is not None and frame.time * 25 > 75:
                        break
                    if name == "meadow":
                        part = np.ascontiguousarray(frame.to_ndarray(format="rgb24")[MEADOW])
                        frame = av.VideoFrame.from_ndarray(part, format="rgb24")
                    picture = frame.reformat(320, 240, "yuv420p")
                    picture.pts, picture.time_base, picture.pict_type = count, Fraction(1, 25), 0
                    writer.mux(stream.encode(picture))
                    count += 1
        writer.mux(stream.encode(None))
    transcode(
        folder / "long.mp4", folder / "clip.mp4", filters=MIRROR, crf=30, span=(0.3, 0.8), preset="ultrafast"
    )
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the long video and two samples that are not in it, with segments."""
    place = tmp_path_factory.mktemp("library") / "lib"
    videos = [folder / "long.mp4", SAMPLES / "backrest.mp4"]
    result = run("add", place, *videos, "--segments")
    assert "2 added" in result.stdout and "segments of 2 videos" in result.stdout
    return place


def test_codes_of_windows_are_those_of_the_mean_over_their_frames(encoder: Encoder) -> None:
    video = SAMPLES / "bunny.mp4"
    segments = encoder.encode_segments(video, window=2.0, hop=1.0)
    sequence = encoder.encode_sequence(video, rate=2.0)
    assert segments.spans[:3].tolist() == [[0, 2], [1, 3], [2, 4]]
    assert segments.spans[-1, 1] == pytest.approx(sequence.duration)
    for code, (start, end) in zip(segments.codes, segments.spans, strict=True):
        inside = (sequence.times >= start) & (sequence.times < end)
        mean = centred(sequence.logits[inside].mean(axis=0, keepdims=True), sequence.spec)
        assert np.count_nonzero(pack_bits(mean >= 0) != code) == 0


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (1, -1)])
def test_windows_are_positive_seconds(encoder: Encoder, window: float, hop: float) -> None:
    with pytest.raises(OptionError, match="positive seconds"):
        encoder.encode_segments(SAMPLES / "bunny.mp4", window=window, hop=hop)


def test_shots_end_where_the_scene_changes(encoder: Encoder, folder: Path) -> None:
    sequence = encoder.encode_sequence(folder / "long.mp4", rate=4.0)
    counts = [len(_frames(name)) for name in ORDER]
    truth = np.cumsum(counts)[:-1] / 25
    cuts = shot_cuts(sequence)
    assert all(np.abs(cuts - time).min() < 0.3 for time in truth)
    assert len(cuts) <= len(truth) + 2  # the cartoon has cuts of its own
    spans = encoder.encode_segments(folder / "long.mp4", window=2.0, hop=1.0, shots=True).spans
    assert not any(start + 0.3 < time < end - 0.3 for start, end in spans for time in truth)


def _frames(name: str) -> list[float]:
    with av.open(str(SAMPLES / f"{'bunny' if name == 'meadow' else name}.mp4")) as reader:
        return [frame.time for frame in reader.decode(video=0) if frame.time * 25 <= 75]


def test_decoding_in_another_process_changes_nothing(encoder: Encoder, folder: Path) -> None:
    here = encoder.encode_sequence(folder / "clip.mp4", rate=4.0)
    with DecodePool(1, encoder.limits) as decoders:
        there = encoder.encode_sequence(folder / "clip.mp4", rate=4.0, decoders=decoders)
    assert np.array_equal(here.logits, there.logits) and np.array_equal(here.times, there.times)


def test_a_clip_is_found_in_the_library(library: Path, folder: Path) -> None:
    with Library(library) as opened:
        (found,) = opened.find(folder / "clip.mp4")
        duration = opened.get(folder / "long.mp4").code.duration  # type: ignore[union-attr]
        assert Path(found.entry.path).name == "long.mp4"
        assert abs(found.span.ref_start - 0.3 * duration) < 1
        assert abs(found.span.ref_end - 0.8 * duration) < 1
        assert opened.find(SAMPLES / "backrest.mp4")[0].entry.path.endswith("backrest.mp4")
        cached = list(library.glob("segments-*.vhi"))
        assert len(cached) == 1 and list(opened.verify()) == []
        other = Index.load(cached[0], mmap=False)
        first = next(id for id in range(1000) if id in other)
        other.upsert(other.codes([first]) ^ 1, [first])
        other.save(cached[0])
        assert [problem.kind for problem in opened.verify()] == ["index"]
        cached[0].write_bytes(b"damaged")
    with Library(library) as opened:
        assert opened.find(folder / "clip.mp4") == [found]


def test_a_stranger_is_not_found(library: Path, tmp_path: Path) -> None:
    with Library(library) as opened:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (12, 8, 8, 3), np.uint8).repeat(24, axis=1).repeat(24, axis=2)
        assert opened.find(noise) == []
        assert opened.find(np.zeros((12, 64, 64, 3), np.uint8)) == []


def test_segments_follow_their_video(folder: Path, tmp_path: Path) -> None:
    video, copy = tmp_path / "videos" / "a.mp4", tmp_path / "videos" / "b.mp4"
    video.parent.mkdir()
    shutil.copy(SAMPLES / "chair.mp4", video)
    with Library(tmp_path / "lib") as library:
        library.add([video.parent])
        assert not library.has_segments and library.lacking_segments == 1
        with pytest.raises(OptionError, match="--segments"):
            library.find(video)
        library.add([video.parent], segments=True)
        assert library.lacking_segments == 0 and list(library.segmenting()) == []
        shutil.copy(video, copy)
        library.add([video.parent])  # the same content: its segments are taken over
        assert {Path(found.entry.path).name for found in library.find(copy)} == {"a.mp4", "b.mp4"}
        shutil.copy(SAMPLES / "glass.mp4", video)
        library.add([video.parent])  # another content, encoded again because segments are kept
        assert [Path(found.entry.path).name for found in library.find(copy)] == ["b.mp4"]
        assert [Path(found.entry.path).name for found in library.find(SAMPLES / "glass.mp4")] == ["a.mp4"]
        library.remove([video])
        assert library.find(SAMPLES / "glass.mp4") == []
        assert list(library.verify()) == []


def test_leaving_early_keeps_what_is_done(tmp_path: Path) -> None:
    with Library(tmp_path / "lib") as library:
        library.add([SAMPLES / "glass.mp4", SAMPLES / "chair.mp4"])
        waited: list[str] = []
        run = library.segmenting(workers=1, awaiting=lambda path: waited.append(Path(path).name))
        assert next(run).segments > 3 and waited == ["glass.mp4"]  # type: ignore[call-overload]
        run.close()  # type: ignore[attr-defined]
        assert library.lacking_segments == 1
        assert [made.error for made in library.segmenting()] == [None]
        assert list(library.verify()) == []


def test_a_video_that_changed_since_is_named(tmp_path: Path) -> None:
    video = Path(shutil.copy(SAMPLES / "glass.mp4", tmp_path / "a.mp4"))
    with Library(tmp_path / "lib") as library:
        library.add([video])
        shutil.copy(SAMPLES / "chair.mp4", video)
        (made,) = library.segmenting()
        assert made.segments == 0 and "changed" in str(made.error)


def test_what_many_videos_share_hardly_counts(encoder: Encoder) -> None:
    sequence = encoder.encode_sequence(SAMPLES / "bunny.mp4", rate=4.0)
    kept = kept_segments(sequence)
    clip = query_track(sequence)

    def seconds(videos: int) -> float:
        codes = np.concatenate([kept.codes] * videos)
        owners = np.repeat(np.arange(videos), len(kept))
        index = Index(kept.bits)
        index.add(codes)
        spans = np.concatenate([kept.spans] * videos)
        library = SegmentIndex("", index, np.arange(len(codes)), owners, spans)
        found = list(library.find(replace(clip)))
        assert len(found) <= videos
        return max((span.seconds for _, span in found), default=0.0)

    assert seconds(3) == pytest.approx(clip.duration, abs=0.5)
    assert seconds(6 * COMMON) < 0.5 * clip.duration


def test_an_empty_index_and_a_clip_without_windows_find_nothing() -> None:
    index = SegmentIndex("", Index(256), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
    none = Track(np.zeros((0, 256), np.float32), np.zeros(0), 0.1, np.zeros(0, np.float32))
    assert list(index.find(none)) == []


def test_find_tells_where(library: Path, folder: Path) -> None:
    result = run("find", library, folder / "clip.mp4")
    assert "long.mp4" in result.stdout and " is  0:00:0" in result.stdout
    document = run_json("find", library, folder / "clip.mp4", folder / "missing.mp4", code=1)
    (clip,) = document["clips"]
    assert clip["spans"][0]["path"].endswith("long.mp4") and clip["spans"][0]["query_start"] == 0
    assert len(document["errors"]) == 1


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_compare_shows_what_two_videos_share(folder: Path, tmp_path: Path, suffix: str) -> None:
    strip = tmp_path / f"strip{suffix}"
    document = run_json("compare", folder / "clip.mp4", folder / "long.mp4", "--strip", strip)
    (span,) = document["spans"]
    assert span["query_start"] == 0 and span["ref_start"] > 3
    content = strip.read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == ".png" else b"data:image/png;base64," in content


def test_compare_refuses_another_kind_of_picture(folder: Path) -> None:
    result = run("compare", folder / "clip.mp4", folder / "long.mp4", "--strip", "x.gif", code=3)
    assert ".png or .html" in result.stderr
