"""``compare``, and that everybody who is asked about a pair of videos says the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tests.matching.test_second_look import moving
from vhash_sdk import Encoder, Library, compare
from vhash_sdk.codes import VideoCode
from vhash_sdk.comparison import Comparison
from vhash_sdk.errors import OptionError, VideoError
from vhash_sdk.matching.calibration import USUAL_RATE
from vhash_sdk.models import zoo

SAMPLES = zoo.FOLDER.parent / "samples"


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    with Encoder(threads=1) as made:
        yield made


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two strangers, a poorer copy of the first, the same within bars, and a still picture twice."""
    folder = tmp_path_factory.mktemp("videos")
    still = np.full((40, 96, 128, 3), 90, np.uint8)
    made = [moving(1, folder / "one.mp4"), moving(2, folder / "two.mp4")]
    made += [moving(1, folder / "poor.mp4", crf="34"), moving(1, folder / "bars.mp4", bars=64)]
    return [*made, write(still, folder / "still.mp4", crf="23"), write(still, folder / "again.mp4", crf="35")]


def write(frames: np.ndarray, path: Path, *, crf: str) -> Path:
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "libx264", rate=20, options={"crf": (path.stem[0] == "s" and "23") or "35"}
        )
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return path


def test_search_duplicates_and_compare_agree_about_every_pair(
    videos: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    said: dict[tuple[Path, Path], Comparison] = {
        (a, b): compare(a, b, encoder=encoder, spans=False) for a, b in combinations(videos, 2)
    }
    assert {found.same for found in said.values()} == {True, False, None}
    with Library(tmp_path / "lib", encoder=encoder) as library:
        library.add(videos)
        for (a, b), found in said.items():
            (hit,) = [hit for hit in library.search(a, k=None) if hit.entry.path == str(b)]
            assert (hit.distance, hit.verified) == (found.distance, found.decision.verified)
            assert found.false_match_rate is not None
            assert hit.false_match_rate == found.false_match_rate.estimate
        within = library.threshold(USUAL_RATE)
        assert within == encoder.threshold(USUAL_RATE)
        groups = [
            {Path(entry.path) for entry in (group.representative, *(m.entry for m in group.members))}
            for group in library.duplicates(fmr=USUAL_RATE)
        ]
        # of what compare concludes, dedup takes only pairs of near codes, since it looks at all pairs
        for (a, b), found in said.items():
            if found.same is not None:
                assert any({a, b} <= group for group in groups) == (found.same and found.distance <= within)


def test_a_comparison_says_where_the_same_is(videos: list[Path], encoder: Encoder) -> None:
    one, two, poor, bars, still, again = videos
    found = compare(one, bars, encoder=encoder)
    assert found.same and found.seen == (0, 1) and found.whole > found.distance
    assert found.b.box is not None and found.a.box is None
    assert found.spans is not None and found.spans[0].query_end == pytest.approx(3.0, abs=0.3)
    assert sum(part.distance for part in found.parts) == found.distance
    assert sum(part.bits for part in found.parts) == 256
    other = compare(one, two, encoder=encoder)
    assert other.same is False and other.spans == ()
    assert compare(still, again, encoder=encoder, spans=False).same is None
    assert compare(one, poor, encoder=encoder, spans=False).spans is None


def test_codes_are_compared_without_a_second_look(videos: list[Path], encoder: Encoder) -> None:
    code = encoder.encode(videos[0])
    text = compare(code.text, videos[2], encoder=encoder)
    assert text.a.source is None and text.spans is None and text.decision.verified is None
    assert text.same is True and text.decision.threshold == encoder.threshold(USUAL_RATE)
    foreign = VideoCode.from_text("vh1:0123abcd:64:" + "0" * 16)
    bare = compare(foreign, foreign, encoder=encoder)
    assert bare.distance == 0 and bare.same is None and bare.parts == () and bare.false_match_rate is None


def test_what_cannot_be_compared_says_why(videos: list[Path], encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        compare(videos[0], tmp_path / "bad.mp4", encoder=encoder)
    with pytest.raises(OptionError, match="pairs support rates down to"):
        compare(videos[0], videos[1], encoder=encoder, fmr=1e-9)


def test_a_threshold_takes_the_rate_that_fits_the_library(encoder: Encoder, tmp_path: Path) -> None:
    with Library(tmp_path / "lib", encoder=encoder) as library:
        library.add(sorted(SAMPLES.glob("*.mp4"))[:2])
        assert library.threshold() == library.threshold(USUAL_RATE) < library.threshold(1e-2)
        with pytest.raises(OptionError):
            library.threshold(1e-9)
