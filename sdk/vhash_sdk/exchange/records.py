"""PDQ and vPDQ hashes, and how one record of a file says them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import CodeError, JsonError
from ..system.checks import shown
from ..system.strict_json import parse_json

Kind = Literal["pdq", "vpdq"]
"""``pdq``: one hash of a picture; ``vpdq``: those of a video's frames."""
KINDS: tuple[Kind, ...] = ("pdq", "vpdq")
BITS = 256
"""Of one PDQ hash."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BEST = 100  # the quality of what a file says nothing of, as those tools take it


@dataclass(frozen=True, repr=False, eq=False)
class Hashed:
    """A picture or a video by its PDQ hashes.

    Attributes:
        kind: ``pdq`` has one hash, ``vpdq`` one for each frame.
        codes: ``uint8[n, 32]``.
        quality: ``uint8[n]``, 0 to 100: how much there is in the picture or frame to tell it by.
        label: what the file says of it: a path, tags; else empty.
        line: where it stands in its file, from 1.
    """

    kind: Kind
    codes: NDArray[np.uint8]
    quality: NDArray[np.uint8]
    label: str
    line: int

    def __repr__(self) -> str:
        return f"Hashed({self.kind!r}, hashes={len(self.codes)}, label={self.label!r}, line={self.line})"


def hashed(kind: Kind, rows: Iterable[tuple[bytes, int]], label: str, line: int) -> Hashed:
    """One record of its hashes and their qualities. Raises CodeError where there are none."""
    found = list(rows)
    if not found:
        raise CodeError(f"a {kind} hash without any frame; leave it out, or hash the video again")
    codes = np.frombuffer(b"".join(code for code, _ in found), np.uint8).reshape(len(found), BITS // 8)
    return Hashed(kind, codes, np.array([quality for _, quality in found], np.uint8), label, line)


def pdq_row(text: object, quality: object = None) -> tuple[bytes, int]:
    """A PDQ hash in hex, and its quality.

    Raises:
        CodeError: it is none, or the quality is none.

    >>> pdq_row("f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22", "100")[1]
    100
    """
    word = text.strip() if isinstance(text, str) else ""
    if _HEX.fullmatch(word) is None:
        raise CodeError(f"{shown(text)} is no PDQ hash: expected 64 hex digits")
    try:
        value = _BEST if quality is None or quality == "" else int(str(quality).strip())
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise CodeError(f"quality {shown(quality)} of a PDQ hash: expected a whole number from 0 to 100")
    return bytes.fromhex(word), value


def frame_row(text: object) -> tuple[bytes, int]:
    """A frame of a vPDQ hash, ``HEX,QUALITY,SECONDS``. Raises CodeError."""
    cells = text.split(",") if isinstance(text, str) else []
    if len(cells) != 3:
        raise CodeError(f"{shown(text)} is no frame of a vPDQ hash: expected HEX,QUALITY,SECONDS")
    _check_seconds(cells[2])
    return pdq_row(cells[0], cells[1])


def vpdq_rows(document: Any) -> list[tuple[bytes, int]]:
    """The frames of a vPDQ hash in JSON: a list of ``HEX,QUALITY,SECONDS``, or an object by frame number.

    Raises:
        CodeError: it is neither.
    """
    if isinstance(document, list):
        return [frame_row(each) for each in document]
    if not isinstance(document, Mapping) or not all(
        str(key).isdecimal() and isinstance(frame, Mapping) for key, frame in document.items()
    ):
        raise CodeError(f"{shown(document)} is no vPDQ hash: expected a list of HEX,QUALITY,SECONDS")
    rows = []
    for frame in document.values():
        _check_seconds(frame.get("timestamp", 0))
        rows.append(pdq_row(frame.get("hash"), frame.get("quality")))
    return rows


def signal(kind: Kind, text: Any, label: str, line: int, quality: object = None) -> Hashed:
    """A hash as ``threatexchange`` writes one: hex of PDQ, JSON of vPDQ. Raises CodeError."""
    if kind == "pdq":
        return hashed(kind, [pdq_row(text, quality)], label, line)
    try:
        document = parse_json(text) if isinstance(text, str) else text
    except JsonError as error:
        raise CodeError(f"{shown(text)} is no vPDQ hash: {error}") from None
    return hashed(kind, vpdq_rows(document), label, line)


def _check_seconds(value: object) -> None:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise CodeError(f"{shown(value)} is no time in a video: expected seconds of at least 0")
