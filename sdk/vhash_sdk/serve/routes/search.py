"""Uploads, and what is asked about a video: its code, what is near, where it is, whether two are one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...codes import VideoCode
from ...comparison import Comparison, Subject
from ...comparison import compare as compare_videos
from ...encoding.encoded import Encoded
from ...errors import VhashError
from ...library.browsing import Filters
from ...library.library import Library
from ...library.records import Entry
from ...library.searching import no_match
from ...names import safe
from ...report.pixels import look_entry
from ..media import Shown
from ..models import Upload
from ..problems import Problem
from ..search_models import Compare, Compared, Encode, Find, Found, Hits, Search, Source
from ..search_models import Encoded as EncodedShape
from ..service import Service, checked_path_in_roots, entry_by_id, service_of
from ..shapes import hit_shape, known, rate_shape, span_shape, video_shape
from ..uploads import Upload as UploadFile
from .common import problems
from .library import Amount, Frames, Height, PreviewHeight, Seconds, Start, picture_response

router = APIRouter(prefix="/v1", tags=["search"])

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
        },
    },
    "parameters": [{"name": "X-Filename", "in": "header", "required": False, "schema": {"type": "string"}}],
}


def _upload_shape(upload: UploadFile) -> dict[str, Any]:
    return {"id": upload.id, "bytes": upload.bytes, "name": upload.name, "expires": upload.expires}


@router.post(
    "/uploads", status_code=201, response_model=Upload, responses=problems("too-large", "timeout"),
    openapi_extra=_UPLOAD,
)  # fmt: skip
async def upload(request: Request) -> dict[str, Any]:
    """Upload the bytes of a video or picture to ask about it; it is forgotten after an hour."""
    given = request.headers.get("x-filename")
    name = None if given is None else safe(os.path.basename(unquote(given)[:255].replace("\\", "/")))
    return _upload_shape(await service_of(request).uploads.take(request.stream(), name))


@router.delete("/uploads/{number}", status_code=204, responses=problems("not-found"))
def forget_upload(request: Request, number: str) -> None:
    """Forget an upload."""
    service_of(request).uploads.remove(number)


def _encoded(service: Service, library: Library, source: str | UploadFile) -> Encoded:
    """What encoding says of an upload, once, or of a file. Raises VideoError."""
    if isinstance(source, UploadFile) and source.encoded is not None:
        return source.encoded
    path = source.path if isinstance(source, UploadFile) else source
    (encoded,) = library.encoder.encode_many([path], workers=1, isolate=True, detail="views")
    if encoded.error is not None:
        shown = (source.name or "the upload") if isinstance(source, UploadFile) else path
        text = str(encoded.error).replace(path, shown)
        raise Problem("unreadable", text, kind=type(encoded.error).__name__)
    if isinstance(source, UploadFile):
        source.encoded = encoded
    return encoded


def _file_of(service: Service, source: Source) -> str | UploadFile | None:
    """The file that is asked about; None for a code, or a video of the library. Raises Problem."""
    given = [value for value in (source.upload, source.video, source.code, source.path) if value is not None]
    if len(given) != 1:
        raise Problem(
            "bad-request", f"source: has {len(given)} of upload, video, code and path; give exactly one"
        )
    if source.upload is not None:
        return service.uploads.get(source.upload)
    return None if source.path is None else checked_path_in_roots(service.settings, source.path)


def _code(library: Library, source: Source) -> VideoCode:
    """A bare code, or that of a video of the library. Raises Problem."""
    if source.video is not None:
        return entry_by_id(library, source.video).code
    return VideoCode.from_text(source.code or "")


def _code_shape(code: VideoCode) -> dict[str, Any]:
    return {
        "code": code.text, "bits": code.bits, "confidence": known(code.confidence),
        "seconds": known(code.duration), "unreliable": code.unreliable,
    }  # fmt: skip


def _encoded_shape(encoded: Encoded) -> dict[str, Any]:
    assert encoded.code is not None
    shape, info = _code_shape(encoded.code), encoded.info
    if info is not None:
        shape |= {"width": info.width, "height": info.height, "rate": known(info.rate), "codec": info.codec}
        shape |= {"damaged": info.damaged}
    inner = None if encoded.box is None else encoded.box.code.text
    return {**shape, "box_code": inner, "pane_codes": [pane.code.text for pane in encoded.panes]}


@router.post("/encode", response_model=EncodedShape, responses=problems("not-found", "unreadable"))
def encode(request: Request, given: Encode) -> dict[str, Any]:
    """The code of a video."""
    service = service_of(request)
    file = _file_of(service, given.source)
    if file is None:
        with service.readers.lent() as library:
            return _code_shape(_code(library, given.source))
    with service.encoding.lent() as library:
        return _encoded_shape(_encoded(service, library, file))


@router.post("/search", response_model=Hits, responses=problems("not-found", "unreadable"))
def search(request: Request, given: Search) -> dict[str, Any]:
    """The nearest videos of the library, by distance and id."""
    service = service_of(request)
    began, file = time.perf_counter(), _file_of(service, given.source)
    asked: VideoCode | Encoded | Entry | None = None
    if file is not None:
        with service.encoding.lent() as library:
            asked = _encoded(service, library, file)
    filters = Filters(text=given.text or None, min_seconds=given.min_seconds, max_seconds=given.max_seconds)
    with service.readers.lent() as library:
        if asked is None and given.source.video is not None:
            asked = entry_by_id(library, given.source.video)
        elif asked is None:
            asked = _code(library, given.source)
        fits = filters.fits if filters.any else None
        hits = library.search(asked, given.k, radius=given.radius, fits=fits)
    code = asked if isinstance(asked, VideoCode) else asked.code
    assert code is not None
    return {
        "query": {"code": code.text, "seconds": known(code.duration), "unreliable": code.unreliable},
        "compared": _compared(given.source),
        "hits": [hit_shape(hit) for hit in hits],
        "milliseconds": round(1000 * (time.perf_counter() - began), 2),
    }


def _compared(*sources: Source) -> str:
    """What is compared: of a bare code there is nothing else."""
    return "codes" if any(source.code is not None for source in sources) else "videos"


@router.post("/find", response_model=Found, responses=problems("not-found", "conflict", "unreadable"))
def find(request: Request, given: Find) -> dict[str, Any]:
    """Where parts of a clip are inside the videos of the library; of a picture, which videos show it."""
    service = service_of(request)
    file = _file_of(service, given.source)
    with service.encoding.lent() as library:
        if given.source.code is not None:
            raise Problem("bad-request", "source: a bare code has no parts to look for; give a video")
        if not library.has_segments:
            raise Problem("conflict", "no segments are kept; add with segments first")
        if file is None:
            file = _unchanged(library, entry_by_id(library, given.source.video or 0))
        encoded = _encoded(service, library, file)
        assert encoded.code is not None
        if encoded.code.unreliable == "still":
            frames = library.find_frame(encoded, given.k)
            return {"spans": [], "frames": [_frame(one.entry, one.time, one.distance) for one in frames]}
        path = file.path if isinstance(file, UploadFile) else file
        spans = library.find(path, fmr=given.fmr, k=given.k)
        found = [{"video": video_shape(one.entry), "span": span_shape(one.span)} for one in spans]
    return {"spans": found, "frames": []}


def _unchanged(library: Library, entry: Entry) -> str:
    """The file of a video of the library, which must still hold what was added."""
    if (wrong := library.look(entry)) is not None:
        raise Problem("gone" if wrong.reason == "vanished" else "conflict", wrong.message)
    return entry.path


def _frame(entry: Entry, at: float, distance: int) -> dict[str, Any]:
    return {"video": video_shape(entry), "time": known(at, 3), "distance": int(distance)}


@router.post("/compare", response_model=Compared, responses=problems("not-found", "conflict", "unreadable"))
def compare(request: Request, given: Compare) -> dict[str, Any]:
    """Whether two videos are one, and which part of one is which part of the other."""
    service = service_of(request)
    files = [_file_of(service, source) for source in (given.a, given.b)]
    if given.a.video is not None and given.b.video is not None:
        with service.readers.lent() as library:
            a, b = (entry_by_id(library, source.video or 0) for source in (given.a, given.b))
            return {**_kept(library, a, b, spans=given.spans), "compared": "videos"}
    with service.encoding.lent() as library:
        sides: list[Any] = []
        for source, file in zip((given.a, given.b), files, strict=True):
            if file is not None:
                sides.append(file.path if isinstance(file, UploadFile) else file)
            elif source.video is not None:
                sides.append(_unchanged(library, entry_by_id(library, source.video)))
            else:
                sides.append(VideoCode.from_text(source.code or ""))
        try:
            said = compare_videos(*sides, encoder=library.encoder, spans=given.spans)
            if library.judged_apart(*sides):
                said = replace(said, decision=no_match(said.decision))
        except VhashError as error:
            raise _hidden(error, files) from error
    return {**_comparison(said), "compared": _compared(given.a, given.b)}


def _hidden(error: VhashError, files: Iterable[str | UploadFile | None]) -> Exception:
    """An error about an upload under the name that its client knows."""
    from ..problems import problem_of

    problem = problem_of(error)
    for file in files:
        if isinstance(file, UploadFile):
            problem.detail = problem.detail.replace(file.path, file.name or "the upload")
    return problem


def _kept(library: Library, a: Entry, b: Entry, *, spans: bool) -> dict[str, Any]:
    """Two videos of the library, from what is kept of them."""
    said = library.decide(a, b)
    found = library.common_spans(a, b) if spans and library.has_segments else None
    return {
        "a": _code_shape(a.code) | _entry_facts(a),
        "b": _code_shape(b.code) | _entry_facts(b),
        "distance": int(said.distance),
        "whole": a.code - b.code,
        "same": said.same,
        "verified": said.verified,
        "false_match_rate": rate_shape(said.rate),
        "relation": said.relation,
        "pixels": look_entry(said.look),
        "spans": None if found is None else [span_shape(span) for span in found],
        "moment": None,
    }


def _entry_facts(entry: Entry) -> dict[str, Any]:
    return {
        "width": entry.width, "height": entry.height, "rate": known(entry.rate), "codec": entry.codec,
        "damaged": entry.damaged,
    }  # fmt: skip


def _subject(side: Subject) -> dict[str, Any]:
    shape, info = _code_shape(side.code), side.info
    if info is not None:
        shape |= {"width": info.width, "height": info.height, "rate": known(info.rate), "codec": info.codec}
        shape |= {"damaged": info.damaged}
    return shape


def _comparison(said: Comparison) -> dict[str, Any]:
    moment = said.moment
    return {
        "a": _subject(said.a),
        "b": _subject(said.b),
        "distance": int(said.distance),
        "whole": int(said.whole),
        "same": said.same,
        "verified": said.decision.verified,
        "false_match_rate": rate_shape(said.false_match_rate),
        "relation": said.decision.relation,
        "pixels": look_entry(said.decision.look),
        "spans": None if said.spans is None else [span_shape(span) for span in said.spans],
        "moment": None
        if moment is None
        else {"time": known(moment.time, 3), "distance": int(moment.distance)},
    }


def _upload_shown(service: Service, number: str) -> Shown:
    upload_file = service.uploads.get(number)
    with service.encoding.lent() as library:
        encoded = _encoded(service, library, upload_file)
    info = encoded.info
    assert encoded.code is not None
    seconds = encoded.code.duration
    size = (None, None) if info is None else (info.width, info.height)
    return Shown(upload_file.path, number, 0.0 if seconds != seconds else seconds, *size)


_PICTURE: dict[int | str, dict[str, Any]] = {
    **problems("not-found", "unreadable"),
    200: {"content": {"image/jpeg": {}}},
}


@router.get("/uploads/{number}/still", response_class=Response, responses=_PICTURE)
def upload_still(request: Request, number: str, time: Amount = None, height: Height = 160) -> Response:
    """One frame of an upload as a JPEG."""
    service = service_of(request)
    place = _upload_shown(service, number)
    at = None if time is None else min(time, place.seconds)
    return picture_response(request, service.pictures.still(place, at, height), f"{number}-{at}-{height}")


@router.get("/uploads/{number}/strip", response_class=Response, responses=_PICTURE)
def upload_strip(request: Request, number: str, frames: Frames = 6, height: Height = 96) -> Response:
    """Frames of an upload side by side in one JPEG."""
    service = service_of(request)
    picture = service.pictures.strip(_upload_shown(service, number), frames, height)
    return picture_response(request, picture, f"{number}-{frames}x{height}")


@router.get(
    "/uploads/{number}/preview",
    response_class=Response,
    responses={**_PICTURE, 200: {"content": {"video/webm": {}}}},
)
def upload_preview(
    request: Request, number: str, start: Start = 0.0, seconds: Seconds = 6.0, height: PreviewHeight = 240
) -> Response:
    """Some seconds of an upload as WebM (VP8), without sound."""
    service = service_of(request)
    place = _upload_shown(service, number)
    picture = service.pictures.preview(place, min(start, place.seconds), seconds, height)
    return picture_response(request, picture, f"{number}-{start}-{seconds}-{height}", "video/webm")
