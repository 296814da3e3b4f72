"""Parts whose scores leave a doubt: the pixels decide, in the middle of long videos too."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("onnx")

from vhash_sdk.library.finding import decided
from vhash_sdk.matching.alignment import Span
from vhash_sdk.matching.third_look import NOTHING
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.video import Limits
from vhash_sdk.video.filming import Filmed, Filming

CLIP = Filmed("clip", 64, 36, 8.0, ())
COPY = NOTHING._replace(motion=0.9, still=0.9, agreeing=1.0, moving=0.3, variety=5.0, seconds=8.0)
OTHER = COPY._replace(motion=0.1, still=0.2)
SCENE = COPY._replace(motion=0.5, still=0.5)  # neither tells


def span(score: float) -> Span:
    return Span(0.0, 8.0, 100.0, 108.0, score)


@pytest.mark.parametrize(
    ("score", "look", "found"),
    [
        (1.0, COPY, True), (-1.9, COPY, True), (-2.1, COPY, False), (1.0, SCENE, False), (1.0, None, False),
        (4.0, OTHER, False), (7.9, OTHER, False), (8.1, OTHER, True), (4.0, SCENE, True), (4.0, None, True),
    ],
)  # fmt: skip
def test_pixels_decide_where_a_score_leaves_a_doubt(
    score: float, look: ThirdLook | None, found: bool
) -> None:
    assert list(decided([(7, span(score))], 3.0, lambda *_: look, lambda: CLIP)) == [(7, span(score))] * found


def test_without_third_looks_scores_decide() -> None:
    spans = [(1, span(4.0)), (2, span(2.9))]
    assert list(decided(spans, 3.0, None, lambda: CLIP)) == spans[:1]


def test_only_the_best_are_looked_at() -> None:
    asked: list[int] = []

    def closer(_: Filmed, video: int, __: Span) -> ThirdLook:
        asked.append(video)
        return OTHER

    spans = [(video, span(4.0)) for video in range(20)]
    assert len(list(decided(spans, 3.0, closer, lambda: CLIP))) == 12 and asked == list(range(8))


def film(path: Path, frames: np.ndarray) -> Filmed:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.bit_rate = 4_000_000
        for picture in frames:
            out.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p"))
            )
        out.mux(stream.encode(None))
    return Filmed(path, frames.shape[2], frames.shape[1], len(frames) / 10, ())


def drifting(seed: int, seconds: int) -> np.ndarray:
    """Coarse patterns that change all the time."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(20, 235, (seconds * 2 + 2, 6, 8)).astype(np.float32)
    steps = np.arange(seconds * 10) / 5
    low, part = steps.astype(int), (steps % 1)[:, None, None]
    return ((1 - part) * coarse[low] + part * coarse[low + 1]).repeat(16, 1).repeat(16, 2).astype(np.uint8)


def test_a_part_in_the_middle_of_a_long_video_is_looked_at_along_its_line(tmp_path: Path) -> None:
    long = drifting(1, 60)
    gallery, clip = film(tmp_path / "long.mp4", long), film(tmp_path / "clip.mp4", long[300:380])
    with Filming(Limits()) as filming:
        here = filming.look_at_part(clip, gallery, Span(0.0, 8.0, 30.0, 38.0, 2.0))
        elsewhere = filming.look_at_part(clip, gallery, Span(0.0, 8.0, 10.0, 18.0, 2.0))
    assert here is not None and here.alike is True and here.seconds > 7
    assert elsewhere is not None and elsewhere.alike is False
