"""The short way to look up bare codes, for who has come the long way before.

A look-up takes some ten microseconds, and everything that is checked, parsed and routed around it several
hundred. All of that is the same for each request of a program: its name of the server, its token, what it
asks for. So the first one goes the long way, by the guard and the route, and what was found good is
remembered; whatever differs in anything goes the long way again.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .limits import JSON_BYTES
from .lookup import MOST_CODES, Lookups, Wanted, packed
from .problems import problem_of

if TYPE_CHECKING:
    from .metrics import Metrics

_MOST = 1024  # that are remembered
_PLAIN = frozenset(
    (b"host", b"authorization", b"accept", b"content-length", b"content-type", b"user-agent", b"connection")
)
"""Headers of a request that goes the short way; one with any other goes the long way."""
_PACKED = b"application/octet-stream"
_HEADERS = [
    (b"content-type", _PACKED), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"),
]  # fmt: skip


class Quick:
    """What is remembered, and the short way.

    Args:
        lookups: the indexes.
        metrics: counts.
    """

    def __init__(self, lookups: Lookups, metrics: Metrics) -> None:
        self._lookups, self._metrics = lookups, metrics
        self._good: dict[tuple[bytes, bytes], None] = {}
        self._asked: dict[bytes, tuple[str, Wanted]] = {}

    def remember(self, host: bytes, authorization: bytes) -> None:
        """A name and a token were found good."""
        if len(self._good) >= _MOST:
            self._good.clear()
        self._good[host, authorization] = None

    def remember_query(self, query: bytes, name: str, wanted: Wanted) -> None:
        """A query was found good."""
        if len(self._asked) >= _MOST:
            self._asked.clear()
        self._asked[query] = name, wanted

    async def answer(self, scope: Any, receive: Any, send: Any) -> bool:
        """Answer a request, where it may go the short way; False: it may not, and nothing was read of it."""
        asked = self._asked.get(scope["query_string"])
        if asked is None:
            return False
        host = authorization = accept = length = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"authorization":
                authorization = value
            elif name == b"accept":
                accept = value
            elif name == b"content-length":
                length = value
            elif name not in _PLAIN:
                return False
        if accept != _PACKED or (host, authorization) not in self._good or not length.isdigit():
            return False
        shelf = self._lookups.ready(asked[0])
        if shelf is None:
            return False
        bits, size = shelf.index.bits, int(length)
        width = bits // 8
        if bits % 8 or not size or size % width or size > min(MOST_CODES * width, JSON_BYTES):
            return False
        began, status = time.perf_counter(), 200
        try:
            body = await _body(receive, size)
            if body is None:  # the client has gone, or sends less than it has announced
                return True
            codes = np.frombuffer(body, np.uint8).reshape(-1, width)
            content = packed(*await shelf.look_up(codes, asked[1]))
        except Exception as error:
            problem = problem_of(error)
            status = problem.status
            await problem.response(secrets.token_hex(8))(scope, receive, send)
        else:
            headers = [
                *_HEADERS,
                (b"content-length", b"%d" % len(content)),
                (b"x-request-id", secrets.token_hex(8).encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})
        self._metrics.looked_up(status, time.perf_counter() - began)
        return True


async def _body(receive: Any, size: int) -> bytes | None:
    """A body of so many bytes; of which the protocol lets no more come."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message.get("more_body", False):
            return body if len(body) == size else None
