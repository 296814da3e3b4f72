"""The bytes of a video's file, whole or a range of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator
from email.utils import formatdate
from io import FileIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..library.records import Entry
from ..names import printable
from ..scan import modified_ns
from .problems import Problem

_CHUNK = 256 << 10
_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".ogv": "video/ogg", ".ts": "video/mp2t",
    ".m2ts": "video/mp2t", ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".3gp": "video/3gpp",
    ".gif": "image/gif", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png",
    ".webp": "image/webp", ".avif": "image/avif",
}  # fmt: skip
"""What a browser may take a file for; whatever else it is, it is only bytes."""


def open_unchanged(entry: Entry) -> tuple[FileIO, os.stat_result]:
    """(file, status) of the file of an entry, which is the one that was added; it closes when it is let go.

    Raises:
        Problem: it is gone, has changed, or cannot be read.
    """
    shown = printable(entry.path)
    try:
        file = FileIO(os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    except (FileNotFoundError, NotADirectoryError):
        raise Problem("gone", f"{shown}: no such file any more; add its new place, or remove it") from None
    except OSError as error:
        raise Problem(
            "conflict", f"{shown}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    status = os.fstat(file.fileno())
    modified = modified_ns(status)
    if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size or modified / 1e9 != entry.modified:
        file.close()
        raise Problem("conflict", f"{shown}: the file is not what was encoded; add it again")
    return file, status


def file_response(request: Request, entry: Entry) -> Response:
    """The file of an entry, or the range of it that was asked for. Raises Problem."""
    file, status = open_unchanged(entry)
    size, etag = status.st_size, f'"{entry.digest.hex()[:32]}"'
    kind = _TYPES.get(os.path.splitext(entry.path)[1].lower(), "application/octet-stream")
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(None, 304, headers)
    start, end, code = 0, size, 200
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", etag) == etag:
        found = wanted_range(asked, size)
        if found is not None:
            (start, end), code = found, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(None, code, headers, media_type=kind)
    return StreamingResponse(_bytes(file, start, end), code, headers, media_type=kind)


async def _bytes(file: FileIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        while start < end:
            chunk = await run_in_threadpool(os.pread, file.fileno(), min(_CHUNK, end - start), start)
            if not chunk:  # cut short by somebody this very moment
                raise OSError("the file has become shorter")
            start += len(chunk)
            yield chunk
    finally:
        file.close()


def wanted_range(asked: str, size: int) -> tuple[int, int] | None:
    """(start, end) of the one range that is asked for; None: the whole file is the answer (RFC 9110, 14.2).

    Raises:
        Problem: there are no such bytes.

    >>> wanted_range("bytes=2-3", 10), wanted_range("bytes=-4", 10), wanted_range("bytes=0-1,4-5", 10)
    ((2, 4), (6, 10), None)
    """
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < int(match[1]):
            return None
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= size or start >= end:
        raise Problem(
            "range", f"Range: {asked[:80]!r} of {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end
