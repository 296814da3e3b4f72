"""Videos that were uploaded to be asked about: files in a folder that nobody else can read, for an hour."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from ..encoding.encoded import Encoded
from .limits import too_large
from .problems import Problem, busy

_SECONDS = 3600.0
_MOST = 200
_ROOM = 4  # uploads of the largest size that lie there together, at most


@dataclass
class Upload:
    """A file that was uploaded.

    Attributes:
        id: drawn at random: whoever does not know it cannot ask about it.
        path: where it lies; never the name that the client has given it.
        bytes: its size.
        name: what the client calls it, to show.
        expires: seconds since 1970.
        encoded: once it was.
    """

    id: str
    path: str
    bytes: int
    name: str | None
    expires: float
    encoded: Encoded | None = None


class Uploads:
    """All of them.

    Args:
        most_bytes: of one; all together take at most four times as much.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._folder = tempfile.mkdtemp(prefix="vhash-uploads-")
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Upload] = OrderedDict()
        self._coming = 0

    async def take(self, stream: AsyncIterator[bytes], name: str | None) -> Upload:
        """Keep what comes.

        Raises:
            Problem: it is too large or empty, there is no room, or too many come at once.
        """
        number = "u" + secrets.token_hex(16)
        path = os.path.join(self._folder, number)
        with self._lock:
            self._forget_old()
            if self._coming >= 4:
                raise busy("four uploads are coming already; wait for one to end")
            self._coming += 1
        size = 0
        try:
            with open(path, "xb") as file:
                async for chunk in stream:
                    size += len(chunk)
                    self._check_room(size)
                    await run_in_threadpool(file.write, chunk)
            if not size:
                raise Problem("bad-request", "the body is empty; send the bytes of a video")
            upload = Upload(number, path, size, name, time.time() + _SECONDS)
            with self._lock:
                self._known[number] = upload
                while len(self._known) > _MOST:
                    self._drop(next(iter(self._known)))
            return upload
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise busy(
                    f"the upload cannot be kept ({error.strerror}); make room on the server", 60
                ) from error
            raise
        finally:
            with self._lock:
                self._coming -= 1

    def _check_room(self, size: int) -> None:
        if size > self._most:
            raise too_large(self._most)
        with self._lock:
            while self._known and size + sum(one.bytes for one in self._known.values()) > _ROOM * self._most:
                self._drop(next(iter(self._known)))

    def get(self, number: str) -> Upload:
        """An upload. Raises Problem."""
        with self._lock:
            self._forget_old()
            found = self._known.get(number)
        if found is None:
            raise Problem(
                "not-found", f"upload {number[:40]!r} is not there (any more); upload the video again"
            )
        return found

    def remove(self, number: str) -> None:
        """Forget an upload. Raises Problem."""
        self.get(number)
        with self._lock:
            self._drop(number)

    def _forget_old(self) -> None:
        now = time.time()
        for number in [number for number, one in self._known.items() if one.expires < now]:
            self._drop(number)

    def _drop(self, number: str) -> None:
        upload = self._known.pop(number, None)
        if upload is not None:
            with contextlib.suppress(OSError):
                os.unlink(upload.path)

    def close(self) -> None:
        """Remove them all."""
        shutil.rmtree(self._folder, ignore_errors=True)
