"""The stream that a person sees is the one that is coded; pieces are one video; ciphertext is none."""

from __future__ import annotations

import io
import re
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_files import Part, joined, scene, shifted, write
from vhash_sdk.errors import OptionError, UnsupportedVideoError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Clip, Limits, open_source, ts
from vhash_sdk.video.sources import open_media
from vhash_sdk.video.track import Track

pytestmark = pytest.mark.usefixtures("remembered")

SMALL = Resize("exact", 32, 48)


def sampled(source: object, count: int = 8, **options: int) -> Clip:
    with open_source(source, **options) as reader:  # type: ignore[arg-type]
        return reader.sample(Sampling("uniform", count), SMALL)


def shows(clip: Clip, seed: int) -> bool:
    """Whether the frames are of the scene of this seed, and not of another one."""
    whole = open_source(np.stack(list(scene(60, seed=seed)))).frames_at(np.arange(60.0), SMALL).frames
    return all(
        min(np.abs(whole.astype(int) - frame).mean(axis=(1, 2, 3))) < 35 for frame in clip.frames.astype(int)
    )


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
@pytest.mark.parametrize(
    ("first", "rule"),
    [
        (Part(1, 1, "mjpeg", "yuvj420p"), "one picture is no video"),
        (Part(2, 1, width=640, height=480), "neither are two large ones"),
        (Part(30, 1, width=48, height=32, default=False), "the default stream is taken"),
        (Part(20, 1, default=True), "of two equal ones the longer is taken"),
    ],
    ids=["cover", "motion_photo", "not_default", "short"],
)
def test_the_video_is_taken(suffix: str, first: Part, rule: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"two.{suffix}", first, Part(50, 2, default=True))
    clip = sampled(path)
    assert (clip.info.stream, clip.info.streams) == (1, 2), rule
    assert clip.info.duration == pytest.approx(2.0) and shows(clip, 2)
    assert "stream 1 of 2" in clip.info.notes()[0]
    other = sampled(path, stream=0)
    assert other.info.stream == 0 and (first.width != 96 or shows(other, 1))
    with pytest.raises(UnsupportedVideoError, match="no video stream 2; it has 0 to 1"):
        sampled(path, stream=2)
    with pytest.raises(OptionError, match="stream=-1"):
        sampled(path, stream=-1)


def test_a_long_default_stream_of_two_pictures_is_no_video(tmp_path: Path) -> None:
    path = write(tmp_path / "shot.mov", Part(2, 1, default=True, rate=1), Part(50, 2, default=False))
    assert sampled(path).info.stream == 1


def test_equal_streams_are_told_by_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "two.ts", Part(50, 1), Part(52, 2))
    assert sampled(path).info.stream == 0, "four hundredths longer is not longer"


def test_sequence_beside_its_still_item(tmp_path: Path) -> None:
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no encoder for AV1")
    path = write(tmp_path / "animated.avif", Part(20, 1, "libsvtav1", rate=8), format="avif")
    data = path.read_bytes()
    assert data[8:12] == b"avis"
    with av.open(str(path)) as read:
        assert read.streams.video[0].frames == 1, "FFmpeg lists the item first"
    clip = sampled(path)
    assert clip.info.duration == pytest.approx(2.5) and clip.info.stream == 1 and len(set(clip.times)) == 8


def test_stream_reaches_encoder_and_workers(tmp_path: Path) -> None:
    from vhash_sdk import Encoder

    path = write(tmp_path / "two.mkv", Part(50, 1), Part(50, 2))
    alone = [write(tmp_path / f"{seed}.mkv", Part(50, seed)) for seed in (1, 2)]
    with Encoder() as encoder:
        codes = [encoder.encode(file) for file in alone]
        assert [encoder.encode(path, stream=number) for number in (0, 1)] == codes
        for isolate in (False, True):
            (result,) = encoder.encode_many([path], stream=1, isolate=isolate)
            assert result.code == codes[1] and result.info is not None and result.info.stream == 1


# Pieces


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pieces")
    for suffix, codec in (("ts", "libx264"), ("flv", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video")):
        for seed in (1, 2, 3):
            write(folder / f"{seed}.{suffix}", Part(40 + 10 * seed, seed, codec))
    for seed in (1, 2, 3):
        if "libvpx" in av.codecs_available:
            write(folder / f"{seed}.ogv", Part(40 + 10 * seed, seed, "libvpx"), format="ogg")
    return folder


def in_order(clip: Clip, *parts: tuple[int, int]) -> None:
    """The first sampled frames are of the first scene, and so on."""
    at = 0
    for seed, count in parts:
        part = clip.frames[at : at + count]
        assert shows(Clip(part, clip.times[at : at + count], clip.info), seed), f"frames {at} on"
        at += count


@pytest.mark.parametrize("suffix", ["ts", "flv", "mkv", "mpg", "ogv"])
def test_appended_files_are_one_video(suffix: str, pieces: Path) -> None:
    if not (pieces / f"1.{suffix}").exists():
        pytest.skip("this PyAV has no encoder for it")
    path = joined(pieces / f"all.{suffix}", *(pieces / f"{seed}.{suffix}" for seed in (2, 1, 3)))
    for source in (path, path.read_bytes()):
        clip = sampled(source, 18)
        assert clip.info.duration == pytest.approx(7.2, abs=0.1) and clip.info.jumps == 2
        in_order(clip, (2, 6), (1, 5), (3, 7))
        assert "jump 2 times" in clip.info.notes()[0]
    with path.open("rb") as file:
        assert np.array_equal(sampled(file, 18).frames, clip.frames)
    again = open_source(path)
    for _ in range(2):
        assert np.array_equal(again.sample(Sampling("uniform", 18), SMALL).frames, clip.frames)
    middle = again.sample(Sampling("middle", 10), SMALL)
    assert shows(middle, 1) and len(set(middle.times)) >= 9, "of a programme stream FFmpeg guesses times"


def test_appended_files_may_differ_in_their_streams(pieces: Path, tmp_path: Path) -> None:
    """The second file has its picture in another place than the first: behind a cover."""
    other = write(tmp_path / "cover.mkv", Part(1, 5, "mjpeg", "yuvj420p"), Part(60, 2))
    path = joined(tmp_path / "all.mkv", pieces / "1.mkv", other)
    with open_source(path) as reader:
        for _ in range(2):  # the second time from the first file again
            clip = reader.sample(Sampling("uniform", 10), SMALL)
            in_order(clip, (1, 5), (2, 5))
        assert (reader.info.stream, reader.info.streams) == (0, 1)


@pytest.mark.parametrize("hours", [-1, 1, 20])
def test_a_gap_is_not_picture(hours: int, pieces: Path, tmp_path: Path) -> None:
    first, last = pieces / "1.ts", pieces / "2.ts"
    if hours > 0:
        last = shifted(last, tmp_path / "late.ts", 3600 * hours)
    else:
        first = shifted(first, tmp_path / "late.ts", 3600)
    clip = sampled(joined(tmp_path / "gap.ts", first, last), 11)
    assert clip.info.duration == pytest.approx(4.4, abs=0.1) and clip.info.jumps == 1
    in_order(clip, (1, 5), (2, 6))


def test_wrapped_times_are_no_jump(pieces: Path, tmp_path: Path) -> None:
    """The clock of a transport stream has 33 bits, so it begins anew after 26.5 hours."""
    clip = sampled(pieces / "3.ts")
    late = shifted(pieces / "3.ts", tmp_path / "late.ts", (1 << 33) // 90_000 - 2)
    wrapped = sampled(late)
    assert wrapped.info.jumps == 0 and wrapped.info.duration == pytest.approx(clip.info.duration)
    assert np.array_equal(wrapped.frames, clip.frames)


def test_a_jump_in_a_large_stream_is_found(pieces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts, "_WHOLE", 4096)
    monkeypatch.setattr(ts, "_PLACES", 8)
    monkeypatch.setattr(ts, "_PLACE", 6000)
    path = joined(pieces / "large.ts", *(pieces / f"{seed}.ts" for seed in (1, 2)))
    with path.open("rb") as file:
        assert ts.jumps(file, 256)
    with (pieces / "3.ts").open("rb") as file:
        assert not ts.jumps(file, 256)


def test_one_piece_has_no_notes(pieces: Path) -> None:
    for suffix in ("ts", "flv", "mkv", "mpg"):
        info = sampled(pieces / f"1.{suffix}").info
        assert info.jumps == 0 and info.notes() == ()


def test_stream_that_appears_in_the_middle(pieces: Path, tmp_path: Path) -> None:
    """PyAV's demuxer asks for a stream that it has not wrapped, and raises IndexError at the end."""
    other = write(tmp_path / "other.ts", Part(30, 4), muxer={"mpegts_start_pid": "0x200"})
    path = joined(tmp_path / "late.ts", pieces / "1.ts", other)
    for _ in range(5):
        clip = sampled(path, 16)
        assert clip.info.duration == pytest.approx(3.2, abs=0.1) and clip.info.jumps == 1
        in_order(clip, (1, 10), (4, 6))
    beside = write(tmp_path / "beside.ts", Part(50, 1), Part(50, 2))
    with beside.open("rb") as file:
        assert ts.takeovers(file) == []


def test_index_error_of_the_library_is_not_the_file_s(pieces: Path) -> None:
    track = Track(open_media(io.BytesIO((pieces / "1.ts").read_bytes())), Limits(), 1)

    def broken() -> object:
        raise IndexError("list index out of range")
        yield

    track._packets = broken()  # type: ignore[assignment]
    assert track.read() is None


# Encryption


@pytest.mark.parametrize("fragmented", [False, True])
def test_common_encryption_is_refused(fragmented: bool, tmp_path: Path) -> None:
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    if fragmented:
        options["movflags"] = "frag_keyframe+empty_moov"
    path = write(tmp_path / "cenc.mp4", Part(30, 1), muxer=options)
    for source in (path, path.read_bytes()):
        with pytest.raises(UnsupportedVideoError, match=r"encrypted \(Common Encryption, cenc\)"):
            sampled(source)


def test_clear_video_beside_something_encrypted_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "clear.mp4", Part(30, 1))
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    box = b"\0\0\0\x20pssh" + bytes(24)
    (tmp_path / "pssh.mp4").write_bytes(data + box)
    assert at > 0 and shows(sampled(tmp_path / "pssh.mp4"), 1), "a key for something else"
    mixed = write(
        tmp_path / "mixed.mov", Part(30, 1, default=True), Part(30, 2, default=False, width=48, height=32)
    )
    data = mixed.read_bytes()
    at = data.rindex(b"avc1", data.index(b"moov"))
    mixed.write_bytes(data[:at] + b"encv" + data[at + 4 :])
    assert shows(sampled(mixed), 1)
    with pytest.raises(UnsupportedVideoError, match="encrypted"):
        sampled(mixed, stream=1)


def test_sample_aes_and_scrambled_transport_streams_are_refused(pieces: Path, tmp_path: Path) -> None:
    data = bytearray((pieces / "1.ts").read_bytes())
    for at in range(0, len(data), 188):
        if data[at + 1 : at + 3] == b"\x40\x11" or data[at + 1] & 0x1F == 0x01:
            data[at + 3] |= 0x80
    (tmp_path / "scrambled.ts").write_bytes(data)
    with pytest.raises(UnsupportedVideoError, match=r"encrypted \(its transport packets are scrambled\)"):
        sampled(tmp_path / "scrambled.ts")
    path = tmp_path / "sample_aes.ts"
    path.write_bytes(_with_stream_type((pieces / "1.ts").read_bytes(), 0xDB))
    with pytest.raises(UnsupportedVideoError, match=r"encrypted \(HLS Sample-AES, H.264\)"):
        sampled(path)


def test_a_matroska_file_of_many_tracks_is_walked_once() -> None:
    """Elements that claim more than their parent holds made every one of them walk the whole rest."""
    from vhash_sdk.video.skeletons import ebml

    inner = b"\xae\x08\x00\x00\x00\x7f\xff\xff\xff\xff" + b"\xec\x80" * 50
    assert [e.end for e in ebml(io.BytesIO(inner), 0, 20)] == [20]  # of the 127 bytes that it claims
    assert all(e.start <= e.end <= 20 for e in ebml(io.BytesIO(b"\xae\xff" + b"\xec\x90" * 50), 0, 20))


def _with_stream_type(data: bytes, kind: int) -> bytes:
    """The programme map of a transport stream says that its video is of another type."""
    out = bytearray(data)
    for at in range(0, len(out), 188):
        section = at + 5
        if (out[at + 1] & 0x1F) << 8 | out[at + 2] == 0x1000 and out[section] == 2:
            length = (out[section + 1] & 15) << 8 | out[section + 2]
            first = section + 12 + ((out[section + 10] & 15) << 8 | out[section + 11])
            out[first] = kind
            out[section + 3 + length - 4 : section + 3 + length] = _crc(out[section : section + length - 1])
    return bytes(out)


def _crc(data: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            top = (value >> 31) ^ (byte >> bit & 1)
            value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return value.to_bytes(4, "big")


def test_encrypted_matroska_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "clear.mkv", Part(30, 1), muxer={"live": "1"})
    data = path.read_bytes()
    # ContentEncodings of one ContentEncoding of type 1 with a ContentEncryption by AES
    inner = b"\x50\x33\x81\x01" + b"\x50\x35\x84" + b"\x47\xe1\x81\x05"
    encoding = b"\x62\x40" + bytes([0x80 | len(inner)]) + inner
    encodings = b"\x6d\x80" + bytes([0x80 | len(encoding)]) + encoding
    place = re.search(rb"(?<!\x53\xab\x84)\x16\x54\xae\x6b", data)  # itself, not what the index says of it
    assert place is not None
    tracks = place.start()
    entry = tracks + 4 + 9 - data[tracks + 4].bit_length()
    entry += 6 if data[entry] == 0xBF else 0  # a checksum, in whose bytes anything may stand
    assert data[entry] == 0xAE

    def longer(at: int, width: int) -> bytes:
        number = int.from_bytes(data[at : at + width], "big") + len(encodings)
        return number.to_bytes(width, "big")

    width, inside = 9 - data[tracks + 4].bit_length(), 9 - data[entry + 1].bit_length()
    path.write_bytes(
        data[: tracks + 4] + longer(tracks + 4, width) + data[tracks + 4 + width : entry + 1]
        + longer(entry + 1, inside) + encodings + data[entry + 1 + inside :]
    )  # fmt: skip
    with pytest.raises(UnsupportedVideoError, match="encrypted"):
        sampled(path)


def test_commands_say_which_stream_and_take_another(tmp_path: Path) -> None:
    import json

    from typer.testing import CliRunner

    from vhash_sdk.cli.app import app

    path = write(tmp_path / "two.mkv", Part(50, 1), Part(50, 2))
    codes = []
    for options in ([], ["--stream", "1"]):
        said = CliRunner().invoke(app, ["encode", str(path), "--json", *options])
        (video,) = json.loads(said.stdout)["videos"]
        assert said.exit_code == 0 and f"stream {len(codes)} of 2" in video["notes"][0]
        codes.append(video["code"])
    assert codes[0] != codes[1]
    text = CliRunner().invoke(app, ["encode", str(path)])
    assert "stream 0 of 2 was taken; --stream N takes another" in text.output
    added = CliRunner().invoke(app, ["add", str(tmp_path / "library"), str(path)])
    assert "stream 0 of 2 was taken" in added.output and "added, with a remark: 1" in added.output
