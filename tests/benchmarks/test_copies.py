"""The copies of the benchmark: every kind can be made of any size, and is what it says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("PIL")

from benchmarks.near_duplicates.clips import Original
from benchmarks.near_duplicates.copies import COPIES, make, of_different_scenes

SECONDS, RATE = 2, 12


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four short films of one grey each, of odd sizes; the first gets brighter from left to right."""
    folder = tmp_path_factory.mktemp("originals")
    return [film(folder / f"{i}.mkv", level, 97 + 2 * i, 65) for i, level in enumerate((40, 90, 140, 190))]


def film(path: Path, level: int, width: int, height: int) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for i in range(SECONDS * RATE):
            picture = np.full((height, width, 3), level, np.float32)
            picture += np.linspace(0, 60, width)[None, :, None] + i
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def shown(path: Path) -> tuple[float, np.ndarray]:
    """Seconds and frames ``[n, h, w]``, grey."""
    with av.open(str(path)) as media:
        frames = [(float(frame.time), frame.to_ndarray(format="gray")) for frame in media.decode(video=0)]
    step = frames[1][0] - frames[0][0]
    return frames[-1][0] + step, np.stack([frame for _, frame in frames])


@pytest.mark.parametrize("kind", COPIES)
def test_every_kind_is_what_it_says(kind: str, clips: list[Path], tmp_path: Path) -> None:
    original = Original("odd", clips[0], "odd", query=True)
    seconds, frames = shown(make(kind, original, clips[1:], tmp_path).path)
    expected = {
        "loop": 4, "boomerang": 4, "speed_0.5": 4, "speed_0.75": 2.67, "speed_1.5": 1.33, "speed_2": 1,
        "excerpt": 0.6, "intro_outro": 8, "compilation": 8, "repost": 1.82,
    }  # fmt: skip
    assert seconds == pytest.approx(expected.get(kind, SECONDS), abs=0.4)
    height, width = frames.shape[1:]
    shape = {
        "side_by_side": (192, 64), "stacked": (96, 128), "one_of_four": (192, 128), "turned_90": (64, 96),
        "stretch": (144, 64), "vertical": (36, 64), "pan_and_scan": (36, 64), "gif": (48, 32),
        "border": (104, 72), "meme_bars": (96, 88), "recapture_hard": (124, 82), "repost": (96, 88),
        "tiny": (216, 144),
    }  # fmt: skip
    assert (width, height) == shape.get(kind, (96, 64))
    first, last = (frames[at].mean() for at in (1, -2))
    if kind in ("reversed", "inverted"):
        assert last < first
    if kind == "reencode":
        assert last > first
    if kind == "upside_down":
        assert frames[1][5, 90] > frames[1][5, 5]
    if kind == "turned_180":
        assert frames[1][5, 90] < frames[1][5, 5]


def test_a_copy_is_made_once(clips: list[Path], tmp_path: Path) -> None:
    original = Original("odd", clips[0], "odd", query=True)
    made = [make("zoom_2", original, clips[1:], tmp_path).path for _ in range(2)]
    assert made[0] == made[1] and len(list(made[0].parent.glob("*.mp4"))) == 1


def test_originals_are_of_different_scenes() -> None:
    clips = [Original(f"{i}", Path(f"{i}"), f"scene {i % 5}", query=True) for i in range(20)]
    chosen = of_different_scenes(clips, 10)
    assert len(chosen) == len({clip.scene for clip in chosen}) == 5
    assert chosen == of_different_scenes(list(reversed(clips)), 10)
