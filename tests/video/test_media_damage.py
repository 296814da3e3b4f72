"""What cannot be decoded is left out, and a message says what is wrong and not something else."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from tests.media_files import Part, write
from tests.video.test_media_streams import sampled, shows
from vhash_sdk.errors import DecodeError, SourceError, UnsupportedVideoError
from vhash_sdk.video import open_source
from vhash_sdk.video.track import DECODER_ERRORS, reason


def packets(path: Path) -> list[tuple[int, int]]:
    """Place and size of each packet."""
    with av.open(str(path)) as read:
        return [(packet.pos or 0, packet.size) for packet in read.demux(video=0) if packet.size]


def spoiled(path: Path, first: int, last: int, fill: int = 0) -> bytes:
    """The file with the packets from ``first`` up to ``last`` overwritten."""
    data = bytearray(path.read_bytes())
    for at, size in packets(path)[first:last]:
        data[at : at + size] = bytes([fill]) * size
    return bytes(data)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_video_ends_where_pictures_end(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"whole.{suffix}", Part(100, 1))
    with open_source(spoiled(path, 60, 100)) as reader:
        clip = reader.sample(*_eight())
        assert clip.info.duration == pytest.approx(2.4, abs=0.13) and shows(clip, 1)
        assert len(set(clip.times)) == 8 and clip.times[-1] > 2.0
        assert clip.info.repeated == 0
        late = reader.frames_at(np.array([0.0, 3.5]), _eight()[1])
        assert late.times[-1] < 2.5, "asked for what is not there, the last picture is given"
    expected = sampled(path, 100).frames[:57]
    assert all(any(np.array_equal(frame, one) for one in expected) for frame in clip.frames)


def test_frames_repeated_for_a_gap_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "whole.mp4", Part(100, 1))
    clip = sampled(spoiled(path, 36, 60), 25)
    assert clip.info.duration == pytest.approx(4.0)
    assert 4 <= clip.info.repeated <= 7 and len(set(clip.times)) >= 25 - clip.info.repeated
    # what is missing is said once: as damage where the container tells, else as frames that cannot be decoded
    assert "of the frames read are empty" in str(clip.info.damaged) and not clip.info.notes()
    assert "cannot be decoded" in replace(clip.info, damaged=None).notes()[0]
    assert sampled(path, 25).info.repeated == 0


def test_a_packet_that_ffmpeg_does_not_implement_is_one_lost_frame(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "odd.avi", Part(50, 1, "mjpeg", "yuvj420p")).read_bytes())
    at = -1
    for _ in range(21):
        at = data.index(b"\xff\xc0\x00\x11", at + 1)
    data[at + 11] = 0x13  # a chroma sampling that no one uses
    with av.open(io.BytesIO(bytes(data))) as read, pytest.raises(av.error.PatchWelcomeError):
        list(read.decode(video=0))
    clip = sampled(bytes(data), 50)
    assert len(set(clip.times)) == 49 and clip.info.repeated == 1


def test_no_error_of_ffmpeg_is_unexpected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a decoder raises on one packet, the others are decoded."""
    from vhash_sdk.video.track import Track

    path = write(tmp_path / "whole.mkv", Part(50, 1, "mjpeg", "yuvj420p"))
    kinds = {kind for kind in vars(av.error).values() if isinstance(kind, type)}
    kinds = {kind for kind in kinds if issubclass(kind, av.error.FFmpegError)}
    assert len(kinds) > 30
    for kind in kinds:
        if issubclass(kind, MemoryError):
            continue
        error, raised = kind(1, "as it says"), []

        class Failing:
            def __init__(self, context: object) -> None:
                self.context, self.calls = context, 0

            def __getattr__(self, name: str) -> object:
                return getattr(self.context, name)

            def decode(
                self, packet: object, error: Exception = error, raised: list[Exception] = raised
            ) -> object:
                self.calls += 1
                if self.calls == 5:
                    raised.append(error)
                    raise error
                return self.context.decode(packet)  # type: ignore[attr-defined]

        reopen = Track.reopen

        def reopened(self: Track, reopen: object = reopen, failing: type = Failing) -> None:
            reopen(self)  # type: ignore[operator]
            self.context = failing(self.context)

        with monkeypatch.context() as patch:
            patch.setattr(Track, "reopen", reopened)
            try:
                assert len(sampled(path, 8).frames) == 8 and raised
            except DECODER_ERRORS as escaped:
                raise AssertionError(f"{kind.__name__} escapes") from escaped


def test_messages_name_what_is_wrong(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as out:
        sound, cover = out.add_stream("aac", rate=44_100), out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        silence.rate, silence.pts = 44_100, 0
        out.mux([*cover.encode(picture), *cover.encode(), *sound.encode(silence), *sound.encode()])
    with pytest.raises(UnsupportedVideoError, match="no video stream, only audio, cover picture"):
        sampled(tmp_path / "song.mp4")

    movie = write(
        tmp_path / "fragments.mp4",
        Part(30, 1),
        muxer={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    ).read_bytes()
    start = movie.index(b"moof") - 4
    for segment in (movie[start:], b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix" + movie[start:]):
        with pytest.raises(UnsupportedVideoError, match="without its initialisation segment") as caught:
            sampled(segment)
        assert "damaged" not in str(caught.value)
        assert shows(sampled(movie[:start] + segment), 1), "as the message says, joined they are a video"


def test_malformed_data_is_no_disk_error_and_no_question_of_rights(tmp_path: Path) -> None:
    for number, kind in ((1, av.error.PermissionError), (5, av.error.OSError), (22, av.error.ArgumentError)):
        assert reason(kind(number, os.strerror(number))) == "malformed data"
    assert "does not decode" in reason(av.error.PatchWelcomeError(1, "Not yet implemented in FFmpeg"))
    good = write(tmp_path / "good.avi", Part(30, 1, "mpeg4"))

    class Complaining:
        """A container that FFmpeg calls an input/output error, though the file can be read."""

        def __iter__(self) -> Complaining:
            return self

        def __next__(self) -> object:
            raise av.error.OSError(5, "Input/output error")

    from vhash_sdk.video import Limits
    from vhash_sdk.video.sources import open_media
    from vhash_sdk.video.track import Track

    track = Track(open_media(good), Limits(), 1)
    track._packets = Complaining()  # type: ignore[assignment]
    assert track.read() is None
    good.unlink()
    track._packets = Complaining()  # type: ignore[assignment]
    with pytest.raises(SourceError, match="No such file"):
        track.read()


def test_failing_file_object_is_told_even_where_ffmpeg_ends_quietly(tmp_path: Path) -> None:
    data = write(tmp_path / "good.ts", Part(200, 1, width=320, height=240)).read_bytes()

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(data) // 2:
                raise TimeoutError("the server is gone")
            return super().read(size)

    with pytest.raises(SourceError, match="the server is gone"):
        sampled(Failing(data))


def test_broken_gifs(tmp_path: Path) -> None:
    data = write(tmp_path / "a.gif", Part(10, 1, "gif", "rgb8")).read_bytes()
    for broken in (data[:40], data[:800], data[:800] + b"\x2c" + b"\xff" * 400):
        with pytest.raises(DecodeError) as caught:
            sampled(broken)
        assert "not permitted" not in str(caught.value)


def _eight() -> tuple[object, object]:
    from vhash_sdk.spec import Resize, Sampling

    return Sampling("uniform", 8), Resize("exact", 32, 48)
