"""kill -9 and full disks at every change that ``apply`` and ``undo`` make, and what is left after each.

A forked child applies a plan, or undoes it, and every call that changes the disk is counted: at the nth it is
killed, before or after it, or half-way through a write of the journal; or the disk is full for that call,
or from then on. Then the journal has to be true, no survivor may be gone, and ``undo`` has to bring all back.
"""

from __future__ import annotations

import builtins
import contextlib
import csv
import errno
import os
import random
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

import tests.fake_encoder as fake
from tests.fake_encoder import MAGIC, FakeEncoder
from vhash_sdk import Library, VideoCode
from vhash_sdk.acting import How, Threshold, apply, read_plan, undo
from vhash_sdk.acting.journal import Journal
from vhash_sdk.acting.steps import Step
from vhash_sdk.errors import VhashError
from vhash_sdk.names import csv_line
from vhash_sdk.report.plan import csv_rows
from vhash_sdk.spec import ModelSpec
from vhash_sdk.system import files

Mode = Literal["kill before", "kill after", "kill within", "error", "full"]
Phase = Literal["apply", "undo"]
ACTIONS = ("trash", "move", "move far", "hardlink", "symlink", "hardlink different", "symlink different")
MODES: tuple[Mode, ...] = ("kill before", "kill after", "kill within", "error", "full")
RADIUS = 3


@dataclass
class Outcome:
    """What was done, and what went wrong; the last two should be empty."""

    kills: int = 0
    full_disks: int = 0
    settled: int = 0  # steps that were interrupted, and that undo settled
    lost: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)


def near_code(content: bytes, spec: ModelSpec) -> VideoCode:
    """The first eight bytes; a second for each byte that there is."""
    code = np.frombuffer(content[:8].ljust(8, b"\0"), np.uint8)
    return VideoCode(code, 64, spec.fingerprint, confidence=0.5, duration=float(len(content)))


class Scene:
    """Videos with copies of other bytes and of the same, a library of them, a plan, and two file systems."""

    def __init__(self, root: Path, far: Path | None = None) -> None:
        self.root, self.far = root, far or root / "far"
        self.videos, self.plan = root / "videos", root / "plan.csv"
        self.data = root / "data"
        for folder in (self.videos, self.data, self.far):
            folder.mkdir(parents=True)
        self.kept: dict[str, bytes] = {}
        self.goes: dict[str, tuple[bytes, int]] = {}
        for number, name in enumerate(("a", os.fsdecode(b"b\xff\n"))):
            far_apart = 0xFF * number << 32
            best = self._write(f"{name}-best", far_apart, 40)
            self.kept[best] = Path(best).read_bytes()
            for kind, code, size in (("same", far_apart, 40), ("other", far_apart | 1, 30)):
                path = self._write(f"{name}-{kind}", code, size)
                self.goes[path] = Path(path).read_bytes(), os.stat(path).st_mtime_ns
        fake.code_of = near_code
        with self.library() as library:
            library.add([self.videos])
            groups = library.duplicates(radius=RADIUS)
            rows = list(csv_rows(groups, library.directory))
        self.plan.write_text("".join(f"{csv_line(row)}\n" for row in rows))
        with open(self.plan, newline="") as stream:
            assert sum(row["action"] == "duplicate" for row in csv.DictReader(stream)) == len(self.goes)
        self.number = 0

    def _write(self, name: str, code: int, size: int) -> str:
        path = self.videos / name
        path.write_bytes(MAGIC + code.to_bytes(8, "little") + b"." * (size - 8))
        when = 10**18 + len(os.listdir(self.videos))
        os.utime(path, ns=(when, when))
        return str(path)

    def library(self) -> Library:
        return Library(self.root / "library", encoder=FakeEncoder())  # type: ignore[arg-type]

    def journal(self) -> str:
        self.number += 1
        return str(self.root / f"{self.number}.journal")

    def apply(self, action: str, journal: str) -> None:
        name, _, kind = action.partition(" ")
        to = {"move": str(self.root / "moved"), "move far": str(self.far / "moved")}.get(action, "")
        how = How(name, to, kind == "different")  # type: ignore[arg-type]
        with self.library() as library:
            list(
                apply(library, read_plan(self.plan), how, threshold=Threshold(radius=RADIUS), journal=journal)
            )

    # ------------------------------------------------------------ what is left

    def check(self, journal: str, outcome: Outcome, what: str) -> None:
        """Whether nothing is lost, and the journal is true; then whether undo brings all back."""
        steps = self._steps(journal, outcome, what)
        opened = [step for step in steps.values() if step.state in ("begin", "undoing")]
        if len(opened) > 1:
            outcome.untrue.append(f"{what}: {len(opened)} steps are open")
        outcome.settled += len(opened)
        self._survivors(outcome, what)
        for path, (content, when) in self.goes.items():
            step = steps.get(path)
            if step is not None and step.state == "done":
                place = step.trashed or step.target or step.path
                if not holds(place, content) or self._is_itself(path, when):
                    outcome.untrue.append(f"{what}: {path!r} is said to be done")
            elif (step is None or step.state in ("failed", "undone")) and not self._is_itself(
                path, when, content
            ):
                outcome.untrue.append(f"{what}: {path!r} is said to be in its place")
        if os.path.exists(journal):
            for each in undo(journal):
                if each.state in ("refused", "failed"):
                    outcome.lost.append(f"{what}: undo: {each.message}")
        self._survivors(outcome, f"{what}, undone")
        for path, (content, when) in self.goes.items():
            if not self._is_itself(path, when, content):
                outcome.lost.append(f"{what}: {path!r} is not back")
        for left in self._litter():
            outcome.untrue.append(f"{what}: {left!r} is left")

    def _steps(self, journal: str, outcome: Outcome, what: str) -> dict[str, Step]:
        if not os.path.exists(journal):
            return {}
        if os.path.getsize(journal) == 0 or b"\n" not in Path(journal).read_bytes():
            os.unlink(journal)  # killed before its first line was whole: nothing was done
            return {}
        try:
            with Journal.open(journal) as opened:
                return {step.path: step for step in opened.steps.values()}
        except VhashError as error:
            outcome.untrue.append(f"{what}: {error}")
            return {}

    def _survivors(self, outcome: Outcome, what: str) -> None:
        for path, content in self.kept.items():
            if not holds(path, content) or os.path.islink(path):
                outcome.lost.append(f"{what}: {path!r}, which is kept, is gone")

    def _is_itself(self, path: str, when: int, content: bytes | None = None) -> bool:
        """Whether a file is there with its own time, and not a link to the one that is kept."""
        try:
            status = os.lstat(path)
        except OSError:
            return False
        own = stat.S_ISREG(status.st_mode) and status.st_mtime_ns == when and status.st_nlink == 1
        return own and (content is None or holds(path, content))

    def _litter(self) -> Iterator[str]:
        own = {*self.kept, *self.goes}
        for folder in (self.videos, self.data, self.far, self.root / "moved"):
            for at, _, names in os.walk(folder):
                yield from (each for name in names if (each := os.path.join(at, name)) not in own)


def holds(path: str, content: bytes) -> bool:
    try:
        return Path(path).read_bytes() == content
    except OSError:
        return False


class _Faults:
    """Counts the calls that change the disk, and does something at the nth."""

    NAMES = ("rename", "link", "unlink", "symlink", "mkdir", "rmdir", "chmod", "utime", "fsync", "ftruncate")

    def __init__(self, mode: Mode | None, at: int) -> None:
        self.mode, self.at, self.calls = mode, at, 0

    def install(self) -> None:
        for name in self.NAMES:
            setattr(os, name, self._around(getattr(os, name)))
        write = os.write
        os.write = lambda file, data: self._write(write, file, data)  # type: ignore[assignment]
        at_once = files._rename_at_once()
        files._rename_at_once = lambda: self._around(at_once)  # type: ignore[assignment]
        opened = builtins.open

        def open_(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            if not isinstance(file, int) and {*mode} & {*"wxa"}:
                return self._around(opened)(file, mode, *more, **options)
            return opened(file, mode, *more, **options)

        builtins.open = open_  # type: ignore[assignment]

    def _now(self) -> Mode | None:
        self.calls += 1
        return self.mode if self.calls == self.at or (self.mode == "full" and self.calls > self.at) else None

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **options: Any) -> Any:
            now = self._now()
            frees = getattr(call, "__name__", "") in ("unlink", "rmdir", "ftruncate")
            if now == "error" or (now == "full" and not frees):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if now == "kill before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*given, **options)
            if now in ("kill after", "kill within"):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    def _write(self, write: Callable[[int, bytes], int], file: int, data: bytes) -> int:
        now = self._now()
        if now == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if now in ("full", "error", "kill within"):
            write(file, data[: len(data) // 2])
            if now == "kill within":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        result = write(file, data)
        if now == "kill after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def child(scene: Scene, run: Callable[[], None], mode: Mode | None, at: int) -> int:
    """Run something in a process of its own with a fault; how many calls it made, if it came to its end."""
    reads, writes = os.pipe()
    number = os.fork()
    if number == 0:
        try:
            for name in [name for name in sys.modules if name.startswith("send2trash")]:
                del sys.modules[name]  # it finds out where the trash is when it is imported
            __import__("send2trash")
            tell = os.write
            faults = _Faults(mode, at)
            faults.install()
            with contextlib.suppress(VhashError, OSError):
                run()
            tell(writes, str(faults.calls).encode())
        except BaseException as error:
            os.dup2(2, 1)
            print(f"the child failed: {type(error).__name__}: {error}", flush=True)
            os._exit(7)
        os._exit(0)
    os.close(writes)
    said = os.read(reads, 100)
    os.close(reads)
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise AssertionError(f"the child ended with {status}")
    return int(said or 0)


def trials(scene: Scene, action: str, phase: Phase, every: int) -> Iterator[tuple[Mode | None, int]]:
    """(mode, number of the call) of what is to be tried; the first run only counts."""
    count = _trial(scene, action, phase, None, 0)[1]
    chance = random.Random(f"{action} {phase}")
    for at in range(1, count + 1):
        for mode in MODES:
            if chance.random() < 1 / every:
                yield mode, at


def _trial(scene: Scene, action: str, phase: Phase, mode: Mode | None, at: int) -> tuple[str, int]:
    journal = scene.journal()
    if phase == "apply":
        count = child(scene, lambda: scene.apply(action, journal), mode, at)
    else:
        child(scene, lambda: scene.apply(action, journal), None, 0)
        count = child(scene, lambda: list(undo(journal)) and None, mode, at)
    if mode is None:
        outcome = Outcome()
        scene.check(journal, outcome, f"{action}, {phase}, without a fault")
        assert not outcome.lost and not outcome.untrue, outcome
    return journal, count


def _between(rename: Callable[[bytes, bytes], int], far: Path) -> Callable[[bytes, bytes], int]:
    """A rename that cannot leave or enter a folder, as between two file systems."""
    inside = os.fsencode(far) + b"/"

    def renamed(source: bytes, target: bytes) -> int:
        return (
            errno.EXDEV if source.startswith(inside) != target.startswith(inside) else rename(source, target)
        )

    return renamed


def run(
    root: Path,
    far: Path | None = None,
    *,
    every: int = 1,
    actions: tuple[str, ...] = ACTIONS,
    phases: tuple[Phase, ...] = ("apply", "undo"),
) -> Outcome:
    """Try one of ``every`` faults, drawn by chance, of all that some actions may meet."""
    outcome = Outcome()
    before = os.environ.get("XDG_DATA_HOME"), os.environ.get("HOME")
    usual, at_once = fake.code_of, files._rename_at_once
    os.environ["XDG_DATA_HOME"], os.environ["HOME"] = str(root / "data"), str(root)
    try:
        scene = Scene(root, far)
        files._rename_at_once = lambda: _between(at_once(), scene.far)  # type: ignore[assignment]
        for action in actions:
            for phase in phases:
                for mode, at in trials(scene, action, phase, every):
                    journal, _ = _trial(scene, action, phase, mode, at)
                    killed = mode is not None and mode.startswith("kill")
                    outcome.kills += killed
                    outcome.full_disks += not killed
                    scene.check(journal, outcome, f"{action}, {phase}, {mode} at call {at}")
    finally:
        fake.code_of, files._rename_at_once = usual, at_once
        for name, value in zip(("XDG_DATA_HOME", "HOME"), before, strict=True):
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return outcome
