"""Figures of labelled pairs, against a slow count; ``vhash eval`` on real files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.test_cli import run, run_json
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.pairs import read_pairs
from vhash_sdk.cli.variants import VARIANTS, transcode
from vhash_sdk.errors import OptionError
from vhash_sdk.matching import evaluation
from vhash_sdk.matching.alignment import Span
from vhash_sdk.matching.evaluation import evaluate, evaluate_segments

pytestmark = pytest.mark.usefixtures("remembered")


def slow(distances: list[int], copies: list[bool]) -> tuple[float, float]:
    """(micro-AP, recall at no false match) by trying every threshold."""
    area, recall_before, clean = 0.0, 0.0, 0.0
    for radius in sorted(set(distances)):
        taken = [copy for distance, copy in zip(distances, copies, strict=True) if distance <= radius]
        recall = sum(taken) / sum(copies)
        area += (recall - recall_before) * sum(taken) / len(taken)
        recall_before = recall
        if all(taken):
            clean = recall
    return area, clean


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=30))
def test_figures_are_those_of_the_slow_way(pairs: Any) -> None:
    distances, copies = [list(column) for column in zip(*pairs, strict=True)]
    names = [f"a{i}" for i in range(len(pairs))], [f"b{i}" for i in range(len(pairs))]
    if all(copies) or not any(copies):
        with pytest.raises(OptionError, match="takes both"):
            evaluate(distances, copies, *names)
        return
    average, clean, *rest = evaluate(distances, copies, *names)
    assert (average.value, clean.value) == pytest.approx(slow(distances, copies))
    assert [figure.value for figure in rest] == [None] * 3  # 30 pairs support no rate of 1e-2
    assert [figure.needs for figure in rest] == [30_000, 3000, 300]


def test_a_rate_is_claimed_where_the_pairs_support_it() -> None:
    generator = np.random.default_rng(0)
    copies = np.arange(4000) < 1000
    distances = np.where(copies, generator.integers(0, 60, 4000), generator.integers(50, 120, 4000))
    names = [f"q{i % 100}" for i in range(4000)], [f"r{i % 97}" for i in range(4000)]
    figures = {figure.name: figure for figure in evaluate(distances, copies, *names)}
    assert figures["recall at 1e-4"].value is None
    rate = figures["recall at 1e-3"]
    assert rate.radius is not None and (distances[~copies] <= rate.radius).mean() <= 1e-3
    assert (distances[~copies] <= rate.radius + 1).mean() > 1e-3
    assert rate.value == (distances[copies] <= rate.radius).mean()
    assert all(f.interval[0] <= f.value <= f.interval[1] for f in figures.values() if f.interval)


def test_pairs_that_share_videos_count_for_less() -> None:
    """Ten times the same video is not ten videos: its interval is wider."""
    generator = np.random.default_rng(1)
    copies = np.arange(1200) % 2 == 0
    bad = generator.random(60) < 0.3  # whole videos are missed, or not
    video = np.arange(1200) // 20
    distances = np.where(copies, np.where(bad[video], 90, 5), 50)
    alone = [f"a{i}" for i in range(1200)], [f"b{i}" for i in range(1200)]
    shared = [f"a{v}" for v in video], alone[1]
    width = {}
    for name, names in (("alone", alone), ("shared", shared)):
        low, high = evaluate(distances, copies, *names)[1].interval or (0, 0)
        width[name] = high - low
    assert width["shared"] > 1.5 * width["alone"]


def test_a_video_on_both_sides_is_drawn_as_one() -> None:
    weights = evaluation._weights(["a", "b", "c"], ["b", "c", "a"])
    assert {tuple(row) for row in weights} <= {(1, 1, 1), (0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 2)}


def seconds(span: Span) -> tuple[set[int], set[int]]:
    """The whole seconds that a span has in each video."""
    return set(range(int(span.query_start), int(span.query_end))), set(
        range(int(span.ref_start), int(span.ref_end))
    )


def slow_right(found: list[Span], true: list[Span]) -> int:
    """How many of the spans found in a pair are right, counting seconds; ``found`` is best first."""
    left = list(true)
    for span in found:
        fits = [
            min(len(a & b) / len(a | b) for a, b in zip(seconds(span), seconds(truth), strict=True))
            for truth in left
        ]
        if fits and max(fits) >= 0.5:
            del left[fits.index(max(fits))]
    return len(true) - len(left)


SPANS = st.builds(
    lambda a, b, length, stretch, score: Span(a, a + length, b, b + length + stretch, score),
    st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(0, 2), st.integers(3, 8),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(SPANS, max_size=4), st.lists(SPANS, max_size=3)), min_size=1, max_size=6))
def test_segment_ap_is_that_of_the_slow_way(pairs: Any) -> None:
    found, true = [list(column) for column in zip(*pairs, strict=True)]
    names = [f"a{i}" for i in range(len(pairs))], [f"b{i}" for i in range(len(pairs))]
    if not any(true):
        with pytest.raises(OptionError, match="no pair has a true span"):
            evaluate_segments(found, true, *names)
        return
    area = recall_before = 0.0
    for least in sorted({span.score for spans in found for span in spans}, reverse=True):
        taken = [sorted((s for s in spans if s.score >= least), key=lambda s: -s.score) for spans in found]
        right = sum(slow_right(*both) for both in zip(taken, true, strict=True))
        recall = right / sum(map(len, true))
        area += (recall - recall_before) * right / sum(map(len, taken))
        recall_before = recall
    figure = evaluate_segments(found, true, *names)
    assert figure.value == pytest.approx(area)
    assert figure.interval is not None and 0 <= figure.interval[0] <= figure.interval[1] <= 1


def test_a_true_span_is_found_once_and_in_both_videos() -> None:
    true = Span(0, 10, 20, 30, float("nan"))
    again, elsewhere = Span(0, 10, 20, 30, 5.0), Span(0, 10, 26, 36, 9.0)
    assert evaluate_segments([[again]], [[true]], "a", "b").value == 1.0
    assert evaluate_segments([[elsewhere, again, again]], [[true]], "a", "b").value == pytest.approx(1 / 3)
    assert evaluate_segments([[elsewhere]], [[true]], "a", "b").value == 0.0


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    half = next(variant for variant in VARIANTS if variant.name == "half size")
    names = ["chair", "glass", "bunny"]
    for name in names:
        shutil.copy(SAMPLES / f"{name}.mp4", folder)
        half.write(SAMPLES / f"{name}.mp4", folder / f"small {name}.mp4")
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 99)
    with open(folder / "pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path_a", "path_b", "label"))
        for a in names:
            writer.writerows((f"small {a}.mp4", f"{b}.mp4", int(a == b)) for b in names)
        writer.writerow(("broken.mp4", "chair.mp4", 0))
    return folder / "pairs.csv"


def test_eval_on_videos_with_a_bad_one(pairs: Path) -> None:
    text = run("eval", pairs, code=1)
    assert "micro-AP" in text.stdout and "1.000" in text.stdout and "takes 3,000 pairs" in text.stdout
    assert "1 pair left out: 1 of 7 videos failed" in text.stderr and "broken.mp4" in text.stderr
    document = run_json("eval", pairs, code=1)
    assert (document["copies"], document["others"], document["left_out"]) == (3, 6, 1)
    average, clean, *_ = document["figures"]
    assert document["segments"] is None and clean["name"] == "recall at no false match"
    assert average["value"] == clean["value"] == 1.0 and 0 < clean["radius"] < 60
    assert [Path(error["path"]).name for error in document["errors"]] == ["broken.mp4"]


def test_segment_ap_of_cuts_of_videos(tmp_path: Path) -> None:
    rows: list[list[object]] = []
    for name, length in (("bunny", 5.28), ("backrest", 3.2), ("legs", 3.5)):
        cut, whole = tmp_path / f"cut {name}.mp4", SAMPLES / f"{name}.mp4"
        transcode(whole, cut, span=(0.2, 0.9), crf=28, preset="ultrafast")
        rows.append([cut, whole, 1, 0, 0.7 * length, 0.2 * length, 0.9 * length])
    rows.append([tmp_path / "cut bunny.mp4", SAMPLES / "chair.mp4", 0, "", "", "", ""])
    rows.append([SAMPLES / "chair.mp4", SAMPLES / "chair.mp4", 1, "", "", "", ""])  # parts not told: left out

    def segment_ap() -> Any:
        with open(tmp_path / "pairs.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path_a", "path_b", "label", "start_a", "end_a", "start_b", "end_b"))
            writer.writerows(rows)
        document = run_json("eval", tmp_path / "pairs.csv")
        counts = {"pairs": 4, "spans": 3, "found": 3, "left_out": 0, "overlap": 0.5}
        assert document["segments"] == counts and document["copies"] == 4
        assert document["figures"][1]["name"] == "segment AP"
        return document["figures"][1]["value"]

    assert segment_ap() == 1.0
    rows[1][5:] = [0, 1.0]  # a truth that is elsewhere: one of three is wrong, whichever rank it has
    assert segment_ap() in (0.6667, 0.5556, 0.3889)
    assert "segment AP" in run("eval", tmp_path / "pairs.csv").stdout


def test_rows_of_a_pair_are_one_with_all_its_spans(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        "path_a,path_b,label,start_a,end_a,start_b,end_b\n"
        "a,b,1,0,5,10,15\na,b,1,7,9.5,1,2\na,c,1,,,,\nb,c,0,,,,\na,c,1,,,,\n"
    )
    first, second, third = read_pairs(file)
    spans = [(span.query_start, span.query_end, span.ref_start, span.ref_end) for span in first.spans]
    assert spans == [(0, 5, 10, 15), (7, 9.5, 1, 2)] and first.copy and not third.copy
    assert second.spans == third.spans == () and second.a == str(tmp_path / "a")


def test_files_that_are_no_pairs_say_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    for content, says in (
        ("path_a,label\nx,1\n", "has no column path_b"),
        ("path_a,path_b,label\na,b,perhaps\n", "line 2: label 'perhaps'; allowed: 1, true"),
        ("path_a,path_b,label\na,b,1\na,b,0\n", "line 3: label '0', but a row before says else"),
        ("path_a,path_b,label,start_a,end_a,start_b,end_b\na,b,1,0,5,7,6\n", "line 2: start_a, end_a"),
        ("path_a,path_b,label,start_a,end_a\na,b,1,0,5\n", "are '0', '5', '', ''; give seconds"),
        ("path_a,path_b,label,start_a,end_a,start_b,end_b\na,b,0,0,5,7,9\n", "of a pair that is no copy"),
        ("path_a,path_b,label\n", "0 pairs of copies and 0 of others"),
    ):
        file.write_text(content)
        assert says in run("eval", file, code=3).stderr
    run("eval", tmp_path / "absent.csv", code=3)
