"""Groups of duplicates that were found last, what was left out, what two videos have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from ...system.strict_json import parse_json
from ..judging_models import Group, Groups, LeftOut, Related, Spans
from ..models import Page
from ..problems import Problem
from ..service import Service, entry_by_id, service_of
from ..shapes import cursor_of, place_of, span_shape
from ..state import State, read_json
from .common import Cursor, Filter, Limit, numbered_page, pairs_page, problems, skipped
from .library import Number, VideoId

router = APIRouter(prefix="/v1", tags=["groups"])

Asked = Annotated[int, Query(ge=0, lt=1 << 63)]

Relation = Literal["part of", "contains", "shares a part", "same scene, other take"]

_ORDERS = {  # column, and whether it falls
    "bytes": ("bytes", True), "near": ("near", False), "far": ("far", True), "many": ("members", True),
    "path": ("path", False),
}  # fmt: skip
_OPINION = (
    "SELECT 1 FROM member m LEFT JOIN opinion o ON o.a = m.a AND o.b = m.b"
    " WHERE m.job = g.job AND m.number = g.number"
)
_STATES = {
    "all": "1",
    "open": f"EXISTS ({_OPINION} AND m.a != m.b AND o.said IS NULL)",
    "match": f"EXISTS ({_OPINION} AND o.said = 'match')",
    "not": f"EXISTS ({_OPINION} AND o.said = 'not a match')",
}


def run_of(service: Service, kind: str) -> tuple[str, dict[str, Any]] | None:
    """(job, what is to be said) of the last finished search for duplicates, or parts."""
    row = service.state.row("SELECT * FROM run WHERE kind = ?", kind)
    if row is None:
        return None
    with service.readers.lent() as library:
        stale = library.generation != row["generation"]
    about = {"job": row["job"], "ended": row["ended"], "stale": stale, **read_json(row["about"])}
    if kind == "dedup":
        about["judged"] = service.state.value(
            "SELECT count(*) FROM member m JOIN opinion o ON o.a = m.a AND o.b = m.b"
        )
    return row["job"], about


def with_opinions(state: State, bodies: Iterable[str]) -> list[dict[str, Any]]:
    """Groups with what holds of their pairs now, and what is in the basket."""
    groups = [parse_json(body, surrogates=True) for body in bodies]
    videos = [member["video"]["id"] for group in groups for member in group["members"]]
    basket = {row["video"]: row["kept"] for row in state.rows("SELECT video, kept FROM basket")}
    said = {
        (row["kept"], row["video"]): row["said"]
        for row in state.rows(
            "SELECT m.kept, m.video, o.said FROM member m JOIN opinion o ON o.a = m.a AND o.b = m.b"
            " WHERE m.video IN (SELECT value FROM json_each(?))", json.dumps(videos),
        )
    }  # fmt: skip
    for group in groups:
        kept = group["representative"]["id"]
        for member in group["members"]:
            number = member["video"]["id"]
            member["judgement"] = said.get((kept, number))
            member["in_basket"] = basket.get(number) == kept
    return groups


@router.get("/groups", response_model=Groups, responses=problems())
def groups(
    request: Request,
    text: Filter = None,
    state: Literal["all", "open", "match", "not"] = "all",
    sort: Literal["bytes", "near", "far", "many", "path"] = "bytes",
    max_distance: Annotated[int | None, Query(ge=0, le=65535)] = None,
    min_bytes: Number = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Groups of duplicates, of the last job `dedup` that was done."""
    service = service_of(request)
    run = run_of(service, "dedup")
    where, values = [_STATES[state]], []  # type: list[str], list[Any]
    for sql, value in (
        ("instr(g.text, ?) > 0", text.lower() if text else None),
        ("g.near <= ?", max_distance),
        ("g.bytes >= ?", min_bytes),
    ):
        if value is not None:
            where.append(sql)
            values.append(value)
    clause = " AND ".join(where)
    total = service.state.value(f"SELECT count(*) FROM grp g WHERE {clause}", *values)
    column, falling = _ORDERS[sort]
    cursor, skip = skipped(cursor)
    if cursor is not None:
        # the number rises where the column falls: both as one row of values cannot be compared
        value, number = place_of(cursor, 2)
        clause += f" AND (g.{column} {'<' if falling else '>'} ? OR (g.{column} = ? AND g.number > ?))"
        values += [value, value, number]
    order = f"g.{column} {'DESC' if falling else 'ASC'}, g.number"
    # the bodies of those that are shown alone: all would be carried through the sorting
    page = f"SELECT g.job, g.number FROM grp g WHERE {clause} ORDER BY {order} LIMIT ? OFFSET ?"
    sql = f"SELECT g.body, g.number, g.{column} AS place FROM ({page}) p"
    sql += f" JOIN grp g ON g.job = p.job AND g.number = p.number ORDER BY {order}"
    rows = service.state.rows(sql, *values, limit + 1, skip)
    end = cursor_of(rows[limit - 1]["place"], rows[limit - 1]["number"]) if len(rows) > limit else None
    items = with_opinions(service.state, (row["body"] for row in rows[:limit]))
    return {"items": items, "next": end, "total": total, "run": None if run is None else run[1]}


@router.get("/groups/{number}", response_model=Group, responses=problems("not-found"))
def group(request: Request, number: VideoId) -> dict[str, Any]:
    """One group by its number."""
    state = service_of(request).state
    body = state.value("SELECT body FROM grp WHERE number = ?", number)
    if body is None:
        raise Problem(
            "not-found", f"group {number}: the last search for duplicates has none with this number"
        )
    return with_opinions(state, [body])[0]


@router.get("/related", response_model=Page[Related], responses=problems())
def related(
    request: Request,
    text: Filter = None,
    relation: Relation | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Pairs that are no duplicates but related, of the last job `dedup` that was done; the nearest first."""
    return pairs_page(service_of(request).state, "related", limit, cursor, text=text, relation=relation)


@router.get("/left-out", response_model=Page[LeftOut], responses=problems())
def left_out(request: Request, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Near videos that are in no group, for what the disk says of their files."""
    return numbered_page(service_of(request).state, "left_out", limit, cursor)


@router.get("/spans", response_model=Spans, responses=problems("not-found"))
def spans(request: Request, a: Asked, b: Asked) -> dict[str, Any]:
    """The parts that two videos of the library have in common, by their kept segments."""
    with service_of(request).readers.lent() as library:
        one, other = entry_by_id(library, a), entry_by_id(library, b)
        return {"spans": [span_shape(span) for span in library.common_spans(one, other)]}
