"""What pairs of videos share, as it was found before: only pairs that are new are aligned again.

A video is known by the rows of its segments, whose numbers are never given out twice. The file may vanish at
any time.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..matching.parts import SharedSpan
from ..system.files import write_whole
from .near_pairs import plain_archive

logger = logging.getLogger("vhash_sdk")

Key = tuple[int, int, int, int]
"""First segment and number of segments of both videos."""
Found = dict[Key, tuple[SharedSpan, ...]]


class PartCache:
    """The spans of an earlier call: in a file, and in memory where that cannot be written."""

    def __init__(self, file: Path, *, writable: bool) -> None:
        self._file, self._writable = file, writable
        self._known: tuple[int, Found] | None = None

    def read(self, radius: int) -> Found:
        """What was found by segments within so many bits; nothing where that is not known."""
        known = self._known if self._known is not None else _load(self._file)
        return dict(known[1]) if known is not None and known[0] == radius else {}

    def write(self, radius: int, found: Mapping[Key, tuple[SharedSpan, ...]]) -> None:
        """Keep what was found; a disk that refuses costs one warning."""
        if not self._writable:
            self._known = radius, dict(found)
            return
        spans = [span for one in found.values() for span in one]
        try:
            with write_whole(self._file, follow=False) as file:
                np.savez(
                    file,
                    radius=np.int64(radius),
                    keys=np.array(list(found), np.int64).reshape(-1, 4),
                    counts=np.array([len(one) for one in found.values()], np.int64),
                    spans=np.array(
                        [(s.a_start, s.a_end, s.b_start, s.b_end, s.score, s.reversed) for s in spans],
                        np.float64,
                    ).reshape(-1, 6),
                )
        except OSError as error:
            logger.warning("%s: could not be saved (%s); the next run aligns again", self._file, error)


def _load(cache: Path) -> tuple[int, Found] | None:
    """The cache, or None where it is missing, damaged or something else."""
    try:
        # not blocking: a pipe is opened and refused, not waited for
        with open(cache, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or not plain_archive(stream, status.st_size):
                return None
            with np.load(stream, allow_pickle=False) as file:
                keys, counts, spans, radius = file["keys"], file["counts"], file["spans"], int(file["radius"])
    except Exception:  # an archive that anybody may have written can fail in any way
        return None
    shapes = keys.shape == (len(counts), 4) and counts.ndim == 1 and spans.shape == (len(spans), 6)
    types = (keys.dtype, counts.dtype, spans.dtype) == (np.int64, np.int64, np.float64)
    if not (shapes and types and (counts >= 0).all() and int(counts.sum()) == len(spans)):
        return None
    times = spans[:, :4]
    if not (np.isfinite(spans).all() and (times >= 0).all() and (times < 1e9).all()):
        return None
    if (spans[:, 1] < spans[:, 0]).any() or (spans[:, 3] < spans[:, 2]).any():
        return None
    every = [SharedSpan(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in spans.tolist()]
    ends = np.cumsum(counts).tolist()
    starts = [0, *ends][: len(ends)]
    found = {
        (key[0], key[1], key[2], key[3]): tuple(every[a:b])
        for key, a, b in zip(keys.tolist(), starts, ends, strict=True)
    }
    return radius, found
