"""Taking back what a journal says was done: the last step first, each as far as it harms nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..errors import RefusedError, VhashError
from ..names import printable
from .acts import in_place, undo_step
from .journal import Journal
from .steps import Action, Step


@dataclass(frozen=True)
class Undone:
    """What became of one step of a journal.

    Attributes:
        step: its number.
        action: what had been done.
        path: the name that the file has again.
        state: ``restored``; ``in place`` (a step that was interrupted before it did anything), ``refused``
            (something else has its name, or it is gone), ``failed`` (the system said no).
        message: why not.
    """

    step: int
    action: Action
    path: str
    state: Literal["restored", "in place", "refused", "failed"]
    message: str = ""


def undo(
    journal: str | os.PathLike[str], *, unfinished: bool = False, dry_run: bool = False
) -> Iterator[Undone]:
    """Bring the files of a journal back to their names; yields what became of each, the last one first.

    Nothing is replaced: where something else has a name, its file stays where it is, and the message says
    where. What is undone already, or failed, is passed over, so it may be called as often as one likes, also
    after it was interrupted.

    Args:
        journal: of ``apply``.
        unfinished: only what was interrupted; what was done stays.
        dry_run: only look; says what would be tried.

    Raises:
        JournalError: it is none, is damaged, or cannot be written.
    """
    with Journal.open(journal) as lines:
        for number in sorted(lines.steps, reverse=True):
            step = lines.steps[number]
            if step.state in ("failed", "undone") or (unfinished and step.state == "done"):
                continue
            if dry_run:
                yield Undone(number, step.action, step.path, "in place" if in_place(step) else "restored")
            else:
                yield _undone(lines, step)


def _undone(journal: Journal, step: Step) -> Undone:
    was_there = in_place(step)
    was = step.state
    if was != "undoing":
        step = journal.note(step, state="undoing")
    try:
        undo_step(step)
    except OSError as error:
        said = str(error) if isinstance(error, VhashError) else f"{printable(step.path)}: {error.strerror}"
        # back, with something left to tidy up, or begun and never done: then the step stays open
        stays = in_place(step) or was == "begin"
        journal.note(step, state="undoing" if stays else was, error=said)
        refused = isinstance(error, RefusedError)
        return Undone(step.number, step.action, step.path, "refused" if refused else "failed", said)
    journal.note(step, state="undone")
    return Undone(step.number, step.action, step.path, "in place" if was_there else "restored")
