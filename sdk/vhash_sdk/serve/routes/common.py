"""What routes share: the errors that each may answer with, parameters of lists."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from ...system.strict_json import parse_json
from ..models import Page
from ..problems import TITLES
from ..shapes import cursor_of, place_of
from ..state import State

Limit = Annotated[int, Query(ge=1, le=500, description="how many are wanted")]
Cursor = Annotated[
    str | None,
    Query(max_length=9000, description="`next` of the page before, or `@N`: N items are passed over"),
]
Filter = Annotated[str | None, Query(max_length=1000)]


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for the schema: those of every route, and these."""
    found: dict[int | str, dict[str, Any]] = {}
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    for name in ("bad-request", "unauthorized", "forbidden", "invalid", "too-many", "failed", "busy", *names):
        status, title = TITLES[name]
        found[status] = {"description": title, "content": {"application/problem+json": {"schema": schema}}}
    return found


def skipped(cursor: str | None) -> tuple[str | None, int]:
    """A cursor, and how many items are passed over: ``@N`` is a place in the middle of a list.

    >>> skipped("@200"), skipped(None)
    ((None, 200), (None, 0))
    """
    if cursor is not None and re.fullmatch(r"@\d{1,12}", cursor):
        return None, int(cursor[1:])
    return cursor, 0


def after_number(cursor: str | None) -> int:
    """The number that a page comes after; 0 for the first one. Raises Problem."""
    if cursor is None:
        return 0
    (value,) = place_of(cursor, 1)
    return value if isinstance(value, int) else 0


def numbered_page(
    state: State, table: str, limit: int, cursor: str | None, where: str = "1", *values: Any
) -> dict[str, Any]:
    """A page of the bodies of a table's rows, by their numbers. Raises Problem.

    Args:
        state: has the table.
        table: with columns ``number`` and ``body``.
        limit, cursor: of the request.
        where, values: which rows are wanted, as SQL.
    """
    total = state.value(f"SELECT count(*) FROM {table} WHERE {where}", *values)
    cursor, skip = skipped(cursor)
    sql = f"SELECT number, body FROM {table} WHERE {where} AND number > ? ORDER BY number LIMIT ? OFFSET ?"
    rows = state.rows(sql, *values, after_number(cursor), limit + 1, skip)
    items = [parse_json(row["body"], surrogates=True) for row in rows[:limit]]
    end = cursor_of(rows[limit - 1]["number"]) if len(rows) > limit else None
    return {"items": items, "next": end, "total": total}


def pairs_page(
    state: State, table: str, limit: int, cursor: str | None, *, text: str | None, relation: str | None
) -> dict[str, Any]:
    """A page of pairs of videos, of the run that is the last one. Raises Problem.

    Args:
        state: has the table.
        table: as in ``numbered_page``, with columns ``job``, ``relation`` and ``text`` (both paths).
        limit, cursor: of the request.
        text: a part of a path; None: of any.
        relation: of the first to the second; None: any.
    """
    where, values = ["job IN (SELECT job FROM run)"], []  # type: list[str], list[Any]
    for sql, value in (("instr(text, ?) > 0", (text or "").lower()), ("relation = ?", relation)):
        if value:
            where.append(sql)
            values.append(value)
    return numbered_page(state, table, limit, cursor, " AND ".join(where), *values)


__all__ = [
    "Cursor",
    "Filter",
    "Limit",
    "Page",
    "ProblemDocument",
    "after_number",
    "numbered_page",
    "pairs_page",
    "problems",
    "skipped",
]
