"""Everything that one server holds, and how it begins and ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request

from ..errors import OptionError
from ..library.browsing import Holdings
from ..library.library import Library
from ..library.records import Entry
from ..video import Limits
from .events import Events
from .handles import Handles, Kept
from .jobs import Jobs
from .judging import Judging, adopt
from .lookup import Lookups
from .media import Pictures, Shown
from .metrics import Metrics
from .plane import Plane, plane_of
from .problems import Problem
from .sessions import Identity, Sessions
from .settings import Settings
from .state import FILE, State
from .uploads import Uploads

READERS = 4
"""Handles of the library that requests read by."""


class Service:
    """One server's parts.

    Args:
        settings: what is served, and to whom.

    Raises:
        StoreError: the library is none, or what the server keeps cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with Library(settings.library, create=False) as library:
            self.unwritable = library.unwritable
            self.directory = os.fspath(library.directory)
            rule = library.spec.resize.picture
        self.read_only = settings.read_only or bool(self.unwritable)
        self.state = State(None if self.unwritable else Path(self.directory) / FILE)
        self.metrics = Metrics()
        self.sessions = Sessions(self.state, settings)
        self.events = Events()
        self.readers = Handles(self.directory, READERS)
        self.encoding = Handles(self.directory, 1, waiting=8, seconds=120.0, limits=Limits(stills=True))
        self.pictures = Pictures(rule)
        self.uploads = Uploads(settings.upload_bytes)
        self.judging = Judging(self.state, self.directory, self.events)
        options = {
            "library": self.directory,
            "state": os.fspath(self.state.path or ""),
            "move_to": settings.move_to,
        }
        self.jobs = Jobs(self.state, self.events, options, self._job_ended)
        self.lookups = Lookups(settings.indexes, self.readers, self.metrics)
        self._plane = Kept(plane_of)
        self._held = Kept(lambda library: (library.holdings(), library.lacking_segments))

    def begin(self) -> None:
        """Start with what was left when the server ended."""
        if not self.read_only:
            self.judging.flush()
            with self.readers.lent() as library:
                adopt(self.state, library)
            self.jobs.start()

    def _job_ended(self, kind: str) -> None:
        self.judging.flush()
        if kind == "add":
            with self.readers.lent() as library:
                self.events.tell("library", {"generation": library.generation})
        if kind in ("apply", "dedup"):
            count = self.state.value("SELECT count(*) FROM basket")
            self.events.tell("basket", {"items": count})

    def plane(self, library: Library) -> Plane:
        """The map of the library as it is now."""
        found = self._plane.of(library, library.generation)
        assert isinstance(found, Plane)
        return found

    def held(self, library: Library) -> tuple[Holdings, int]:
        """What the library holds, and how many of its videos have no segments."""
        found: Any = self._held.of(library, library.mark())
        holdings, lacking = found
        return holdings, lacking

    def check_changes(self) -> None:
        """Raise Problem where nothing may be changed."""
        if self.read_only:
            why = self.unwritable or "it was started with --read-only"
            raise Problem("forbidden", f"this server changes nothing: {why}")

    def close(self) -> None:
        """End everything; what runs is started again with the next server."""
        for close in self._closing():
            close()

    def _closing(self) -> list[Callable[[], Any]]:
        held: list[Any] = [
            self.events,
            self.jobs,
            self.lookups,
            self.pictures,
            self.uploads,
            self.encoding,
            self.readers,
        ]
        return [each.close for each in (*held, self.state)]


def service_of(request: Request) -> Service:
    """The server's parts, in a route."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def identity_of(request: Request) -> Identity:
    """Who asks; a route that is not for everybody."""
    identity = request.scope["state"]["identity"]
    if identity is None:
        raise Problem("unauthorized", "sign in first", login=service_of(request).sessions.login)
    assert isinstance(identity, Identity)
    return identity


def entry_by_id(library: Library, number: int) -> Entry:
    """The video with an id. Raises Problem."""
    found = library.by_id([number])
    if not found:
        raise Problem(
            "not-found", f"video {number}: the library has none with this id; GET /v1/videos lists them"
        )
    return found[0]


def shown(entry: Entry) -> Shown:
    """What pictures of a video are made of."""
    seconds = entry.code.duration
    known = 0.0 if seconds != seconds else seconds
    return Shown(entry.path, entry.digest.hex(), known, entry.width, entry.height)


def checked_path_in_roots(settings: Settings, path: str) -> str:
    """A path that a client may name. Raises Problem."""
    try:
        return settings.within_roots(path)
    except OptionError as error:
        raise Problem("forbidden", str(error)) from error
