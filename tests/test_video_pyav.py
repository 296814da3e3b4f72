"""Every frame that the decoder picks is the one, and has the pixels, of decoding everything."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_files import Case, Truth, decode_everything, make

from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import PyavDecoder, select

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
