"""What happens, told to whoever listens (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

_MOST = 256  # events that a slow listener may be behind; then it has to connect again
MOST_LISTENERS = 64
KEEP_ALIVE = 15.0
"""Seconds after which a comment shows that the connection lives."""


class Events:
    """Hands events from any thread to all listeners of the server's loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Queue[bytes | None], asyncio.AbstractEventLoop] = {}
        self._closed = False

    def tell(self, kind: str, data: dict[str, Any], number: int | None = None) -> None:
        """Tell all who listen; ``number`` is what a listener asks from when it comes back."""
        content = event(kind, data, number)
        with self._lock:
            for queue, loop in self._listeners.items():
                loop.call_soon_threadsafe(_put, queue, content)

    async def listen(
        self, first: Callable[[], Iterable[bytes]], wanted: Callable[[bytes], bool] = lambda event: True
    ) -> AsyncIterator[bytes]:
        """What the listener has missed, then what happens, until the server stops."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST)
        with self._lock:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                return
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield b"retry: 1000\n\n"
            for content in first():
                yield content
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        found = await queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if found is None:
                    return
                if wanted(found):
                    yield found
        finally:
            with self._lock:
                self._listeners.pop(queue, None)

    def close(self) -> None:
        """Let all listeners go."""
        with self._lock:
            self._closed = True
            for queue, loop in self._listeners.items():
                loop.call_soon_threadsafe(_put, queue, None)


def event(kind: str, data: dict[str, Any], number: int | None = None) -> bytes:
    """One event as it is sent.

    >>> event("basket", {"items": 2})
    b'event: basket\\ndata: {"items": 2}\\n\\n'
    """
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _put(queue: asyncio.Queue[bytes | None], content: bytes | None) -> None:
    if content is None or queue.full():  # whoever is so slow comes back, and asks for what it has missed
        while not queue.empty():
            queue.get_nowait()
        content = None
    queue.put_nowait(content)
