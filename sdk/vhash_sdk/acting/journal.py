"""The journal of ``vhash apply``: what is about to be done, on the disk before it is done.

One JSON document a line, each made durable before what it announces. A step is ``begin`` until it is said to
be ``done``; one that is only begun may have been done or not, and everything that tells which is in its line:
the names and the identity of both files. A line that a crash has torn announces nothing, as nothing followed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import time
from dataclasses import dataclass, replace
from typing import Any, get_args

from ..errors import JournalError, JsonError
from ..names import path_entry, path_from_entry, printable
from ..system.checks import checked_path
from ..system.files import sync_folder
from ..system.strict_json import parse_json
from .steps import Action, State, Step

KIND = "vhash journal"
_SCHEMA = 1
_MOST_BYTES = 1 << 31


@dataclass(frozen=True)
class About:
    """What a journal says of its run: an id, what is done by which plan of which library, and where to."""

    run: str
    action: str
    plan: str
    library: str
    destination: str = ""


class Journal:
    """A journal that is open for writing, by one process at a time; see ``Journal.new`` and ``Journal.open``.

    Attributes:
        file: its path.
        about: its run.
        steps: by their numbers, as the journal says.
    """

    def __init__(self, file: str, descriptor: int, about: About, steps: dict[int, Step]) -> None:
        self.file, self.about, self.steps = file, about, steps
        self._descriptor = descriptor

    @classmethod
    def new(
        cls, file: str | os.PathLike[str], *, action: Action, plan: str, library: str, to: str
    ) -> Journal:
        """Make a journal, which must not exist.

        Raises:
            JournalError: something has that name, or nothing can be written there.
        """
        path = os.path.abspath(checked_path("journal", file))
        about = About(secrets.token_hex(4), action, plan, library, to)
        try:
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise JournalError(
                f"{printable(path)}: the journal cannot be made ({error.strerror}); name another file with "
                "--journal"
            ) from error
        journal = cls(path, descriptor, about, {})
        try:
            journal._lock()
            line = {"kind": KIND, "schema": _SCHEMA, "run": about.run, "action": action}
            line |= {"plan": path_entry(plan), "library": path_entry(library)}
            line |= {"destination": path_entry(to)} if to else {}
            journal._append({**line, "began": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
            sync_folder(os.path.dirname(path))
        except BaseException:
            journal.close()
            with contextlib.suppress(OSError):  # nothing was done that it would have to say
                os.unlink(path)
            raise
        return journal

    @classmethod
    def open(cls, file: str | os.PathLike[str]) -> Journal:
        """Open a journal to undo what it says; what a crash has torn at its end is cut off.

        Raises:
            JournalError: it is none, is damaged, another process writes it, or it cannot be written.
        """
        path = os.path.abspath(checked_path("journal", file))
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise JournalError(
                f"{printable(path)}: cannot be opened to write in it ({error.strerror}); check its name and "
                "permissions"
            ) from error
        journal = cls(path, descriptor, About("", "", "", ""), {})
        try:
            journal._lock()
            journal.about, journal.steps, end = _parsed(path, descriptor)
            if end != os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, end)
        except OSError as error:
            journal.close()
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"{printable(path)}: cannot be read ({error.strerror})") from error
        except BaseException:
            journal.close()
            raise
        return journal

    def begin(self, step: Step) -> None:
        """Announce a step; durable when it returns."""
        self._append(step.record())
        self.steps[step.number] = step

    def note(self, step: Step, **changes: Any) -> Step:
        """Write down what became of a step; durable when it returns."""
        now = replace(step, **changes)
        line: dict[str, Any] = {"step": now.number, "state": now.state}
        for name in ("trashed", "info"):
            if changes.get(name):
                line[name] = path_entry(changes[name])
        if changes.get("error"):
            line["error"] = now.error.encode("utf-8", "backslashreplace").decode("utf-8")
        self._append(line)
        self.steps[now.number] = now
        return now

    def _append(self, line: dict[str, Any]) -> None:
        """Write a line whole and make it durable; one that cannot be is taken back."""
        content = json.dumps(line, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, end)
            raise JournalError(
                f"{printable(self.file)}: the journal cannot be written ({error.strerror}), so nothing more "
                "is done; make room, then look at `vhash undo --dry-run`"
            ) from error

    def _lock(self) -> None:
        import fcntl  # which Windows lacks; a library, of which there is a plan, refuses to be opened there

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = "another process writes it" if error.errno == errno.EWOULDBLOCK else error.strerror
            raise JournalError(
                f"{printable(self.file)}: cannot be locked: {who}; wait for its end"
            ) from error

    def close(self) -> None:
        """Give it free."""
        os.close(self._descriptor)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def unfinished(file: str | os.PathLike[str]) -> list[Step]:
    """The steps of a journal that are not known to be done, failed or undone; none where it is no journal."""
    try:
        steps = read_journal(file)[1]
    except OSError:
        return []
    return [step for step in steps.values() if step.state in ("begin", "undoing")]


def read_journal(file: str | os.PathLike[str]) -> tuple[About, dict[int, Step]]:
    """What a journal says of its run, and its steps by their numbers; it may be written meanwhile.

    Raises:
        JournalError: it is none, or damaged.
        OSError: it cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _parsed(os.fspath(file), descriptor)[:2]
    finally:
        os.close(descriptor)


def _parsed(path: str, descriptor: int) -> tuple[About, dict[int, Step], int]:
    """What a journal says, and where its last whole line ends.

    Raises:
        JournalError: it is none, or damaged.
        OSError: it cannot be read.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        raise JournalError(f"{printable(path)}: no journal; give one that `vhash apply` has written")
    content = _all(descriptor, status.st_size)
    end = content.rfind(b"\n") + 1
    lines = content[:end].split(b"\n")[:-1]
    number = 0
    try:
        head: Any = parse_json(lines[0]) if lines else {}
        if not isinstance(head, dict) or head.get("kind") != KIND or head.get("schema") != _SCHEMA:
            raise ValueError("it does not begin as one")
        if not (isinstance(head["run"], str) and len(bytes.fromhex(head["run"])) == 4):
            raise ValueError(f"run {head['run']!r}")
        places = (
            path_from_entry(head.get(name, {"path": ""})) for name in ("plan", "library", "destination")
        )
        about = About(head["run"], str(head["action"]), *places)
        steps: dict[int, Step] = {}
        for number, text in enumerate(lines[1:], 2):  # noqa: B007  (for the message)
            _take(steps, about.run, parse_json(text))
    except (JsonError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalError(
            f"{printable(path)}: no journal of `vhash apply`, or a damaged one: line {number or 1}: "
            f"{type(error).__name__}: {error}; nothing is undone by it"
        ) from error
    return about, steps, end


def _take(steps: dict[int, Step], run: str, line: dict[str, Any]) -> None:
    if line["state"] == "begin" and "action" not in line and line["step"] in steps:
        return  # 0.1 wrote that of a begun step that could not be undone: it is open as before
    if line["state"] == "begin":
        step = Step.read(run, line)
        if step.number in steps:
            raise ValueError(f"step {step.number} begins twice")
        steps[step.number] = step
        return
    if line["state"] not in get_args(State):
        raise ValueError(f"state {line['state']!r}")
    step = steps[line["step"]]
    trashed, info = (
        path_from_entry(line[name]) if name in line else getattr(step, name) for name in ("trashed", "info")
    )
    steps[step.number] = replace(step, state=line["state"], trashed=trashed, info=info)


def _all(descriptor: int, size: int) -> bytes:
    content = b""
    while len(content) < size and (part := os.pread(descriptor, size - len(content), len(content))):
        content += part
    return content
