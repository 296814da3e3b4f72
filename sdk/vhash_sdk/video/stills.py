"""Picture files: which kinds are read, how large their picture is, and whether all of it is there.

A picture is a video of one frame: FFmpeg's demuxers of single pictures open it, and everything after that is
as for any video. FFmpeg tells the size of most of them only when it has decoded them, so that it is
read here, before any decoder is begun.

Sources: ITU-T T.81 (JPEG), the PNG specification, RFC 9649 (WebP), TIFF 6.0, ISO/IEC 23008-12 (HEIF).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..errors import UnsupportedVideoError
from .skeletons import boxes, children

STILLS = {
    "jpeg_pipe": "JPEG",
    "png_pipe": "PNG",
    "webp_pipe": "WebP",
    "bmp_pipe": "BMP",
    "tiff_pipe": "TIFF",
}
"""What is opened as a picture, by FFmpeg's name of the demuxer; HEIC and AVIF are read as MP4 is."""
FRAME_SECONDS = 0.04
"""How long a picture is taken to last: one frame of FFmpeg's usual rate."""
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_SEGMENTS = 4096  # of a JPEG, and entries of a TIFF, that are looked at
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_MOST_JPEG = 256 << 20
_CODED = frozenset((b"hvc1", b"av01", b"avc1", b"jpeg"))
_WIDTHS = {1: "B", 3: "H", 4: "I"}
_MOST_META = 16 << 20


def still_demuxer(head: bytes) -> str | None:
    """FFmpeg's demuxer for a picture that begins with these bytes; None where none of those is its.

    >>> still_demuxer(bytes.fromhex("ffd8ffe0")), still_demuxer(b"BM, a text")
    ('jpeg_pipe', None)
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg_pipe"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png_pipe"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp_pipe"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp_pipe"
    # a raw photo of Canon's begins as a TIFF, whose first picture is its thumbnail
    if head[:4] in (b"II*\0", b"MM\0*") and head[8:10] != b"CR":
        return "tiff_pipe"
    return None


def still_size(file: BinaryIO, demuxer: str, name: str) -> tuple[int, int] | None:
    """(width, height) as stored, by the file's own headers; None where they do not tell.

    Raises:
        UnsupportedVideoError: what would be decoded is not the picture that a person sees.
    """
    try:
        if demuxer == "mov":
            return _heif(file, name)
        return _SIZES[demuxer](file, name)
    except (struct.error, IndexError, ValueError, KeyError):
        return None


def still_promise(file: BinaryIO, size: int, demuxer: str) -> int:
    """Bytes that a picture file of this size has at least, by its own word, or 0; see ``completeness``."""
    return _PROMISES[demuxer](file, size)


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _jpeg(file: BinaryIO, name: str) -> tuple[int, int] | None:
    for kind, start, _ in _jpeg_segments(file):
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", _at(file, start + 1, 4))
            return (width, height) if height else None  # none: it follows the picture (DNL)
    return None


def _jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """(marker, start of its content, end) up to the start of the first scan, that included."""
    at = 2
    for _ in range(_SEGMENTS):
        head = _at(file, at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] == 0xFF or head[1] in _BARE:  # filling
            at += 1 if head[1] == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(head[2:], "big")
        yield head[1], at + 4, end
        if head[1] in (0xDA, 0xD9):
            return
        at = end


def _png(file: BinaryIO, name: str) -> tuple[int, int]:
    width, height = struct.unpack(">II", _at(file, 16, 8))
    return width, height


def _webp(file: BinaryIO, name: str) -> tuple[int, int]:
    head = _at(file, 12, 18)
    if head[:4] == b"VP8X":
        return 1 + int.from_bytes(head[12:15], "little"), 1 + int.from_bytes(head[15:18], "little")
    if head[:4] == b"VP8L":
        bits = int.from_bytes(head[9:13], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", head[14:18])
    return width & 0x3FFF, height & 0x3FFF


def _bmp(file: BinaryIO, name: str) -> tuple[int, int]:
    head = _at(file, 14, 12)
    if head[0] == 12:
        width, height = struct.unpack("<HH", head[4:8])
        return width, height
    width, height = struct.unpack("<ii", head[4:12])
    return abs(width), abs(height)


def _tiff(file: BinaryIO, name: str) -> tuple[int, int]:
    tags = _tiff_tags(file)
    if tags.get(254, [0])[0] & 1:
        raise UnsupportedVideoError(
            f"{name} is a raw photo, whose first picture is only a thumbnail; convert it, e.g. to JPEG"
        )
    return tags[256][0], tags[257][0]


def _tiff_tags(file: BinaryIO) -> dict[int, list[int]]:
    """The numbers of the first directory, by their tags."""
    order = "<" if _at(file, 0, 2) == b"II" else ">"
    (place,) = struct.unpack(f"{order}I", _at(file, 4, 4))
    (count,) = struct.unpack(f"{order}H", _at(file, place, 2))
    entries = _at(file, place + 2, 12 * min(count, _SEGMENTS))
    found = {}
    for at in range(0, len(entries) - 11, 12):
        tag, kind, many = struct.unpack_from(f"{order}HHI", entries, at)
        if kind not in _WIDTHS or many > 1 << 20:
            continue
        code = f"{order}{many}{_WIDTHS[kind]}"
        size = struct.calcsize(code)
        (elsewhere,) = struct.unpack_from(f"{order}I", entries, at + 8)
        data = entries[at + 8 : at + 8 + size] if size <= 4 else _at(file, elsewhere, size)
        found[tag] = list(struct.unpack(code, data))
    return found


def _heif(file: BinaryIO, name: str) -> tuple[int, int] | None:
    """The size of the primary item is FFmpeg's to tell; a picture put together of tiles is refused."""
    for kind, start, end in boxes(file):
        if kind == b"meta" and end - start <= _MOST_META:
            meta = _at(file, start + 4, end - start - 4)
            break
    else:
        return None
    parts = dict(children(meta))
    primary = parts[b"pitm"]
    wanted = int.from_bytes(primary[4 : 6 if primary[0] == 0 else 8], "big")
    for kind, item in children(parts[b"iinf"][6 if parts[b"iinf"][0] == 0 else 8 :]):
        width = 2 if item[0] == 2 else 4
        if kind == b"infe" and item[0] >= 2 and int.from_bytes(item[4 : 4 + width], "big") == wanted:
            coded = item[6 + width : 10 + width]
            if coded not in _CODED:
                raise UnsupportedVideoError(
                    f"{name} is an image put together of tiles or layers (HEIF {coded.decode('latin')}), "
                    "of which FFmpeg would give one; convert it, e.g. to JPEG"
                )
    return None


def _jpeg_promise(file: BinaryIO, size: int) -> int:
    scan = next((end for kind, _, end in _jpeg_segments(file) if kind == 0xDA), None)
    if scan is None or size > _MOST_JPEG:
        return size + 1 if scan is None else 0
    return 0 if b"\xff\xd9" in _at(file, scan, size - scan) else size + 1


def _png_promise(file: BinaryIO, size: int) -> int:
    at = 8
    while at < size:
        head = _at(file, at, 8)
        at += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return at
    return max(at, size + 1)


def _webp_promise(file: BinaryIO, size: int) -> int:
    return 8 + int.from_bytes(_at(file, 4, 4), "little")


def _tiff_promise(file: BinaryIO, size: int) -> int:
    tags = _tiff_tags(file)
    for places, lengths in ((273, 279), (324, 325)):  # strips, tiles
        if places in tags and len(tags[places]) == len(tags.get(lengths, ())):
            return max(map(sum, zip(tags[places], tags[lengths], strict=True)))
    return 0


def _bmp_promise(file: BinaryIO, size: int) -> int:
    head = _at(file, 0, 34)
    (start,) = struct.unpack_from("<I", head, 10)
    if head[14] == 12 or int.from_bytes(head[30:34], "little") not in (0, 3):  # compressed
        return int(start) + 1
    width, height = _bmp(file, "")
    row = (width * int.from_bytes(head[28:30], "little") + 31) // 32 * 4
    return int(start) + row * height


def _heif_promise(file: BinaryIO, size: int) -> int:
    at = 0
    while at < size:
        head = _at(file, at, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # to the end, or no box
            return 0
        at += length
    return at


_SIZES: dict[str, Callable[[BinaryIO, str], tuple[int, int] | None]] = {
    "jpeg_pipe": _jpeg,
    "png_pipe": _png,
    "webp_pipe": _webp,
    "bmp_pipe": _bmp,
    "tiff_pipe": _tiff,
}
_PROMISES: dict[str, Callable[[BinaryIO, int], int]] = {
    "jpeg_pipe": _jpeg_promise,
    "png_pipe": _png_promise,
    "webp_pipe": _webp_promise,
    "bmp_pipe": _bmp_promise,
    "tiff_pipe": _tiff_promise,
    "mov": _heif_promise,
}
