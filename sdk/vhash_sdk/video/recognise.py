"""Which container a file is, told by its first bytes, and what the others are that are refused."""

from __future__ import annotations

import struct

from ..errors import UnsupportedVideoError
from .bare import BARE, bare_stream
from .stills import still_demuxer

WEBP = "webp"
"""The only one that FFmpeg has no demuxer for, see ``video.webp``."""
CONTAINERS = {
    "mov": "MP4, MOV, 3GP, M4V",
    "matroska": "MKV, WebM",
    "avi": "AVI",
    "mpegts": "MPEG transport stream, M2TS",
    "mpeg": "MPEG program stream, VOB",
    "flv": "FLV",
    "asf": "WMV, ASF",
    "ogg": "OGV",
    "gif": "GIF",
    "apng": "APNG",
    "mxf": "MXF",
    "nut": "NUT",
    "ivf": "IVF",
    "yuv4mpegpipe": "Y4M",
    "rm": "RealMedia",
    "flic": "FLI, FLC",
    WEBP: "animated WebP",
    **BARE,
}
"""What is opened, by FFmpeg's name of the demuxer, with the file types that it stands for."""

HEAD = 1 << 16
"""Bytes to look at: an APNG says that it is one after its colour profile."""
_MAGIC = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"OggS", "ogg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
    (b"nut/multimedia container\0", "nut"),
    (b"DKIF", "ivf"),
    (b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (b"\0\0\x01\xba", "mpeg"),
    (b".RMF\0\0\0", "rm"),
)
_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx"))
_PNG = b"\x89PNG\r\n\x1a\n"
_IMAGES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\1\0\1\0",
    b"8BPS",
    b"\x76\x2f\x31\x01",
)
# of ISO 23008-12 and its registry: pictures, and sequences of pictures, which are tracks as in any MP4
_STILL_BRANDS = frozenset((*b"heic heix heim heis mif1 mif2 avif avci jpeg j2ki".split(), b"jxl ", b"jp2 "))
_SEQUENCE_BRANDS = frozenset(b"hevc hevx hevm hevs msf1 avis avcs jpgs j2is".split())


def recognise(head: bytes, name: str, *, stills: bool = False) -> str:
    """The demuxer for a file that begins with these bytes.

    Args:
        head: the first ``HEAD`` bytes, or all there are.
        name: how errors call the file.
        stills: take pictures too, as videos of one frame.

    Raises:
        UnsupportedVideoError: it is no container that is opened; the message says what it is.
    """
    for magic, demuxer in _MAGIC:
        if head.startswith(magic):
            return demuxer
    if head[4:8] in _BOXES and (stills or not is_still_mov(head)):
        return "mov"
    if head.startswith(_PNG) and _png_frames(head) > 1:
        return "apng"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2:  # animated
        return WEBP
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "avi"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and all(struct.unpack("<HHH", head[6:12].ljust(6, b"\0"))):
        return "flic"
    # transport stream: a sync byte every 188 bytes, with a 4-byte time code in M2TS (192)
    if len(head) >= 188 and any(
        all(head[at] == 0x47 for at in range(first, min(len(head), first + 5 * step), step))
        for first, step in ((0, 188), (4, 192), (0, 204))
    ):
        return "mpegts"
    if (bare := bare_stream(head)) is not None:
        return bare
    if stills and (picture := still_demuxer(head)) is not None:
        return picture
    raise UnsupportedVideoError(f"{name} {_refusal(head)}; accepted: {', '.join(CONTAINERS.values())}")


def is_still_mov(head: bytes) -> bool:
    """Whether a file of boxes holds a picture: by all its brands, of which the first one may mislead."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    return head[8:12] in _STILL_BRANDS and not brands & _SEQUENCE_BRANDS


def _png_frames(head: bytes) -> int:
    """How many frames a PNG says that it has; the chunk that says so comes before the picture."""
    at = len(_PNG)
    while at + 12 <= len(head) and (kind := head[at + 4 : at + 8]) != b"IDAT":
        if kind == b"acTL":
            return int.from_bytes(head[at + 8 : at + 12], "big")
        at += 12 + int.from_bytes(head[at : at + 4], "big")
    return 1


def _refusal(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"#extm3u"):
        return "is a playlist (M3U), which would make other files be opened: refused"
    if text.startswith((b"ffconcat", b"file ", b"file\t")):
        return "is a concat script, which would make other files be opened: refused"
    if text.startswith((b"<?xml", b"<mpd", b"<smil", b"[playlist]", b"v=0")):
        return "is a manifest or playlist, which would make other files be opened: refused"
    if is_still_mov(head) or still_demuxer(head) is not None:
        return (
            "is an image, not a video (`vhash add --pictures` or Limits(stills=True) takes it as one frame)"
        )
    if head.startswith(_IMAGES):
        return "is an image, not a video"
    if head.startswith((b"\0\0\x01\xb3", b"\0\0\0\x01", b"\0\0\x01")):
        return (
            "looks like a bare coded stream, without time stamps, but does not begin with the headers that "
            "decoding needs; put it into a container"
        )
    if head[:3] in (b"FWS", b"CWS", b"ZWS"):
        return "is a Flash programme (SWF), which draws its pictures by itself: convert what it plays"
    if head.startswith((b"ID3", b"fLaC", b"\xff\xfb")) or head[8:12] == b"WAVE":
        return "is audio, not a video"
    if not head.strip(b"\0"):
        return "starts with zero bytes"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head[:256]):
        return "is text, not a video"
    return "is no container that we know"
