"""The app: its page, and the files that it is made of."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..problems import Problem

router = APIRouter(include_in_schema=False)

_KINDS = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".ico": "image/x-icon",
    ".json": "application/json", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
_NAME = re.compile(
    r"(?:assets/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*"
)  # no other folder, no name that begins with a dot


@lru_cache(256)
def _file(name: str) -> tuple[bytes, str, str] | None:
    """(content, type, ETag) of a file of the app, which ships with the package; None: there is none."""
    place = resources.files("vhash_sdk.serve").joinpath("static").joinpath(name)
    kind = _KINDS.get("." + name.rpartition(".")[2])
    if kind is None or not place.is_file():
        return None
    content = place.read_bytes()
    return content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _response(request: Request, name: str, kept: str) -> Response:
    found = _file(name)
    if found is None:
        raise Problem("not-found", f"{name[:200]!r}: the app has no such file")
    content, kind, tag = found
    headers = {"ETag": tag, "Cache-Control": kept}
    if request.headers.get("if-none-match") == tag:
        return Response(None, 304, headers)
    return Response(content, 200, headers, media_type=kind)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
def static(request: Request, name: str) -> Response:
    """A file of the app."""
    if not _NAME.fullmatch(name):
        raise Problem("not-found", "the app has no such file")
    return _response(request, name, "public, max-age=86400")


@router.api_route("/{path:path}", methods=["GET", "HEAD"])
def page(request: Request, path: str) -> Response:
    """The page of the app, whatever place in it is asked for."""
    if path.startswith("v1/") or path == "v1":
        raise Problem("not-found", f"/{path[:200]}: the API has no such route; see /v1/openapi.json")
    if path == "favicon.ico":
        return _response(request, "favicon.svg", "public, max-age=86400")
    if _file("index.html") is None:
        return Response(
            "vhash serve: the API is at /v1, see /v1/openapi.json; this installation has no app.\n",
            media_type="text/plain; charset=utf-8",
        )
    return _response(request, "index.html", "no-cache")
