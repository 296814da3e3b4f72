"""One job in its process: how far it is, told to the server, and whether it is to end."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..names import safe
from .shapes import shown_path

_EVERY = 0.2


class Stopped(Exception):
    """The job is to end."""


@dataclass
class Work:
    """One job.

    Attributes:
        given: what the server has said.
        stop: set when it is to end.
        counts, problems, done: what has become of the files so far.
    """

    given: dict[str, Any]
    stop: threading.Event
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0
    _told: float = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """Of the job."""
        return dict(self.given["options"])

    def step(
        self, state: str, path: str, error: BaseException | str | None = None, total: int | None = None
    ) -> None:
        """One file is done. Raises Stopped where the job is to end."""
        self.done += 1
        self.counts[state] += 1
        if error is not None and len(self.problems) < 100:
            kind = error.split(":")[0] if isinstance(error, str) else type(error).__name__
            self.problems.append({**shown_path(path), "kind": kind[:60], "message": safe(str(error))})
        self.say(current=shown_path(path)["path"], total=total)

    def say(self, *, current: str | None = None, total: int | None = None) -> None:
        """Say how far it is, now and then. Raises Stopped where the job is to end."""
        if time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            tell({**self.state(), "current": current, **({} if total is None else {"total": total})})
        if self.stop.is_set():
            raise Stopped

    def state(self) -> dict[str, Any]:
        """How far it is."""
        return {"done": self.done, "counts": dict(self.counts), "problems": self.problems}


def tell(document: dict[str, Any]) -> None:
    """Say something to the server, which may be gone."""
    try:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    except OSError:
        pass
