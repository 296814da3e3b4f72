"""Labelled pairs of videos in a CSV file, and the parts that they truly have in common."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import OptionError
from ..matching.alignment import Span

_COLUMNS = ("path_a", "path_b", "label")
_SPAN = ("start_a", "end_a", "start_b", "end_b")
_LABELS = {"1": True, "true": True, "match": True, "0": False, "false": False, "not a match": False}


@dataclass(frozen=True)
class Pair:
    """Two videos, whether one is a copy of the other, and which parts of them are (none: not told)."""

    a: str
    b: str
    copy: bool
    spans: tuple[Span, ...] = ()


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a CSV file, paths relative to its folder; rows of one pair are one with all their spans.

    Raises:
        OptionError: a column is missing, a label or a span is none, or two rows of a pair disagree.
        OSError: it cannot be read.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    with open(file, newline="", encoding="utf-8", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream)
        missing = set(_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise OptionError(
                f"{file}: has no column {', '.join(sorted(missing))}; expected {', '.join(_COLUMNS)}"
            )
        for row in reader:
            try:
                pair = _pair(row, file.parent)
                known = pairs.setdefault((pair.a, pair.b), replace(pair, spans=()))
                if known.copy != pair.copy:
                    raise OptionError(f"label {row['label']!r}, but a row before says else of the same pair")
            except OptionError as error:
                raise OptionError(f"{file}, line {reader.line_num}: {error}") from None
            pairs[pair.a, pair.b] = replace(known, spans=known.spans + pair.spans)
    return list(pairs.values())


def _pair(row: dict[str, str], folder: Path) -> Pair:
    label = str(row["label"]).strip().lower()
    if label not in _LABELS:
        raise OptionError(f"label {row['label']!r}; allowed: {', '.join(_LABELS)}")
    a, b = (os.path.join(folder, row[name] or "") for name in ("path_a", "path_b"))
    span = _span([(row.get(name) or "").strip() for name in _SPAN])
    if span is not None and not _LABELS[label]:
        raise OptionError(f"{', '.join(_SPAN)} of a pair that is no copy; leave them empty")
    return Pair(a, b, _LABELS[label], () if span is None else (span,))


def _span(cells: list[str]) -> Span | None:
    if not any(cells):
        return None
    try:
        start_a, end_a, start_b, end_b = map(float, cells)
        valid = 0 <= start_a < end_a < math.inf and 0 <= start_b < end_b < math.inf
    except ValueError:
        valid = False
    if not valid:
        raise OptionError(
            f"{', '.join(_SPAN)} are {', '.join(map(repr, cells))}; give seconds, each start before its end, "
            "or leave all four empty"
        )
    return Span(start_a, end_a, start_b, end_b, math.nan)
