"""MPEG transport streams, looked at without a demuxer: scrambling, and times that jump.

FFmpeg seeks in them by times that it takes to grow, so that what was appended with earlier times is
never seen. Here the times are read from the headers of a stream's pictures, over all of a file of up to
64 MiB, and at 128 places of a larger one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .skeletons import size_of

BACK, AHEAD = 9_000, 900_000  # ticks of 90 kHz: a tenth of a second and ten seconds
_WHOLE = 64 << 20
_CHUNK = 8 << 20
_PLACES, _PLACE = 128, 512 << 10
_SIDE_BY_SIDE = 3  # pictures in a row of one stream; programmes side by side have one or two
_PIECES = 256
_STRIDES = (188, 192, 204)


def jumps(file: BinaryIO, pid: int) -> bool:
    """Whether the times of a stream may go back, or leap ahead; then all of it must be read."""
    size = size_of(file)
    places = list(_places(size))
    whole = size <= _WHOLE
    last: int | None = None
    steps: list[int] = []
    for at, length in places:
        file.seek(at)
        here = [time for rows in packets(file.read(length)) for time in _times(rows, pid)]
        for i, time in enumerate(here):
            if last is not None:
                if time < last - BACK:
                    return True
                if i or whole:
                    if time > last + AHEAD:
                        return True
                else:
                    steps.append(time - last)
            last = time
    # between two places of a large file lies a piece of some length, which depends on its bit rate
    return bool(steps) and max(steps) > max(AHEAD, 8 * float(np.median(steps)))


def scrambled(file: BinaryIO, pid: int) -> bool:
    """Whether a tenth of a stream's packets or more say that their content is scrambled."""
    total = hidden = 0
    for at, length in _places(min(size_of(file), _CHUNK)):
        file.seek(at)
        for rows in packets(file.read(length)):
            control = rows[_pids(rows) == pid, 3] >> 6
            total, hidden = total + len(control), hidden + int((control >= 2).sum())
    return hidden >= max(8, total / 10)


def video_pids(file: BinaryIO) -> set[int]:
    """The streams of which pictures begin in the first 8 MiB."""
    file.seek(0)
    found: set[int] = set()
    for rows in packets(file.read(_CHUNK)):
        starts = rows[rows[:, 1] & 0x40 != 0]
        found |= {
            pid
            for pid, row in zip(_pids(starts).tolist(), starts, strict=True)
            if _begins_picture(row.tobytes())
        }
    return found


def takeovers(file: BinaryIO) -> list[int]:
    """Where, in a file of up to 64 MiB, the pictures go on in another stream, as pieces of two encoders do.

    Gives places of programme tables, from which the file can be read on. Nothing where streams run
    side by side, as the programmes of a broadcast do.
    """
    size = size_of(file)
    if size > _WHOLE:
        return []
    places: list[int] = []
    current, count, table = -1, 0, -1
    for at, length in _places(size):
        file.seek(at)
        for offset, stride, rows in _runs(file.read(length)):
            for i in np.flatnonzero(rows[:, 1] & 0x40).tolist():
                packet = rows[i].tobytes()
                pid = (packet[1] & 0x1F) << 8 | packet[2]
                if pid == 0:
                    table = at + offset + i * stride
                if not _begins_picture(packet) or pid == current:
                    if pid == current:
                        count, table = count + 1, -1  # the next piece begins with a table of its own
                    continue
                if current >= 0:
                    if table < 0 or count < _SIDE_BY_SIDE or len(places) >= _PIECES:
                        return []
                    places.append(table)
                current, count, table = pid, 1, -1
    return places if count >= _SIDE_BY_SIDE else []


def packets(data: bytes) -> Iterator[NDArray[np.uint8]]:
    """The packets in some bytes, ``uint8[n, 188]``, each run of them that has its sync bytes in step."""
    for _, _, rows in _runs(data):
        yield rows


def _runs(data: bytes) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Each run of packets with the place of the first one, and from one to the next, in bytes."""
    array = np.frombuffer(data, np.uint8)
    at = 0
    while at + 188 <= len(array):
        found = _in_step(array[at : at + 8 * 204])
        if found is None:
            at += 4 * 188
            continue
        offset, stride = found
        at += offset
        if at + 188 > len(array):
            return
        count = (len(array) - at - 188) // stride + 1
        rows = np.lib.stride_tricks.as_strided(array[at:], (count, 188), (stride, 1), writeable=False)
        lost = np.flatnonzero(rows[:, 0] != 0x47)
        good = int(lost[0]) if len(lost) else count
        if good:
            yield at, stride, rows[:good]
        at += max(good, 1) * stride


def _begins_picture(packet: bytes) -> bool:
    at = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    start = packet[at : at + 4]
    return len(start) == 4 and start[:3] == b"\0\0\1" and 0xE0 <= start[3] <= 0xEF


def _in_step(array: NDArray[np.uint8]) -> tuple[int, int] | None:
    for stride in _STRIDES:
        for offset in np.flatnonzero(array[:stride] == 0x47):
            if (array[offset::stride][:8] == 0x47).all():
                return int(offset), stride
    return None


def _places(size: int) -> Iterator[tuple[int, int]]:
    if size <= _WHOLE:
        yield from ((at, min(_CHUNK, size - at)) for at in range(0, size, _CHUNK))
    else:
        yield from (((size - _PLACE) * i // (_PLACES - 1), _PLACE) for i in range(_PLACES))


def _pids(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    return (rows[:, 1].astype(np.int64) & 0x1F) << 8 | rows[:, 2]


def _times(rows: NDArray[np.uint8], pid: int) -> Iterator[int]:
    """Decoding times in the headers of a stream's pictures (ISO 13818-1, 2.4.3.7)."""
    for row in rows[(_pids(rows) == pid) & (rows[:, 1] & 0x40 != 0)]:
        packet = row.tobytes()
        at = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        header = packet[at : at + 19]
        if len(header) < 14 or header[:3] != b"\0\0\1" or not header[7] & 0x80:
            continue
        stamp = header[14:19] if header[7] & 0x40 and len(header) == 19 else header[9:14]
        yield (stamp[0] >> 1 & 7) << 30 | stamp[1] << 22 | stamp[2] >> 1 << 15 | stamp[3] << 7 | stamp[4] >> 1
