"""What went wrong, as ``application/problem+json`` (RFC 9457): one shape for every error."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from ..errors import (
    JournalError,
    MissingDependencyError,
    RefusedError,
    StoreError,
    UnknownIdError,
    UnreachableError,
    VhashError,
    VideoError,
)
from ..names import safe

TYPES = "https://vhash.invalid/problems/"
"""What the type of a problem begins with; the rest is its name. The address is not meant to be visited."""

TITLES = {
    "bad-request": (400, "The request makes no sense"),
    "unauthorized": (401, "Sign in first"),
    "forbidden": (403, "This is not allowed"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "That cannot be done with it"),
    "timeout": (408, "The request came too slowly"),
    "conflict": (409, "This cannot be done as things are"),
    "gone": (410, "The file is not there any more"),
    "too-large": (413, "The request is too large"),
    "range": (416, "The file has no such bytes"),
    "unreadable": (422, "The video cannot be read"),
    "invalid": (422, "A value is not allowed"),
    "too-many": (429, "Too many requests"),
    "failed": (500, "The server has failed"),
    "stale": (503, "What is served is no longer the newest"),
    "busy": (503, "The server has too much to do"),
}


class Problem(Exception):
    """An answer that is no success.

    Args:
        name: one of ``TITLES``.
        detail: the bad value, what is allowed, what to do next.
        headers: of the answer.
        more: further members of the document.
    """

    def __init__(self, name: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.name, self.detail, self.headers, self.more = name, detail, headers or {}, more

    @property
    def status(self) -> int:
        """Of the answer."""
        return TITLES[self.name][0]

    def response(self, instance: str = "") -> Response:
        """The answer; ``instance`` is the id of the request."""
        status, title = TITLES[self.name]
        document = {"type": TYPES + self.name, "title": title, "status": status, "detail": safe(self.detail)}
        content = json.dumps({**document, "instance": instance, **self.more})
        return Response(content, status, self.headers, media_type="application/problem+json")


def busy(detail: str, seconds: int = 1) -> Problem:
    """There is too much to do; come again in so many seconds."""
    return Problem("busy", detail, headers={"Retry-After": str(seconds)})


def problem_of(error: BaseException) -> Problem:
    """What an error of vhash means to a client."""
    if isinstance(error, Problem):
        return error
    kind = type(error).__name__
    if isinstance(error, VideoError):
        return Problem("unreadable", str(error), kind=kind)
    if isinstance(error, UnknownIdError):
        return Problem("not-found", str(error), kind=kind)
    if isinstance(error, UnreachableError):
        return busy(str(error), 5)
    if isinstance(error, (JournalError, MissingDependencyError, RefusedError, StoreError)):
        return Problem("conflict", str(error), kind=kind)
    if isinstance(error, VhashError):
        return Problem("bad-request", str(error), kind=kind)
    return Problem(
        "failed", "an error that is none of vhash's own; its log has the id of this request", kind=kind
    )
