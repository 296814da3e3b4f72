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

from .skeletons import descend, ebml, movie, within
from .ts import scrambled

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_HEAD = 1 << 20
_SAMPLE_AES = {0xDB: "H.264", 0xC7: "HEVC"}
_ASF = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_MXF = bytes.fromhex("0d010301027e0100")


def encryption(file: BinaryIO, demuxer: str, stream: VideoStream, number: int) -> str | None:
    """How the stream is encrypted, in words; None where it is not.

    Args:
        file: the source, to be read anywhere.
        demuxer: FFmpeg's name.
        stream: the stream in question.
        number: its place among the video streams.
    """
    if demuxer == "mov":
        return next((how for track, how in encrypted_tracks(file) if track == stream.id), None)
    if demuxer == "mpegts":
        kind = _stream_type(stream)
        if kind in _SAMPLE_AES:
            return f"HLS Sample-AES, {_SAMPLE_AES[kind]}"
        return "its transport packets are scrambled" if scrambled(file, stream.id) else None
    if demuxer == "matroska":
        flags = list(matroska_tracks(file))
        if "enc_key_id" in stream.metadata or (number < len(flags) and flags[number]):
            return "ContentEncryption"
        return None
    return marked(file, demuxer)


def marked(file: BinaryIO, demuxer: str) -> str | None:
    """How an ASF or MXF file says that it is encrypted; None where it does not."""
    file.seek(0)
    head = file.read(_HEAD) if demuxer in ("asf", "mxf") else b""
    if demuxer == "asf" and any(guid in head for guid in _ASF):
        return "Windows Media DRM"
    return "encrypted essence" if demuxer == "mxf" and _MXF in head else None


def _stream_type(stream: VideoStream) -> int:
    """What the programme map says about a stream (ISO 13818-1, table 2-34), which FFmpeg keeps as its tag."""
    try:
        return ord(stream.codec_context.codec_tag[:1] or "\0")
    except UnicodeDecodeError as error:  # PyAV takes the tag for ASCII
        return error.object[0]


def encrypted_tracks(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """(track id, how) of each encrypted video track of an MP4."""
    for track in within(movie(file), b"trak"):
        header = next(within(track, b"tkhd"), b"")
        at = 20 if header[:1] == b"\x01" else 12
        number = int.from_bytes(header[at : at + 4], "big")
        table = descend(track, b"mdia", b"minf", b"stbl", b"stsd")
        for name in (b"encv", b"drmi"):
            for entry in within(table[8:], name):
                # 78 bytes of a video sample entry, then its boxes
                scheme = descend(entry[78:], b"sinf", b"schm")[4:8].decode("latin-1")
                known = scheme if scheme.isalnum() else name.decode()
                yield number, f"Common Encryption, {known}" if name == b"encv" else "FairPlay"


def matroska_tracks(file: BinaryIO) -> Iterator[bool]:
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
