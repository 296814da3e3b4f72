"""What pairs of videos share, as it was found before: only pairs that are new are aligned again.

A video is known by the rows of its segments, whose numbers are never given out twice. The file may vanish at
any time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..matching.parts import SharedSpan
from ..matching.third_look_result import ThirdLook
from ..system.files import write_whole
from . import looks as third_looks
from .kept_arrays import read_arrays

logger = logging.getLogger("vhash_sdk")

Key = tuple[int, int, int, int]
"""First segment and number of segments of both videos."""
Found = dict[Key, tuple[SharedSpan, ...]]
At = tuple[Key, int]
"""A span: of which pair, and its place there."""
Seen = dict[At, ThirdLook]
_VERSION = 2  # of what is kept: spans whose score leaves a doubt too


@dataclass
class Kept:
    """What is known of pairs of videos.

    Attributes:
        spans: of each, those in doubt included.
        looks: at the spans that were looked at.
    """

    spans: Found = field(default_factory=dict)
    looks: Seen = field(default_factory=dict)


class PartCache:
    """The spans of an earlier call: in a file, and in memory where that cannot be written."""

    def __init__(self, file: Path, *, writable: bool) -> None:
        self._file, self._writable = file, writable
        self._known: tuple[int, Kept] | None = None

    def read(self, radius: int) -> Kept:
        """What was found by segments within so many bits; nothing where that is not known."""
        known = self._known if self._known is not None else _load(self._file)
        if known is None or known[0] != radius:
            return Kept()
        return Kept(dict(known[1].spans), dict(known[1].looks))

    def write(self, radius: int, kept: Kept) -> None:
        """Keep what was found; a disk that refuses costs one warning."""
        if not self._writable:
            self._known = radius, Kept(dict(kept.spans), dict(kept.looks))
            return
        found = kept.spans
        spans = [span for one in found.values() for span in one]
        ends = np.cumsum([len(one) for one in found.values()]).tolist()
        first = {key: end - len(one) for (key, one), end in zip(found.items(), ends, strict=True)}
        looks = {first[key] + place: look for (key, place), look in kept.looks.items() if key in first}
        try:
            with write_whole(self._file, follow=False) as file:
                np.savez(
                    file,
                    version=np.array([_VERSION, third_looks.VERSION], np.int64),
                    radius=np.int64(radius),
                    keys=np.array(list(found), np.int64).reshape(-1, 4),
                    counts=np.array([len(one) for one in found.values()], np.int64),
                    spans=np.array(
                        [(s.a_start, s.a_end, s.b_start, s.b_end, s.score, s.reversed) for s in spans],
                        np.float64,
                    ).reshape(-1, 6),
                    looked=np.array(list(looks), np.int64),
                    looks=np.array(
                        [third_looks.numbers_of(look) for look in looks.values()], np.float64
                    ).reshape(-1, third_looks.NUMBERS),
                )
        except OSError as error:
            logger.warning("%s: could not be saved (%s); the next run aligns again", self._file, error)


def _load(cache: Path) -> tuple[int, Kept] | None:
    """The cache, or None where it is missing, damaged or something else."""
    try:
        file = read_arrays(cache)
        version, radius = file["version"].tolist(), int(file["radius"])
        keys, counts, spans = file["keys"], file["counts"], file["spans"]
        looked, looks = file["looked"], file["looks"]
    except Exception:  # an archive that anybody may have written can fail in any way
        return None
    if not isinstance(version, list) or version[:1] != [_VERSION]:
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
    if version[1:] != [third_looks.VERSION]:
        return radius, Kept(found)
    return radius, Kept(found, _seen(found, looked, looks))


def _seen(found: Found, looked: NDArray[Any], looks: NDArray[Any]) -> Seen:
    """The looks of a file; nothing where they are not of its spans."""
    at = [(key, place) for key, spans in found.items() for place in range(len(spans))]
    types = looked.dtype == np.int64 and looks.dtype == np.float64
    if not types or looked.ndim != 1 or looks.shape != (len(looked), third_looks.NUMBERS):
        return {}
    if not np.isfinite(looks).all() or not ((looked >= 0) & (looked < len(at))).all():
        return {}
    try:
        return {
            at[row]: third_looks.look_of(numbers)
            for row, numbers in zip(looked.tolist(), looks.tolist(), strict=True)
        }
    except (ValueError, IndexError):  # numbers that no look has
        return {}
