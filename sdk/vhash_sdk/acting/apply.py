"""Doing what a plan says: look again, write it down, do it, write down that it is done."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import JournalError, OptionError, RefusedError, VhashError
from ..library.place import not_own
from ..names import printable, shell_quoted
from ..system.checks import check_choice, checked_path
from .acts import in_place, perform
from .checks import Checks, How, Ready, Threshold, targets
from .journal import Journal, unfinished
from .plan_file import Named, Plan, PlannedGroup
from .steps import ACTIONS, Step
from .trash import check_trash

if TYPE_CHECKING:
    from ..library.library import Library

__all__ = ["Doing", "How", "Threshold", "apply"]

_SUFFIX = ".journal"


@dataclass(frozen=True)
class Doing:
    """What became of one name of one file of a plan.

    Attributes:
        group: of the plan.
        path: the file.
        state: ``done``; ``refused`` (not as it has to be: left as it is), ``failed`` (the system said no),
            ``unsettled`` (it said no half-way: where the file is, ``undo`` finds out).
        kept: the file that is kept instead; empty where it was refused.
        distance: between both, in bits.
        target: where it was moved to, or its name in the trash where that is known.
        message: why not.
    """

    group: str
    path: str
    state: Literal["done", "refused", "failed", "unsettled"]
    kept: str = ""
    distance: int = 0
    target: str = ""
    message: str = ""


def apply(
    library: Library,
    plan: Plan,
    how: How,
    *,
    threshold: Threshold | None = None,
    journal: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
) -> Iterator[Doing]:
    """Do what a plan says with each of its files, one after the other; yields what became of each.

    Every file is looked at right before: it and the file that is kept have to be as they were when they were
    encoded, two files, both in the library, and copies by its verdict. Each act is in the journal, on the
    disk, before it is done; ``undo`` takes back what a journal says. Nobody else may write the library
    meanwhile. Where a step can neither be done nor taken back, it is the last.

    Args:
        library: that the plan is from.
        plan: from ``read_plan``.
        how: what is done.
        threshold: by which the verdict decides; None: that of the library.
        journal: a file that does not exist yet; None: ``journal_beside`` the plan.
        dry_run: only look; yields the same, and needs no journal.

    Raises:
        JournalError: it cannot be written: what was not done before is not done.
        MissingDependencyError: the trash is needed, and its package is not there.
        OptionError: the destination lies in the library.
        StoreError: the library is written by another process, or cannot be.
    """
    check_choice("action", how.action, ACTIONS)
    if how.action == "trash" or how.different:
        check_trash()
    if how.action == "move":
        how = How("move", _destination(library, how.destination))
    asked = threshold or Threshold()
    if dry_run:
        checks = Checks(library, plan, how, asked)
        for group, removal in _removals(plan):
            yield from _only_look(checks, how, group, removal)
        return
    with library.exclusively():
        checks = Checks(library, plan, how, asked)
        file = journal_beside(plan) if journal is None else journal
        place = os.fspath(library.directory)
        with Journal.new(file, action=how.action, plan=plan.file, library=place, to=how.destination) as lines:
            for group, removal in _removals(plan):
                for done in _do(checks, how, lines, group, removal):
                    yield done
                    if done.state == "unsettled":
                        return


def journal_beside(plan: Plan) -> str:
    """A name beside a plan for the journal of what is done by it.

    Raises:
        JournalError: a journal beside it was interrupted, so that a file may have none of its names.
    """
    folder, name = os.path.split(plan.file)
    for other in sorted(os.listdir(folder)):
        if other.startswith(f"{name}.") and other.endswith(_SUFFIX):
            path = os.path.join(folder, other)
            if steps := unfinished(path):
                raise JournalError(
                    f"{printable(path)}: was interrupted at {printable(steps[-1].path)}; first run "
                    "`vhash undo --unfinished` or `vhash undo` with it"
                )
    stem = f"{plan.file}.{time.strftime('%Y%m%d-%H%M%S')}"
    number, path = 1, f"{stem}{_SUFFIX}"
    while os.path.lexists(path):
        number += 1
        path = f"{stem}-{number}{_SUFFIX}"
    return path


def _destination(library: Library, destination: str) -> str:
    path = os.path.abspath(checked_path("destination", destination))
    if os.path.dirname(path) == path or (os.path.lexists(path) and not os.path.isdir(path)):
        raise OptionError(f"destination={printable(path)}: give a folder of its own, which need not exist")
    not_own(library.directory, [path])
    return path


def _removals(plan: Plan) -> Iterator[tuple[PlannedGroup, Named]]:
    for group in plan.groups:
        for removal in group.removals:
            yield group, removal


def _only_look(checks: Checks, how: How, group: PlannedGroup, removal: Named) -> Iterator[Doing]:
    ready = _looked_at(checks, how, group, removal)
    if isinstance(ready, Doing):
        yield ready
        return
    for name, target in ready[1]:
        yield Doing(group.name, name, "done", ready[0].kept, ready[0].distance, target)


def _looked_at(
    checks: Checks, how: How, group: PlannedGroup, removal: Named
) -> tuple[Ready, list[tuple[str, str]]] | Doing:
    try:
        ready = checks.ready(group, removal)
        return ready, list(targets(how, ready.names))
    except RefusedError as error:
        return Doing(group.name, removal.path, "refused", message=str(error))
    except OSError as error:
        if isinstance(error, VhashError):  # of the library itself: nothing is known any more
            raise
        return Doing(group.name, removal.path, "failed", message=_said(removal.path, error))


def _do(checks: Checks, how: How, journal: Journal, group: PlannedGroup, removal: Named) -> Iterator[Doing]:
    found = _looked_at(checks, how, group, removal)
    if isinstance(found, Doing):
        yield found
        return
    ready, names = found
    for name, target in names:
        step = Step(
            len(journal.steps) + 1, journal.about.run, how.action, group.name, name, ready.file, ready.digest,
            ready.kept, ready.kept_file, target, ready.sha256,
        )  # fmt: skip
        yield _step(journal, step, ready)


def _step(journal: Journal, step: Step, ready: Ready) -> Doing:
    journal.begin(step)
    try:
        found = perform(step)
    except OSError as error:
        said = _said(step.path, error)
        if not in_place(step):
            said += f"; run `vhash undo --unfinished {shell_quoted(journal.file)}`"
            return Doing(step.group, step.path, "unsettled", message=said)
        journal.note(step, state="failed", error=said)
        state: Literal["refused", "failed"] = "refused" if isinstance(error, RefusedError) else "failed"
        return Doing(step.group, step.path, state, message=said)
    journal.note(step, state="done", **found)
    target = found.get("trashed", "") if step.action == "trash" else step.target
    return Doing(step.group, step.path, "done", step.kept, ready.distance, target)


def _said(path: str, error: OSError) -> str:
    if isinstance(error, VhashError):
        return str(error)
    return f"{printable(path)}: {error.strerror or error}"
