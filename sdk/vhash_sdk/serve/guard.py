"""What every request passes, and every answer: who asks for what, under which name, how much, how often.

A plain ASGI application around the others, because all of it has to hold for whatever is behind it, also for
what no route matches, and for answers that are streams.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from .limits import JSON_BYTES, Body, Rates, Receive, too_large
from .logs import log_failure, log_request
from .metrics import Metrics
from .problems import Problem, problem_of
from .quick import Quick
from .sessions import Identity, Sessions
from .settings import Settings

Scope = MutableMapping[str, Any]
Asgi = Callable[..., Any]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of the pages: nothing inline, nothing from elsewhere."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_OPEN = {"/livez", "/readyz", "/v1/openapi.json"}
_SAFE = ("GET", "HEAD", "OPTIONS")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Guard:
    """The application behind everything that is checked.

    Args:
        app: what is behind.
        settings: names of the server, sizes, rate.
        sessions: who may ask.
        metrics: counts requests.
        quick: the short way for look-ups.
        port: that the server listens on.
    """

    def __init__(
        self,
        app: Asgi,
        settings: Settings,
        sessions: Sessions,
        metrics: Metrics,
        *,
        quick: Quick,
        port: int,
    ) -> None:
        self._app, self._settings, self._sessions = app, settings, sessions
        self._metrics, self.port = metrics, port
        self._rates = Rates(settings.rate)
        self.quick = quick

    @property
    def cookie(self) -> str:
        """The name of the cookie: those of all ports of a host are sent to each of them."""
        return f"vhash_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Asgi) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        short = scope["path"] == "/v1/lookup" and scope["method"] == "POST"
        if short and await self.quick.answer(scope, receive, send):
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(b"x-request-id", "")
        number = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = number
        began, status, whole = time.perf_counter(), 0, False

        body: Receive | None = None

        async def answer(message: Any) -> None:
            nonlocal status, whole
            if not status and isinstance(body, Body) and body.refused is not None:
                return  # what is said about half a body; the reason follows
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _answer_headers(message.get("headers", ()), number, scope["path"])
            await send(message)

        try:
            body = self._admit(scope, headers, receive)
            await self._app(scope, body, answer)
            if not status and isinstance(body, Body) and body.refused is not None:
                raise body.refused
        except Exception as error:
            problem = problem_of(error)
            if problem.name == "failed":
                log_failure(number, scope, error)
            if not status:
                body = None
                await problem.response(number)(scope, receive, answer)
            elif not whole:  # it has begun: the client sees that it breaks off
                raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.request(scope, status, seconds)
            log_request(number, scope, status, seconds)

    def _admit(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Receive:
        """The body of a request that may be answered. Raises Problem."""
        path, method = scope["path"], scope["method"]
        self._check_host(headers.get(b"host", ""))
        upload = path == "/v1/uploads"
        most = self._settings.upload_bytes if upload else JSON_BYTES
        length = headers.get(b"content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > most:
            raise too_large(most)
        client = (scope.get("client") or ("unknown",))[0]
        if path != "/v1/lookup":
            self._rates.take(client)
        identity = self._identity(headers, client)
        scope["state"]["identity"] = identity
        scope["state"]["client"] = client
        if identity is None and not _is_open(path, method):
            raise Problem(
                "unauthorized",
                "sign in with the link that `vhash serve` has printed, or send Authorization: Bearer with a "
                "token of its --token-file",
                login=self._sessions.login,
            )
        if method not in _SAFE:
            self._check_origin(scope, headers)
            signing_in = path == "/v1/session" and method == "POST"
            if not signing_in and (identity is None or identity.session is not None):
                self._check_csrf(identity, headers)
            if path == "/v1/lookup" and identity is not None and identity.session is None:
                names = (b"host", b"authorization")
                self.quick.remember(*(headers[name].encode("latin-1") for name in names))
        return Body(receive, most) if method not in _SAFE else receive

    def _identity(self, headers: dict[bytes, str], client: str) -> Identity | None:
        scheme, _, token = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            identity = self._sessions.of_token(token.strip())
            if identity is None:  # the right one passes, whatever others at this address have tried
                self._sessions.tries.check(client)
                self._sessions.tries.wrong(client)
                raise Problem(
                    "unauthorized", "this token is none of the server's --token-file", login="token"
                )
            return identity
        try:
            morsel = SimpleCookie(headers.get(b"cookie", "")).get(self.cookie)
        except CookieError:
            return None
        return None if morsel is None else self._sessions.of_cookie(morsel.value)

    def _check_host(self, host: str) -> None:
        """Refuse a name that is not this server's: its owner's page may have led a browser here."""
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:
            name = ""
        if not name or any(c in host for c in "/@?#\\ "):
            raise Problem("forbidden", f"Host: {host[:100]!r} is no name of a server")
        if name in self._names or (not self._settings.local and _is_address(name)):
            return
        raise Problem(
            "forbidden",
            f"Host: {host[:100]!r} is no name of this server; allow it with --allow-host, if it is",
        )

    @property
    def _names(self) -> set[str]:
        local = {"localhost", "127.0.0.1", "::1"}
        return {self._settings.host.lower(), *map(str.lower, self._settings.names), *local}

    def _check_origin(self, scope: Scope, headers: dict[bytes, str]) -> None:
        """Refuse what a page from elsewhere has sent."""
        site = headers.get(b"sec-fetch-site", "same-origin")
        origin = headers.get(b"origin")
        own = f"{scope.get('scheme', 'http')}://{headers.get(b'host', '')}"
        if site not in ("same-origin", "none") or (origin is not None and origin != own):
            raise Problem(
                "forbidden",
                f"this was sent by a page of {(origin or 'another site')[:100]!r}, not by this server's",
            )

    def _check_csrf(self, identity: Identity | None, headers: dict[bytes, str]) -> None:
        given = headers.get(b"x-csrf-token", "")
        if identity is None or not hmac.compare_digest(given.encode(), identity.csrf.encode()):
            raise Problem(
                "forbidden", "send the `csrf` of GET /v1/session as X-CSRF-Token with what changes something"
            )


def _is_open(path: str, method: str) -> bool:
    """Whether a path is for everybody: pages without data, signing in, health."""
    if path in _OPEN or (path == "/v1/session" and method in ("GET", "HEAD", "POST")):
        return True
    return method in ("GET", "HEAD") and not path.startswith(("/v1/", "/metrics")) and path != "/v1"


def _is_address(name: str) -> bool:
    """Whether a name is an address, which no page can have chosen."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _answer_headers(given: Any, number: str, path: str) -> list[tuple[bytes, bytes]]:
    """Headers of an answer, none of which can begin a line of its own."""
    headers = [
        (name, bytes(c for c in value if c >= 0x20 and c != 0x7F))
        for name, value in given
        if name != b"server"
    ]
    names = {name.lower() for name, _ in headers}
    if b"content-security-policy" not in names:
        policy = "default-src 'none'; frame-ancestors 'none'; sandbox" if path.startswith("/v1/") else POLICY
        headers.append((b"content-security-policy", policy.encode()))
    if b"cache-control" not in names:
        headers.append((b"cache-control", b"no-store"))
    return [*headers, *_HEADERS, (b"x-request-id", number.encode())]
