"""Parts that videos share, and those that are named or ignored."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request

from ...library.known_parts import KnownPart as Known
from ...system.strict_json import parse_json
from ..judging_models import CommonPart, KnownPart, KnownParts, NamePart, Parts
from ..models import Page
from ..service import Service, service_of
from ..shapes import known
from .common import Cursor, Filter, Limit, numbered_page, pairs_page, problems
from .groups import run_of

router = APIRouter(prefix="/v1/parts", tags=["parts"])

PartId = Annotated[str, Path(max_length=200)]
Relation = Literal["part of", "contains", "shares a part", "same video"]


@router.get("", response_model=Parts, responses=problems())
def parts(
    request: Request,
    text: Filter = None,
    relation: Relation | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Pairs of videos that share parts, of the last job `parts` that was done."""
    service = service_of(request)
    run = run_of(service, "parts")
    page = pairs_page(service.state, "part", limit, cursor, text=text, relation=relation)
    return {**page, "run": None if run is None else run[1]}


@router.get("/common", response_model=Page[CommonPart], responses=problems())
def common(request: Request, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Parts that many videos have."""
    return numbered_page(service_of(request).state, "common_part", limit, cursor)


def _shape(part: Known) -> dict[str, Any]:
    return {"id": part.id, "name": part.name, "ignored": part.ignored, "seconds": known(part.seconds)}


@router.get("/known", response_model=KnownParts, responses=problems())
def known_parts(request: Request) -> dict[str, Any]:
    """Parts that were named, or are ignored."""
    with service_of(request).readers.lent() as library:
        return {"items": [_shape(part) for part in library.known_parts]}


@router.put("/known/{part}", response_model=KnownPart, responses=problems("conflict"))
def name_part(request: Request, part: PartId, given: NamePart) -> dict[str, Any]:
    """Name a common part, or ignore it from now on."""
    service = service_of(request)
    service.check_changes()
    with service.readers.lent() as library:
        kept = library.name_part(part, given.name, ignored=given.ignored)
    _rename(service, kept)
    return _shape(kept)


def _rename(service: Service, part: Known) -> None:
    """The list of common parts shows the name at once."""
    for row in service.state.rows("SELECT job, number, body FROM common_part"):
        body = parse_json(row["body"], surrogates=True)
        if body["id"] == part.id:
            body["name"] = part.name
            sql = "UPDATE common_part SET body = ? WHERE job = ? AND number = ?"
            service.state.execute(sql, json.dumps(body), row["job"], row["number"])


@router.delete("/known/{part}", status_code=204, responses=problems("conflict"))
def forget_part(request: Request, part: PartId) -> None:
    """Know nothing more of a part that was named or ignored."""
    service = service_of(request)
    service.check_changes()
    with service.readers.lent() as library:
        library.forget_part(part)
