"""Which rules chose the picture of a code, and which files older rules saw otherwise.

A code depends on its model, and on how the picture of a file is chosen. Where that was mended, codes
of the files that it touches change under every model; a library marks each entry with the number of
the rules that coded it. Here a file is looked at without a demuxer, so that a library can do it
for all of its files, in its own process.

2: the stream that a person sees; jumping times; encryption; mirrored pictures; see docs/media.md.
1: the first stream; one line of time; no encryption; turns only.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from .decoder import FileSource
from .encryption import encrypted_tracks, marked, matroska_tracks
from .skeletons import descend, movie, parts, size_of, within
from .sources import open_media
from .ts import AHEAD, BACK, jumps, scrambled, takeovers, video_pids

DECODING = 2
"""The number of today's rules."""

_WHOLE = 64 << 20
_HEAD = 1 << 20


def touched(source: FileSource) -> str | None:
    """Why rules 2 may see another picture in a file than rules 1; None where they do not.

    Errs on the safe side: several streams count, whichever was taken. A tail that cannot be decoded is
    not looked for.

    Raises:
        VideoError: the file cannot be opened, or is no video.
    """
    media = open_media(source, stills=True)
    with media.raw() as file:
        if len(parts(file, media.demuxer)) > 1:
            return "it was made by appending files"
        if media.demuxer == "mov":
            return _movie(file)
        if media.demuxer == "matroska":
            flags = list(matroska_tracks(file))
            return _said(len(flags), encrypted=any(flags))
        if media.demuxer == "mpegts":
            pids = video_pids(file)
            if takeovers(file):
                return "it was made by appending files"
            hidden = any(scrambled(file, pid) for pid in pids)
            return _said(len(pids), encrypted=hidden, jump=any(jumps(file, pid) for pid in pids))
        if media.demuxer == "mpeg":
            return _said(1, jump=_clock_jumps(file))
        file.seek(0)
        count = file.read(_HEAD).count(b"strh\x38\0\0\0vids") if media.demuxer == "avi" else 1
        return _said(count, encrypted=marked(file, media.demuxer) is not None)


def _said(streams: int, *, encrypted: bool = False, jump: bool = False) -> str | None:
    if encrypted:
        return "it is encrypted"
    if jump:
        return "its times jump"
    return "it has several video streams" if streams > 1 else None


def _movie(file: BinaryIO) -> str | None:
    file.seek(0)
    brands = descend(file.read(4096), b"ftyp")
    moov, streams = movie(file), 0
    if b"avis" in brands or b"msf1" in brands:
        return "it is an image sequence beside a still picture"
    for track in within(moov, b"trak"):
        if descend(track, b"mdia", b"hdlr")[8:12] != b"vide":
            continue
        streams += 1
        header = descend(track, b"tkhd")
        at = 52 if header[:1] == b"\x01" else 40
        if len(header) >= at + 20:
            a, b, _, c, d = struct.unpack(">5i", header[at : at + 20])
            if a * d - b * c < 0:
                return "its picture is mirrored"
    return _said(streams, encrypted=any(True for _ in encrypted_tracks(file)))


def _clock_jumps(file: BinaryIO) -> bool:
    """Whether the clock references of a program stream (ISO 13818-1, 2.5.3.3) go back or leap ahead."""
    last: int | None = None
    for at in range(0, min(size_of(file), _WHOLE), _HEAD):
        file.seek(at)
        data = file.read(_HEAD + 9)
        place = data.find(b"\0\0\1\xba")
        while 0 <= place < _HEAD and len(data) >= place + 9:
            time = _clock(data[place + 4 : place + 9])
            if last is not None and time is not None and not last - BACK <= time <= last + AHEAD:
                return True
            last = last if time is None else time
            place = data.find(b"\0\0\1\xba", place + 4)
    return False


def _clock(field: bytes) -> int | None:
    """The base of a clock reference, in ticks of 90 kHz."""
    bits = int.from_bytes(field, "big")
    if field[0] >> 6 == 1:  # MPEG-2: 2 bits, 3, a marker, 15, a marker, 15, a marker, 2 of the extension
        return (bits >> 35 & 7) << 30 | (bits >> 19 & 0x7FFF) << 15 | bits >> 3 & 0x7FFF
    if field[0] >> 4 == 2:  # MPEG-1: 4 bits, 3, a marker, 15, a marker, 15, a marker
        return (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF
    return None
