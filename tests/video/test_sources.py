"""What is opened, what is refused, and what the error says."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video_files import Case, make
from vhash_sdk.errors import (
    DecodeError,
    DurationLimitError,
    OptionError,
    PixelLimitError,
    SourceError,
    TimeLimitError,
    UnsupportedVideoError,
    VideoError,
)
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Clip, Limits, PyavDecoder, open_source

SMALL = Resize("exact", 16, 24)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(Case("clip", options={"g": "12"}), tmp_path_factory.mktemp("sources"))


def sampled(source: object, **limits: float) -> Clip:
    with open_source(source, Limits(**limits)) as reader:  # type: ignore[arg-type]
        return reader.sample(Sampling("uniform", 5), SMALL)


class _More(io.BytesIO):
    """Reads more than it was asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None or size < 0 else size + 10)


def test_a_file_object_must_not_read_more_than_it_was_asked_for(clip: Path) -> None:
    """FFmpeg's buffer has no room for it: that destroyed the heap."""
    with pytest.raises(SourceError, match="must not return more"):
        sampled(_More(clip.read_bytes()))


def test_path_bytes_and_file_objects_are_the_same(clip: Path) -> None:
    expected = sampled(clip).frames
    data = clip.read_bytes()
    with clip.open("rb") as file:
        file.seek(100)
        for source in (str(clip), data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            assert np.array_equal(sampled(source).frames, expected)
        assert not file.closed


@pytest.mark.parametrize(
    "name", ["with space.mp4", "ümlaut 映像.mp4", "a:b.mp4", "quote'\"\n.mp4", "%03d.mp4", "x.m3u8"]
)
def test_odd_names(name: str, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(clip.read_bytes())
    assert len(sampled(path).frames) == 5


def test_name_that_is_no_text(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    Path(name).write_bytes(clip.read_bytes())
    assert len(sampled(name).frames) == 5
    Path(name).write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        sampled(name)
    str(caught.value).encode()  # can be printed
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    (Path("http:") / "local.mp4").write_bytes(clip.read_bytes())
    assert len(sampled("http:/local.mp4").frames) == 5, "a file that exists is no URL"


SECRET = "secret.mp4"
DRESSED = {
    "m3u8": lambda folder: (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{folder / SECRET}\n#EXT-X-ENDLIST\n"
    ),
    "concat": lambda folder: f"ffconcat version 1.0\nfile '{folder / SECRET}'\n",
    "bare_concat": lambda folder: f"file '{folder / SECRET}'\n",
    "dash": lambda folder: f'<?xml version="1.0"?>\n<MPD><BaseURL>{folder / SECRET}</BaseURL></MPD>',
    "sdp": lambda folder: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 9 RTP/AVP 96\n",
    "text": lambda folder: "just a note",
}


@pytest.mark.parametrize("kind", DRESSED)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "avi", "ffconcat"])
def test_scripts_dressed_as_videos_are_refused(kind: str, suffix: str, clip: Path, tmp_path: Path) -> None:
    (tmp_path / SECRET).write_bytes(clip.read_bytes())
    path = tmp_path / f"innocent.{suffix}"
    path.write_text(DRESSED[kind](tmp_path))
    for source in (path, path.read_bytes()):
        with pytest.raises(UnsupportedVideoError, match=r"playlist|concat|manifest|text") as caught:
            sampled(source)
        assert "accepted: MP4" in str(caught.value)


def test_playlist_behind_a_container_start_opens_nothing(tmp_path: Path, clip: Path) -> None:
    (tmp_path / SECRET).write_bytes(clip.read_bytes())
    path = tmp_path / "polyglot.mp4"
    path.write_bytes(b"\0\0\0\x08free" + DRESSED["m3u8"](tmp_path).encode())
    with pytest.raises(VideoError):
        sampled(path)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "rtsp://x/y", "data:video/mp4;base64,AAAA", "pipe:0"],
)
def test_urls_and_protocols_are_refused(url: str) -> None:
    with pytest.raises(UnsupportedVideoError, match="only local files"):
        sampled(url)


def test_no_connection_is_made(tmp_path: Path) -> None:
    """A QuickTime reference movie names a server; nobody may call there."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.5)
    called: list[object] = []

    def listen() -> None:
        with contextlib.suppress(TimeoutError):
            called.append(server.accept())

    thread = threading.Thread(target=listen)
    thread.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4".encode() + b"\0"

    def box(kind: bytes, body: bytes) -> bytes:
        return (8 + len(body)).to_bytes(4, "big") + kind + body

    reference = box(b"rdrf", b"\0\0\0\0url " + len(url).to_bytes(4, "big") + url)
    path = tmp_path / "reference.mov"
    path.write_bytes(box(b"moov", box(b"rmra", box(b"rmda", reference))))
    with pytest.raises(VideoError):
        sampled(path)
    thread.join()
    server.close()
    assert not called


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"\0" * 5000, "zero bytes"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio"),
        (b"\0\0\0\x01\x67\x42", "time stamps"),
        (b"\x7fELF\x02\x01\x01" + bytes(range(200)), "no container"),
        (b"PK\x03\x04" + bytes(range(200)), "no container"),
    ],
)
def test_other_files_are_named_for_what_they_are(content: bytes, match: str) -> None:
    with pytest.raises((SourceError, UnsupportedVideoError), match=match):
        sampled(content)


def test_missing_unreadable_and_special_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing\.mp4 cannot be opened: No such file"):
        sampled(tmp_path / "nothing.mp4")
    with pytest.raises(SourceError, match="not a regular file"):
        sampled(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match="not a regular file"):
        sampled(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    with pytest.raises(SourceError, match="symbolic links"):
        sampled(tmp_path / "loop.mp4")
    with pytest.raises(SourceError, match="null"):
        sampled("a\0b.mp4")


def test_file_objects_that_misbehave(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            return 0

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 60_000:
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises(SourceError, match="seekable"):
        sampled(Pipe())
    with pytest.raises(SourceError, match="mode 'rb'"):
        sampled(io.StringIO("text"))
    with pytest.raises(SourceError, match="not a video source"):
        sampled(42)
    big = make(Case("big", width=320, height=240, options={"qp": "4"}), tmp_path)
    with pytest.raises(SourceError, match="the disk is gone"):
        sampled(Failing(big.read_bytes()))


def audio_only(path: Path, codec: str, cover: bool) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=8000)
        picture = out.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        if picture is not None:
            out.mux(picture.encode(av.VideoFrame(32, 32, "yuvj420p")))
        for i in range(4):
            frame.pts = i * 1024
            out.mux(stream.encode(frame))
    return path


@pytest.mark.parametrize("cover", [False, True])
def test_audio_only(cover: bool, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVideoError, match="no video stream, only audio"):
        sampled(audio_only(tmp_path / "song.mp4", "aac", cover))


def test_limits(clip: Path) -> None:
    with pytest.raises(PixelLimitError, match=r"96 × 64; allowed: 6143 pixels"):
        sampled(clip, pixels=6143)
    with pytest.raises(DurationLimitError, match=r"lasts 3 s; allowed: 2\.9 s"):
        sampled(clip, duration=2.9)
    with pytest.raises(TimeLimitError, match=r"after 1e-09 s; raise Limits\.wall_time"):
        sampled(clip, wall_time=1e-9)
    assert len(sampled(clip, pixels=6144, duration=3.0, wall_time=60.0).frames) == 5
    array = np.zeros((4, 8, 8, 3), np.uint8)
    with pytest.raises(PixelLimitError):
        open_source(array, Limits(pixels=63))
    assert open_source(array, Limits(duration=3)).info.frames == 4  # frames in memory last no known time


def test_stream_larger_than_its_header_says(clip: Path, tmp_path: Path) -> None:
    """The container names a small picture, the coded stream has a large one."""
    large = make(Case("large", width=640, height=480, frames=5), tmp_path)
    data = large.read_bytes()
    old, new = (640).to_bytes(2, "big") + (480).to_bytes(2, "big"), (32).to_bytes(2, "big") * 2
    assert data.count(old) == 1
    with pytest.raises((PixelLimitError, DecodeError)):
        sampled(data.replace(old, new), pixels=10_000)


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, 65])
def test_threads_are_checked(threads: object) -> None:
    with pytest.raises(OptionError, match="1 to 64"):
        PyavDecoder(threads=threads)  # type: ignore[arg-type]


# Damage

CONTAINERS = ["mp4", "mkv", "ts", "avi", "webm", "mov"]


@pytest.fixture(scope="module", params=CONTAINERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    codecs: dict[str, Callable[[], Case]] = {
        "avi": lambda: Case("whole", "avi", codec="mpeg4", options={"g": "12", "bf": "2"}),
        "webm": lambda: Case(
            "whole", "webm", codec="libvpx-vp9", options={"g": "12", "cpu-used": "8", "deadline": "realtime"}
        ),
    }
    case = codecs.get(
        request.param,
        lambda: Case("whole", request.param, options={"g": "12"}, muxer={"movflags": "faststart"}),
    )()
    return make(case, folder).read_bytes()


@pytest.mark.parametrize("part", [0.03, 0.3, 0.6, 0.9, 0.99])
def test_truncated_gives_what_is_left(whole: bytes, part: float) -> None:
    try:
        clip = sampled(whole[: int(len(whole) * part)])
    except VideoError as error:
        assert part < 0.5 or b"ftyp" in whole[:12], error
        assert f"<{int(len(whole) * part)} bytes>" in str(error)
    else:
        assert clip.frames.any() and clip.info.duration <= 3.1


def test_damage_gives_a_clip_or_an_error(whole: bytes) -> None:
    rng = np.random.default_rng(3)
    outcomes = {"clip": 0, "error": 0}
    for round_ in range(25):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 40))):
            data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        if round_ % 5 == 0:
            start = int(rng.integers(0, len(data)))
            data[start : start + 2000] = bytes(len(data[start : start + 2000]))
        try:
            clip = sampled(bytes(data), wall_time=20.0)
            assert clip.frames.shape == (5, 16, 24, 3)
            outcomes["clip"] += 1
        except VideoError as error:
            assert f"<{len(data)} bytes>" in str(error)
            outcomes["error"] += 1
    assert outcomes["clip"] > 0
