"""Whether the server lives, is ready, and what it has done."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ..problems import Problem
from ..service import identity_of, service_of
from .common import problems

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """All is well."""

    status: str


@router.get("/livez", response_model=Health)
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Health, responses=problems("stale"))
def readyz(request: Request) -> dict[str, str]:
    """The library and what the server keeps can be read, and its indexes follow their writers."""
    service = service_of(request)
    service.state.value("SELECT 1")
    with service.readers.lent() as library:
        service.metrics.videos.set(len(library))
    service.lookups.look()
    if trouble := service.lookups.trouble:
        raise Problem("stale", f"{len(trouble)} of the indexes cannot take over what was added; see the log")
    return {"status": "ok"}


@router.get(
    "/metrics", response_class=Response, responses={**problems(), 200: {"content": {"text/plain": {}}}}
)
def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    identity_of(request)
    service = service_of(request)
    with service.readers.lent() as library:
        service.metrics.videos.set(len(library))
    counts = {
        row["state"]: row[1] for row in service.state.rows("SELECT state, count(*) FROM job GROUP BY 1")
    }
    for state in ("queued", "running", "done", "failed", "cancelled"):
        service.metrics.jobs.labels(state).set(counts.get(state, 0))
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
