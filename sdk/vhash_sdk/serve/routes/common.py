"""What routes share: the errors that each may answer with, parameters of lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from ..models import Page
from ..problems import TITLES
from ..shapes import cursor_of, place_of

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


def numbered_page(
    items: list[dict[str, Any]], limit: int, total: int, number: Callable[[dict[str, Any]], int]
) -> dict[str, Any]:
    """A page of what was read with one more than the limit."""
    end = cursor_of(number(items[limit - 1])) if len(items) > limit else None
    return {"items": items[:limit], "next": end, "total": total}


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


__all__ = [
    "Cursor",
    "Filter",
    "Limit",
    "Page",
    "ProblemDocument",
    "after_number",
    "numbered_page",
    "problems",
    "skipped",
]
