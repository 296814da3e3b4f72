"""The benchmark's figures against the slow obvious version, and its clips against their definition."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from benchmarks.near_duplicates import clips, metrics


def plain_figures(distances: np.ndarray, pairs: metrics.Pairs) -> list[float]:
    positive = [distances[q, d] for q, d in enumerate(pairs.truth)]
    negative = distances[pairs.negative]
    recall_at = []
    for rate in (0.0, 1e-3):
        passing = [t for t in np.unique(distances) if (negative <= t).sum() <= rate * len(negative)]
        recall_at.append(float(np.mean(np.array(positive) <= max(passing))) if passing else 0.0)
    ap, before = 0.0, 0.0
    for t in np.unique(np.concatenate([positive, negative])):
        found = int((positive <= t).sum())
        ap += (found / len(positive) - before) * found / (found + int((negative <= t).sum()))
        before = found / len(positive)
    return [*recall_at, ap]


@pytest.mark.parametrize("seed", range(8))
def test_figures_equal_the_plain_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 60, (40, 50)).astype(float)  # many ties
    truth = rng.integers(0, 50, 40)
    distances[np.arange(40), truth] -= 25
    negative = rng.random((40, 50)) < 0.9
    negative[np.arange(40), truth] = False
    pairs = metrics.Pairs(truth, negative)
    ranking = metrics.Ranking(distances, pairs)
    np.testing.assert_allclose(ranking.figures(np.ones(40)), plain_figures(distances, pairs), atol=1e-12)
    limit = ranking.threshold(1e-2)
    beyond = min(d for d in [*distances[negative], *distances[np.arange(40), truth]] if d > limit)
    assert (distances[negative] <= limit).mean() <= 1e-2 < (distances[negative] <= beyond).mean()


def test_weights_mean_repeated_queries() -> None:
    rng = np.random.default_rng(1)
    distances, truth = rng.random((12, 9)), rng.integers(0, 9, 12)
    negative = np.ones((12, 9), bool)
    negative[np.arange(12), truth] = False
    weights = rng.integers(0, 3, 12)
    rows = np.repeat(np.arange(12), weights)
    repeated = metrics.Ranking(distances[rows], metrics.Pairs(truth[rows], negative[rows]))
    weighted = metrics.Ranking(distances, metrics.Pairs(truth, negative)).figures(weights.astype(float))
    np.testing.assert_allclose(weighted, repeated.figures(np.ones(len(rows))), atol=1e-12)


def test_a_bootstrap_draw_takes_scenes_whole() -> None:
    weights = metrics.scene_weights(["a", "a", "b", "c", "c", "c"], 200)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()


def test_originals_are_those_of_the_definition(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "shorten", lambda path, output: path)
    found = clips.originals(data, tmp_path)
    assert len(found) == 128 and len({clip.name for clip in found}) == 128
    assert sum(clip.query for clip in found) == 8 + 10 * 4
    assert "carphone_distorted" not in {clip.name for clip in found}
    assert len({clip.scene for clip in found if clip.scene.startswith("ut_set")}) == 2
    assert set(clips.scene_table()) <= {
        str(p.relative_to(data / "videos" / "real10")) for p in (data / "videos" / "real10").rglob("*.mp4")
    }


@pytest.mark.parametrize(
    ("name", "size", "seconds"),
    [
        ("resize50", (160, 120), 4.0), ("letterbox", (426, 240), 4.0), ("crop10", (256, 192), 4.0),
        ("blurpad", (320, 568), 4.0), ("pip", (320, 240), 4.0), ("speed125", (320, 240), 3.2),
        ("trim15", (320, 240), 2.8), ("combo", (340, 192), 4.0),
    ],
)  # fmt: skip
def test_transformations_have_the_size_and_length_of_their_definition(
    name: str, size: tuple[int, int], seconds: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        clips.ffmpeg()
    except SystemExit:
        pytest.skip("needs ffmpeg or imageio-ffmpeg")
    folder = tmp_path_factory.mktemp("near")
    source = clips.encode(folder / "clip.mp4", ["-f", "lavfi", "-i", "testsrc=s=320x240:r=10:d=4"], None)
    clip = clips.Original("clip", source, "scene", query=True)
    shape = clips.probe(clips.make(name, clip, clip, folder))
    assert (shape.width, shape.height) == size and shape.duration == pytest.approx(seconds, abs=0.11)
    assert shape.fps == Fraction(10)
