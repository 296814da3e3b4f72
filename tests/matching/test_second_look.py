"""Trajectories: copies move alike whatever their span, speed or side; others do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.test_box import video
from vhash_sdk import Library
from vhash_sdk.encoding.encoded import views
from vhash_sdk.encoding.encoder import Encoder
from vhash_sdk.errors import CodeError
from vhash_sdk.matching.frame_lines import alignments
from vhash_sdk.matching.second_look import Evidence, View
from vhash_sdk.matching.sequence import Sequence
from vhash_sdk.matching.trajectory import Trajectory, correlations
from vhash_sdk.models import zoo

pytestmark = pytest.mark.usefixtures("remembered")

SAMPLES = Path(zoo.FOLDER).with_name("samples")
SPEC = zoo.load("lite0-phash-256").spec
SCALES = np.ones(SPEC.bits, np.float32)
T = SPEC.sampling.frames


def event(seed: int, start: float = 0.0, stop: float = 10.0) -> Sequence:
    """Frames of [start, stop) seconds of a made-up video in which logits wander smoothly."""
    generator = np.random.default_rng(seed)
    grid = np.linspace(0, 10, 26)
    walk = generator.standard_normal((26, SPEC.bits)).cumsum(0)
    times = start + (np.arange(T) + 0.5) * (stop - start) / T
    logits = np.stack([np.interp(times, grid, column) for column in walk.T], 1) + 5
    return Sequence(logits.astype(np.float32), times - start, stop - start, SPEC, SCALES)


def obvious(a: Trajectory, b: Trajectory) -> list[float]:
    """``correlations`` by its definition: every alignment frame by frame."""
    ratio = round(a.duration / b.duration, 2)
    found, at = [], 0
    for width in (64, 64):
        best = -1.0
        flips = [np.ones(width)]
        if at:
            flips.append(np.where(np.arange(width) % 8 % 2 == 0, 1, -1))
        lines = alignments(T, T, ratio)
        for flip in flips:
            for shared, low, part in zip(lines.shared, lines.low, lines.part, strict=True):
                x, y = (t.steps[:, at : at + width].astype(np.float64) for t in (a, b))
                y = y[low] * (1 - part[:, None]) + y[np.minimum(low + 1, T - 1)] * part[:, None]
                x, y = x[shared > 0] * flip, y[shared > 0]
                x, y = x - x.mean(0), y - y.mean(0)
                best = max(best, float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())))
        found.append(best)
        at += width
    return found


@pytest.mark.parametrize("span", [(0, 10), (1.5, 8.5), (4.0, 10), (0, 5)])
def test_agrees_with_the_definition(span: tuple[float, float]) -> None:
    for one, two in ((3, 3), (3, 4)):
        a, b = Trajectory.of(event(one, *span)), Trajectory.of(event(two))
        assert np.allclose(correlations(a, b), obvious(a, b), atol=1e-3)
        assert np.allclose(correlations(b, a), obvious(b, a), atol=1e-3)


def test_copies_agree_and_others_do_not() -> None:
    whole = Trajectory.of(event(1))
    faster = event(1)
    sped = Trajectory.of(Sequence(faster.logits, faster.times / 1.3, 10 / 1.3, SPEC, SCALES))
    for copy in (sped, Trajectory.of(event(1, 2.0, 9.0)), Trajectory.of(event(1, 0.0, 6.0))):
        assert correlations(whole, copy).min() > 0.9
        assert correlations(copy, whole).min() > 0.9
    others = [correlations(whole, Trajectory.of(event(seed))).max() for seed in range(2, 12)]
    assert max(others) < 0.75


def test_mirrored_copies_agree() -> None:
    source = event(5)
    turned = source.logits.copy()
    turned[:, 192:] *= np.where(np.arange(64) % 8 % 2 == 0, 1, -1)
    mirrored = Trajectory.of(Sequence(turned, source.times, 10.0, SPEC, SCALES))
    assert correlations(Trajectory.of(source), mirrored).min() > 0.99


def test_still_videos_give_no_evidence() -> None:
    still = Trajectory.of(
        Sequence(np.ones((T, SPEC.bits), np.float32), np.arange(T) * 0.4, 10.0, SPEC, SCALES)
    )
    assert np.abs(correlations(still, still)).max() < 0.01
    assert np.abs(correlations(still, Trajectory.of(event(1)))).max() < 0.01


def test_bytes_round_trip() -> None:
    one = Trajectory.of(event(1))
    again = Trajectory.from_bytes(one.to_bytes(), SPEC, 10.0)
    assert np.array_equal(one.steps, again.steps)
    with pytest.raises(CodeError, match="encode it again"):
        Trajectory.from_bytes(one.to_bytes()[:-1], SPEC, 10.0)


def test_verified_distance_takes_the_best_views() -> None:
    evidence = Evidence(bias=-6.0, distance=-0.02, parts=(6.0, 6.0))
    codes = np.random.default_rng(0).integers(0, 256, (3, 32), np.uint8)
    same, other = Trajectory.of(event(1)), Trajectory.of(event(2))
    a = [View(codes[0], same)]
    assert evidence.verified(a, [View(codes[0], same)], 256) == round(128 - 8 * 6.0)
    far = evidence.verified(a, [View(codes[1], other)], 256)
    assert far > 128
    both = [View(codes[1], other), View(codes[0], same)]
    assert evidence.verified(a, both, 256) == evidence.verified(both, a, 256) == 80
    without = [View(codes[0], None)]
    assert evidence.verified(a, without, 256) == 0  # nothing but the code: its distance


def test_library_keeps_what_verification_needs(tmp_path: Path) -> None:
    samples = sorted(SAMPLES.glob("*.mp4"))
    with Encoder(threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add(samples[:2])
        rows = library._db.rows("SELECT video, kind, steps FROM trajectory")
        fresh = {str(e.source): e for e in encoder.encode_many(samples[:2], detail="views")}
        for entry in library:
            seen = views(fresh[entry.path])
            kept = [bytes(steps) for video, _, steps in rows if video == entry.id]
            assert kept == [view.frames.to_bytes() for view in seen if view.frames is not None]
        assert list(library.verify()) == []
        library._db.execute("UPDATE trajectory SET steps = x'00' WHERE video = 1")
        assert any("frames" in problem.message for problem in library.verify())


def moving(seed: int, path: Path, *, bars: int = 0, crf: str = "23") -> Path:
    """A made-up clip of 3 s as a file."""
    frames = video(seed, 128, 160, 60)
    if bars:
        wide = np.zeros((60, 128, 160 + 2 * bars, 3), np.uint8)
        wide[:, :, bars:-bars] = frames
        frames = wide
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=20, options={"crf": crf})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1  # libx264's threads make every run another file
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return path


def test_library_finds_what_lies_between_bars(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed in range(4):
        moving(seed, folder / f"{seed}.mp4")
    query = moving(2, tmp_path / "query.mp4", bars=64, crf="28")
    with Library(tmp_path / "lib") as library:
        library.add([folder])
        first, *others = library.search(query, k=4)
        assert first.entry.path.endswith("2.mp4") and first.distance < 40
        assert first.verified is not None and first.verified < 60
        assert first.false_match_rate is not None and first.false_match_rate < 1e-4
        assert all(hit.verified is None or hit.verified > 100 for hit in others)
        again = next(library.encoder.encode_many([query], detail="views"))
        assert library.search(again, k=4) == [first, *others]
        code = next(library.encoder.encode_many([query])).code
        assert code is not None
        bare = library.search(code, k=1)[0]  # the whole picture is mostly bars
        assert bare.verified is None and bare.distance > first.distance
        library.add([query])  # now the box is in the library, and the plain clip asks
        back = library.search(folder / "2.mp4", k=2)
        assert [Path(hit.entry.path).name for hit in back] == ["2.mp4", "query.mp4"]
        groups = library.duplicates(radius=20)
        names = [
            {Path(e.path).name for e in (g.representative, *(m.entry for m in g.members))} for g in groups
        ]
        assert names == [{"2.mp4", "query.mp4"}]


def test_a_second_look_parts_two_events_of_one_scene(tmp_path: Path) -> None:
    moving(1, tmp_path / "one.mp4")
    moving(2, tmp_path / "two.mp4")
    with Encoder("lite0-phash-256") as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([tmp_path])
        # as if one camera had seen both: near codes, but what happens comes in another order
        ((code,), (steps,)) = (
            library._db.rows("SELECT code FROM code WHERE video = 1")[0],
            library._db.rows("SELECT steps FROM trajectory WHERE video = 1")[0],
        )
        near = bytes(byte ^ 255 if i < 4 else byte for i, byte in enumerate(code))
        other = np.random.default_rng(0).permutation(np.frombuffer(steps, np.int8).reshape(T, -1))
        with library._db.transaction(codes=True):
            library._db.execute("UPDATE code SET code = ? WHERE video = 2", (near,))
            library._db.execute("UPDATE trajectory SET steps = ? WHERE video = 2", (other.tobytes(),))
        assert library.duplicates(fmr=1e-3) == []
        table = library.calibration
        assert table is not None and table.second_look is not None
        seen, codes = library.false_match_rate(69), table.false_match_rate(69)
        assert seen is not None and seen.high < codes.high / 10
        own = replace(table, second_look=None)  # from `vhash calibrate`, which measures codes only
        assert library.duplicates(fmr=1e-3, calibration=own) == []
        assert library.false_match_rate(table.second_look.radius + 1) == table.false_match_rate(
            table.second_look.radius + 1
        )
        library._db.execute("DELETE FROM trajectory WHERE video = 1")
        assert library.false_match_rate(69) == codes  # not every pair gets a second look
        library._db.execute("DELETE FROM trajectory")
        assert len(library.duplicates(fmr=1e-3)) == 1
