"""Every frame that the decoder picks is the one, and has the pixels, of decoding everything."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video_files import Case, Truth, decode_everything, make, remux, repeat
from vhash_sdk.errors import OptionError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import PyavDecoder, select
from vhash_sdk.video.track import Track

GOP = {"g": "12"}
X265 = "log-level=error:keyint=12:min-keyint=12"
CASES = [
    Case("h264"),
    Case("h264_matroska", "mkv", options=GOP),
    Case("h264_transport", "ts", options=GOP),
    Case("h264_avi", "avi", options={"g": "12", "bf": "0"}),
    Case("h264_fragmented", options=GOP, muxer={"movflags": "frag_keyframe+empty_moov"}),
    Case("h264_no_index", "mkv", options=GOP, muxer={"live": "1"}),
    Case(
        "h264_open_gop",
        options={"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-pyramid=normal"},
    ),
    Case(
        "h264_open_gop_transport",
        "ts",
        options={"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3"},
    ),
    Case("h264_intra_refresh", options={"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    Case(
        "h264_no_reference_pyramid", options={"x264-params": "keyint=20:bframes=5:b-adapt=0:b-pyramid=none"}
    ),
    Case("h264_interlaced", interlaced=True, options={"x264-params": "tff=1:keyint=12"}),
    Case("h264_10_bit", pixels="yuv420p10le", options=GOP),
    Case("h264_422", pixels="yuv422p", options=GOP),
    Case("h264_444_odd", pixels="yuv444p", width=97, height=65, options=GOP),
    Case("h264_422_10_bit", pixels="yuv422p10le", options=GOP),
    Case("h264_full_range", pixels="yuvj420p", options=GOP),
    Case(
        "h264_variable_rate",
        options=GOP,
        times=tuple(np.cumsum([1, 1, 5, 2, 30, 1, 1, 3, 12, 1] * 6).tolist()),
    ),
    Case("h264_ntsc", rate=Fraction(30000, 1001), options=GOP),
    Case("h264_late_start", times=tuple(range(500, 560)), options=GOP),
    Case("h264_one_frame", frames=1),
    Case("h264_two_frames", frames=2),
    Case("h264_rotated_90", rotation=90, options=GOP),
    Case("h264_rotated_180", rotation=180, options=GOP),
    Case("h264_rotated_270", rotation=-90, options=GOP),
    Case("hevc", codec="libx265", options={"x265-params": X265 + ":open-gop=0"}),
    Case("hevc_open_gop", codec="libx265", options={"x265-params": X265 + ":open-gop=1:bframes=4"}),
    Case("hevc_transport", "ts", codec="libx265", options={"x265-params": X265}),
    Case("hevc_matroska", "mkv", codec="libx265", options={"x265-params": X265}),
    Case(
        "hevc_layers",
        codec="libx265",
        options={"x265-params": X265 + ":temporal-layers=3:bframes=4:b-adapt=0"},
    ),
    Case("hevc_10_bit", codec="libx265", pixels="yuv420p10le", options={"x265-params": X265}),
    Case("vp9", "webm", codec="libvpx-vp9", options={**GOP, "deadline": "realtime", "cpu-used": "8"}),
    Case(
        "vp9_hidden_odd",
        "webm",
        codec="libvpx-vp9",
        width=97,
        height=65,
        frames=60,
        options={"g": "20", "lag-in-frames": "16", "auto-alt-ref": "1", "cpu-used": "5"},
    ),
    Case(
        "vp8_hidden",
        "webm",
        codec="libvpx",
        options={"g": "20", "lag-in-frames": "16", "auto-alt-ref": "1", "cpu-used": "5"},
    ),
    Case("av1", "mkv", codec="libsvtav1", options={"g": "12", "preset": "12", "svtav1-params": "lp=1"}),
    Case(
        "av1_mp4_10_bit",
        codec="libsvtav1",
        pixels="yuv420p10le",
        options={"g": "16", "preset": "12", "svtav1-params": "lp=1"},
    ),
    Case("mpeg4_avi", "avi", codec="mpeg4", options={"g": "12", "bf": "2"}),
    Case("mpeg4_mp4", codec="mpeg4", options={"g": "12", "bf": "2"}),
    Case("mpeg4_odd", "avi", codec="mpeg4", width=97, height=65, options=GOP),
    Case("mpeg2_transport", "ts", codec="mpeg2video", options={"g": "12", "bf": "2"}),
    Case("mpeg2_program", "mpg", codec="mpeg2video", options={"g": "12", "bf": "2"}),
    Case("mpeg2_interlaced", "ts", codec="mpeg2video", interlaced=True, options={"g": "12", "bf": "2"}),
    Case("mpeg1", "mpg", codec="mpeg1video", options={"g": "12", "bf": "2"}),
    Case("gif", "gif", codec="gif", pixels="rgb8", frames=20, rate=10),
    Case("mjpeg", "avi", codec="mjpeg", pixels="yuvj422p", frames=20),
    Case("prores", "mov", codec="prores", pixels="yuv422p10le", frames=20),
    Case("ffv1_rgb", "mkv", codec="ffv1", pixels="bgr0", frames=20),
    Case("h264_nut", "nut", options=GOP),
    Case("h264_flv", "flv", options=GOP),
    Case("vp9_ivf", "ivf", codec="libvpx-vp9", options={**GOP, "deadline": "realtime", "cpu-used": "8"}),
    Case("flv", "flv", codec="flv", frames=40),
]
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session", params=CASES, ids=NAMES)
def file(request: pytest.FixtureRequest, folder: Path) -> tuple[Case, Path, Truth, Resize]:
    case: Case = request.param
    path = make(case, folder)
    resize = Resize("exact", case.height, case.width)
    return case, path, decode_everything(path, resize), resize


@pytest.fixture
def full_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time a stream is decoded in full."""
    runs: list[int] = []
    in_full = select._in_full

    def count(*arguments: object) -> None:
        runs.append(1)
        in_full(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(select, "_in_full", count)
    return runs


@pytest.mark.parametrize("seek_seconds", [0, 5])
def test_same_frames_and_pixels_as_decoding_everything(
    file: tuple[Case, Path, Truth, Resize],
    seek_seconds: int,
    full_runs: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case, path, truth, resize = file
    monkeypatch.setattr(select, "_SEEK_SECONDS", seek_seconds)
    with PyavDecoder().open(path) as reader:
        for kind, count in (("uniform", 25), ("uniform", 3), ("uniform", 100), ("middle", 8), ("middle", 90)):
            clip = reader.sample(Sampling(kind, count), resize)  # type: ignore[arg-type]
            ranks = truth.uniform(count) if kind == "uniform" else truth.middle(count)
            np.testing.assert_allclose(clip.times, truth.seconds(ranks), atol=1e-9, err_msg=f"{kind} {count}")
            for row, rank in enumerate(ranks):
                assert np.array_equal(clip.frames[row], truth.frames[rank]), (
                    f"{kind} {count}: frame {row} of rank {rank}"
                )
        clip = reader.frames_at(truth.seconds(range(len(truth.times))), resize)
        assert np.array_equal(clip.frames, np.array(truth.frames))
        assert reader.info.frames == len(truth.times)
        assert reader.info.duration == pytest.approx(float((truth.end - truth.start) * truth.tick))
    if case.short is not None:
        assert (not full_runs) == case.short


def test_several_threads_give_the_same(folder: Path) -> None:
    path = make(Case("threads", options=GOP), folder)
    resize = Resize("exact", 32, 48)
    one, two = (PyavDecoder(threads=n).open(path).sample(Sampling("uniform", 25), resize) for n in (1, 2))
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.times, two.times)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_an_hour_is_not_read_whole(suffix: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = Case("seed", "mkv", width=64, height=48, frames=100, rate=Fraction(1, 2), options={"g": "10"})
    path = repeat(make(seed, folder), folder / f"hour.{suffix}", times=18)
    resize = Resize("exact", 48, 64)
    truth = decode_everything(path, resize)
    calls: list[int] = []
    decode = Track.decode
    monkeypatch.setattr(Track, "decode", lambda self, packet: (calls.append(1), decode(self, packet))[1])
    with PyavDecoder().open(path) as reader:
        assert reader.info.duration == 3600.0
        for sampling, ranks in (
            (Sampling("uniform", 25), truth.uniform(25)),
            (Sampling("middle", 16), truth.middle(16)),
        ):
            clip = reader.sample(sampling, resize)
            np.testing.assert_allclose(clip.times, truth.seconds(ranks), atol=1e-9)
            assert np.array_equal(clip.frames, np.array([truth.frames[rank] for rank in ranks]))
    assert len(calls) < len(truth.times) / 3, "decoded too much"


def test_edit_list_hides_frames(folder: Path, full_runs: list[int]) -> None:
    source = make(Case("uncut", options=GOP), folder)

    def earlier(_: int, packet: av.Packet) -> bool:
        assert packet.pts is not None and packet.dts is not None
        packet.pts, packet.dts = packet.pts - 7 * 512, packet.dts - 7 * 512
        return True

    path = remux(source, folder / "cut.mp4", earlier, avoid_negative_ts="disabled", use_editlist="1")
    resize = Resize("exact", 64, 96)
    truth = decode_everything(path, resize)
    assert len(truth.times) < 75, "the file was to have hidden frames"
    with PyavDecoder().open(path) as reader:
        for kind, ranks in (("uniform", truth.uniform(25)), ("middle", truth.middle(25))):
            clip = reader.sample(Sampling(kind, 25), resize)  # type: ignore[arg-type]
            np.testing.assert_allclose(clip.times, truth.seconds(ranks), atol=1e-9)
            assert np.array_equal(clip.frames, np.array([truth.frames[rank] for rank in ranks]))
    assert not full_runs


@pytest.mark.parametrize("drop", [1, 5, 14])
def test_stream_cut_at_the_front(drop: int, folder: Path) -> None:
    """A recording that begins in the middle of an open group of pictures."""
    source = make(Case("tuned_in", "ts", codec="mpeg2video", options={"g": "12", "bf": "2"}), folder)
    path = remux(source, folder / f"tuned_in_{drop}.ts", lambda i, _: i >= drop)
    resize = Resize("exact", 64, 96)
    truth = decode_everything(path, resize)
    with PyavDecoder().open(path) as reader:
        clip = reader.sample(Sampling("uniform", 25), resize)
    ranks = truth.uniform(25)
    np.testing.assert_allclose(clip.times, truth.seconds(ranks), atol=1e-9)
    assert np.array_equal(clip.frames, np.array([truth.frames[rank] for rank in ranks]))


@pytest.mark.parametrize("factor", [0.3, 4.0])
def test_header_lies_about_the_duration(factor: float, folder: Path) -> None:
    path = make(Case("honest", "mkv", options=GOP), folder)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration, a float of 8 bytes, in ms
    (declared,) = struct.unpack(">d", data[at : at + 8])
    assert declared == 3000.0
    data[at : at + 8] = struct.pack(">d", declared * factor)
    resize = Resize("exact", 64, 96)
    clip = PyavDecoder().open(bytes(data)).sample(Sampling("uniform", 25), resize)
    assert clip.info.duration == 3.0
    assert np.array_equal(
        clip.frames, PyavDecoder().open(path).sample(Sampling("uniform", 25), resize).frames
    )


def test_rotation_is_the_one_of_the_track_header(folder: Path) -> None:
    path = make(Case("turned", rotation=-90, frames=3), folder)
    data = path.read_bytes()
    # ISO 14496-12: a, b, u, c, d, v of x' = ax + cy, y' = bx + dy with y downwards: a clockwise quarter turn
    assert struct.pack(">6i", 0, 1 << 16, 0, -(1 << 16), 0, 0) in data
    plain = make(Case("straight", frames=3), folder)
    with PyavDecoder().open(path) as turned, PyavDecoder().open(plain) as straight:
        assert (turned.info.rotation, turned.info.width, turned.info.height) == (90, 64, 96)
        shown = turned.sample(Sampling("uniform", 3), Resize("exact", 96, 64)).frames
        stored = straight.sample(Sampling("uniform", 3), Resize("exact", 64, 96)).frames
    assert np.array_equal(shown, np.rot90(stored, -1, axes=(1, 2)))


def test_real_clips(data: Path, full_runs: list[int]) -> None:
    files = [*(data / "videos" / "misc").iterdir(), data / "videos" / "neardup" / "chair-19-sd-bar.mp4"]
    resize = Resize("exact", 60, 80)
    for path in files:
        truth = decode_everything(path, resize)
        if path.name.startswith("hmdb51"):
            # DivX packs pictures in pairs, so FFmpeg's times are no use and frames are counted:
            # one for each packet with a picture, which is all but the second one
            truth = replace(truth, times=[0, *range(2, 84)], start=0, end=84)
        with PyavDecoder().open(path) as reader:
            for kind, ranks in (("uniform", truth.uniform(25)), ("middle", truth.middle(25))):
                clip = reader.sample(Sampling(kind, 25), resize)  # type: ignore[arg-type]
                assert np.array_equal(clip.frames, np.array([truth.frames[rank] for rank in ranks])), (
                    path.name
                )
    assert len(full_runs) == 2, "only the packed one needs decoding in full"


def test_frames_at_edges(folder: Path) -> None:
    path = make(Case("edges", frames=10), folder)
    with PyavDecoder().open(path) as reader:
        clip = reader.frames_at(np.array([-1.0, 0.0, 0.039, 0.04, 99.0]), Resize("exact", 8, 8))
        assert np.allclose(clip.times, [0, 0, 0, 0.04, 0.36])
        assert reader.frames_at(np.array([]), Resize("exact", 8, 8)).frames.shape == (0, 8, 8, 3)
        with pytest.raises(OptionError, match="finite"):
            reader.frames_at(np.array([np.nan]), Resize("exact", 8, 8))
