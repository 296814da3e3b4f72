"""Jobs: begun, watched, cancelled; what a plan has done, and taking it back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from ...acting.journal import read_journal
from ...library.keeping import KeepRules
from ...library.place import not_own
from ..events import event
from ..jobs import job_shape
from ..judging_models import Journals
from ..models import Job, NewJob, Page
from ..problems import Problem
from ..service import Service, checked_path_in_roots, identity_of, service_of
from ..shapes import cursor_of, place_of
from .common import Cursor, Limit, problems
from .library import actions

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/jobs", status_code=202, response_model=Job, responses=problems("not-found", "conflict"))
def begin(request: Request, given: NewJob) -> dict[str, Any]:
    """Begin a job: add, dedup, parts, apply or undo. One runs at a time, others wait."""
    service = service_of(request)
    service.check_changes()
    check = {"add": _add, "dedup": _dedup, "parts": _parts, "apply": _apply, "undo": _undo}[given.kind]
    return service.jobs.add(given.kind, check(service, given), identity_of(request).user)


def _add(service: Service, given: NewJob) -> dict[str, Any]:
    roots = list(service.settings.roots) if given.paths is None else given.paths
    paths = [checked_path_in_roots(service.settings, path) for path in roots]
    if not paths:
        raise Problem(
            "bad-request", "paths: nothing to add; start the server with --root DIR, and name what to add"
        )
    not_own(service.directory, paths)
    # what is read as a pattern would reach out of the roots, and links are not followed
    return {
        "paths": [_literal(path) for path in paths],
        "segments": given.segments,
        "retry": given.retry,
        "exclude": given.exclude,
    }


def _literal(path: str) -> str:
    """A path that ``scan`` takes as it is. Raises Problem."""
    if not os.path.lexists(path):
        raise Problem("not-found", f"{path[:300]!r}: there is no such file or folder")
    return path


def _dedup(service: Service, given: NewJob) -> dict[str, Any]:
    return {"keep": KeepRules(given.keep).text, "fmr": given.fmr, "radius": given.radius}


def _parts(service: Service, given: NewJob) -> dict[str, Any]:
    return {"seconds": given.seconds}


def _apply(service: Service, given: NewJob) -> dict[str, Any]:
    possible = actions(service)
    if given.action not in possible:
        raise Problem(
            "bad-request", f"action={given.action!r}: possible here are {', '.join(possible) or 'none'}"
        )
    if given.different and given.action not in ("hardlink", "symlink"):
        raise Problem("bad-request", "different: belongs to hardlink and symlink")
    if not service.state.value("SELECT count(*) FROM basket"):
        raise Problem("conflict", "the basket is empty; put duplicates into it first")
    return {"action": given.action, "different": given.different, "dry_run": given.dry_run}


def _undo(service: Service, given: NewJob) -> dict[str, Any]:
    names = _journal_names(service)
    if given.journal not in names:
        raise Problem("not-found", f"journal={given.journal!r}: there is none; GET /v1/journals lists them")
    return {"journal": given.journal}


@router.get("/jobs", response_model=Page[Job], responses=problems())
def jobs(request: Request, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """All jobs, the latest first."""
    state = service_of(request).state
    where, values = "1", []
    if cursor is not None:
        where, values = "(created, id) < (?, ?)", place_of(cursor, 2)
    total = state.value("SELECT count(*) FROM job")
    sql = f"SELECT * FROM job WHERE {where} ORDER BY created DESC, id DESC LIMIT ?"
    rows = state.rows(sql, *values, limit + 1)
    end = cursor_of(rows[limit - 1]["created"], rows[limit - 1]["id"]) if len(rows) > limit else None
    return {"items": [job_shape(row) for row in rows[:limit]], "next": end, "total": total}


@router.get(
    "/jobs/events",
    response_class=StreamingResponse,
    responses={**problems(), 200: {"content": {"text/event-stream": {}}}},
    include_in_schema=False,
)
async def events(request: Request, job: str | None = None) -> Response:
    """What happens, as server-sent events: jobs, judgements, the basket, the library."""
    service = service_of(request)
    last = request.headers.get("last-event-id", "")
    mark = f'"id": "{job}"'.encode() if job is not None else b""

    def missed() -> Iterable[bytes]:
        again = last.isascii() and last.isdigit() and len(last) < 16
        which, values = ("revision > ?", [int(last)]) if again else ("state IN ('queued', 'running')", [])
        now = service.state.value("SELECT coalesce(max(revision), 0) FROM job")
        for row in service.state.rows(f"SELECT * FROM job WHERE {which} ORDER BY revision", *values):
            if job is None or row["id"] == job:
                yield event("job", job_shape(row), row["revision"])
        yield event("listening", {}, now)  # also who has heard of no job yet comes back with a number

    def wanted(content: bytes) -> bool:
        return job is None or mark in content[:200]

    stream = service.events.listen(missed, wanted)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/jobs/{number}", response_model=Job, responses=problems("not-found"))
def job(request: Request, number: str) -> dict[str, Any]:
    """A job, and how far it is."""
    return service_of(request).jobs.get(number)


@router.post(
    "/jobs/{number}/cancel", status_code=202, response_model=Job, responses=problems("not-found", "conflict")
)
def cancel(request: Request, number: str) -> dict[str, Any]:
    """Let a job end after the file that it is at; what it has done stays."""
    service = service_of(request)
    service.check_changes()
    return service.jobs.cancel(number)


def _journal_names(service: Service) -> list[str]:
    folder = os.path.join(service.directory, "journals")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted((name for name in names if name.endswith(".journal")), reverse=True)


@router.get("/journals", response_model=Journals, responses=problems())
def journals(request: Request) -> dict[str, Any]:
    """What was done by plans, the latest first, and how much of it is taken back."""
    service = service_of(request)
    found = []
    for name in _journal_names(service)[:200]:
        try:
            about, steps = read_journal(os.path.join(service.directory, "journals", name))
        except OSError:  # no journal, or a damaged one: `vhash undo` says what is wrong with it
            continue
        states = [step.state for step in steps.values()]
        found.append(
            {
                "name": name,
                "began": name[:15],
                "action": about.action,
                "steps": len(states),
                "done": states.count("done"),
                "undone": states.count("undone"),
                "unfinished": any(state in ("begin", "undoing") for state in states),
            }
        )
    return {"items": found}
