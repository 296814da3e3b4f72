"""A thin client of the API, from Python.

>>> client = Client("http://127.0.0.1:8123", token="t" * 32)
>>> client.url
'http://127.0.0.1:8123'
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel

from ..errors import OptionError, UnreachableError, VhashError
from ..index.matches import RangeMatches
from ..system.strict_json import parse_json
from .judging_models import Group, Part, Recorded, Related, Undone
from .models import Job, LibraryFacts, Upload, Video
from .search_models import Compared, Encoded, Found, Hits

T = TypeVar("T", bound=BaseModel)
Source = int | str | os.PathLike[str] | bytes
"""The id of a video of the library, a code (``vh1:…``), a file of this machine to upload, or its bytes."""


class ApiError(VhashError, RuntimeError):
    """The server has refused something.

    Attributes:
        status: of HTTP.
        name: of the problem, e.g. ``not-found``.
        detail: what is wrong, and what to do.
    """

    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(f"{status} {name}: {detail}")
        self.status, self.name, self.detail = status, name, detail


class Client:
    """One connection to a server; for one thread at a time.

    Args:
        url: of the server; the one-time link that it has printed signs in at once.
        token: of its ``--token-file``.
        timeout: seconds that an answer may take.

    Raises:
        OptionError: no such address.
        ApiError: the link is not valid any more.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 120.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError(f"url={url[:100]!r}: expected http://host:port, as `vhash serve` prints it")
        self.url = f"{parts.scheme}://{parts.netloc}"
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        name, _, link = parts.fragment.partition("=")
        if name == "token" and token is None:
            self._sign_in(link)

    def _sign_in(self, link: str) -> None:
        kind = {"Content-Type": "application/json"}
        answer, body = self._ask("POST", "/v1/session", json.dumps({"token": link}).encode(), kind)
        self._headers["Cookie"] = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        self._headers["X-CSRF-Token"] = parse_json(body)["csrf"]

    def library(self) -> LibraryFacts:
        """What the library is and holds."""
        return self._get(LibraryFacts, "/v1/library")

    def videos(self, **filters: str | float | bool) -> Iterator[Video]:
        """The videos, by filters of ``GET /v1/videos``; page after page is fetched."""
        return self._pages(Video, "/v1/videos", filters)

    def groups(self, **filters: str | float | bool) -> Iterator[Group]:
        """Groups of duplicates, by filters of ``GET /v1/groups``."""
        return self._pages(Group, "/v1/groups", filters)

    def related(self, **filters: str | float | bool) -> Iterator[Related]:
        """Pairs that are no duplicates but related, by filters of ``GET /v1/related``."""
        return self._pages(Related, "/v1/related", filters)

    def parts(self, **filters: str | float | bool) -> Iterator[Part]:
        """Pairs of videos that share parts, by filters of ``GET /v1/parts``."""
        return self._pages(Part, "/v1/parts", filters)

    def upload(self, video: str | os.PathLike[str] | bytes) -> Upload:
        """Send a video to ask about it more than once."""
        if isinstance(video, bytes):
            return Upload.model_validate_json(self._ask("POST", "/v1/uploads", video)[1])
        headers = {"X-Filename": quote(os.path.basename(os.fspath(video)), errors="replace")}
        with open(video, "rb") as file:
            headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
            return Upload.model_validate_json(self._ask("POST", "/v1/uploads", file, headers)[1])

    def encode(self, source: Source) -> Encoded:
        """The code of a video."""
        return self._post(Encoded, "/v1/encode", {"source": self._source(source)})

    def search(self, source: Source, k: int = 10, **options: Any) -> Hits:
        """The nearest videos; options of ``POST /v1/search``."""
        return self._post(Hits, "/v1/search", {"source": self._source(source), "k": k, **options})

    def find(self, source: Source, k: int = 10) -> Found:
        """Where a clip is inside the videos of the library."""
        return self._post(Found, "/v1/find", {"source": self._source(source), "k": k})

    def compare(self, a: Source, b: Source, *, spans: bool = True) -> Compared:
        """Whether two videos are one."""
        given = {"a": self._source(a), "b": self._source(b), "spans": spans}
        return self._post(Compared, "/v1/compare", given)

    def judge(self, a: int, b: int, judgement: Literal["match", "not a match"]) -> Recorded:
        """Say whether two videos of the library are copies."""
        said = {"judgements": [{"a": a, "b": b, "judgement": judgement}]}
        return self._post(Recorded, "/v1/judgements", said, once=True)

    def undo_judgement(self) -> Undone:
        """Take the last judgement back."""
        return self._post(Undone, "/v1/judgements/undo", {}, once=True)

    def begin(self, kind: str, **options: Any) -> Job:
        """Begin a job: options of ``POST /v1/jobs``."""
        return self._post(Job, "/v1/jobs", {"kind": kind, **options}, once=True)

    def job(self, number: str) -> Job:
        """How far a job is."""
        return self._get(Job, f"/v1/jobs/{quote(number, safe='')}")

    def wait(self, job: Job, *, seconds: float = 3600.0) -> Job:
        """The job once it has ended. Raises UnreachableError where it takes longer."""
        end = time.monotonic() + seconds
        while job.state in ("queued", "running"):
            if time.monotonic() > end:
                raise UnreachableError(f"job {job.id} is still {job.state} after {seconds:g} s")
            time.sleep(0.25)
            job = self.job(job.id)
        return job

    def lookup(
        self, codes: ArrayLike, *, radius: int | None = None, k: int | None = None, index: str = "library"
    ) -> RangeMatches:
        """What is near bare codes ``uint8[n, bytes]``, by (distance, id)."""
        given = np.atleast_2d(np.asarray(codes, np.uint8))
        asked = {name: value for name, value in (("radius", radius), ("k", k)) if value is not None}
        path = "/v1/lookup?" + urlencode({"index": index, **asked})
        headers = {"Accept": "application/octet-stream", "Content-Type": "application/octet-stream"}
        return unpacked(self._ask("POST", path, given.tobytes(), headers)[1])

    def _source(self, source: Source) -> dict[str, Any]:
        if isinstance(source, int):
            return {"video": source}
        if isinstance(source, str) and source.startswith("vh1:"):
            return {"code": source}
        return {"upload": self.upload(source).id}

    def _get(self, kind: type[T], path: str) -> T:
        return kind.model_validate_json(self._ask("GET", path)[1])

    def _post(self, kind: type[T], path: str, given: dict[str, Any], *, once: bool = False) -> T:
        headers = {"Content-Type": "application/json"}
        if once:  # a request without an answer may be sent again
            headers["Idempotency-Key"] = secrets.token_urlsafe(16)
        return kind.model_validate_json(self._ask("POST", path, json.dumps(given).encode(), headers)[1])

    def _pages(self, kind: type[T], path: str, filters: dict[str, Any]) -> Iterator[T]:
        asked = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in filters.items()
        }
        while True:
            page = parse_json(self._ask("GET", f"{path}?{urlencode(asked)}")[1])
            yield from map(kind.model_validate, page["items"])
            if page["next"] is None:
                return
            asked["cursor"] = page["next"]

    def _ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        given = {**self._headers, **(headers or {})}
        again = method == "GET" or "Idempotency-Key" in given
        for attempt in range(3):
            try:
                self._connection.request(method, path, body, given)
                answer = self._connection.getresponse()
                content = answer.read()
                break
            except (OSError, HTTPException) as error:
                self._connection.close()
                if attempt == 2 or not again:
                    raise UnreachableError(
                        f"{self.url}: gives no answer ({error}); does `vhash serve` run?"
                    ) from error
                time.sleep(0.5 * (attempt + 1))
        if answer.status >= 400:
            raise _error(answer.status, content)
        return answer, content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def unpacked(content: bytes) -> RangeMatches:
    """The binary answer of ``/v1/lookup``.

    >>> unpacked(bytes([1, 0, 0, 0, 1, 0, 0, 0]) + bytes([7] + 7 * [0]) + bytes([3, 0]))[0]
    (array([7]), array([3], dtype=uint16))
    """
    (count,) = struct.unpack_from("<I", content)
    counts: NDArray[np.uint32] = np.frombuffer(content, "<u4", count, 4)
    total, at = int(counts.sum()), 4 + 4 * count
    ids = np.frombuffer(content, "<i8", total, at).astype(np.int64)
    distances = np.frombuffer(content, "<u2", total, at + 8 * total).astype(np.uint16)
    return RangeMatches(ids, distances, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))


def _error(status: int, content: bytes) -> ApiError:
    try:
        document = parse_json(content)
        return ApiError(status, str(document["type"]).rpartition("/")[2], str(document["detail"]))
    except (ValueError, TypeError, KeyError):
        return ApiError(status, "unknown", content[:200].decode(errors="replace"))
