"""The process of a job: reads and writes the library, and says on standard output how far it is.

One JSON document a line; the last one has ``end``. It gives up between two files when its standard input
ends: the server has been asked to cancel the job, is stopping, or is dead.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import StoreError, VhashError
from ..library.library import Library
from ..names import safe
from ..system.strict_json import parse_json
from .results import keep_groups, keep_parts
from .state import State
from .work import Stopped, Work, tell
from .worker_acts import run_apply, run_undo

_WRITING = ("add", "apply", "undo")
_WRITER = 90.0  # seconds that a job waits for whoever writes the library
_AFTER = 60.0  # seconds that it may go on without the server; then it ends as by a crash, which loses nothing


def main() -> None:
    """Run one job."""
    given = parse_json(sys.argv[1])
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    work = Work(given, stop)
    run: Callable[[Work, Library, State], dict[str, Any] | None] = {
        "add": run_add, "dedup": run_dedup, "parts": run_parts, "apply": run_apply, "undo": run_undo,
    }[given["kind"]]  # fmt: skip
    end: dict[str, Any]
    try:
        state = State(Path(given["state"]))
        with Library(given["library"], create=False) as library:
            if given["kind"] in _WRITING:
                await_writer(work, library)
            end = {"result": run(work, library, state)}
    except Stopped:
        end = {"stopped": True}
    except (VhashError, OSError) as error:
        end = {"error": safe(str(error))}
    tell({"end": {**work.state(), **end}})


def await_writer(work: Work, library: Library) -> None:
    """Wait until nobody else writes the library: the process of a server that was killed ends soon."""
    end = time.monotonic() + _WRITER
    library.patience = 0.0  # between two tries it says so, and may be stopped
    while True:
        try:
            with library.exclusively():
                library.patience = _WRITER  # a judgement, or another program, may come between two steps
                return
        except StoreError:
            if time.monotonic() > end:
                raise
        work.say(current="waiting for another process that writes the library")
        work.stop.wait(0.5)


def _watch(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()
    time.sleep(_AFTER)
    os._exit(75)


def run_add(work: Work, library: Library, state: State) -> None:
    """Add files and folders, and what the library keeps beside."""
    options = work.options
    paths, segments = options["paths"], options.get("segments")
    found = list(library.scan(paths, exclude=options.get("exclude", ())))
    total = len(found)
    for added in library.adding(found, paths, retry=bool(options.get("retry"))):
        work.step(added.status, added.path, added.error, total)
    more: list[Iterable[Any]] = []
    if library.has_segments if segments is None else segments:
        total += library.lacking_segments
        more.append(library.segmenting())
    if library.has_sound and not library.sound_missing:
        total += library.lacking_sound
        more.append(library.sounding())
    for results in more:
        for made in results:
            work.step("failed" if made.error else "more", made.path, made.error, total)


def run_dedup(work: Work, library: Library, state: State) -> dict[str, Any]:
    """Find groups of duplicates."""
    options = work.options
    work.say(current=f"comparing {len(library):,} videos")
    generation = library.generation
    groups = library.duplicates(
        fmr=options.get("fmr"), radius=options.get("radius"), keep=options.get("keep", "longest")
    )
    work.say(current=f"writing {len(groups):,} groups")
    return keep_groups(state, library, groups, generation, work.given["job"], options)


def run_parts(work: Work, library: Library, state: State) -> dict[str, Any]:
    """Find what videos share."""

    def progress(done: int, total: int) -> None:
        work.done = done
        work.say(current="comparing segments", total=total)

    generation = library.generation
    parts = library.parts(seconds=work.options.get("seconds", 5.0), progress=progress)
    return keep_parts(state, parts, generation, work.given["job"])
