"""A file that is cut off does not pass as whole; one that is whole is not called cut off."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vhash_sdk
from tests.cli.test_cli import run, run_json
from vhash_sdk.library import Library
from vhash_sdk.library.database import Database
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Limits, PyavDecoder
from vhash_sdk.video.isolation.pool import DecodePool

SAMPLES = Path(vhash_sdk.__file__).parent / "samples"


class Pipe:
    """Takes what is written, and cannot go back."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)


def write(
    path: Path,
    codec: str,
    *,
    options: dict[str, str] | None = None,
    form: str | None = None,
    audio: str = "",
    pipe: bool = False,
    grain: bool = False,
) -> bytes:
    """A video of 4 s; ``pipe``: written where nothing can be filled in afterwards."""

    target = Pipe() if pipe else None
    noise = np.random.default_rng(1)
    with av.open(target if target is not None else str(path), "w", format=form, options=options or {}) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.gop_size = 160, 120, 12
        stream.pix_fmt = "yuv420p"
        if codec == "h264":  # with its instructions of AVX-512 no two runs give the same bytes
            stream.options = {"x264-params": "no-asm=1"}
        sound = out.add_stream(audio, rate=48000) if audio else None
        for i in range(100):
            y, x = np.mgrid[:120, :160]
            picture = np.stack([(x + 3 * i) % 256, (y + i) % 256, np.full_like(x, 90)], -1).astype(np.uint8)
            if grain:
                picture ^= noise.integers(0, 128, picture.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(stream.encode(frame))
            if sound is not None:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), "s16", "stereo")
                silence.sample_rate, silence.pts = 48000, 1920 * i
                out.mux(sound.encode(silence))
        for track in out.streams:
            out.mux(track.encode(None))
    if target is not None:
        path.write_bytes(target.content)
    return path.read_bytes()


def damaged(source: Any) -> str | None:
    with PyavDecoder().open(source) as reader:
        assert reader.info.duration > 1
        return reader.info.damaged


FRAGMENTS = "frag_keyframe+empty_moov"
CASES: dict[str, dict[str, Any]] = {
    "moov-first.mp4": {"codec": "h264", "options": {"movflags": "faststart"}},
    "moov-first-sound.mp4": {"codec": "h264", "options": {"movflags": "faststart"}, "audio": "aac"},
    "moov-first-pcm.mov": {"codec": "mpeg4", "options": {"movflags": "faststart"}, "audio": "pcm_s16le"},
    "fragments.mp4": {"codec": "h264", "options": {"movflags": FRAGMENTS}},
    "fragments-index.mp4": {"codec": "h264", "options": {"movflags": f"{FRAGMENTS}+dash+global_sidx"}},
    "fragments-dash.mp4": {"codec": "h264", "options": {"movflags": f"{FRAGMENTS}+dash"}},
    "matroska.mkv": {"codec": "h264", "audio": "aac"},
    "matroska-pipe.mkv": {"codec": "h264", "pipe": True, "form": "matroska"},
    "web.webm": {"codec": "libvpx"},
    "riff.avi": {"codec": "mpeg4", "audio": "mp2"},
    "riff-pipe.avi": {"codec": "mpeg4", "pipe": True, "form": "avi"},
    "flash.flv": {"codec": "h264"},
    "windows.wmv": {"codec": "msmpeg4", "form": "asf"},
    "broadcast.mxf": {"codec": "mpeg2video", "form": "mxf"},
    "bare.ivf": {"codec": "libvpx"},
}  # fmt: skip
NO_PROMISE: dict[str, dict[str, Any]] = {
    "stream.ts": {"codec": "h264", "audio": "mp2"},
    "program.mpg": {"codec": "mpeg2video"},
    "windows-pipe.wmv": {"codec": "mpeg4", "pipe": True, "form": "asf"},
    "nut.nut": {"codec": "mpeg4"},
    "flash-pipe.flv": {
        "codec": "h264",
        "pipe": True,
        "form": "flv",
        "options": {"flvflags": "no_duration_filesize"},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_cut_is_found_and_a_whole_file_is_whole(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, **CASES[name])
    for source in (tmp_path / name, whole, io.BytesIO(whole)):
        assert damaged(source) is None
    for share in (0.45, 0.9):
        cut = tmp_path / f"cut-{name}"
        cut.write_bytes(whole[: int(share * len(whole))])
        said = damaged(cut)
        assert said is not None and said.startswith("cut off: ")
        file = io.BytesIO(cut.read_bytes())
        assert damaged(file) == said == damaged(cut.read_bytes())
    if name == "moov-first.mp4":
        assert damaged(whole[:-1]) == f"cut off: {len(whole) - 1} of at least {len(whole)} bytes are there"


def test_a_cut_between_two_flv_tags_is_found(tmp_path: Path) -> None:
    whole = write(tmp_path / "flash.flv", **CASES["flash.flv"])
    borders, at = [], 13
    while at < len(whole):
        at += 11 + int.from_bytes(whole[at + 1 : at + 4], "big") + 4
        borders.append(at)
    found = [damaged(whole[:end]) for end in borders if 0.3 * len(whole) < end < 0.9 * len(whole)]
    assert len(found) > 50 and all(said is not None and said.startswith("cut off: ") for said in found)

    stale = whole.replace(b"\x00\x08filesize\x00\x40", b"\x00\x08filesize\x00\x41")  # larger by far
    assert stale != whole and damaged(stale) is None


@pytest.mark.parametrize("name", NO_PROMISE)
def test_what_promises_nothing_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, **NO_PROMISE[name])
    assert damaged(whole) is None
    damaged(whole[: len(whole) // 2])  # some say that the last frame is not complete


@pytest.mark.parametrize("name", ["moov-first.mp4", "matroska.mkv", "riff.avi", "flash.flv", "stream.ts"])
def test_a_download_into_a_file_of_full_length(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, **{**CASES, **NO_PROMISE}[name], grain=True)
    assert len(whole) > 300_000 and damaged(whole) is None
    said = damaged(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    assert said is not None and said.startswith("damaged: ")


def test_every_bundled_clip_is_whole_and_what_follows_a_file_is_nothing_to_it() -> None:
    for path in sorted(SAMPLES.glob("*.mp4")):
        content = path.read_bytes()
        assert damaged(content) is None and damaged(content + b"appended by somebody" * 100) is None


def test_every_real_clip_is_whole(data: Path) -> None:
    paths = sorted(path for path in (data / "videos").rglob("*") if path.suffix in (".mp4", ".avi", ".mkv"))
    assert len(paths) > 600
    for path in [*paths[::25], *(path for path in paths if path.suffix != ".mp4")]:
        with PyavDecoder().open(path) as reader:
            assert reader.info.damaged is None, path


def test_no_table_of_a_file_makes_it_an_error_of_ours(tmp_path: Path) -> None:
    from vhash_sdk.video.completeness import cut_off
    from vhash_sdk.video.sources import Media

    generator = np.random.default_rng(7)
    for name, demuxer in (
        ("moov-first-sound.mp4", "mov"), ("fragments-index.mp4", "mov"), ("matroska-pipe.mkv", "matroska"),
        ("riff.avi", "avi"), ("flash.flv", "flv"), ("windows.wmv", "asf"), ("broadcast.mxf", "mxf"),
    ):  # fmt: skip
        whole = write(tmp_path / name, **CASES[name])
        for _ in range(300):
            mutant = np.frombuffer(whole, np.uint8)[: generator.integers(1, len(whole))].copy()
            places = generator.integers(0, min(len(mutant), 3000), 8)
            mutant[places] = generator.choice([0, 1, 127, 255], 8)
            for form in (demuxer, "ogg"):
                said = cut_off(Media("m", form, mutant.tobytes()))
                assert said is None or said.startswith("cut off: ")


@pytest.mark.parametrize("box", [b"\0\0\0\x08sidx", b"\0\0\0\x20sidx" + b"\xff" * 24])
def test_a_segment_index_of_nonsense_is_no_promise(tmp_path: Path, box: bytes) -> None:
    whole = Path(vhash_sdk.__file__).parent / "samples" / "bunny.mp4"
    (tmp_path / "index.mp4").write_bytes(whole.read_bytes() + box)
    assert damaged(tmp_path / "index.mp4") is None


def test_a_worker_says_it_as_well(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.mp4", **CASES["moov-first.mp4"])
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with DecodePool(1, Limits()) as pool:
        clip = pool.decode(tmp_path / "b.mp4", Sampling("uniform", 5), Resize("exact", 24, 32))
        assert (clip.info.damaged or "").startswith("cut off: ")
        clip = pool.decode(tmp_path / "a.mp4", Sampling("uniform", 5), Resize("exact", 24, 32))
        assert clip.info.damaged is None


def test_a_library_says_what_is_damaged_and_never_keeps_it(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    whole = write(videos / "whole.mp4", "h264", options={"movflags": "faststart"}, grain=True)
    (videos / "a-cut.mp4").write_bytes(whole[: int(0.8 * len(whole))])
    (videos / "b-cut.mp4").write_bytes(whole[: int(0.8 * len(whole))])
    cuts = [str(videos / "a-cut.mp4"), str(videos / "b-cut.mp4")]
    added = run_json("add", tmp_path / "library", videos)
    assert sorted(entry["path"] for entry in added["damaged"]) == cuts
    assert all(entry["message"].startswith("cut off: ") for entry in added["damaged"])
    listed = {entry["path"]: entry["damaged"] for entry in run_json("list", tmp_path / "library")["videos"]}
    assert listed[str(videos / "whole.mp4")] is None and all(listed[cut] for cut in cuts)
    assert "[cut off: " in run("list", tmp_path / "library").stdout
    for keep in ("longest", "sharpest", "largest"):
        (group,) = run_json("dedup", tmp_path / "library", "--keep", keep, "--radius", 60)["groups"]
        assert group["representative"] == str(videos / "whole.mp4") and "damaged" not in group
        assert all(member["damaged"].startswith("cut off: ") for member in group["members"])
    assert "[cut off: " in run("dedup", tmp_path / "library", "--radius", 60).stdout
    run("dedup", tmp_path / "library", "--radius", 60, "--report", tmp_path / "page.html")
    assert "cut off: " in (tmp_path / "page.html").read_text()
    with Library(tmp_path / "library", create=False) as library:
        assert sorted(p.path for p in library.verify() if p.kind == "damaged") == cuts
        assert len(list(library)) == 3
    database = Database.open(tmp_path / "library" / "library.db")  # as an older version has left it
    with database.transaction():
        database.execute("UPDATE video SET damaged = NULL")
    database.close()
    with Library(tmp_path / "library", create=False) as library:
        assert list(library.verify()) == []
        assert sorted(p.path for p in library.verify(content=True) if p.kind == "damaged") == cuts
