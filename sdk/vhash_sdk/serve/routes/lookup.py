"""Bare codes, looked up by programs."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from ...codes import as_codes
from ...errors import CodeError
from ..lookup import MOST_CODES, Wanted, packed
from ..problems import Problem
from ..service import service_of
from .common import problems

router = APIRouter(prefix="/v1", tags=["codes"])


class IndexFacts(BaseModel):
    """An index that may be looked up in."""

    name: str
    bits: int
    model: str | None
    codes: int


class Indexes(BaseModel):
    """All of them."""

    items: list[IndexFacts]


class Match(BaseModel):
    """A near code."""

    id: int
    distance: int


class Matched(BaseModel):
    """What is near each code, by distance and id."""

    matches: list[list[Match]]


def _parameter(name: str, kind: dict[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": kind, "description": about}


_SCHEMA = {
    "parameters": [
        _parameter("index", {"type": "string", "default": "library"}, "one of GET /v1/indexes"),
        _parameter("radius", {"type": "integer", "minimum": 0, "maximum": 65535}, "bits, inclusive"),
        _parameter("k", {"type": "integer", "minimum": 1, "maximum": 1000}, "at most so many of each code"),
    ],
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.get("/indexes", response_model=Indexes, responses=problems())
def indexes(request: Request) -> dict[str, Any]:
    """What codes may be looked up in."""
    return {"items": service_of(request).lookups.facts()}


def _whole(request: Request, name: str, least: int, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise Problem("invalid", f"{name}={text[:40]!r}: expected {least} to {most}")
    return int(text)


@router.post(
    "/lookup",
    response_model=Matched,
    responses={**problems("not-found", "too-large"), 200: {"content": {"application/octet-stream": {}}}},
    openapi_extra=_SCHEMA,
)
async def lookup(request: Request) -> Response:
    """What is near codes (n × bytes): as JSON, or packed for `Accept: application/octet-stream`."""
    radius, k = _whole(request, "radius", 0, 65535), _whole(request, "k", 1, 1000)
    if radius is None and k is None:
        raise Problem("bad-request", "give radius, k, or both")
    name, wanted = request.query_params.get("index", "library"), Wanted(radius, k)
    shelf = await service_of(request).lookups.shelf(name)
    body = await request.body()
    width = (shelf.index.bits + 7) // 8
    if not body or len(body) % width or len(body) > MOST_CODES * width:
        raise Problem(
            "bad-request", f"{len(body)} bytes: expected 1 to {MOST_CODES} codes of {width} bytes each"
        )
    try:
        codes = as_codes(np.frombuffer(body, np.uint8).reshape(-1, width), shelf.index.bits)
    except CodeError as error:
        raise Problem("bad-request", str(error)) from error
    ids, distances, counts = await shelf.look_up(codes, wanted)
    request.app.state.guard.quick.remember_query(request.scope["query_string"], name, wanted)
    if request.headers.get("accept") == "application/octet-stream":
        return Response(packed(ids, distances, counts), media_type="application/octet-stream")
    ends = np.cumsum(counts).tolist()
    pairs = [
        {"id": number, "distance": bits}
        for number, bits in zip(ids.tolist(), distances.tolist(), strict=True)
    ]
    starts = [0, *ends[:-1]]
    return JSONResponse({"matches": [pairs[start:end] for start, end in zip(starts, ends, strict=True)]})
