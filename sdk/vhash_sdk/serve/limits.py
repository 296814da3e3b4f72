"""How much one client may ask for: bytes, seconds, requests."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from .problems import Problem

JSON_BYTES = 1 << 20
"""The largest body that is no upload."""
STALL_SECONDS = 20.0
"""A body of which no byte comes for so long is given up."""
_LEAST_RATE = 16_384  # bytes a second of an upload, after a first minute

Receive = Callable[[], Awaitable[Any]]


class Body:
    """A request's body on its way: given up where it is too large, or comes too slowly.

    Args:
        receive: of ASGI.
        most: bytes.

    Attributes:
        refused: why it was given up.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._stall = receive, most, STALL_SECONDS
        self._seen, self._began, self._whole = 0, time.monotonic(), False
        self.refused: Problem | None = None

    async def __call__(self) -> Any:
        """The next message. Raises Problem."""
        try:
            return await self._next()
        except Problem as problem:
            self.refused = problem  # whoever reads a body may take any error for one of its own
            raise

    async def _next(self) -> Any:
        if self._whole:  # what follows is only the news that the client has gone
            return await self._receive()
        try:
            async with asyncio.timeout(self._stall):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                "timeout",
                f"no byte came for {self._stall:g} s; send the request again",
                headers={"Connection": "close"},
            ) from None
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            seconds = time.monotonic() - self._began
            if self._seen > self._most:
                raise too_large(self._most)
            if not self._whole and seconds > 60.0 and self._seen < _LEAST_RATE * (seconds - 60.0):
                raise Problem(
                    "timeout",
                    f"{self._seen} bytes in {seconds:.0f} s; send at least {_LEAST_RATE} bytes a second",
                    headers={"Connection": "close"},
                )
        return message


def too_large(most: int) -> Problem:
    """A body has more bytes than it may."""
    return Problem(
        "too-large",
        f"the body is larger than the {most:,} bytes allowed here",
        headers={"Connection": "close"},
    )


class Rates:
    """Token buckets: so many requests a second and client, and bursts of twice as many.

    Args:
        rate: requests a second.
        clock: seconds.
    """

    _MOST = 4096  # clients that are remembered

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, 2 * rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count a request. Raises ``too-many``."""
        now = self._clock()
        left, at = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        self._buckets[client] = max(left - 1.0, 0.0), now
        if len(self._buckets) > self._MOST:
            self._buckets.popitem(last=False)
        if left < 1.0:
            raise Problem(
                "too-many",
                f"more than {self._rate:g} requests a second; slow down, or start the server with --rate",
                headers={"Retry-After": "1"},
            )
