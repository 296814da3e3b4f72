"""What the library holds: its videos, their pictures and bytes, what failed, what distances mean."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from ...errors import OptionError
from ...library.browsing import Filters, Place
from ...library.library import Library
from ...matching.calibration import Calibration
from ..media import Picture
from ..models import CalibrationTable, Failure, LibraryFacts, MapFacts, Page, Video, VideoState
from ..problems import Problem
from ..ranges import file_response, open_unchanged
from ..service import Service, entry_by_id, service_of, shown
from ..shapes import cursor_of, failure_shape, known, place_of, rate_shape, shown_path, video_shape
from .common import Cursor, Filter, Limit, problems, skipped

router = APIRouter(prefix="/v1", tags=["library"])

VideoId = Annotated[int, Path(ge=0, lt=1 << 63)]
Height = Annotated[int, Query(ge=16, le=1080)]
Frames = Annotated[int, Query(ge=1, le=24)]
Start = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False)]
Seconds = Annotated[float, Query(gt=0, le=20)]
PreviewHeight = Annotated[int, Query(ge=16, le=480)]
Amount = Annotated[float | None, Query(ge=0, le=1e18, allow_inf_nan=False)]
Number = Annotated[int | None, Query(ge=0, lt=1 << 63)]


@router.get("/library", response_model=LibraryFacts, responses=problems())
def library_facts(request: Request) -> dict[str, Any]:
    """What the library is and holds, and what may be done with it here."""
    service = service_of(request)
    with service.readers.lent() as library:
        held, lacking = service.held(library)
        spec = library.spec
        return {
            "name": shown_path(os.path.basename(service.directory))["path"],
            "path": shown_path(service.directory)["path"],
            "uuid": library.uuid,
            "generation": library.generation,
            "model": {"name": spec.name, "fingerprint": spec.fingerprint, "bits": spec.bits},
            "videos": held.videos,
            "failures": held.failures,
            "bytes": held.bytes,
            "seconds": held.seconds,
            "damaged": held.damaged,
            "unreliable": held.unreliable,
            "codecs": [{"codec": codec, "videos": count} for codec, count in held.codecs],
            "heights": [{"height": height, "videos": count} for height, count in held.heights],
            "failures_by_kind": [{"kind": kind, "files": count} for kind, count in held.errors],
            "has_segments": library.has_segments,
            "lacking_segments": lacking,
            "has_sound": library.has_sound,
            "has_pictures": library.has_pictures,
            "threshold": _threshold(library),
            "read_only": service.read_only,
            "writable": service.unwritable,
            "roots": [shown_path(root)["path"] for root in service.settings.roots],
            "actions": actions(service),
        }


def actions(service: Service) -> list[str]:
    """What may be done with duplicates here."""
    if service.read_only:
        return []
    found = ["trash"] if find_spec("send2trash") is not None else []
    return [*found, "hardlink", "symlink", *(["move"] if service.settings.move_to else [])]


def _threshold(library: Library) -> dict[str, Any] | None:
    try:
        radius = library.threshold()
    except OptionError:  # not calibrated
        return None
    rate = library.false_match_rate(radius)
    return {"radius": radius, "false_match_rate": None if rate is None else rate.estimate}


def video_filters(
    text: Filter = None,
    codec: Filter = None,
    min_seconds: Amount = None,
    max_seconds: Amount = None,
    min_bytes: Number = None,
    max_bytes: Number = None,
    min_height: Number = None,
    damaged: bool | None = None,
) -> Filters:
    """Which videos are wanted."""
    return Filters(text, codec, min_seconds, max_seconds, min_bytes, max_bytes, min_height, damaged)


@router.get("/videos", response_model=Page[Video], responses=problems())
def videos(
    request: Request,
    filters: Annotated[Filters, Depends(video_filters)],
    sort: Literal["id", "path", "bytes", "seconds", "modified", "added", "height"] = "id",
    order: Literal["asc", "desc"] = "asc",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The videos, by filters."""
    cursor, skip = skipped(cursor)
    after = None if cursor is None else _video_place(cursor)
    with service_of(request).readers.lent() as library:
        found, end, total = library.page(
            filters, sort=sort, falling=order == "desc", after=after, skip=skip, limit=limit
        )
    return {
        "items": [video_shape(entry) for entry in found],
        "next": None if end is None else cursor_of(end.value, end.id),
        "total": total,
    }


def _video_place(cursor: str) -> Place:
    value, number = place_of(cursor, 2)
    if (
        not isinstance(number, int)
        or abs(number) >= 1 << 63
        or (isinstance(value, int) and abs(value) >= 1 << 63)
    ):
        raise Problem("bad-request", "cursor: give back the `next` of the page before, as it was")
    return Place(value, number)


@router.get("/videos/{number}", response_model=VideoState, responses=problems("not-found"))
def video(request: Request, number: VideoId) -> dict[str, Any]:
    """A video, and what its file is now."""
    with service_of(request).readers.lent() as library:
        entry = entry_by_id(library, number)
        wrong = library.look(entry)
    state = {"file": "ok", "message": None}
    if wrong is not None:
        state = {"file": wrong.reason, "message": wrong.message}
    return {**video_shape(entry), **state}


@router.api_route(
    "/videos/{number}/file",
    methods=["GET", "HEAD"],
    response_class=Response,
    responses={
        **problems("not-found", "conflict", "gone", "range"),
        200: {"content": {"application/octet-stream": {}}, "description": "the bytes"},
        206: {"content": {"application/octet-stream": {}}, "description": "a range of them"},
    },
    include_in_schema=False,
)
def video_file(request: Request, number: VideoId) -> Response:
    """The bytes of a video, or a range of them."""
    with service_of(request).readers.lent() as library:
        entry = entry_by_id(library, number)
    return file_response(request, entry)


def picture_response(request: Request, picture: Picture, etag: str, kind: str = "image/jpeg") -> Response:
    """A picture, with what lets a browser keep it."""
    headers = {
        "ETag": f'"{etag}"',
        "Cache-Control": "private, max-age=86400",
        "X-Frames": str(picture.frames),
        "X-Frame-Width": str(picture.width),
    }
    if request.headers.get("if-none-match") == f'"{etag}"':
        return Response(None, 304, headers)
    return Response(picture.content, 200, headers, media_type=kind)


_JPEG: dict[int | str, dict[str, Any]] = {
    **problems("not-found", "conflict", "gone", "unreadable"),
    200: {"content": {"image/jpeg": {}}},
}


@router.get("/videos/{number}/still", response_class=Response, responses=_JPEG)
def still(request: Request, number: VideoId, time: Amount = None, height: Height = 160) -> Response:
    """One frame of a video as a JPEG."""
    service = service_of(request)
    place = _shown(service, number)
    at = None if time is None else min(time, max(place.seconds, 0.0))
    picture = service.pictures.still(place, at, height)
    return picture_response(request, picture, f"{place.digest[:32]}-{at}-{height}")


@router.get("/videos/{number}/strip", response_class=Response, responses=_JPEG)
def strip(request: Request, number: VideoId, frames: Frames = 6, height: Height = 96) -> Response:
    """Frames of a video, evenly spread, side by side in one JPEG."""
    service = service_of(request)
    place = _shown(service, number)
    picture = service.pictures.strip(place, frames, height)
    return picture_response(request, picture, f"{place.digest[:32]}-{frames}x{height}")


@router.get(
    "/videos/{number}/preview",
    response_class=Response,
    responses={**_JPEG, 200: {"content": {"video/webm": {}}}},
)
def preview(
    request: Request,
    number: VideoId,
    start: Start = 0.0,
    seconds: Seconds = 6.0,
    height: PreviewHeight = 240,
) -> Response:
    """Some seconds of a video as WebM (VP8), without sound."""
    service = service_of(request)
    place = _shown(service, number)
    picture = service.pictures.preview(place, min(start, place.seconds), seconds, height)
    tag = f"{place.digest[:32]}-{start}-{seconds}-{height}"
    return picture_response(request, picture, tag, "video/webm")


def _shown(service: Service, number: int) -> Any:
    """What pictures of a video are made of, once its file is known to be what was added."""
    with service.readers.lent() as library:
        entry = entry_by_id(library, number)
    open_unchanged(entry)[0].close()
    return shown(entry)


@router.get("/failures", response_model=Page[Failure], responses=problems())
def failures(
    request: Request, kind: Filter = None, text: Filter = None, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """Files that could not be added, and why."""
    cursor, skip = skipped(cursor)
    after = b"" if cursor is None else place_of(cursor, 1)[0]
    if not isinstance(after, bytes):
        raise Problem("bad-request", "cursor: give back the `next` of the page before, as it was")
    with service_of(request).readers.lent() as library:
        found, end, total = library.failures_page(kind=kind, text=text, after=after, skip=skip, limit=limit)
    return {
        "items": [failure_shape(failure) for failure in found],
        "next": None if end is None else cursor_of(end),
        "total": total,
    }


@router.get("/calibration", response_model=CalibrationTable, responses=problems("not-found"))
def calibration(request: Request) -> dict[str, Any]:
    """What distances mean for the library's model."""
    with service_of(request).readers.lent() as library:
        table = library.calibration
        if table is None:
            raise Problem("not-found", "the model of this library is not calibrated; see `vhash calibrate`")
        look = table.second_look
        return {
            "bits": table.bits,
            "fingerprint": table.fingerprint,
            "pairs": table.pairs,
            "scenes": table.scenes,
            "made": table.made,
            "threshold": _threshold(library),
            "rates": _rates(table),
            "copies": [
                {"kind": kind, "missed": _missed(counts)} for kind, counts in (table.copies or {}).items()
            ],
            "second_look": None if look is None else {"radius": look.radius, "rates": _rates(look.table)},
        }


def _rates(table: Calibration) -> list[dict[str, Any]]:
    rates = ((distance, rate_shape(table.false_match_rate(distance))) for distance in range(table.bits + 1))
    return [{"distance": distance, **(rate or {})} for distance, rate in rates]


def _missed(counts: tuple[int, ...]) -> list[float | None]:
    beyond = 1.0 - np.cumsum(counts) / max(1, sum(counts))
    return [known(share) for share in beyond.clip(0, 1)]


@router.get("/map", response_model=MapFacts, responses=problems())
def map_facts(request: Request) -> dict[str, Any]:
    """What the map shows; its points are at `/v1/map/points`."""
    service = service_of(request)
    with service.readers.lent() as library:
        plane = service.plane(library)
    return {
        "generation": plane.generation,
        "videos": len(plane.ids),
        "explained": [known(share) for share in plane.explained],
        "etag": _map_tag(service, plane.generation),
    }


def _map_tag(service: Service, generation: str) -> str:
    job = service.state.value("SELECT job FROM run WHERE kind = 'dedup'")
    return f"{generation}-{job or 'none'}"


@router.get(
    "/map/points",
    response_class=Response,
    responses={**problems(), 200: {"content": {"application/octet-stream": {}}}},
)
def map_points(request: Request) -> Response:
    """The points: "VHM1", uint32 n, float64 ids, float32 x, float32 y, uint8 kind, little-endian."""
    service = service_of(request)
    with service.readers.lent() as library:
        plane = service.plane(library)
    tag = f'"{_map_tag(service, plane.generation)}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(None, 304, headers)
    kinds = np.zeros(len(plane.ids), np.uint8)
    for column, kind in (("kept", 1), ("video", 2)):
        rows = service.state.rows(f"SELECT DISTINCT {column} FROM member")
        kinds[np.isin(plane.ids, [row[0] for row in rows])] = kind
    return Response(plane.packed(kinds), 200, headers, media_type="application/octet-stream")
