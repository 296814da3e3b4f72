"""The rows of a library, and the one check that all of them pass.

SQLite keeps anything in any column, and a library may come from a stranger, or from a disk that lost a
bit. So every row passes through ``checked`` before anything is computed, printed or opened by it: a
column says once what it holds (``columns``), and a value that is something else is a ``StoreError`` that
names it. What is written is held to the same (``fitting``), so that a library never refuses itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ..codes import as_codes, code_bytes
from ..errors import CodeError, StoreError
from .columns import (
    AnySize,
    Blob,
    CodeKind,
    Confidence,
    Date,
    Digest,
    Duration,
    End,
    ErrorKind,
    FrameRate,
    FramesRule,
    Hexadecimal,
    Id,
    Kind,
    Message,
    Nanoseconds,
    PathBytes,
    Place,
    Seconds,
    ShortText,
    Side,
    Size,
    Source,
    Steps,
)

R = TypeVar("R")


class Video(NamedTuple):
    """The file of a video, as it was when it was encoded."""

    id: Id
    path: PathBytes
    size: Size
    mtime_ns: Nanoseconds
    digest: Digest


class VideoFile(NamedTuple):
    """The file of a video, as it was; without what identifies its content."""

    id: Id
    path: PathBytes
    size: Size
    mtime_ns: Nanoseconds


class VideoState(NamedTuple):
    """The file of a video, as it was when it was encoded, what of it is missing, and how it was read."""

    id: Id
    path: PathBytes
    size: Size
    mtime_ns: Nanoseconds
    digest: Digest
    damaged: ShortText
    frames_rule: FramesRule


class VideoRow(NamedTuple):
    """A video with all that is known of it, and its code."""

    id: Id
    path: PathBytes
    size: Size
    mtime_ns: Nanoseconds
    duration: Duration
    width: Side
    height: Side
    rate: FrameRate
    codec: ShortText
    added: Date
    digest: Digest
    unreliable: ShortText
    damaged: ShortText
    confidence: Confidence
    code: Blob


class Metadata(NamedTuple):
    """Columns of ``video`` that come from the content."""

    duration: Duration
    width: Side
    height: Side
    rate: FrameRate
    codec: ShortText
    unreliable: ShortText
    damaged: ShortText
    frames_rule: FramesRule


class FailureRow(NamedTuple):
    """A file that could not be added."""

    path: PathBytes
    kind: ErrorKind
    message: Message
    seen: Date


class FailureFile(NamedTuple):
    """The other columns of ``failure``."""

    size: AnySize
    mtime_ns: Nanoseconds


class Code(NamedTuple):
    """One code of a video; without ``t1`` it goes to the end."""

    kind: CodeKind
    t0: Seconds
    t1: End
    confidence: Confidence
    code: Blob
    place: Place = 0


class Segment(NamedTuple):
    """The code of a span of a video."""

    t0: Seconds
    t1: Seconds
    confidence: Confidence
    code: Blob


class SegmentPlace(NamedTuple):
    """Where a segment is: its row, its video, seconds."""

    id: Id
    video: Id
    t0: Seconds
    t1: Seconds


class Coded(NamedTuple):
    """A code by a number: that of its video, or of its own row."""

    id: Id
    code: Blob


class NewCode(NamedTuple):
    """A row of ``code``, its video, and the code."""

    id: Id
    video: Id
    code: Blob


class Trajectory(NamedTuple):
    """A trajectory, see ``second_look``."""

    kind: CodeKind
    place: Place
    steps: Blob


class Seen(NamedTuple):
    """What a second look takes of one view of a video."""

    kind: CodeKind
    code: Blob
    steps: Steps
    duration: Duration


class Candidate(NamedTuple):
    """What grouping takes of one code of a video."""

    id: Id
    digest: Digest
    duration: Duration
    width: Side
    height: Side
    size: Size
    code: Blob
    unreliable: ShortText
    damaged: ShortText


class Pair(NamedTuple):
    """Two contents that are no match."""

    a: Digest
    b: Digest


class Generation(NamedTuple):
    """Which library this is, and which state of its codes."""

    uuid: Hexadecimal
    generation: Hexadecimal


class Pinned(NamedTuple):
    """The model of a library."""

    spec: Message
    source: Source


class PathRow(NamedTuple):
    """A path, and a number that goes with it."""

    id: Id
    path: PathBytes


class RawPath(NamedTuple):
    """The path of an entry that may be removed whatever it is."""

    path: Blob


class Made(NamedTuple):
    """When a library was made."""

    created: Date


class Dated(NamedTuple):
    """When a video was added."""

    added: Date


class Noted(NamedTuple):
    """When a judgement was read."""

    noted: Date


class OfVideo(NamedTuple):
    """Whose trajectory it is."""

    video: Id


WHOLE_ROWS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("library", Generation),
    ("library", Pinned),
    ("library", Made),
    ("video", Video),
    ("video", Metadata),
    ("video", Dated),
    ("code", NewCode),
    ("code", Code),
    ("failure", FailureRow),
    ("failure", FailureFile),
    ("not_a_match", Pair),
    ("not_a_match", Noted),
    ("trajectory", OfVideo),
    ("trajectory", Trajectory),
)
"""Types of rows that together have every column of every table that anything is read from, for ``verify``."""


@lru_cache(maxsize=64)
def kinds(row: Callable[..., Any]) -> tuple[tuple[str, Kind], ...]:
    """(name, kind) of the columns of a type of row, in their order."""
    hints = get_type_hints(row, include_extras=True)
    return tuple((name, hint.__metadata__[0]) for name, hint in hints.items())


def faults(row: Callable[..., Any], rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, Any, Kind]]:
    """(column, value, what it should be) of everything in rows of one type that should not be there."""
    columns = kinds(row)
    for values in rows:
        for (name, kind), value in zip(columns, values, strict=True):
            if not kind.fits(value):
                yield name, value, kind


def checked(file: Path, row: Callable[..., R], rows: Iterable[Sequence[Any]]) -> list[R]:
    """Rows of a database as rows of one type.

    Raises:
        StoreError: one is damaged; the message says which value of which file.
    """
    found = list(rows)
    columns = zip(kinds(row), zip(*found, strict=True), strict=True) if found else ()
    if not all(kind.all_fit(column) for (_, kind), column in columns):
        name, value, kind = next(faults(row, found))
        raise StoreError(f"{file}: holds a damaged row: {described(name, value, kind)}; run `vhash verify`")
    return [row(*values) for values in found]


def described(name: str, value: Any, kind: Kind) -> str:
    """What is wrong with a value, on one line."""
    return f"{name} is {repr(value)[:80]}, not {kind.says}"


def fitting(row: Callable[..., R], *values: Any) -> R:
    """A row of values that may be written; what does not fit is left out (None).

    A decoder may call a rate infinite; the library then does not know it.
    """
    pairs = zip(kinds(row), values, strict=True)
    return row(*(value if kind.fits(value) else None for (_, kind), value in pairs))


def code_array(file: Path, codes: Sequence[bytes], bits: int) -> NDArray[np.uint8]:
    """Codes ``uint8[n, bytes]`` of the BLOBs of rows.

    Raises:
        StoreError: one has another width, or is none.
    """
    width = code_bytes(bits)
    if set(map(type, codes)) <= {bytes} and set(map(len, codes)) <= {width}:
        try:
            return as_codes(np.frombuffer(b"".join(codes), np.uint8).reshape(-1, width), bits)
        except CodeError as error:
            raise StoreError(f"{file}: holds a damaged code ({error}); run `vhash verify`") from error
    raise StoreError(f"{file}: holds a damaged code: not all have {width} bytes; run `vhash verify`")


def id_array(ids: Sequence[int]) -> NDArray[np.int64]:
    """Ids ``int64[n]`` of checked rows."""
    return np.fromiter(ids, np.int64, len(ids))


def known_or_nan(value: float | None) -> float:
    """A number, ``nan`` where it is not known."""
    return math.nan if value is None else float(value)
