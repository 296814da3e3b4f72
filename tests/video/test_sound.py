"""Sound out of files: where it starts, where it is silent, and what has none."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.sound_files import needs_chromaprint, part, silence, tune, video
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.errors import DecodeError, DurationLimitError, MissingDependencyError, SourceError, VideoError
from vhash_sdk.matching.sound import hear
from vhash_sdk.video import Limits
from vhash_sdk.video.isolation.pool import DecodePool
from vhash_sdk.video.sound import sound_of

needs_chromaprint()


def test_encoded_again_cut_and_in_another_container_it_is_the_same_sound(tmp_path: Path) -> None:
    wave = tune(1)
    whole = sound_of(video(tmp_path / "whole.mp4", wave), Limits())
    assert whole.says == "" and abs(whole.start) < 0.1
    later = hear(whole, sound_of(video(tmp_path / "cut.mkv", part(wave, 3, 12), kilobits=24), Limits()))
    assert later.same and later.bits > 0.9 and later.offset == pytest.approx(-3, abs=0.15)
    other = sound_of(video(tmp_path / "other.mp4", tune(2)), Limits())
    assert hear(whole, other).relation == "other sound"


def test_what_has_no_sound_says_nothing(tmp_path: Path) -> None:
    for name, wave, says in (
        ("none.mp4", None, "has no sound"),
        ("short.mp4", tune(1, 2.0), "has no sound"),
        ("silent.mp4", silence(8), "is silent"),
    ):
        assert sound_of(video(tmp_path / name, wave), Limits()).says.startswith(says)
    assert sound_of(SAMPLES / "bunny.mp4", Limits()).says.startswith("has no sound")


def test_silence_has_no_sub_fingerprints_where_it_is(tmp_path: Path) -> None:
    wave = np.concatenate([tune(1, 8), silence(8), tune(2, 8)])
    prints = sound_of(video(tmp_path / "gap.mp4", wave), Limits()).prints
    quiet = np.flatnonzero(prints == 0) * 24 / (len(prints) + 21)  # seconds
    assert len(quiet) > 30 and 7.5 < quiet.min() < 8.5 and 12.5 < quiet.max() < 14


def test_sound_that_comes_later_than_the_picture_keeps_its_place(tmp_path: Path) -> None:
    wave = tune(1)
    plain = sound_of(video(tmp_path / "plain.mkv", wave), Limits())
    for gap, name in ((0, "later.mkv"), (2, "gap.mkv")):
        moved = sound_of(shifted(tmp_path / "plain.mkv", tmp_path / name, first=1.5, gap=gap), Limits())
        heard = hear(plain, moved)
        assert heard.same and moved.start == pytest.approx(1.5, abs=0.1)
        assert heard.offset == pytest.approx(1.5 + gap, abs=0.2)  # the longer part is behind the gap


def shifted(path: Path, target: Path, *, first: float, gap: float) -> Path:
    """A copy whose sound starts later, with a hole in its times after four seconds."""
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.pts is None:
                continue
            packet.dts = packet.pts  # nothing is reordered
            if packet.stream.type == "audio":
                seconds = first + (gap if packet.pts * packet.time_base > 4 else 0)
                moved = int(Fraction(seconds) / packet.time_base)
                packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return target


def test_a_worker_hears_the_same(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", tune(1))
    alone = sound_of(path, Limits())
    with DecodePool(1, Limits()) as pool:
        for source in (path, path.read_bytes()):
            heard = pool.sound(source)
            assert np.array_equal(heard.prints, alone.prints) and heard.start == alone.start
        assert not len(pool.sound(np.zeros((4, 8, 8, 3), np.uint8)).prints)
        with pytest.raises(SourceError):
            pool.sound(tmp_path / "missing.mp4")
        assert len(pool.sound(path).prints)  # the worker is still there
    with DecodePool(1, Limits(duration=5)) as pool, pytest.raises(DurationLimitError, match="the sound of"):
        pool.sound(path)


def test_damaged_files_give_what_is_left_or_an_error(tmp_path: Path) -> None:
    content = bytearray(video(tmp_path / "whole.mkv", tune(1)).read_bytes())
    rng = np.random.default_rng(1)
    for _ in range(30):
        broken = bytearray(content)
        for place in rng.integers(0, len(broken), 200):
            broken[place] = rng.integers(256)
        try:
            sound_of(bytes(broken[: rng.integers(1000, len(broken))]), Limits())
        except VideoError as error:
            assert str(error)
    with pytest.raises(DecodeError, match=r"(?s)cannot be decoded|cannot be opened"):
        sound_of(without_sound_data(tmp_path / "whole.mkv"), Limits())


def without_sound_data(path: Path) -> Path:
    """A copy whose sound is announced, and is noise that no decoder takes."""
    target = path.with_name("noise.mkv")
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.pts is None:
                continue
            packet.dts = packet.pts
            if packet.stream.type == "audio":
                bad = av.Packet(b"\xff" * 3)
                bad.pts, bad.dts, bad.time_base = packet.pts, packet.dts, packet.time_base
                bad.stream = streams[packet.stream.index]
                out.mux(bad)
            else:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def test_without_chromaprint_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[sound\].*libchromaprint"):
        sound_of(SAMPLES / "bunny.mp4", Limits())
    with DecodePool(1, Limits()) as pool, pytest.raises(MissingDependencyError):
        pool.sound(SAMPLES / "bunny.mp4")


def test_another_package_of_that_name_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", av)
    with pytest.raises(MissingDependencyError, match="another package"):
        sound_of(SAMPLES / "bunny.mp4", Limits())
