"""Do two videos sound alike, and which part of one is which part of the other?

A sound is a row of sub-fingerprints of 32 bits by Chromaprint, eight of them a second; each looks at 2.7
seconds of sound. Equal ones vote for how far one sound is behind the other; along the best of these offsets
the longest stretch is taken in which few bits differ. So a part is found as well as the whole, whatever comes
before and behind it. Silence has no sub-fingerprint, and what has too few says nothing.

Sound at another speed (film at 24 frames a second played at 25) is another sound: its pitch is another one.

Source: https://oxygene.sk/2011/01/how-does-chromaprint-work/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .alignment import Span

RATE = 11025
"""Samples a second that Chromaprint takes, of one channel."""
STEP = 1365
"""Samples from one sub-fingerprint to the next."""
HOP = STEP / RATE
"""Seconds from one sub-fingerprint to the next."""
WINDOW = (19 * STEP + 4096) / RATE
"""Seconds of sound that one sub-fingerprint looks at."""
SAME_BITS = 0.87
"""The share of equal bits from which on two sounds are the same.

Of 29,161 pairs of made strangers the nearest had 0.803, of 741 pairs of real recordings 0.851 (three seconds
of a held chord); of 288 copies, encoded again or cut, the farthest 0.911:
``benchmarks/near_duplicates/sound.py``.
"""
LEAST_SECONDS = 3.0
"""What has to be equal at least: so many seconds of sub-fingerprints, which take 2.7 seconds more to hear."""
_LEAST = round(LEAST_SECONDS / HOP)
_LEAST_KINDS = _LEAST // 3  # different sub-fingerprints among them: a hum has one or two
_MIDDLE = 11.0  # bits of 32 that differ where a stretch ends: between copies and strangers
_NEAR = 3  # bits by which two sub-fingerprints that vote may differ, where all can be compared with all
_ALL_WITH_ALL = 4_000_000
_CROWDED = 64  # places of one sub-fingerprint in one sound from which on it says little about where
_TRIED = 6  # offsets that are looked at closely
_ALONG = 0.6  # seconds by which sound may be off the picture

Relation = Literal["same sound", "other sound"]
Prints = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Sound:
    """What is kept of the sound of a video.

    Attributes:
        prints: ``uint32[n]``, sub-fingerprints, one every ``HOP`` seconds; 0 where there is silence.
        start: seconds from the first picture to the first sample.
    """

    prints: Prints
    start: float = 0.0

    @classmethod
    def from_bytes(cls, data: bytes, start: float) -> Sound:
        """Read sub-fingerprints of four bytes each, little-endian. Raises ValueError for other lengths.

        >>> Sound.from_bytes(bytes([1, 0, 0, 0]), 0.0).prints.tolist()
        [1]
        """
        return cls(np.frombuffer(data, "<u4").astype(np.uint32), start)

    @property
    def says(self) -> str:
        """Why nothing can be concluded from it, or an empty text.

        >>> Sound(np.zeros(0, np.uint32)).says, Sound(np.zeros(99, np.uint32)).says
        ('has no sound, or less than three seconds of it', 'is silent')
        >>> Sound(np.arange(1, 9, dtype=np.uint32)).says
        'has too little sound'
        """
        if not len(self.prints):
            return "has no sound, or less than three seconds of it"
        heard = self.prints[self.prints != 0]
        if not len(heard):
            return "is silent"
        few = len(heard) < _LEAST or len(np.unique(heard)) < _LEAST_KINDS
        return "has too little sound" if few else ""


class Heard(NamedTuple):
    """What two sounds say about two videos; times are seconds after the first picture of each.

    Attributes:
        relation: ``same sound`` where they share a part, ``other sound`` where they share none, None where
            one of them says too little.
        bits: the share of equal bits in that part, 0 to 1.
        a_start, a_end: the part in the first video.
        b_start, b_end: the part in the second.
        why: why nothing is concluded; empty where something is.
    """

    relation: Relation | None
    bits: float | None = None
    a_start: float | None = None
    a_end: float | None = None
    b_start: float | None = None
    b_end: float | None = None
    why: str = ""

    @property
    def same(self) -> bool:
        """Whether it is the same sound."""
        return self.relation == "same sound"

    @property
    def offset(self) -> float | None:
        """By how many seconds the part comes later in the second video."""
        return None if self.a_start is None or self.b_start is None else self.b_start - self.a_start


def hear(a: Sound, b: Sound) -> Heard:
    """Compare two sounds.

    >>> tune = np.random.default_rng(1).integers(1, 2**32, 400, dtype=np.uint32)
    >>> found = hear(Sound(tune), Sound(tune[80:200], start=1.0))
    >>> found.relation, found.bits, round(found.offset, 1), round(found.a_start, 1)
    ('same sound', 1.0, -8.9, 9.9)
    >>> hear(Sound(tune), Sound(tune[::-1])).relation
    'other sound'
    """
    for sound, which in ((a, "a"), (b, "b")):
        if sound.says:
            return Heard(None, why=f"{which} {sound.says}")
    return along(a, b, offsets(a.prints, b.prints))


def along(a: Sound, b: Sound, places: NDArray[np.int64], *, least: float = SAME_BITS) -> Heard:
    """The best part that two sounds share at one of some offsets (sub-fingerprints that b is behind a).

    ``least`` is the share of bits that have to be equal.
    """
    found = max((_stretch(a.prints, b.prints, int(place), least) for place in places), default=None)
    if found is None or found.score <= 0:
        return Heard("other sound")
    first, end = found.start * HOP, (found.end - 1) * HOP + WINDOW
    later = found.offset * HOP + b.start
    return Heard("same sound", found.bits, first + a.start, end + a.start, first + later, end + later)


def witness(a: Sound, b: Sound, span: Span) -> Relation | None:
    """What sound says of a part that pictures have in common; None: nothing.

    It is the same sound where most of the bits are equal all along the part, at the place where the
    pictures say, give or take half a second.
    """
    if a.says or b.says or not 0.98 < span.speed < 1.02:
        return None
    first = max(0, round((span.query_start - a.start) / HOP))
    end = min(len(a.prints), round((span.query_end - a.start - WINDOW) / HOP) + 1)
    at = round((span.ref_start - b.start - (span.query_start - a.start)) / HOP)
    slack = round(_ALONG / HOP)
    shares = [_share(a.prints, b.prints, first, end, at + off) for off in range(-slack, slack + 1)]
    known = [share for share in shares if share is not None]
    if not known:
        return None
    return "same sound" if max(known) >= SAME_BITS else "other sound"


def offsets(a: Prints, b: Prints) -> NDArray[np.int64]:
    """By how many sub-fingerprints ``b`` may be behind ``a``, the likeliest first, a few."""
    if len(a) * len(b) <= _ALL_WITH_ALL:
        apart = np.bitwise_count(a[:, None] ^ b[None, :]) <= _NEAR
        apart &= (a != 0)[:, None] & (b != 0)[None, :]
        here, there = np.nonzero(apart)
    else:
        here, there = _equal(a, b)
    if not len(here):
        return np.zeros(0, np.int64)
    votes = np.bincount(there - here + len(a), minlength=len(a) + len(b) + 1).astype(np.int64)
    votes[1:-1] += np.maximum(votes[:-2], votes[2:])  # half a step off, they go to both sides
    order = np.argsort(-votes, kind="stable")[:_TRIED]
    return order[votes[order] > 0] - len(a)


def runs(prints: Prints) -> NDArray[np.int64]:
    """Where a sub-fingerprint begins that is none of silence: of equal ones in a row only the first.

    >>> runs(np.array([7, 7, 0, 7, 5], np.uint32)).tolist()
    [0, 3, 4]
    """
    fresh = prints != 0
    fresh[1:] &= prints[1:] != prints[:-1]
    return np.flatnonzero(fresh)


def _equal(a: Prints, b: Prints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of equal sub-fingerprints in both; those with too many places are left out."""
    here, there = runs(a), runs(b)
    there = there[np.argsort(b[there], kind="stable")]
    keys = b[there]
    low, high = np.searchsorted(keys, a[here], "left"), np.searchsorted(keys, a[here], "right")
    counts = np.where(high - low > _CROWDED, 0, high - low)
    which = np.repeat(np.arange(len(here)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return here[which], there[low[which] + within]


class _Stretch(NamedTuple):
    score: float  # bits fewer than would differ between sounds of which nothing is known; 0: no match
    bits: float
    start: int
    end: int
    offset: int


def _stretch(a: Prints, b: Prints, offset: int, least_share: float) -> _Stretch:
    """The stretch along an offset in which the fewest bits differ for the longest time."""
    first, end = max(0, -offset), min(len(a), len(b) - offset)
    if end - first < _LEAST:
        return _Stretch(0.0, 0.0, 0, 0, offset)
    mine, theirs = a[first:end], b[first + offset : end + offset]
    known = (mine != 0) & (theirs != 0)
    differ = np.bitwise_count(mine ^ theirs).astype(np.float64)
    gain = np.concatenate([[0.0], np.cumsum(np.where(known, _MIDDLE - differ, 0.0))])
    least = np.minimum.accumulate(gain)
    stop = int(np.argmax(gain - least))
    start = int(np.argmax(gain[: stop + 1] == least[stop]))
    inside = known[start:stop]
    count = int(inside.sum())
    if count < _LEAST or len(np.unique(mine[start:stop][inside])) < _LEAST_KINDS:
        return _Stretch(0.0, 0.0, 0, 0, offset)
    share = 1 - float(differ[start:stop][inside].mean()) / 32
    score = float(gain[stop] - gain[start]) if share >= least_share else 0.0
    return _Stretch(score, share, start + first, stop + first, offset)


def _share(a: Prints, b: Prints, first: int, end: int, offset: int) -> float | None:
    """The share of equal bits from ``first`` to ``end`` of ``a``; None where too little is known."""
    first, end = max(first, -offset), min(end, len(b) - offset)
    if end - first < _LEAST // 2:
        return None
    mine, theirs = a[first:end], b[first + offset : end + offset]
    known = (mine != 0) & (theirs != 0)
    if known.sum() < _LEAST // 2:
        return None
    return 1 - float(np.bitwise_count(mine ^ theirs)[known].mean()) / 32
