"""Judgements, and taking them back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from ..judging_models import Judge, PastJudgement, Recorded, Undone
from ..models import Page
from ..problems import Problem
from ..service import entry_by_id, identity_of, service_of
from ..shapes import cursor_of, place_of, video_shape
from .common import Cursor, Limit, problems

router = APIRouter(prefix="/v1/judgements", tags=["judgements"])


@router.post("", status_code=201, response_model=Recorded, responses=problems("not-found", "conflict"))
def judge(request: Request, given: Judge) -> dict[str, Any]:
    """Say of pairs of videos whether they are copies; holds for every copy of their files."""
    service = service_of(request)
    service.check_changes()
    with service.readers.lent() as library:
        said = [
            (entry_by_id(library, one.a), entry_by_id(library, one.b), one.judgement)
            for one in given.judgements
        ]
    return service.judging.judge(said, identity_of(request).user)


@router.post("/undo", response_model=Undone, responses=problems("conflict"))
def undo(request: Request) -> dict[str, Any]:
    """Take the last judgement back that still holds."""
    service = service_of(request)
    service.check_changes()
    number, holds = service.judging.undo()
    return {"id": number, "judgements": holds}


@router.get("", response_model=Page[PastJudgement], responses=problems())
def judgements(request: Request, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """What was said and holds, the latest first."""
    service = service_of(request)
    where, values = "NOT g.undone", []  # type: str, list[Any]
    total = service.state.value(
        f"SELECT count(*) FROM judged d JOIN judging g ON g.id = d.judging WHERE {where}"
    )
    if cursor is not None:
        values = place_of(cursor, 2)
        if not all(isinstance(value, int) for value in values):
            raise Problem("bad-request", "cursor: give back the `next` of the page before, as it was")
        where += " AND (d.judging, d.place) < (?, ?)"
    sql = (
        f"SELECT d.*, g.at, g.user FROM judged d JOIN judging g ON g.id = d.judging WHERE {where}"
        " ORDER BY d.judging DESC, d.place DESC LIMIT ?"
    )
    rows = service.state.rows(sql, *values, limit + 1)
    with service.readers.lent() as library:
        numbers = {row[name] for row in rows for name in ("video_a", "video_b")}
        videos = {entry.id: video_shape(entry) for entry in library.by_id(numbers)}
    items = [
        {
            "id": row["judging"],
            "a": videos.get(row["video_a"]),
            "b": videos.get(row["video_b"]),
            "judgement": row["said"],
            "when": row["at"],
            "user": row["user"],
        }
        for row in rows[:limit]
    ]
    end = cursor_of(rows[limit - 1]["judging"], rows[limit - 1]["place"]) if len(rows) > limit else None
    return {"items": items, "next": end, "total": total}
