"""The routes behind the guard, as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import VhashError
from ..names import safe
from .answers import Answers
from .guard import Asgi, Guard, Scope
from .problems import TITLES, Problem, problem_of
from .quick import Quick
from .routes import (
    basket,
    groups,
    health,
    jobs,
    judgements,
    library,
    lookup,
    pages,
    parts,
    search,
    session,
)
from .routes.common import ProblemDocument
from .service import Service

_THREADS = 80  # requests that may be read from the disk or wait for a picture at the same time
ABOUT = "Search, group and judge the videos of one library. Errors are application/problem+json."


def build(service: Service, port: int) -> Guard:
    """The application of a server that listens on a port."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        await anyio.to_thread.run_sync(service.begin)
        yield

    app = FastAPI(
        title="vhash", version="1", description=ABOUT, openapi_url="/v1/openapi.json", docs_url=None,
        redoc_url=None, lifespan=lifespan, separate_input_output_schemas=False,
    )  # fmt: skip
    app.state.service = service
    parts_of = (session, library, search, jobs, groups, parts, judgements, basket, lookup, health, pages)
    for routes in parts_of:
        app.include_router(routes.router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    for kind in (Problem, VhashError):
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(Exception, _known)
    _describe(app)
    quick = Quick(service.lookups, service.metrics)
    inner = _Shortcut(app, Answers(app, service.state))
    guard = Guard(inner, service.settings, service.sessions, service.metrics, quick=quick, port=port)
    app.state.guard = guard
    return guard


class _Shortcut:
    """Look-ups of bare codes without the router, which would take longer than they do; all else by it.

    Args:
        app: whose route `/v1/lookup` is.
        others: what answers everything else.
    """

    def __init__(self, app: FastAPI, others: Asgi) -> None:
        self._app, self._others = app, others

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != "/v1/lookup" or scope["method"] != "POST":
            await self._others(scope, receive, send)
            return
        scope["app"] = self._app
        response = await lookup.lookup(Request(scope, receive))
        await response(scope, receive, send)


def _describe(app: FastAPI) -> None:
    """Complete the schema that FastAPI makes: the shape of errors, and how one signs in."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            parts = schema.setdefault("components", {})
            parts.setdefault("schemas", {})["ProblemDocument"] = ProblemDocument.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which are never sent
                parts["schemas"].pop(name, None)
            parts["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "vhash_8123"},
            }
            schema["security"] = [{"bearer": []}, {"cookie": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _known(request: Request, error: Exception) -> Response:
    """What the routes raise; what nobody expected goes on to the guard, which writes it down."""
    return problem_of(error).response(request.scope["state"]["request_id"])


async def _invalid(request: Request, error: Exception) -> Response:
    """A value that the schema does not allow."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(map(str, one["loc"])), "message": safe(str(one["msg"]))}
        for one in error.errors()[:20]
    ]
    detail = "; ".join(f"{one['where']}: {one['message']}" for one in found[:3]) or "a value is not allowed"
    return Problem("invalid", detail, errors=found).response(request.scope["state"]["request_id"])


async def _refused(request: Request, error: Exception) -> Response:
    """What the router says: no such route, no such method."""
    assert isinstance(error, HTTPException)
    names = {status: name for name, (status, _) in TITLES.items()}
    name = names.get(error.status_code, "bad-request")
    problem = Problem(name, str(error.detail), headers=dict(error.headers or {}))
    return problem.response(request.scope["state"]["request_id"])
