"""What a container says about its picture that PyAV does not pass on: its crop, and Dolby Vision.

A strict reader of just these parts of MP4/MOV (``clap``, ``dvcC``, ISO/IEC 14496-12 12.1.4) and
Matroska (``PixelCrop...``, ``BlockAdditionMapping``, RFC 9559). Whatever does not fit is taken as
not said: FFmpeg has accepted the file, and nothing here may refuse it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from .skeletons import children, descend, movie, within

_MOST_TRACKS = 1 << 20  # bytes of a header that are read
_STEPS = 10_000  # elements passed on the way to it
_DOVI_BOXES = (b"dvcC", b"dvvC", b"dvwC")
_SAMPLE_ENTRY = 78  # bytes of a VisualSampleEntry before its boxes
# Matroska's element numbers
_SEGMENT, _TRACKS, _CLUSTER, _ENTRY, _TYPE, _VIDEO = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0x83, 0xE0
_CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)  # left, top, right, bottom
_MAPPING, _MAPPED, _MAPPED_DATA = 0x41E4, 0x41E7, 0x41ED
_UNKNOWN = -1


@dataclass(frozen=True)
class Crop:
    """Pixels of the stored picture, before it is turned, that are hidden at each side."""

    left: int
    top: int
    right: int
    bottom: int

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """(left, top, right, bottom) of what is shown; None where nothing would be.

        It grows to even sides, so that chroma can be cut alike.

        >>> Crop(3, 0, 5, 2).pixels(100, 51), Crop(60, 0, 60, 0).pixels(100, 50)
        ((2, 0, 96, 50), None)
        """
        right, bottom = width - self.right, height - self.bottom
        if right <= self.left or bottom <= self.top:
            return None
        return (
            self.left // 2 * 2,
            self.top // 2 * 2,
            min(width, (right + 1) // 2 * 2),
            min(height, (bottom + 1) // 2 * 2),
        )


@dataclass(frozen=True)
class Said:
    """What is said of one video track.

    Attributes:
        crop: None where nothing is hidden.
        dolby_vision: profile of a stream that only Dolby Vision decoders show in its colours, else None.
    """

    crop: Crop | None = None
    dolby_vision: int | None = None


def read_mov(file: BinaryIO, track: int) -> Said:
    """Of the track with this number in an MP4 or MOV file."""
    try:
        for trak in within(movie(file), b"trak"):
            if _track_number(trak) == track:
                return _sample_entry(descend(trak, b"mdia", b"minf", b"stbl", b"stsd"))
    except (struct.error, IndexError, OSError, ValueError, ZeroDivisionError):
        pass
    return Said()


def read_matroska(file: BinaryIO, place: int) -> Said:
    """Of the video track with this place (0, 1, ...) among those of a Matroska file."""
    try:
        videos = [entry for entry in _entries(file) if _number(entry.get(_TYPE, [b""])[0]) == 1]
        entry = videos[place]
        video = _elements(entry[_VIDEO][0])
        sides = [_number(video.get(side, [b""])[0]) for side in _CROPS]
        profile = None
        for mapping in entry.get(_MAPPING, []):
            parts = _elements(mapping)
            if _number(parts.get(_MAPPED, [b""])[0]).to_bytes(8, "big")[4:] in _DOVI_BOXES:
                profile = _dolby_vision(parts[_MAPPED_DATA][0])
        return Said(Crop(*sides) if any(sides) else None, profile)
    except (IndexError, KeyError, OSError, ValueError):
        return Said()


def _track_number(trak: bytes) -> int:
    header = descend(trak, b"tkhd")
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _sample_entry(stsd: bytes) -> Said:
    entry = next((body for _, body in children(stsd[8:])), b"")
    width, height = struct.unpack_from(">HH", entry, 24)
    crop = profile = None
    for kind, body in children(entry[_SAMPLE_ENTRY:]):
        if kind == b"clap" and len(body) >= 32:
            crop = _clean_aperture(struct.unpack_from(">8i", body), width, height)
        elif kind in _DOVI_BOXES:
            profile = _dolby_vision(body)
    return Said(crop, profile)


def _clean_aperture(values: tuple[int, ...], width: int, height: int) -> Crop | None:
    """The sides of an aperture given by its size and the offset of its centre, rounded to whole pixels."""
    across, down, right, below = (Fraction(values[i], values[i + 1]) for i in range(0, 8, 2))
    left, top = round((width - across) / 2 + right), round((height - down) / 2 + below)
    crop = Crop(left, top, width - left - round(across), height - top - round(down))
    sides = (crop.left, crop.top, crop.right, crop.bottom)
    return crop if min(sides) >= 0 and any(sides) and across >= 1 and down >= 1 else None


def _dolby_vision(record: bytes) -> int | None:
    """The profile in a configuration record whose base layer is compatible with nothing else."""
    return record[2] >> 1 if len(record) > 4 and record[4] >> 4 == 0 else None


def _entries(file: BinaryIO) -> list[dict[int, list[bytes]]]:
    """The track entries of a Matroska file, as their elements."""
    end = file.seek(0, 2)
    at = 0
    for _ in range(_STEPS):
        if at >= end:
            break
        file.seek(at)
        head = file.read(16)
        kind, size, start = _head(head, 0)
        if kind == _SEGMENT:
            at += start
        elif kind == _TRACKS:
            file.seek(at + start)
            found = _elements(file.read(min(size, _MOST_TRACKS)))
            return [_elements(entry) for entry in found.get(_ENTRY, [])]
        elif kind == _CLUSTER or size == _UNKNOWN:
            break
        else:
            at += start + size
    return []


def _elements(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        kind, size, start = _head(data, at)
        if size == _UNKNOWN:
            break
        found.setdefault(kind, []).append(data[at + start : at + start + size])
        at += start + size
    return found


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Number and size of an element, and the length of both; the size may be unknown."""
    first = 9 - data[at].bit_length()
    kind = int.from_bytes(data[at : at + first], "big")
    length = 9 - data[at + first].bit_length()
    if first > 4 or length > 8:
        raise ValueError("no element of Matroska")
    size = int.from_bytes(data[at + first : at + first + length], "big") & ~(1 << (7 * length))
    return kind, _UNKNOWN if size == (1 << (7 * length)) - 1 else size, first + length


def _number(data: bytes) -> int:
    return int.from_bytes(data[:8], "big")
