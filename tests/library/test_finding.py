"""Parts whose scores leave a doubt: the pixels decide, in the middle of long videos too."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.library.test_panes import RATE, SAMPLES, frames, write
from vhash_sdk import Encoder, Library
from vhash_sdk.library.finding import decided, span_of_copies
from vhash_sdk.matching.alignment import Span
from vhash_sdk.matching.second_look import View
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
    asked = span(
        score
    )  # the very one: its measures are NaN, which from Python 3.13 on equals nothing in a dataclass
    assert list(decided([(7, asked)], 3.0, lambda *_: look, lambda: CLIP)) == [(7, asked)] * found


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


def test_a_copy_of_a_whole_video_is_found_however_it_was_altered(tmp_path: Path) -> None:
    glass, beside = frames("glass"), frames("backrest")
    write(tmp_path / "glass.mp4", glass)
    write(tmp_path / "backwards.mp4", glass[::-1])
    count = min(len(glass), len(beside))
    write(tmp_path / "split.mp4", np.concatenate([beside[:count], glass[:count]], axis=1))
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([tmp_path / "glass.mp4", SAMPLES / "legs.mp4"], workers=1, segments=True)
        (backwards,) = library.find(tmp_path / "backwards.mp4")
        (split,) = library.find(tmp_path / "split.mp4")
    assert Path(backwards.entry.path).name == Path(split.entry.path).name == "glass.mp4"
    assert backwards.span.reversed and not split.span.reversed
    seconds = len(glass) / RATE
    for one in (backwards, split):
        assert one.span.query_start < 0.3 and one.span.ref_start < 0.3
        assert one.span.query_end > seconds - 0.4 and one.span.ref_end > seconds - 0.4
    assert backwards.span.at(0.5) == pytest.approx(seconds - 0.5, abs=0.4)


def test_the_span_of_copies_without_frames_is_all_of_both() -> None:
    bare = (View(np.zeros(32, np.uint8), None),)
    span = span_of_copies(bare, bare, (4.0, 8.0), 1e-4)
    assert (span.query_start, span.query_end, span.ref_start, span.ref_end) == (0.0, 4.0, 0.0, 8.0)
    assert span.speed == 2.0 and not span.reversed and span.score == pytest.approx(9.2, abs=0.1)
