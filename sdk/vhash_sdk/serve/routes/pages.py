"""The app: its page, and the files that it is made of."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...web import app_files
from ..problems import Problem

router = APIRouter(include_in_schema=False)


def _response(request: Request, name: str) -> Response:
    """A file of the app; asked for each time, so that a page never has modules of two versions."""
    found = app_files().get(name)  # a table: no name leads out of it
    if found is None:
        raise Problem("not-found", f"{name[:200]!r}: the app has no such file")
    headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, media_type=found.type)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
def static(request: Request, name: str) -> Response:
    """A file of the app."""
    return _response(request, name)


@router.api_route("/{path:path}", methods=["GET", "HEAD"])
def page(request: Request, path: str) -> Response:
    """The page of the app, whatever place in it is asked for."""
    if path.startswith("v1/") or path == "v1":
        raise Problem("not-found", f"/{path[:200]}: the API has no such route; see /v1/openapi.json")
    return _response(request, "app/icon.svg" if path == "favicon.ico" else "app/index.html")
