"""Videos that were made alike: the same for a seed, another one at every place; what is counted of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")
Image = pytest.importorskip("PIL.Image")

from benchmarks.near_duplicates import alike  # noqa: E402
from benchmarks.near_duplicates.clips import encode  # noqa: E402
from benchmarks.near_duplicates.decisions import halves, share  # noqa: E402
from tests.benchmarks.test_copies import film  # noqa: E402


@pytest.mark.parametrize("name", alike.DRAWN)
def test_drawn_sets_differ_from_place_to_place_and_move(name: str) -> None:
    base = Image.new("RGB", (alike.WIDTH, alike.HEIGHT), (90, 120, 150))

    def at(place: int, seconds: float) -> np.ndarray:
        return np.asarray(alike.DRAWN[name](place, base)(seconds)).astype(int)

    first = at(0, 1.0)
    assert first.shape == (alike.HEIGHT, alike.WIDTH, 3)
    assert np.abs(first - at(1, 1.0)).mean() > 0.3 and np.array_equal(first, at(0, 1.0))
    if name != "dark":  # where each frame is drawn anew, whatever the time
        assert np.abs(first - at(0, 7.5)).mean() > 0.3


@pytest.mark.parametrize("name", alike.COMPOSED)
def test_composed_sets_are_made(name: str, tmp_path: Path) -> None:
    own, intro = (film(tmp_path / f"{i}.mkv", 60 + 50 * i, 160, 90) for i in range(2))
    picture = tmp_path / "picture.png"
    Image.new("RGB", (320, 180), (90, 120, 150)).save(picture)
    inputs, graph = alike.COMPOSED[name](own, picture, intro)
    with av.open(str(encode(tmp_path / f"{name}.mp4", inputs, graph))) as made:
        assert len(list(made.decode(video=0))) >= 15


def test_halves_and_shares() -> None:
    assert share([True, False, True, True]) == {"share": 0.75, "found": 3, "of": 4}
    found = halves({"a": [True, False, True, False], "b": [True, True, True, True]}, [0, 1, 0, 1])
    assert set(halves({"a": [True]}, [1])) == {"reporting"}
    assert found["tuning"]["all"]["share"] == 1.0 and found["reporting"]["all"]["share"] == 0.5
    assert found["reporting"]["kinds"] == {"a": 0.0, "b": 1.0}
