"""Whether a video stream is encrypted: then its packets decode to noise that looks like a picture.

* MP4: the sample entry is ``encv`` (ISO 23001-7: cenc, cbcs and the like) or ``drmi`` (FairPlay).
* MPEG-TS: stream type 0xDB or 0xC7 (HLS Sample-AES), or packets with scrambling bits (DVB-CSA).
* Matroska: a ContentEncryption of the track.
* ASF: the (extended) content encryption object; MXF: encrypted triplets.

What is encrypted beside the video is of no interest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from .boxes import boxes, ebml
from .ts import scrambled

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_HEAD = 1 << 20
_MOST = 64 << 20  # no header is larger
_SAMPLE_AES = {0xDB: "H.264", 0xC7: "HEVC"}
_ASF = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_MXF = bytes.fromhex("0d0103 01027e0100".replace(" ", ""))


def encryption(file: BinaryIO, demuxer: str, stream: VideoStream, number: int) -> str | None:
    """How the stream is encrypted, in words; None where it is not.

    Args:
        file: the source, to be read anywhere.
        demuxer: FFmpeg's name.
        stream: the stream in question.
        number: its place among the video streams.
    """
    if demuxer == "mov":
        return next((how for track, how in _tracks(file) if track == stream.id), None)
    if demuxer == "mpegts":
        kind = _stream_type(stream)
        if kind in _SAMPLE_AES:
            return f"HLS Sample-AES, {_SAMPLE_AES[kind]}"
        return "its transport packets are scrambled" if scrambled(file, stream.id) else None
    if demuxer == "matroska":
        flags = list(_matroska(file))
        if "enc_key_id" in stream.metadata or (number < len(flags) and flags[number]):
            return "ContentEncryption"
        return None
    if demuxer in ("asf", "mxf"):
        file.seek(0)
        head = file.read(_HEAD)
        if demuxer == "asf" and any(guid in head for guid in _ASF):
            return "Windows Media DRM"
        if demuxer == "mxf" and _MXF in head:
            return "encrypted essence"
    return None


def _stream_type(stream: VideoStream) -> int:
    """What the programme map says about a stream (ISO 13818-1, table 2-34), which FFmpeg keeps as its tag."""
    try:
        return ord(stream.codec_context.codec_tag[:1] or "\0")
    except UnicodeDecodeError as error:  # PyAV takes the tag for ASCII
        return error.object[0]


def _tracks(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """(track id, how) of each encrypted video track of an MP4."""
    for kind, start, end in boxes(file):
        if kind == b"moov" and end - start <= _MOST:
            file.seek(start)
            moov = file.read(end - start)
            for track in _within(moov, b"trak"):
                header = next(_within(track, b"tkhd"), b"")
                at = 20 if header[:1] == b"\x01" else 12
                number = int.from_bytes(header[at : at + 4], "big")
                table = _descend(track, b"mdia", b"minf", b"stbl", b"stsd")
                for name in (b"encv", b"drmi"):
                    for entry in _within(table[8:], name):
                        # 78 bytes of a video sample entry, then its boxes
                        scheme = _descend(entry[78:], b"sinf", b"schm")[4:8].decode("latin-1")
                        known = scheme if scheme.isalnum() else name.decode()
                        yield number, f"Common Encryption, {known}" if name == b"encv" else "FairPlay"


def _within(data: bytes, wanted: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        if data[at + 4 : at + 8] == wanted:
            yield data[at + head : at + size]
        at += size


def _descend(data: bytes, *path: bytes) -> bytes:
    for name in path:
        data = next(_within(data, name), b"")
    return data


def _matroska(file: BinaryIO) -> Iterator[bool]:
    """For each video track of a Matroska file whether it is encrypted."""
    for segment in ebml(file, 0, None):
        if segment.id != 0x18538067:
            continue
        for part in ebml(file, segment.start, segment.end):
            if part.id == 0x1F43B675:  # clusters: the tracks come before them
                return
            if part.id != 0x1654AE6B:
                continue
            for track in ebml(file, part.start, part.end):
                elements = list(ebml(file, track.start, track.end))
                types = [element for element in elements if element.id == 0x83]
                if types and types[0].number(file) == 1:
                    yield any(
                        inner.id == 0x5035
                        for encodings in elements
                        if encodings.id == 0x6D80
                        for encoding in ebml(file, encodings.start, encodings.end)
                        for inner in ebml(file, encoding.start, encoding.end)
                    )
            return
