"""Whether a file is all there: what its container promises against what there is.

A file that was cut off (a download that stopped, a full disk) often plays, only not to its end. It
must not pass as whole. Only what a container says outright is held against it: where its samples,
its segments or its index lie; frames that stop in the middle or were never written. Containers that
promise nothing (transport streams, what was streamed without a length) are taken as they are.

Sources: ISO/IEC 14496-12 (MP4), RFC 9559 (Matroska), OpenDML AVI 1.02, the ASF specification, RFC
3533 (Ogg), SMPTE ST 377-1 (MXF), Adobe Flash Video 10.1.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from .mp4_tables import samples_end
from .recognise import WEBP
from .stills import still_promise

if TYPE_CHECKING:
    from .sources import Media
    from .track import Track

_BLOCKS = 200_000  # looked at, of the outermost level
_LARGEST_MOOV = 1 << 28
_PARTIAL = frozenset(("avi", "flv", "ivf", "mov", "nut", "yuv4mpegpipe"))
"""Demuxers of FFmpeg that mark a packet of which the file holds only a part, and no other."""
_NEVER_ZERO = frozenset(("flv", "mpeg", "mpegts", "ogg"))
"""Demuxers of formats in which something begins anew long before so many zeros."""
_EMPTY = 1 << 16
_FLV_MISSING = 0.25  # seconds of an FLV file's word that are more than its last frame's own
_LEVEL_1 = {
    b"\x11\x4d\x9b\x74",  # SeekHead
    b"\x15\x49\xa9\x66",  # Info
    b"\x16\x54\xae\x6b",  # Tracks
    b"\x1f\x43\xb6\x75",  # Cluster
    b"\x1c\x53\xbb\x6b",  # Cues
    b"\x12\x54\xc3\x67",  # Tags
    b"\x10\x43\xa7\x70",  # Chapters
    b"\x19\x41\xa4\x69",  # Attachments
}
_SEGMENT = b"\x18\x53\x80\x67"
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def damage(track: Track, end: int) -> str | None:
    """What is wrong with the file of a track that has just been read to its end; None: nothing is known.

    Args:
        track: the video.
        end: of its last frame, in ticks.
    """
    last, media = track.last, track.media
    if found := blanks(track) or cut_off(media):
        return found
    if last is not None and last.is_corrupt and media.demuxer in _PARTIAL:
        return "cut off: its last frame is not complete"
    declared = track.declared_end()
    short = declared is not None and declared - end > track.ticks(1) and end < 0.95 * declared
    if (short or media.demuxer in _NEVER_ZERO) and _ends_empty(media):
        return "damaged: its end is empty, as of a download that stopped"
    return None


def blanks(track: Track) -> str | None:
    """Whether frames that were read so far hold nothing."""
    return (
        f"damaged: {track.blank} of the frames read are empty; parts of it are missing"
        if track.blank
        else None
    )


def _ends_empty(media: Media) -> bool:
    try:
        with media.raw() as file:
            size = file.seek(0, 2)
            return size > 2 * _EMPTY and not any(_at(file, size - _EMPTY, _EMPTY))
    except (OSError, ValueError):
        return False


def cut_off(media: Media) -> str | None:
    """What is missing at the end of a file by its container's own word, found without decoding."""
    look = partial(still_promise, demuxer=media.demuxer) if media.still else _PROMISES.get(media.demuxer)
    if look is None:
        return None
    try:
        with media.raw() as file:
            size = file.seek(0, 2)
            promised = look(file, size)
    except (
        OSError,
        ValueError,
        ArithmeticError,
        IndexError,
        struct.error,
    ):  # nothing that could be relied on
        return None
    return f"cut off: {size} of at least {promised} bytes are there" if promised > size else None


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


# Each takes a file and its size, and gives the size that it promises at least, or 0.


def _mp4(file: BinaryIO, size: int) -> int:
    promised, fragments, index_end = 0, False, 0
    kind, end = b"", 0
    for kind, start, end in _boxes(file, size):
        if kind == b"moov":
            if end > size:
                return end
            if end - start <= _LARGEST_MOOV:
                promised = max(promised, samples_end(_at(file, start, end - start)))
        elif kind == b"sidx":
            index_end = max(index_end, _sidx_end(_at(file, start, min(end - start, 1 << 20)), end))
        fragments = fragments or kind == b"moof"
    if fragments:  # samples are in the boxes, so the last one counts; before that a table says more
        promised = max(promised, index_end, end if kind in (b"moof", b"mdat") else 0)
    return promised


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of its content, end) of the outermost boxes."""
    at = 0
    for _ in range(_BLOCKS):
        head = _at(file, at, 16)
        if len(head) < 8:
            return
        length, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1 and len(head) == 16:
            length, header = int.from_bytes(head[8:], "big"), 16
        elif length == 0:
            length = size - at
        if length < header or not all(32 <= letter < 127 for letter in kind):
            return
        yield kind, at + header, at + length
        at += length


def _sidx_end(box: bytes, after: int) -> int:
    """Where the last of the pieces that a segment index names ends."""
    if len(box) < 24:
        return 0
    wide = box[0] > 0
    first = int.from_bytes(box[20:28] if wide else box[16:20], "big")
    at = 28 if wide else 20
    (count,) = struct.unpack_from(">H", box, at + 2)
    sizes = (int.from_bytes(box[at + 4 + 12 * i : at + 8 + 12 * i], "big") & 0x7FFFFFFF for i in range(count))
    return after + first + sum(sizes)


def _matroska(file: BinaryIO, size: int) -> int:
    _, start, length = _element(file, 0)
    name, start, length = _element(file, start + (length or 0))
    if name != _SEGMENT:
        return 0
    if length:
        return start + length
    end, at = 0, start  # of unknown length, as one that is written to a pipe
    for _ in range(_BLOCKS):
        name, start, length = _element(file, at)
        if length is None or (name not in _LEVEL_1 and name not in (b"\xec", b"\xbf")):
            break
        end = at = start + length
    return end


def _element(file: BinaryIO, at: int) -> tuple[bytes, int, int | None]:
    """(id, start of its content, length or None for unknown) of an EBML element."""
    head = _at(file, at, 12)
    if len(head) < 2 or not head[0]:
        return b"", at, None
    named = 9 - head[0].bit_length()
    rest = head[named:]
    if not rest or not rest[0]:
        return b"", at, None
    width = 9 - rest[0].bit_length()
    value = int.from_bytes(rest[:width], "big") & ((1 << 7 * width) - 1)
    if len(rest) < width:
        return b"", at, None
    known = value != (1 << 7 * width) - 1
    return head[:named], at + named + width, value if known else None


def _avi(file: BinaryIO, size: int) -> int:
    promised, at = 0, 0
    for _ in range(1000):  # one RIFF for each GiB
        head = _at(file, at, 12)
        length = int.from_bytes(head[4:8], "little")
        if len(head) < 12 or head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        for kind, start, end in _chunks(file, at + 12, at + 8 + length):
            promised = max(promised, end)
            if kind == b"hdrl" and end <= size:
                for name, begin, stop in _chunks(file, start, end):
                    if name == b"strl":
                        promised = max(promised, _super_index_end(file, begin, min(stop, end)))
        at += 8 + length + length % 2
    return promised


def _chunks(file: BinaryIO, at: int, until: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, or that of a list, start of its content, end) of RIFF chunks; none of unknown length."""
    for _ in range(1000):
        head = _at(file, at, 12)
        length = int.from_bytes(head[4:8], "little")
        if at + 8 > until or len(head) < 8 or length == 0xFFFFFFFF:
            return
        listed = head[:4] == b"LIST"
        if listed and length < 4:
            return
        yield (head[8:12] if listed else head[:4]), at + (12 if listed else 8), at + 8 + length
        at += 8 + length + length % 2


def _super_index_end(file: BinaryIO, at: int, until: int) -> int:
    """Where the last piece of an index ends, by an OpenDML index of indexes."""
    ends = [0]
    for kind, start, stop in _chunks(file, at, until):
        if kind == b"indx":
            box = _at(file, start, max(0, min(stop, until, start + (1 << 16)) - start))
            if len(box) >= 24 and box[3] == 0 and struct.unpack_from("<H", box)[0] == 4:
                count = min(struct.unpack_from("<I", box, 4)[0], (len(box) - 24) // 16)
                entries = [struct.unpack_from("<QI", box, 24 + 16 * i) for i in range(count)]
                ends += [offset + length for offset, length in entries if offset]
    return max(ends)


def _flv(file: BinaryIO, size: int) -> int:
    head = _at(file, 0, 1 << 16)
    promised, duration = (_flv_number(head, name) for name in (b"filesize", b"duration"))
    (length,) = struct.unpack(">I", _at(file, size - 4, 4))
    tag = _at(file, size - 4 - length, 8) if 11 <= length < size else b""
    if len(tag) == 8 and tag[0] in (8, 9, 18) and int.from_bytes(tag[1:4], "big") == length - 11:
        # It ends with a whole tag, so its size may be that of another file before it was edited.
        time = int.from_bytes(tag[7:] + tag[4:7], "big") / 1000
        return int(promised) if tag[0] != 18 and duration - time > _FLV_MISSING else 0
    return int(promised)


def _flv_number(head: bytes, name: bytes) -> float:
    """A number of an FLV file's metadata; 0 where it is not told."""
    at = head.find(b"\x00" + bytes((len(name),)) + name + b"\x00")
    number: float = struct.unpack_from(">d", head, at + len(name) + 3)[0] if at >= 0 else 0.0
    return number if math.isfinite(number) else 0.0


def _asf(file: BinaryIO, size: int) -> int:
    head = _at(file, 0, 1 << 16)
    at = head.find(_ASF_PROPERTIES)
    if at < 0:
        return 0
    (promised,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    return 0 if flags & 1 else int(promised)  # a broadcast knows no length


def _ogg(file: BinaryIO, size: int) -> int:
    start = max(0, size - (1 << 17))
    tail = _at(file, start, 1 << 17)
    at = tail.rfind(b"OggS\0")
    if at < 0:
        return 0
    if len(tail) < at + 27 or len(tail) < at + 27 + tail[at + 26]:
        return size + 1
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    return start + at + 27 + len(lengths) + sum(lengths)


def _mxf(file: BinaryIO, size: int) -> int:
    head = _at(file, 0, 64)  # the header's partition pack: a key of 16 bytes, its length, its fields
    width = 1 + (head[16] & 0x7F if head[16] & 0x80 else 0)
    (footer,) = struct.unpack_from(">Q", head, 16 + width + 24)
    return int(footer) + 17 if footer else 0


def _webp(file: BinaryIO, size: int) -> int:
    return 8 + int.from_bytes(_at(file, 4, 4), "little")


_PROMISES: dict[str, Callable[[BinaryIO, int], int]] = {
    "mov": _mp4,
    "matroska": _matroska,
    "avi": _avi,
    "flv": _flv,
    "asf": _asf,
    "ogg": _ogg,
    "mxf": _mxf,
    WEBP: _webp,
}
