"""The parts benchmark, small: real clips joined and cut, the truth told of them, the bounds of the join."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="a peer of the benchmark needs scipy, of the extra bench")

from benchmarks.near_duplicates.parts import figures
from benchmarks.near_duplicates.parts_gallery import Maker, Run, Shared, Video, truth
from benchmarks.near_duplicates.parts_join import joined, like
from benchmarks.near_duplicates.parts_peers import all_frames, by_votes, by_windows
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import transcode
from vhash_sdk.library.shared_parts import Parts


def test_truth_is_by_which_clip_is_where() -> None:
    film = Video(Path("0-film"), (Run(0, 0, 10, 0, 10), Run(1, 0, 10, 10, 20)))
    cut = Video(Path("0-cut"), (Run(9, 0, 5, 0, 5), Run(0, 6, 10, 5, 9, "cut"), Run(1, 0, 2, 9, 11, "cut")))
    back = Video(Path("0-back"), (Run(1, 0, 8, 0, 4, "back", reversed=True),))
    assert truth([film, cut, back], least=1.5) == [
        Shared(0, 1, 6, 11 + 1, 5, 11, "cut"),
        Shared(0, 2, 10, 18, 0, 4, "back"),
    ]
    assert truth([film, cut, back], least=0.5)[-1] == Shared(1, 2, 9, 11, 3, 4, "both edited")


def test_parts_of_real_clips_are_found_with_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    clips = tmp_path / "data" / "videos" / "misc"
    clips.mkdir(parents=True)
    for clip in SAMPLES.glob("*.mp4"):
        shutil.copy(clip, clips)
    meadow = (("crop", "240:134:240:50"), ("scale", "480:270"))
    transcode(SAMPLES / "bunny.mp4", clips / "meadow.mp4", filters=meadow, crf=24)
    maker = Maker(tmp_path / "data", tmp_path / "made")
    film = maker.make("0-film", maker.fresh(22))
    trimmed = maker.make("0-trimmed", [maker.cut(film, 2.4, 17.1, kind="trimmed")])
    assert abs(film.seconds - 23) < 1 and abs(trimmed.seconds - 14.7) < 0.1
    videos = [film, trimmed]
    planted = truth(videos, least=5.0)
    assert [round(shared.seconds, 1) for shared in planted] == [14.7]
    with Library(tmp_path / "lib") as library:
        library.add([video.path for video in videos], segments=True, workers=1)
        found = library.parts()
    monkeypatch.setattr("benchmarks.near_duplicates.parts_join.WINDOWS", 20)
    assert like(tmp_path / "lib", 3, np.random.default_rng(0)).shape == (60, 32)
    grey = all_frames([video.path for video in videos])
    (((one, _), share),) = by_votes(grey)[0, 1]
    assert 1 < one[0] < 6 and 11 < one[1] < 19 and share > 0.5
    assert by_windows(grey) == set()  # its lengths are too far apart
    assert by_windows([grey[0], grey[0][1:]]) == {(0, 1)}
    (pair,) = found
    assert pair.relation == "contains" and pair.b_covered > 0.8  # a window less on some processors
    assert figures(videos, planted, found)["recall"] == 1.0
    assert figures(videos, planted, found)["wrong_spans"] == 0
    assert figures(videos, planted, Parts())["recall"] == 0.0
    turned = [Video(film.path, tuple(reversed(film.runs))), Video(trimmed.path, (Run(99, 0, 5, 0, 5),))]
    assert figures(turned, planted, found)["wrong_spans"] == 1


def test_what_is_planted_among_random_codes_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.near_duplicates.parts_join.CACHE", tmp_path)
    result = joined(10_000)
    assert result["planted"] == result["linked"] == result["aligned"] == 1
    having = result["share_the_intro"]
    # each of its 20 segments is linked to one of the others and to the nearest three, not to all
    assert result["pairs_aligned"] <= result["links"] <= 4 * 20 * having
