"""Running the server: its socket, its connections, its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import MissingDependencyError, OptionError
from ..system.extras import pip_install
from .app import build
from .logs import LOG, JsonLines, log
from .service import Service
from .settings import Settings

HEADER_SECONDS = 15.0
"""A connection whose first request is not there by then is closed."""
_CONNECTIONS = 1000
_BACKLOG = 512
_GRACE = 20  # seconds that requests in progress have to end


class Protocol(HttpToolsProtocol):
    """Uvicorn's, which also closes connections on which a request is begun and never ended (slow loris).

    Bodies that a route reads have limits of their own; one that nobody reads any more, because the request is
    answered, has as long as headers.
    """

    _header_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None
    _whole = True  # whether all of the last request has come

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, not for ever."""
        super().connection_made(transport)
        self._wait_for_headers()

    def _wait_for_headers(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """The first byte of a request has come: the rest has to follow soon."""
        super().on_message_begin()
        self._whole = False
        if self._header_timer is None:
            self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """All of its headers are there."""
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of its body is there."""
        self._whole = True
        self._stop_waiting_for_the_rest()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It was answered, perhaps before its body was there: the rest has to follow soon."""
        super().on_response_complete()
        last = self.cycle is not None and self.cycle.response_complete  # else the next one is already coming
        if last and not self._whole and self._body_timer is None:
            self._body_timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _stop_waiting_for_the_rest(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._stop_waiting_for_the_rest()
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        super().connection_lost(exc)

    def _too_slow(self) -> None:
        self._header_timer = self._body_timer = None
        if not self.transport.is_closing():
            self.transport.close()


def listen(settings: Settings) -> socket.socket:
    """The socket that a server listens on.

    Raises:
        OptionError: the address is taken, or none of this machine's.
    """
    kind = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(kind, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as error:
        found.close()
        raise OptionError(
            f"--host {settings.host} --port {settings.port}: cannot listen there ({error.strerror}); another "
            "server may have the port: give --port 0 for any that is free"
        ) from error
    found.listen(_BACKLOG)  # whoever comes from now on waits until the library is open
    found.set_inheritable(True)
    return found


def run(settings: Settings, *, ready: Callable[[str], None] = print, log_lines: bool = True) -> None:
    """Serve until somebody stops it (SIGINT, SIGTERM); a job that runs goes on with the next start.

    Args:
        settings: what is served, and to whom.
        ready: called with the address to open, once the server listens.
        log_lines: one line of JSON for each request on standard error.

    Raises:
        StoreError: the library is none.
        OptionError: nothing can listen there, or options do not go together.
    """
    service = Service(settings)
    try:
        place = listen(settings)
        port = int(place.getsockname()[1])
        guard = build(service, port)
        _log_lines(log_lines)
        app, end_traces = _traced(guard, settings)
        server = _Server(_config(app, settings), service)
        url = settings.url(port)
        if not settings.users and (settings.local or not settings.tokens):
            url += f"/#token={service.sessions.link()}"
        ready(url)
        log("listening", host=settings.host, port=port, library=service.directory)
        with _ended_by_signals():
            server.run([place])
        end_traces()
    finally:
        service.close()


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Uvicorn raises the signal again that has ended it; here that is a good end, and all gets closed."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda number, frame: None) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


class _Server(uvicorn.Server):
    """Uvicorn's, which lets those who listen to events go before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._service.events.close()
        await super().shutdown(sockets)


def _traced(app: Any, settings: Settings) -> tuple[Any, Callable[[], None]]:
    """The application, traced by OpenTelemetry if that is wanted, and what ends that.

    Where the traces go, the environment says (``OTEL_EXPORTER_OTLP_ENDPOINT`` and others).
    """
    if not settings.telemetry:
        return app, lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingDependencyError(
            f"--telemetry needs OpenTelemetry ({error}); {pip_install('serve', 'telemetry')}"
        ) from error
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "vhash"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryMiddleware(app, tracer_provider=provider), provider.shutdown


def _log_lines(wanted: bool) -> None:
    LOG.propagate = False
    LOG.setLevel(logging.INFO if wanted else logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    LOG.handlers[:] = [handler]
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers[:] = [handler]
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).propagate = False
