"""Writes that may be sent again: one ``Idempotency-Key`` is carried out once, and always answered alike.

Whoever gets no answer, because a network or the server has gone, sends the same again, and can do no harm by
it.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from .guard import Asgi, Scope
from .once import ASKED
from .problems import Problem
from .state import State

_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}")
_SECONDS = 86400.0
_ONCE = ("/v1/jobs", "/v1/judgements", "/v1/basket", "/v1/parts")
"""What is changed where sending twice would do it twice."""


class Answers:
    """The application behind a memory of what it has answered.

    Args:
        app: what is behind.
        state: where answers are kept for a day.
    """

    def __init__(self, app: Asgi, state: State) -> None:
        self._app, self._state = app, state
        # what was being done when the server ended has no answer, and changed nothing that counts (``once``):
        # it may be sent again
        state.execute("DELETE FROM answer WHERE status IS NULL OR at < ?", time.time() - _SECONDS)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        key = self._key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        what = f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}\n".encode()
        owner = scope["state"]["identity"].user, key
        known = await run_in_threadpool(self._begin, *owner, hashlib.sha256(what + body).digest())
        if known is not None:
            await _send(send, *known)
            return
        await self._first(scope, body, send, owner)

    def _key(self, scope: Scope) -> str | None:
        """The key of a request that has one. Raises Problem."""
        if (
            scope["type"] != "http"
            or scope["method"] in ("GET", "HEAD")
            or not scope["path"].startswith(_ONCE)
        ):
            return None
        given = next((value for name, value in scope["headers"] if name == b"idempotency-key"), None)
        if given is None or scope["state"].get("identity") is None:
            return None
        key = given.decode("latin-1")
        if not _KEY.fullmatch(key):
            raise Problem(
                "bad-request", f"Idempotency-Key: {key[:80]!r}: expected 8 to 128 of A-Z, a-z, 0-9, _ and -"
            )
        return str(key)

    def _begin(self, user: str, key: str, digest: bytes) -> tuple[int, bytes, str] | None:
        """The answer that was given already; None: it is being made from now on. Raises Problem."""
        with self._state.transaction():
            row = self._state.row("SELECT * FROM answer WHERE user = ? AND key = ?", user, key)
            if row is None or row["at"] < time.time() - _SECONDS:
                values = (user, key, digest, None, None, None, time.time())
                self._state.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)", *values)
                return None
        if row["digest"] != digest:
            raise Problem(
                "invalid", f"Idempotency-Key: {key!r} was sent with another request before; take a new one"
            )
        if row["status"] is None:
            raise Problem(
                "conflict", f"Idempotency-Key: {key!r}: the same request is being carried out; ask again"
            )
        return row["status"], row["body"], row["kind"]

    async def _first(self, scope: Scope, body: bytes, send: Any, owner: tuple[str, str]) -> None:
        sent, status, kind, answer = False, 0, "", b""

        async def again() -> dict[str, Any]:
            nonlocal sent
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Any) -> None:
            nonlocal status, kind, answer
            if message["type"] == "http.response.start":
                status = message["status"]
                kind = next((v.decode("latin-1") for n, v in message["headers"] if n == b"content-type"), "")
            else:
                answer += message.get("body", b"")
            if (
                message["type"] == "http.response.body"
                and not message.get("more_body", False)
                and status < 500
            ):
                await run_in_threadpool(
                    self._state.execute,
                    "UPDATE answer SET status = ?, body = ?, kind = ? WHERE user = ? AND key = ?",
                    status, answer, kind, *owner,
                )  # fmt: skip
            await send(message)

        asked = ASKED.set(owner)
        try:
            await self._app(scope, again, keep)
        finally:
            ASKED.reset(asked)
            if not 0 < status < 500:
                await run_in_threadpool(
                    self._state.execute,
                    "DELETE FROM answer WHERE user = ? AND key = ? AND status IS NULL",
                    *owner,
                )


async def _send(send: Any, status: int, body: bytes, kind: str) -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"idempotent-replayed", b"true")]
    if kind:
        headers.append((b"content-type", kind.encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
