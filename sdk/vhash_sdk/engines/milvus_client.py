"""The connection to Milvus: where it is, what is tried again, which words an error gets."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ..errors import MissingDependencyError, OptionError, StoreError, UnreachableError
from ..system.extras import pip_install

T = TypeVar("T")

# Milvus's numbers (merr): service not ready, unavailable, busy; rate limit; collection still loading;
# replica, channel, segment or node not there for the moment, as after a restart
_PASSING = frozenset({1, 2, 4, 8, 101, 103, 401, 500, 501, 503, 600, 601, 602, 901, 902, 903, 904})
_PASSING_WORDS = ("not serviceable", "no available", "not available", "unavailable", "not ready")


@dataclass(frozen=True)
class Location:
    """A collection: ``milvus://[user:password@]host:port/collection`` or ``milvus-lite://file.db/collection``.

    Attributes:
        uri: what pymilvus takes.
        token: ``user:password``, or empty.
        collection: its name.
        lite: a file of this machine, served by milvus-lite.

    >>> Location.parse("milvus://db.example:19530/films").uri
    'http://db.example:19530'
    >>> Location.parse("milvus-lite://shelf/films.db/films").uri
    'shelf/films.db'
    """

    uri: str
    token: str
    collection: str
    lite: bool

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read a location; ``milvus+tls://`` encrypts. Raises OptionError."""
        scheme, _, rest = text.partition("://")
        place, _, collection = rest.rpartition("/")
        if not place or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", collection):
            raise OptionError(
                f"location={text!r}: expected milvus://host:port/collection or "
                "milvus-lite://file.db/collection; a collection's name has letters, digits and "
                "underscores, no digit first"
            )
        if scheme == "milvus-lite":
            if not place.endswith(".db"):
                raise OptionError(f"location={text!r}: the file's name must end in .db")
            return cls(place, "", collection, True)
        parts = urlsplit(f"//{place}")
        try:
            port = parts.port or 19530
        except ValueError as error:
            raise OptionError(f"location={text!r}: {error}") from error
        if not parts.hostname:
            raise OptionError(f"location={text!r}: names no host; expected milvus://host:port/collection")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        return cls(
            f"{'https' if scheme == 'milvus+tls' else 'http'}://{host}:{port}", token, collection, False
        )

    def __str__(self) -> str:
        kind = "milvus-lite" if self.lite else "milvus+tls" if self.uri.startswith("https") else "milvus"
        return f"{kind}://{self.uri.removeprefix('https://').removeprefix('http://')}/{self.collection}"


_lite_users: Counter[str] = Counter()  # of each file, in this process: they share one server


def _release_lite(file: str) -> None:
    """Stop the server of a file with its last user here, so that another process may have the file."""
    from milvus_lite.server_manager import server_manager_instance

    place = os.path.realpath(file)
    _lite_users[place] -= 1
    if not _lite_users[place]:
        server_manager_instance.release_server(file)


class Connection:
    """A client of one server, whose calls are bounded in time and repeated where that may help."""

    def __init__(self, location: Location, *, timeout: float, token: str | None = None) -> None:
        self.location = location
        self._timeout = timeout
        pymilvus = _pymilvus(location.lite)
        self.types: Any = pymilvus.DataType
        self._error: type[Exception] = pymilvus.MilvusException
        self._closed = False
        secret = token or location.token or os.environ.get("VHASH_MILVUS_TOKEN", "")
        self.client: Any = self._connect(pymilvus, secret)
        if location.lite:
            _lite_users[os.path.realpath(location.uri)] += 1

    def _connect(self, pymilvus: ModuleType, secret: str) -> Any:
        end, pause = time.monotonic() + self._timeout, 0.5
        while True:
            left = max(0.1, end - time.monotonic())
            try:
                return pymilvus.MilvusClient(uri=self.location.uri, token=secret, timeout=left)
            except (self._error, RuntimeError) as error:
                # milvus-lite gives its server half a second to start, which a busy machine may exceed
                if self.location.lite and time.monotonic() + pause < end:
                    time.sleep(pause)
                    pause *= 4
                    continue
                what = "cannot be opened" if self.location.lite else "cannot be reached"
                raise UnreachableError(
                    f"{self.location}: {what} ({_words(error)}); "
                    + (
                        "is another process using it?"
                        if self.location.lite
                        else "is the server running there?"
                    )
                ) from error

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of pymilvus's client, again while the trouble is of the passing kind.

        Every call may be repeated: upserts and deletions are of given ids.
        Waits 50 ms, then twice as long each time, up to 5 s, and gives up after the timeout.

        Args:
            method: name of the method; args and options are passed on.

        Raises:
            UnreachableError: no answer in time. What the call should have changed may be changed or not.
            StoreError: Milvus refuses; the message says why.
        """
        return self.retry(lambda left: getattr(self.client, method)(*args, timeout=left, **options), method)

    def retry(self, work: Callable[[float], T], what: str, wait: float | None = None) -> T:
        """As ``call``; ``work`` gets the seconds that are left of ``wait`` (None: of the timeout)."""
        import grpc

        end, pause = time.monotonic() + (self._timeout if wait is None else wait), 0.05
        while True:
            try:
                return work(max(0.1, end - time.monotonic()))
            except (self._error, grpc.RpcError) as error:
                if not _passes(error):
                    raise StoreError(f"{self.location}: {what} failed: {_words(error)}") from error
                if time.monotonic() + pause >= end:
                    raise UnreachableError(
                        f"{self.location}: {what} got no answer in time ({_words(error)}); "
                        "is the server up? Call again: nothing is done twice"
                    ) from error
            time.sleep(pause * random.uniform(0.5, 1.0))  # not in step with the other clients
            pause = min(2 * pause, 5.0)

    def close(self) -> None:
        """Let go of the connection."""
        if self._closed:
            return
        self._closed = True
        self.client.close()
        if self.location.lite:
            _release_lite(self.location.uri)


def _passes(error: Exception) -> bool:
    """Whether the same call may well succeed a little later."""
    import grpc

    if isinstance(error, grpc.RpcError):
        code = error.code() if isinstance(error, grpc.Call) else None
        return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    code = getattr(error, "code", None)
    if isinstance(code, grpc.StatusCode):
        return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    text = str(getattr(error, "message", "")).lower()
    in_words = any(word in text for word in _PASSING_WORDS)
    # 1 is also what pymilvus gives to its own errors: there the words decide
    return bool(getattr(error, "retriable", False)) or in_words or (code != 1 and code in _PASSING)


def _words(error: Exception) -> str:
    import grpc

    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        return f"{error.code().name}: {error.details()}"
    text = str(getattr(error, "message", "") or error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def _pymilvus(lite: bool) -> ModuleType:
    try:
        import pymilvus

        if lite:
            _import_milvus_lite()
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name or 'pymilvus'} is not installed; {pip_install('milvus')}"
        ) from error
    # it prints a page of traceback for each failed try; our errors say what failed
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    module: ModuleType = pymilvus
    return module


def _import_milvus_lite() -> None:
    """milvus-lite 2.5.1 asks ``pkg_resources`` for its own version; setuptools 81 took that module away."""
    if "milvus_lite" in sys.modules:
        return
    if importlib.util.find_spec("milvus_lite") is None:
        raise ImportError("milvus-lite is not installed", name="milvus-lite")
    stand_in = ModuleType("pkg_resources")
    stand_in.DistributionNotFound = importlib.metadata.PackageNotFoundError  # type: ignore[attr-defined]
    stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
    missing = importlib.util.find_spec("pkg_resources") is None
    if missing:
        sys.modules["pkg_resources"] = stand_in
    try:
        importlib.import_module("milvus_lite")
    finally:
        if missing:
            del sys.modules["pkg_resources"]
