"""The packets' own word on restarts, against what encoders were told to do; nonsense does no harm."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.video_files import Case, make
from vhash_sdk.video.bitstream import INTRA_ONLY, Bitstream, bitstream

CODECS = ["h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp8", "vp9", "av1", "mjpeg", "theora"]


def read(case: Case, folder: Path) -> tuple[Bitstream, list[av.Packet]]:
    with av.open(str(make(case, folder))) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        bits = bitstream(stream.codec.canonical_name, context.extradata, context.field_order)
        return bits, [packet for packet in file.demux(stream) if packet.size]


def restarts(case: Case, folder: Path) -> list[int]:
    bits, packets = read(case, folder)
    return [i for i, packet in enumerate(packets) if packet.is_keyframe and bits.restarts(bytes(packet))]


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_restarts_are_where_the_encoder_put_them(suffix: str, tmp_path: Path) -> None:
    closed = "keyint=10:min-keyint=10:scenecut=0"
    x264 = {"x264-params": closed}
    assert restarts(Case("a", suffix, options=x264, frames=35), tmp_path) == [0, 10, 20, 30]
    opened = {"x264-params": closed + ":open-gop=1:bframes=2"}
    assert len(restarts(Case("b", suffix, options=opened, frames=35), tmp_path)) >= 3
    for open_gop in "01":
        x265 = {"x265-params": f"log-level=error:{closed}:open-gop={open_gop}:bframes=2"}
        case = Case(f"c{open_gop}", suffix, codec="libx265", options=x265, frames=35)
        assert len(restarts(case, tmp_path)) >= 3


def test_intra_refresh_restarts_only_at_its_start(tmp_path: Path) -> None:
    """Its recovery points take several frames to recover, so nothing but the first picture will do."""
    case = Case("refresh", options={"x264-params": "intra-refresh=1:keyint=12:bframes=0"}, frames=50)
    bits, packets = read(case, tmp_path)
    assert [i for i, packet in enumerate(packets) if bits.restarts(bytes(packet))] == [0]


def test_skipping_only_where_pictures_are_frames_and_layers_one(tmp_path: Path) -> None:
    x265 = "log-level=error:keyint=12"
    fields, layers = {"x264-params": "tff=1"}, {"x265-params": x265 + ":temporal-layers=3"}
    for case, skippable in (
        (Case("frames", frames=3), True),
        (Case("fields", frames=3, interlaced=True, options=fields), False),
        (Case("deep", frames=3, pixels="yuv444p10le"), True),
        (Case("frames", "ts", frames=3), True),
        (Case("fields", "ts", frames=3, interlaced=True, options=fields), False),
        (Case("one", codec="libx265", frames=3, options={"x265-params": x265}), True),
        (Case("layers", codec="libx265", frames=9, options=layers), False),
        (Case("vp9", "webm", codec="libvpx-vp9", frames=3), False),
    ):
        assert read(case, tmp_path)[0].skippable == skippable, case.name


def test_scaling_matrices_are_passed_over(tmp_path: Path) -> None:
    for matrix, name in (("jvt", "jvt"), ("flat", "flat")):
        options = {"x264-params": f"cqm={matrix}", "profile": "high"}
        assert read(Case(name, frames=3, options=options), tmp_path)[0].skippable


def test_hidden_frames_are_told_apart() -> None:
    """First bytes by RFC 6386, 9.1 and the VP9 specification, 7.2."""
    vp8, vp9 = bitstream("vp8", None, 0), bitstream("vp9", None, 0)
    for bits, first, shown, restart in (
        (vp8, 0b0001_0000, True, True),  # key frame
        (vp8, 0b0000_0000, False, False),  # hidden key frame
        (vp8, 0b0001_0001, True, False),
        (vp8, 0b0000_0001, False, False),  # alternate reference
        (vp9, 0b1000_0010, True, True),  # key frame
        (vp9, 0b1000_0000, False, False),  # hidden key frame
        (vp9, 0b1000_0110, True, False),
        (vp9, 0b1000_0100, False, False),  # alternate reference
        (vp9, 0b1000_1000, True, False),  # shows an existing frame
        (vp9, 0b1011_0001, True, True),  # key frame of profile 3: one bit later, 0 0 1 | 0
    ):
        data = bytes([first, 0, 0, 0])
        assert (bits.shown(data), bits.restarts(data)) == (shown, restart), bin(first)
    assert vp9.shown(bytes([0b1000_0100, 0, 0b110_00_000])), "a superframe shows its last frame"


@settings(deadline=None)
@given(st.sampled_from([*CODECS, *sorted(INTRA_ONLY)]), st.binary(max_size=80), st.binary(max_size=200))
def test_nonsense_does_no_harm(codec: str, extradata: bytes, data: bytes) -> None:
    for head in (b"", b"\x01", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x06", b"\x12\x00\x0a"):
        bits = bitstream(codec, head + extradata, 1)
        assert bits.restarts(head + data) in (True, False)
        assert bits.shown(head + data) in (True, False)
    bitstream(codec, None, 0).restarts(data)
