"""The basket: duplicates that are to go, until a job `apply` does so."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from fastapi import APIRouter, Request

from ..judging_models import Basket, Fill, Filled, InBasket, Put
from ..problems import Problem
from ..service import Service, service_of
from ..shapes import video_shape
from .common import problems
from .library import VideoId

router = APIRouter(prefix="/v1/basket", tags=["basket"])

_PUT = (
    "INSERT OR REPLACE INTO basket (video, kept, number, distance, reason, bytes, at)"
    " SELECT m.video, m.kept, m.number, m.distance, m.because, m.bytes, ? FROM member m"
)


def _items(service: Service, rows: list[sqlite3.Row]) -> list[dict[str, Any]]:
    with service.readers.lent() as library:
        numbers = {row[name] for row in rows for name in ("video", "kept")}
        videos = {entry.id: video_shape(entry) for entry in library.by_id(numbers)}
    return [
        {
            "video": videos[row["video"]],
            "kept": videos[row["kept"]],
            "group": row["number"],
            "distance": row["distance"],
            "reason": row["reason"],
        }
        for row in rows
        if row["video"] in videos and row["kept"] in videos
    ]


def _tell(service: Service) -> None:
    service.events.tell("basket", {"items": service.state.value("SELECT count(*) FROM basket")})


@router.get("", response_model=Basket, responses=problems())
def basket(request: Request) -> dict[str, Any]:
    """What is to go."""
    service = service_of(request)
    items = _items(service, service.state.rows("SELECT * FROM basket ORDER BY number, video"))
    return {"items": items, "bytes": sum(item["video"]["bytes"] for item in items)}


@router.put("/{number}", response_model=InBasket, responses=problems("not-found", "conflict"))
def put(request: Request, number: VideoId, given: Put) -> dict[str, Any]:
    """Put a duplicate in, of the video that is kept instead."""
    service = service_of(request)
    service.check_changes()
    state = service.state
    row = state.row("SELECT offered FROM member WHERE video = ? AND kept = ?", number, given.kept)
    if row is None or not row["offered"]:
        why = "is not offered: its group says why" if row else "is no duplicate of it in the last search"
        raise Problem("conflict", f"video {number}, for {given.kept}: {why}; GET /v1/groups lists them")
    state.execute(f"{_PUT} WHERE m.video = ? AND m.kept = ? AND m.offered", time.time(), number, given.kept)
    _tell(service)
    items = _items(service, state.rows("SELECT * FROM basket WHERE video = ?", number))
    if not items:
        raise Problem("conflict", f"video {number} has left the library this very moment")
    return items[0]


@router.post("/fill", response_model=Filled, responses=problems())
def fill(request: Request, given: Fill) -> dict[str, Any]:
    """Put in all duplicates that are offered and not judged no match."""
    service = service_of(request)
    service.check_changes()
    sql = (
        f"{_PUT} JOIN grp g ON g.job = m.job AND g.number = m.number"
        " LEFT JOIN opinion o ON o.a = m.a AND o.b = m.b"
        " WHERE m.offered AND o.said IS NOT 'not a match' AND (? IS NULL OR m.distance <= ?)"
        " AND (? IS NULL OR instr(g.text, ?) > 0) AND m.video NOT IN (SELECT video FROM basket)"
    )
    text = given.text.lower() if given.text else None
    added = service.state.execute(sql, time.time(), given.max_distance, given.max_distance, text, text)
    _tell(service)
    return {"added": added}


@router.delete("/{number}", status_code=204, responses=problems("not-found"))
def take(request: Request, number: VideoId) -> None:
    """Take a video out again."""
    service = service_of(request)
    service.check_changes()
    if not service.state.execute("DELETE FROM basket WHERE video = ?", number):
        raise Problem("not-found", f"video {number} is not in the basket")
    _tell(service)


@router.delete("", status_code=204, responses=problems())
def clear(request: Request) -> None:
    """Take everything out."""
    service = service_of(request)
    service.check_changes()
    service.state.execute("DELETE FROM basket")
    _tell(service)
