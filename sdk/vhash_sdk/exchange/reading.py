"""Files of PDQ and vPDQ hashes, in the forms in which the tools around them write them.

=========================================  ================================================================
``HEX``, ``HEX,QUALITY,FILE``              one PDQ hash a line (``pdq-photo-hasher``)
``FRAME,QUALITY,HEX,SECONDS``              all lines are the frames of one video (``vpdq-hash-video``)
``pdq HEX …``, ``vpdq [JSON] …``           ``threatexchange hash`` and ``dataset -P``; files of ``local_file``
CSV with ``signal_type,signal_str,…``      ``threatexchange dataset -P --csv``
CSV with a column ``hash`` or ``pdq``      also ``quality``, and ``path``, ``filename``, ``label`` or ``tags``
``["HEX,QUALITY,SECONDS", …]``             a vPDQ hash, one a line or one a file; also the older object
``{"pdq": HEX}``, ``{"vpdq": …}``          JSON lines, as Hasher-Matcher-Actioner takes them
``{"signal_type": …, "signal_str": …}``    JSON lines; ``hash`` and ``quality`` stand for PDQ
=========================================  ================================================================

A line that is none of these is told with its number, and the others are read. Signals of other kinds (MD5,
our own) are counted.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import CodeError, JsonError, VhashError
from ..names import printable
from ..system.checks import checked_path, shown
from ..system.strict_json import parse_json
from .records import KINDS as KINDS
from .records import Hashed as Hashed
from .records import Kind as Kind
from .records import hashed, pdq_row, signal, vpdq_rows

MAX_LINE = 1 << 26
"""Bytes of one line; a vPDQ hash of a day at one frame a second is a tenth of that."""
_SNIFFED = 50  # lines that are looked at to tell what a file is
_FRAME = re.compile(r"\s*\d+,\d+,[0-9a-fA-F]{64},[0-9.eE+-]+\s*")
_TYPED = re.compile(r"([a-z][a-z0-9_]*) +(\S.*)", re.DOTALL)
_COLUMNS = {"signal_str", "hash", "pdq", "vpdq"}
_LABELS = ("label", "path", "filename", "filepath", "file", "name", "id", "tags", "collab")


class BadLine(NamedTuple):
    """A line that is no hash: its number, from 1, and why."""

    line: int
    message: str


@dataclass(frozen=True)
class HashFile:
    """What a file holds.

    Attributes:
        path: its name.
        hashes: in the order of the file.
        bad: lines that were left out.
        others: how many signals of other kinds it has, by their kind.
    """

    path: str
    hashes: list[Hashed] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def __repr__(self) -> str:
        return f"HashFile({self.path!r}, hashes={len(self.hashes)}, bad={len(self.bad)})"


def read_hashes(file: str | os.PathLike[str]) -> HashFile:
    r"""The PDQ and vPDQ hashes of a file; see the forms above.

    Raises:
        OSError: it cannot be read.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "known.txt")
    >>> _ = open(path, "w").write("f8" * 32 + ",100,bridge.jpg\n" + "not a hash\n")
    >>> found = read_hashes(path)
    >>> found.hashes, found.bad[0].line
    ([Hashed('pdq', hashes=1, label='bridge.jpg', line=1)], 2)
    """
    checked_path("file", file)
    found = HashFile(os.fspath(file))
    start: list[tuple[int, str | CodeError]] = []
    with open(file, "rb") as stream:
        lines = _lines(stream)
        for _, each in zip(range(_SNIFFED), lines, strict=False):
            start.append(each)
        texts = [text for _, text in start if isinstance(text, str)]
        if texts and _is_torn_json(texts[0]):
            stream.seek(0)
            _read_document(stream.read(MAX_LINE + 1), found)
        elif any(_FRAME.fullmatch(text) for text in texts):
            _read_frames([*start, *lines], found)
        else:
            _read_records(start, lines, found)
    return found


def _lines(stream: Any) -> Iterator[tuple[int, str | CodeError]]:
    """Lines that are not empty, with their numbers; one that is too long is none."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE)
            yield number, CodeError(f"more than {MAX_LINE:,} bytes in one line; one hash stands in each")
            continue
        text = line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode("utf-8", "surrogateescape")
        if text.strip():
            yield number, text.strip()


def _is_torn_json(first: str) -> bool:
    """Whether a line begins a JSON document that goes on in others."""
    if first[0] not in "[{":
        return False
    try:
        parse_json(first, surrogates=True)
    except JsonError:
        return first in ("[", "{") or first.endswith((",", "[", "{"))
    return False


def _read_document(content: bytes, found: HashFile) -> None:
    name = os.path.basename(found.path)
    try:
        if len(content) > MAX_LINE:
            raise CodeError(f"more than {MAX_LINE:,} bytes in one JSON document; write one hash a line")
        document = parse_json(content.removeprefix(b"\xef\xbb\xbf"), surrogates=True)
        found.hashes.append(hashed("vpdq", vpdq_rows(document), name, 1))
    except (CodeError, JsonError) as error:
        found.bad.append(BadLine(1, str(error)))


def _read_frames(lines: list[tuple[int, str | CodeError]], found: HashFile) -> None:
    """A file of ``vpdq-hash-video``: one video."""
    rows = []
    for number, text in lines:
        try:
            if isinstance(text, CodeError):
                raise text
            if _FRAME.fullmatch(text) is None:
                raise CodeError(f"{shown(text)} is no frame: expected FRAME,QUALITY,HEX,SECONDS as above")
            _, quality, digits, _ = text.split(",")
            rows.append(pdq_row(digits, quality))
        except CodeError as error:
            found.bad.append(BadLine(number, str(error)))
    if rows:
        found.hashes.append(hashed("vpdq", rows, os.path.basename(found.path), 1))


def _read_records(
    start: list[tuple[int, str | CodeError]], rest: Iterator[tuple[int, str | CodeError]], found: HashFile
) -> None:
    columns = _header(start[0][1]) if start else None
    if columns:
        start = start[1:]
    for lines in (start, rest):
        for number, text in lines:
            try:
                if isinstance(text, CodeError):
                    raise text
                made = _record(_row(text, columns), number) if columns else _line(text, number)
                if isinstance(made, str):
                    found.others[made] += 1
                else:
                    found.hashes.append(made)
            except VhashError as error:
                found.bad.append(BadLine(number, str(error)))


def _header(first: str | CodeError) -> list[str] | None:
    """The names of the columns, if a first line has them."""
    if isinstance(first, CodeError) or first[0] in "[{":
        return None
    columns = [cell.strip().strip('"').lower() for cell in first.split(",")]
    return columns if set(columns) & _COLUMNS else None


def _cells(text: str) -> list[str]:
    """The cells of one line of CSV. Raises CodeError."""
    if csv.field_size_limit() < MAX_LINE:
        csv.field_size_limit(MAX_LINE)  # a vPDQ hash is one cell
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise CodeError(f"{shown(text)} is no line of CSV: {error}") from None


def _row(text: str, columns: list[str]) -> dict[str, Any]:
    cells = _cells(text)
    if len(cells) > len(columns):
        raise CodeError(f"{len(cells)} cells, but the first line names {len(columns)} columns")
    return dict(zip(columns, cells, strict=False))


def _line(text: str, number: int) -> Hashed | str:
    """What one line without a header says: a hash, or the kind of a signal that is none of ours to read."""
    if text[0] in "[{":
        try:
            document = parse_json(text, surrogates=True)
        except JsonError as error:
            raise CodeError(f"{shown(text)}: {error}") from None
        if isinstance(document, Mapping) and not (document and all(key.isdecimal() for key in document)):
            return _record(document, number)
        return signal("vpdq", document, "", number)
    typed = _TYPED.fullmatch(text)
    if typed is not None and typed[1] in KINDS:
        kind: Kind = "pdq" if typed[1] == "pdq" else "vpdq"
        value, label = _split(kind, typed[2])
        return signal(kind, value, label, number)
    first, *more = _cells(text)
    if typed is not None and "," not in typed[1] and len(first) != 64 and _looks_like_signal(typed[2]):
        return typed[1]
    quality = more.pop(0) if more and re.fullmatch(r"\s*-?\d{1,3}\s*", more[0]) else None
    return hashed("pdq", [pdq_row(first, quality)], ",".join(more).strip(), number)


def _split(kind: Kind, text: str) -> tuple[str, str]:
    """A signal, and what ``threatexchange dataset -P`` says behind it."""
    end = text.rfind("]") + 1 if kind == "vpdq" and text.startswith("[") else len(text.split(" ", 1)[0])
    return text[:end], text[end:].strip()


def _looks_like_signal(text: str) -> bool:
    """Whether a word that is no sentence follows the name of a kind: hex, a code of ours, a URL."""
    word = text.split(" ", 1)[0]
    return re.fullmatch(r"[0-9a-fA-F]{32,}|vh1:\S+|https?://\S+", word) is not None


def _record(row: Mapping[str, Any], number: int) -> Hashed | str:
    """A hash by its columns or keys, or the kind of a signal that is none of ours to read."""
    label = next((str(row[name]) for name in _LABELS if row.get(name) not in (None, "")), "")
    kinds = [kind for kind in KINDS if row.get(kind) not in (None, "")]
    if kinds:
        return signal(kinds[0], row[kinds[0]], label, number, row.get("quality"))
    if "signal_str" in row:
        kind, value = row.get("signal_type"), row["signal_str"]
    elif "hash" in row:
        kind, value = row.get("signal_type", row.get("type", "pdq")), row["hash"]
    elif len(row) == 1:
        return next(iter(row))  # {"video_md5": …}
    else:
        raise CodeError(f"{shown(dict(row))}: expected signal_type and signal_str, or pdq, vpdq or hash")
    if kind in KINDS:
        return signal(kind, value, label, number, row.get("quality"))
    if not isinstance(kind, str) or not kind:
        raise CodeError(f"signal_type {shown(kind)}: expected {' or '.join(KINDS)}, or the name of another")
    return printable(kind)[:40]
