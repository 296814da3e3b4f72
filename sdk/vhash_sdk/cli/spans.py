"""How parts of videos are told: time codes, JSON, a line of text for a whole video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .output import number, path_entry, printable

if TYPE_CHECKING:
    from ..library.records import FoundFrame
    from ..matching.alignment import Span
    from .output import Output

_WIDTH = 60


def time_code(seconds: float) -> str:
    """Hours, minutes, seconds and tenths.

    >>> time_code(3723.46), time_code(59.96)
    ('1:02:03.5', '0:01:00.0')
    """
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def span_text(start: float, end: float) -> str:
    """A part of a video.

    >>> span_text(0, 12.34)
    '0:00:00.0 – 0:00:12.3'
    """
    return f"{time_code(start)} – {time_code(end)}"


def span_entry(span: Span) -> dict[str, Any]:
    """A span for JSON, in seconds."""
    fields = ("query_start", "query_end", "ref_start", "ref_end", "score", "similarity", "correlation")
    numbers = {field: number(getattr(span, field)) for field in fields}
    return {**numbers, "speed": number(span.speed), "reversed": span.reversed}


def span_entries(spans: Sequence[Span], heard: Sequence[str | None]) -> list[dict[str, Any]]:
    """Spans for JSON, with what sound says of each, where it was asked."""
    if not heard:
        return [span_entry(span) for span in spans]
    return [{**span_entry(span), "sound": said} for span, said in zip(spans, heard, strict=True)]


def frame_entry(found: FoundFrame) -> dict[str, Any]:
    """When a video shows a picture, for JSON."""
    return {
        **path_entry(found.entry.path),
        "id": found.entry.id,
        "time": number(found.time),
        "distance": found.distance,
    }


def show_frames(out: Output, frames: Sequence[FoundFrame], bits: int) -> None:
    """When videos show a picture, as lines; what is a picture itself has no time."""
    from ..encoding.reliability import STILL

    for found in frames:
        share = f"{100 * found.distance / bits:5.1f} %"
        when = "is" if found.entry.code.unreliable == STILL else f"at {time_code(found.time)} of"
        out.line(f"{found.distance:6d} {share}  {when} {printable(found.entry.path)}")


def timeline(duration: float, parts: Sequence[tuple[float, float]]) -> str:
    """A video as a line, the parts of it as numbers from 1.

    >>> timeline(60.0, [(0.0, 15.0), (30.0, 31.0)])
    '111111111111111···············2·····························'
    """
    line = ["·"] * _WIDTH
    for i, (start, end) in enumerate(parts, start=1):
        first = min(int(start / max(duration, 1e-9) * _WIDTH), _WIDTH - 1)
        last = min(max(round(end / max(duration, 1e-9) * _WIDTH), first + 1), _WIDTH)
        line[first:last] = str(i % 10) * (last - first)
    return "".join(line)
