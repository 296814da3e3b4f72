"""The skeletons of containers, read without a demuxer: MP4's boxes, EBML's elements, tags and pages.

Of use where FFmpeg does not tell: what is encrypted, and where one file ends and another begins in
files that were appended to each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

_MOST_HEADER = 64 << 20
_MOST = 1 << 20  # elements of one file that are looked at
_MOST_PARTS = 1024  # each is opened by FFmpeg


class Element(NamedTuple):
    """An EBML element: its id, and where its content lies; ``end`` is None where that is not known."""

    id: int
    start: int
    end: int | None

    def number(self, file: BinaryIO) -> int:
        """Its content as an unsigned number."""
        file.seek(self.start)
        return int.from_bytes(file.read(min((self.end or self.start) - self.start, 8)), "big")


def size_of(file: BinaryIO) -> int:
    """Bytes of a file."""
    return file.seek(0, os.SEEK_END)


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start and end of the content) of the outermost boxes of an MP4."""
    at, size = 0, size_of(file)
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, start = int.from_bytes(head[:4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), at + 16
        elif length == 0:
            length = size - at
        if length < start - at:
            return
        yield head[4:8], start, min(at + length, size)
        at += length


def movie(file: BinaryIO) -> bytes:
    """What is in the movie box of an MP4; nothing where there is none."""
    for kind, start, end in boxes(file):
        if kind == b"moov" and end - start <= _MOST_HEADER:
            file.seek(start)
            return file.read(end - start)
    return b""


def children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the boxes that lie side by side in ``data``."""
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        yield data[at + 4 : at + 8], data[at + head : at + size]
        at += size


def within(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The contents of all boxes of one kind among ``children``."""
    return (content for kind, content in children(data) if kind == wanted)


def descend(data: bytes, *path: bytes) -> bytes:
    """The content of a box in a box and so on, each the first one of its kind."""
    for name in path:
        data = next(within(data, name), b"")
    return data


def ebml(file: BinaryIO, at: int, end: int | None) -> Iterator[Element]:
    """The elements from ``at`` on; the last one may be of unknown size."""
    for _ in range(_MOST):
        if end is not None and at >= end:
            return
        file.seek(at)
        head = file.read(12)
        width = _width(head[:1], 4)
        if not width:
            return
        length = _width(head[width : width + 1], 8)
        if not length or len(head) < width + length:
            return
        number = int.from_bytes(head[width : width + length], "big") & ((1 << 7 * length) - 1)
        start = at + width + length
        known = number != (1 << 7 * length) - 1
        stop = start + number if known else end
        if stop is not None and end is not None:  # no element leaves the one that it is in
            stop = max(start, min(stop, end))
        yield Element(int.from_bytes(head[:width], "big"), start, stop)
        if not known:
            return
        at = start + number


def _width(byte: bytes, most: int) -> int:
    """How many bytes a number of variable size has, by its first one; 0 where it is none."""
    width = 9 - byte[0].bit_length() if byte else 0
    return width if width <= most else 0


def parts(file: BinaryIO, demuxer: str) -> list[tuple[int, int]]:
    """Start and end of each file in one that was made by appending whole files, of the same kind.

    FFmpeg reads only the first one of a FLV or Ogg file, and takes the times of a Matroska file as one
    line. The list has one entry where nothing was appended.
    """
    starts = {"flv": _flv, "ogg": _ogg, "matroska": _matroska}.get(demuxer)
    size = size_of(file)
    found = [0] if starts is None else [0, *islice(starts(file, size), _MOST_PARTS - 1)]
    return list(zip(found, [*found[1:], size], strict=True))


def _flv(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(11)
        if len(head) < 11:
            return
        if head[:4] == b"FLV\x01":
            if at:
                yield at
            at += max(int.from_bytes(head[5:9], "big"), 9) + 4
        elif head[0] & 0x1F in (8, 9, 18):
            at += 11 + int.from_bytes(head[1:4], "big") + 4
        else:
            return


def _ogg(file: BinaryIO, size: int) -> Iterator[int]:
    at, began = 0, True  # whether the page before was the first one of a stream, as all of a file's head are
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(282)
        if head[:4] != b"OggS" or len(head) < 27:
            return
        first = bool(head[5] & 2)
        if first and not began:
            yield at
        began = first
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])


def _matroska(file: BinaryIO, size: int) -> Iterator[int]:
    for element in ebml(file, 0, size):
        if element.id == 0x1A45DFA3 and element.start > 12:
            yield element.start - _header_size(file, element.start)


def _header_size(file: BinaryIO, start: int) -> int:
    file.seek(start - 12)
    return 12 - file.read(12).rindex(b"\x1a\x45\xdf\xa3")
