"""Where the samples of an MP4 or QuickTime file end, by the tables of its ``moov`` box.

Source: ISO/IEC 14496-12, 8.7 (track data layout).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def samples_end(moov: bytes) -> int:
    """The place after the last sample of any track, or 0 where the tables name none.

    Args:
        moov: content of the box.
    """
    view = memoryview(moov)
    ends = [0]
    for kind, track in _inside(view):
        if kind == b"trak":
            try:
                ends.append(_track_end(track))
            except (struct.error, ValueError, IndexError, KeyError):  # FFmpeg says what it makes of it
                continue
    return max(ends)


def _inside(box: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(box):
        length, kind = struct.unpack_from(">I4s", box, at)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", box, at + 8)
            header = 16
        elif length == 0:
            length = len(box) - at
        if length < header or at + length > len(box):
            return
        yield kind, box[at + header : at + length]
        at += length


def _track_end(track: memoryview) -> int:
    media = dict(_inside(dict(_inside(dict(_inside(track))[b"mdia"]))[b"minf"]))
    if not _is_self_contained(dict(_inside(media[b"dinf"]))[b"dref"]):
        return 0
    tables = dict(_inside(media[b"stbl"]))
    chunks = _table(tables[b"co64"], ">u8") if b"co64" in tables else _table(tables[b"stco"], ">u4")
    if not len(chunks):
        return 0
    last = int(chunks.max())
    if b"stsz" not in tables or struct.unpack_from(">I", tables[b"stsz"], 4)[0]:
        return last + 1  # of samples of one size each: that of sound is not always what it says
    sizes = _table(tables[b"stsz"], ">u4", start=12, count_at=8)
    starts = _first_samples(_table(tables[b"stsc"], ">u4", width=3).reshape(-1, 3), len(chunks))
    if not len(sizes) > 0 or starts[-1] >= len(sizes):
        return last + 1
    return int((chunks + np.add.reduceat(sizes, starts)).max())


def _is_self_contained(references: memoryview) -> bool:
    """Whether the samples are in this very file."""
    return all(len(entry) >= 4 and entry[3] & 1 for _, entry in _inside(references[8:]))


def _first_samples(runs: NDArray[np.int64], chunks: int) -> NDArray[np.int64]:
    """For each chunk the number of its first sample, from runs of (first chunk, samples a chunk, …)."""
    firsts = runs[:, 0] - 1
    if not len(firsts) or firsts[0] != 0 or (np.diff(firsts) <= 0).any() or runs[:, 1].min() < 1:
        raise ValueError("runs of chunks out of order")
    counts = runs[np.searchsorted(firsts, np.arange(chunks), "right") - 1, 1]
    return np.concatenate([[0], np.cumsum(counts)[:-1]])


def _table(
    box: memoryview, kind: str, *, start: int = 8, count_at: int = 4, width: int = 1
) -> NDArray[np.int64]:
    (count,) = struct.unpack_from(">I", box, count_at)
    table = np.frombuffer(box[start:], kind, count * width)
    return table.astype(np.int64)
