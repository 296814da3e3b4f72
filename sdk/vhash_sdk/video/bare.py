"""Recognises coded pictures without a container, as cameras and recorders write them, by strict rules.

There is no magic number in these streams, so what the format requires at the start is looked for:
start codes that are in order, and the headers without which nothing can be decoded. Such a stream
has no times; its pictures are taken to be equally long.
"""

from __future__ import annotations

import re

BARE = {
    "h264": "bare H.264",
    "hevc": "bare H.265",
    "obu": "bare AV1 (OBU)",
    "mpegvideo": "bare MPEG-1/2",
    "m4v": "bare MPEG-4",
    "dv": "DV",
}
"""Demuxers of FFmpeg for them, with the names of the formats."""

TIMELESS = frozenset(BARE) - {"dv"}
"""Those whose times FFmpeg invents: their pictures are counted instead."""

_START = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_H264_PROFILES = frozenset((44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))


def bare_stream(head: bytes) -> str | None:
    """The demuxer for the first bytes of a file, or None.

    >>> bare_stream(b"\\0\\0\\0\\1\\x67\\x42") is None  # parameter sets that are cut off
    True
    """
    if len(head) < 32:
        return None
    if head.startswith((b"\0\0\1", b"\0\0\0\1")):
        # MPEG-4's start codes are among H.264's, not the other way round
        rules = {"h264": _is_h264, "hevc": _is_hevc, "mpegvideo": _is_mpeg12, "m4v": _is_mpeg4}
        return next((name for name, rule in rules.items() if rule(head)), None)
    if _is_obu(head):
        return "obu"
    # DIF blocks of 80 bytes: a header, then subcode
    if head[:3] == b"\x1f\x07\0" and head[3] & 0x7F == 0x3F and len(head) > 80 and head[80] >> 5 == 1:
        return "dv"
    return None


def _is_obu(head: bytes) -> bool:
    """A temporal delimiter, a sequence header, then a frame or its header (AV1, 5.3 and 7.5)."""
    if not head.startswith(b"\x12\0\x0a") or not 0 < head[3] < 128 or head[4] >> 5 > 2:
        return False
    following = head[4 + head[3] : 5 + head[3]]
    return bool(following) and following[0] & 0x83 == 2 and following[0] >> 3 & 15 in (3, 5, 6)


def _units(head: bytes) -> list[tuple[int, bytes]]:
    """(first byte, those after it) of each unit behind a start code."""
    places = [match.start(1) for match in _START.finditer(head)]
    ends = [*places[1:], len(head) + 3]
    return [(head[at], head[at + 1 : end - 3]) for at, end in zip(places, ends, strict=True)]


def _is_h264(head: bytes) -> bool:
    units = _units(head)
    kinds = [first & 31 for first, _ in units]
    if any(first & 0x80 or not first & 31 for first, _ in units) or kinds[0] not in (6, 7, 9):
        return False
    sets = [rest for first, rest in units if first & 31 == 7 and first & 0x60 and len(rest) > 3]
    return 8 in kinds and any(rest[0] in _H264_PROFILES for rest in sets)


def _is_hevc(head: bytes) -> bool:
    units = _units(head)
    # forbidden bit 0, temporal id at least 1 (H.265, 7.4.2.2)
    if any(first & 0x80 or not rest or not rest[0] & 7 for first, rest in units):
        return False
    kinds = [first >> 1 & 63 for first, _ in units]
    return kinds[0] in (32, 33, 35, 39) and {32, 33, 34} <= set(kinds)


def _is_mpeg12(head: bytes) -> bool:
    units = _units(head)
    first, rest = units[0]
    if first != 0xB3 or len(rest) < 8 or not (rest[0] or rest[1] >> 4) or not (rest[1] & 15 or rest[2]):
        return False
    return any(kind in (0x00, 0xB8) for kind, _ in units[1:])


def _is_mpeg4(head: bytes) -> bool:
    kinds = [first for first, _ in _units(head)]
    return (kinds[0] <= 0x1F or kinds[0] == 0xB0) and any(0x20 <= kind <= 0x2F for kind in kinds[:8])
