"""What the library hands out, as JSON."""

from __future__ import annotations

import base64
import json
import math
import os
from typing import Any

from ..library.duplicates import Member, Related
from ..library.records import Entry, Failure, Hit
from ..matching.alignment import Span
from ..matching.calibration import Rate
from ..matching.parts import SharedSpan
from ..names import path_entry, safe
from ..report.pixels import look_entry
from ..system.strict_json import parse_json
from .problems import Problem


def known(value: float | None, digits: int = 4) -> float | None:
    """A number, rounded; None where it is not known."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def shown_path(path: str | os.PathLike[str]) -> dict[str, str]:
    """A path to look at, and its bytes where it is no UTF-8."""
    entry = path_entry(path)
    return {**entry, "path": safe(entry["path"])}


def video_shape(entry: Entry) -> dict[str, Any]:
    """A video of the library."""
    code = entry.code
    return {
        "id": entry.id,
        **shown_path(entry.path),
        "name": shown_path(os.path.basename(entry.path))["path"],
        "bytes": entry.size,
        "modified": known(entry.modified),
        "added": known(entry.added),
        "seconds": known(code.duration),
        "width": entry.width,
        "height": entry.height,
        "rate": known(entry.rate),
        "codec": None if entry.codec is None else safe(entry.codec),
        "digest": entry.digest.hex(),
        "damaged": None if entry.damaged is None else safe(entry.damaged),
        "unreliable": code.unreliable,
        "confidence": known(code.confidence),
        "code": code.text,
    }


def failure_shape(failure: Failure) -> dict[str, Any]:
    """A file that could not be added."""
    return {
        **shown_path(failure.path),
        "kind": safe(failure.kind),
        "message": safe(failure.message),
        "seen": known(failure.seen),
    }


def hit_shape(hit: Hit) -> dict[str, Any]:
    """An answer of a search."""
    return {
        "video": video_shape(hit.entry),
        "distance": int(hit.distance),
        "verified": None if hit.verified is None else int(hit.verified),
        "false_match_rate": None if hit.false_match_rate is None else float(f"{hit.false_match_rate:.3g}"),
        "same": None if hit.same is None else bool(hit.same),
        "relation": hit.relation,
        "pixels": look_entry(hit.look),
    }


def rate_shape(rate: Rate | None) -> dict[str, float] | None:
    """A rate with its interval."""
    return None if rate is None else {name: float(f"{value:.4g}") for name, value in rate._asdict().items()}


def span_shape(span: Span) -> dict[str, Any]:
    """Which part of a query is which part of a video."""
    return {
        "query_start": known(span.query_start, 3),
        "query_end": known(span.query_end, 3),
        "start": known(span.ref_start, 3),
        "end": known(span.ref_end, 3),
        "score": known(span.score),
        "speed": known(span.speed),
        "reversed": span.reversed,
    }


def shared_span_shape(span: SharedSpan) -> dict[str, Any]:
    """Which part of one video is which part of another one."""
    names = ("a_start", "a_end", "b_start", "b_end", "score", "speed")
    return {**{name: known(getattr(span, name)) for name in names}, "reversed": bool(span.reversed)}


def member_shape(member: Member, digest: bytes) -> dict[str, Any]:
    """A duplicate of the representative with this digest."""
    return {
        "video": video_shape(member.entry),
        "distance": int(member.distance),
        "verified": None if member.verified is None else int(member.verified),
        "false_match_rate": rate_shape(member.false_match_rate),
        "kept_because": safe(member.kept_because),
        "not_offered": safe(member.not_offered) or None,
        "names": [shown_path(name)["path"] for name in member.names],
        "same_bytes": member.entry.digest == digest,
        "spans": None,
        "relation": member.relation,
        "pixels": look_entry(member.look),
    }


def related_shape(pair: Related) -> dict[str, Any]:
    """Two videos that are no duplicates, but more to each other than strangers."""
    return {
        "a": video_shape(pair.a),
        "b": video_shape(pair.b),
        "relation": pair.relation,
        "distance": int(pair.distance),
        "verified": None if pair.verified is None else int(pair.verified),
        "pixels": look_entry(pair.look),
    }


def cursor_of(*values: Any) -> str:
    """An opaque text for a place in a list."""
    text = json.dumps([value.hex() if isinstance(value, bytes) else value for value in values])
    kinds = "".join("b" if isinstance(value, bytes) else "v" for value in values)
    return base64.urlsafe_b64encode(f"{kinds} {text}".encode()).decode().rstrip("=")


def place_of(cursor: str, count: int) -> list[Any]:
    """The values that ``cursor_of`` was given.

    Raises:
        Problem: it is no cursor of such a list.

    >>> place_of(cursor_of(b"/v", 3), 2)
    [b'/v', 3]
    """
    try:
        kinds, _, text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        values = parse_json(text, surrogates=True)
        if not isinstance(values, list) or not len(kinds) == len(values) == count:
            raise ValueError(f"{len(values)} values")
        if not all(isinstance(value, (str, int, float)) for value in values):
            raise ValueError("no values")
        return [bytes.fromhex(v) if kind == "b" else v for kind, v in zip(kinds, values, strict=True)]
    except (ValueError, TypeError) as error:
        raise Problem(
            "bad-request", f"cursor={cursor[:80]!r}: give back the `next` of the page before, as it was"
        ) from error
