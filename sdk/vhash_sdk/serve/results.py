"""What a search for duplicates or parts has found, as rows that pages are read from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from ..library.duplicates import Group, Groups, Related
from ..library.library import Library
from ..library.shared_parts import CommonPart, Parts, SharedParts
from ..report.facts import Facts
from .shapes import (
    known,
    member_shape,
    rate_shape,
    related_shape,
    shared_span_shape,
    shown_path,
    video_shape,
)
from .state import State

_PLACES = 50


def keep_groups(
    state: State, library: Library, groups: Groups, generation: str, job: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Keep groups instead of those of the run before: all of them or none; what is to be said of the run."""
    facts = Facts(len(library), library.spec.bits, groups)
    about = {
        "keep": options.get("keep", "longest"),
        "fmr": options.get("fmr"),
        "asked_radius": options.get("radius"),
        "radius": groups.radius,
        "rate": rate_shape(groups.rate),
        "facts": facts.text(),
        "groups": len(groups),
        "duplicates": sum(len(group.members) for group in groups),
        "bytes": sum(group.bytes for group in groups),
        "related": len(groups.related),
    }
    names = {same.path: same.names for same in groups.same_files}
    with state.transaction():
        for table in ("grp", "member", "left_out", "related"):
            state.execute(f"DELETE FROM {table}")
        state.many("INSERT INTO grp VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _group_rows(groups, job, names))
        state.many("INSERT INTO member VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _member_rows(groups, job))
        left = (
            (job, number, json.dumps({**shown_path(one.path), "reason": one.reason, "message": one.message}))
            for number, one in enumerate(groups.left_out, 1)
        )
        state.many("INSERT INTO left_out VALUES (?, ?, ?)", left)
        pairs = (_related_row(job, number, pair) for number, pair in enumerate(groups.related, 1))
        state.many("INSERT INTO related VALUES (?, ?, ?, ?, ?)", pairs)
        # what is to go has to be a duplicate still
        state.execute(
            "DELETE FROM basket WHERE NOT EXISTS (SELECT 1 FROM member m WHERE m.video = basket.video"
            " AND m.kept = basket.kept AND m.offered)"
        )
        _keep_run(state, "dedup", job, generation, about)
    return about


def _keep_run(state: State, kind: str, job: str, generation: str, about: dict[str, Any]) -> None:
    row = (kind, job, time.time(), generation, json.dumps(about))
    state.execute("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?)", *row)


def _group_rows(groups: Groups, job: str, names: dict[str, tuple[str, ...]]) -> Iterator[tuple[Any, ...]]:
    for number, group in enumerate(groups, 1):
        first = group.representative
        body: dict[str, Any] = {
            "number": number,
            "bytes": group.bytes,
            "representative": video_shape(first),
            "names": [shown_path(name)["path"] for name in names.get(first.path, ())],
            "members": [
                {**member_shape(member, first.digest), "hard_links": list(member.names)}
                for member in group.members
            ],
        }
        paths = [body["representative"]["path"], *(member["video"]["path"] for member in body["members"])]
        bits = [member.distance for member in group.members]
        counts = (group.bytes, min(bits), max(bits), len(bits))
        yield (job, number, *counts, paths[0], "\n".join(paths).lower(), json.dumps(body))


def _member_rows(groups: Groups, job: str) -> Iterator[tuple[Any, ...]]:
    for number, group in enumerate(groups, 1):
        yield from _rows_of(group, number, job)


def _rows_of(group: Group, number: int, job: str) -> Iterator[tuple[Any, ...]]:
    first = group.representative
    for member in group.members:
        entry = member.entry
        a, b = sorted((first.digest, entry.digest))
        offered = not member.not_offered
        place = (job, number, entry.id, first.id, a, b)
        yield (*place, offered, member.distance, entry.size, member.kept_because)


def _related_row(job: str, number: int, pair: Related) -> tuple[Any, ...]:
    body = {"number": number, **related_shape(pair)}
    text = f"{body['a']['path']}\n{body['b']['path']}".lower()
    return job, number, pair.relation, text, json.dumps(body)


def keep_parts(state: State, parts: Parts, generation: str, job: str) -> dict[str, Any]:
    """Keep what videos share instead of that of the run before; what is to be said of the run."""
    about = {
        "segments": parts.segments,
        "lacking": parts.lacking,
        "ignored": parts.ignored,
        "left": parts.left,
        "radius": parts.radius,
        "pairs": len(parts),
        "common": len(parts.common),
    }
    with state.transaction():
        for table in ("part", "common_part"):
            state.execute(f"DELETE FROM {table}")
        pairs = (_part_row(job, number, pair) for number, pair in enumerate(parts, 1))
        state.many("INSERT INTO part VALUES (?, ?, ?, ?, ?)", pairs)
        common = ((job, number, json.dumps(_common(part))) for number, part in enumerate(parts.common, 1))
        state.many("INSERT INTO common_part VALUES (?, ?, ?)", common)
        _keep_run(state, "parts", job, generation, about)
    return about


def _part_row(job: str, number: int, pair: SharedParts) -> tuple[Any, ...]:
    body: dict[str, Any] = {
        "number": number,
        "a": video_shape(pair.a),
        "b": video_shape(pair.b),
        "relation": pair.relation,
        "a_covered": known(pair.a_covered),
        "b_covered": known(pair.b_covered),
        "seconds": known(pair.seconds),
        "spans": [shared_span_shape(span) for span in pair.spans],
    }
    text = f"{body['a']['path']}\n{body['b']['path']}".lower()
    return job, number, pair.relation, text, json.dumps(body)


def _common(part: CommonPart) -> dict[str, Any]:
    places = [
        {"video": video_shape(at.entry), "start": known(at.start), "end": known(at.end)}
        for at in part.places[:_PLACES]
    ]
    return {
        "id": part.id, "name": part.name, "videos": part.videos, "seconds": known(part.seconds),
        "places": places,
    }  # fmt: skip
