"""What videos of a library share, as CSV rows and as data for the report."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..names import printable

if TYPE_CHECKING:
    from ..library.shared_parts import Parts, SharedParts
    from ..matching.parts import SharedSpan
    from ..video import Limits

_HEADER = (
    "kind", "part", "name", "a", "a_start", "a_end", "b", "b_start", "b_end", "speed", "reversed", "score",
    "a_covered", "b_covered", "library",
)  # fmt: skip
_MOST_SHOWN = 2000  # pairs in a report
_MOST_PICTURES = 60  # of common parts


def csv_part_rows(parts: Parts, library: str | os.PathLike[str]) -> Iterator[list[object]]:
    """A header, then a row for each span of each pair, and for each place of what many videos have.

    The kind is the relation of ``a`` to ``b``, or ``common``; the part is its number, or its id.
    """
    yield list(_HEADER)
    place = printable(os.path.abspath(library))
    for number, pair in enumerate(parts, 1):
        for span in pair.spans:
            yield [
                pair.relation, number, "", printable(pair.a.path), *_times(span)[:2], printable(pair.b.path),
                *_times(span)[2:], round(span.speed, 3), int(span.reversed), round(span.score, 2),
                round(pair.a_covered, 4), round(pair.b_covered, 4), place,
            ]  # fmt: skip
    for part in parts.common:
        for at in part.places:
            yield [
                "common", part.id, part.name, printable(at.entry.path), round(at.start, 2), round(at.end, 2),
                "", "", "", "", "", "", "", "", place,
            ]  # fmt: skip


def report_parts(parts: Parts | None, *, picture: int, limits: Limits) -> dict[str, Any] | None:
    """What the page draws: pairs with their spans, and what many videos have; None: nobody asked.

    Args:
        parts: what was found.
        picture: the rule that says what the picture of a video is, as for ``film_strips``.
        limits: what one video may cost.
    """
    if parts is None:
        return None
    from ..video.isolation.pool import DecodePool
    from .pictures import part_strip  # both need a decoder, which a table of parts does not

    with DecodePool(1, limits) as decoders:
        strips = [part_strip(part, decoders, picture=picture) for part in parts.common[:_MOST_PICTURES]]
    pictures = ["" if strip is None else base64.b64encode(strip.jpeg).decode() for strip in strips]
    return {
        "pairs": [_pair(pair) for pair in parts[:_MOST_SHOWN]],
        "more": max(0, len(parts) - _MOST_SHOWN),
        "lacking": parts.lacking,
        "ignored": parts.ignored,
        "common": [
            {
                "id": part.id,
                "name": part.name,
                "videos": part.videos,
                "seconds": round(part.seconds, 2),
                "picture": pictures[number] if number < len(pictures) else "",
                "places": [
                    {
                        "path": printable(at.entry.path),
                        "seconds": _known(at.entry.code.duration),
                        "spans": [[round(at.start, 2), round(at.end, 2)]],
                    }
                    for at in part.places[:50]
                ],
            }
            for number, part in enumerate(parts.common)
        ],
    }


def _pair(pair: SharedParts) -> dict[str, Any]:
    return {
        "relation": pair.relation,
        "a": printable(pair.a.path),
        "b": printable(pair.b.path),
        "seconds": [_known(pair.a.code.duration), _known(pair.b.code.duration)],
        "covered": [round(pair.a_covered, 3), round(pair.b_covered, 3)],
        "spans": [_times(span) for span in pair.spans],
        "reversed": any(span.reversed for span in pair.spans),
    }


def _times(span: SharedSpan) -> list[float]:
    return [round(time, 2) for time in (span.a_start, span.a_end, span.b_start, span.b_end)]


def _known(value: float | None) -> float:
    return 0.0 if value is None or value != value else round(value, 2)
