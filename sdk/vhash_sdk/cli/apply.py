"""``vhash apply``: what a plan says, done so that ``vhash undo`` can take it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError, VhashError
from ..names import shell_quoted
from .inputs import place
from .options import takes
from .output import ExitCode, Json, Output, counted, error_entry, path_entry, printable, safe

if TYPE_CHECKING:
    from ..acting.apply import Doing
    from ..acting.checks import How
    from ..acting.plan_file import Plan

_WORDS = {"trash": "trash", "hardlink": "hard link", "symlink": "link", "move": "move"}


@dataclass(frozen=True)
class Options:
    """What ``vhash apply`` takes."""

    plan: Annotated[
        Path,
        typer.Argument(metavar="PLAN", parser=place, help="From `vhash dedup --plan`.", show_default=False),
    ]
    trash: Annotated[bool, typer.Option("--trash", help="Move the files to the desktop's trash.")] = False
    hardlink: Annotated[
        bool, typer.Option("--hardlink", help="Put a hard link to the file that is kept in their place.")
    ] = False
    symlink: Annotated[
        bool, typer.Option("--symlink", help="Put a symbolic link to the file that is kept in their place.")
    ] = False
    move: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=place,
            help="Move them to a folder, each with its whole path.",
            show_default=False,
        ),
    ] = None
    different: Annotated[
        bool,
        typer.Option(
            "--different",
            help="Links may stand for files that hold other bytes, which then go to the trash; without it "
            "only for files that are the same byte for byte.",
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at every file and print the same; change nothing.")
    ] = False
    library: Annotated[
        Path | None,
        typer.Option(
            metavar="LIB",
            parser=place,
            help="The library, if it is not where the plan says.",
            show_default=False,
        ),
    ] = None
    journal: Annotated[
        Path | None, typer.Option(help="Where to write what was done; beside the plan by default.")
    ] = None
    fmr: Annotated[float | None, typer.Option(help="Threshold of the last look, as for `vhash dedup`.")] = (
        None
    )
    radius: Annotated[int | None, typer.Option(min=0, help="Threshold in bits, instead.")] = None
    calibration: Annotated[
        Path | None, typer.Option(help="From `vhash calibrate`; that of the model by default.")
    ] = None
    json: Json = False


@takes(Options)
def apply(given: Options) -> None:
    """Do what a plan says: the rows called duplicate of a CSV file, the remove lines of a script.

    Each file is looked at again right before: it and the one that is kept must be as they were, two files,
    and copies by the verdict of the library; else it stays. What is done is written into a journal first,
    and `vhash undo` takes it back.

    [bold]Examples[/bold]

      vhash dedup library --plan plan.csv

      vhash apply plan.csv --trash --dry-run

      vhash apply plan.csv --trash

      vhash apply plan.csv --move /videos/duplicates
    """
    chosen = [name for name in _WORDS if getattr(given, name)]
    if len(chosen) != 1:
        raise typer.BadParameter(
            "say what to do with the files: one of --trash, --hardlink, --symlink, --move DIR"
        )
    with Output("apply", json=given.json) as out:
        from ..acting import How, read_plan

        plan = read_plan(given.plan)
        how = How(chosen[0], str(given.move or ""), given.different)  # type: ignore[arg-type]
        _Run(given, plan, how, out).run()


class _Run:
    """One run of the command: what it prints, and how it ends."""

    def __init__(self, given: Options, plan: Plan, how: How, out: Output) -> None:
        self.given, self.plan, self.how, self.out = given, plan, how, out
        self.done: list[Doing] = []
        self.journal = ""

    def run(self) -> None:
        given, plan, out = self.given, self.plan, self.out
        if not plan.groups:
            behind = f": its {counted(plan.offered, 'line')} to remove files still have a # before them"
            raise OptionError(f"{printable(plan.file)}: nothing is to go{behind if plan.offered else ''}")
        lib = given.library or plan.library
        if lib is None:
            raise OptionError(
                f"{printable(plan.file)}: does not say which library it is from; give --library LIB"
            )
        failed: BaseException | None = None
        try:
            self._apply(lib)
        except (VhashError, OSError, KeyboardInterrupt) as error:
            if not self.done:
                raise
            failed = error
        counts = Counter[str](each.state for each in self.done)
        bad = len(self.done) - counts["done"]
        text = ", ".join(f"{counts[state]:,} {state}" for state in sorted(counts)) or "nothing to do"
        tail = "nothing was changed: a dry run" if given.dry_run else "nothing was changed"
        if self.journal and counts["done"] + counts["unsettled"]:
            tail = f"`vhash undo {shell_quoted(self.journal)}` takes it back"
        out.note(f"vhash: {text}; {tail}")
        if isinstance(failed, KeyboardInterrupt):
            raise failed
        if isinstance(failed, Exception):
            out.problem(failed)
        self._document(lib, counts, failed)
        out.end(ExitCode.of(counts["done"], bad + (failed is not None)))

    def _apply(self, lib: str | Path) -> None:
        from ..acting.apply import Threshold, apply, journal_beside
        from ..library.library import Library
        from ..matching.calibration import Calibration

        given, plan = self.given, self.plan
        if not given.dry_run:
            self.journal = str(given.journal or journal_beside(plan))
        table = None if given.calibration is None else Calibration.load(given.calibration)
        threshold = Threshold(given.fmr, given.radius, table)
        total = sum(len(group.removals) for group in plan.groups)
        with Library(lib, create=False) as library, self.out.progress("looking and doing", total) as step:
            for each in apply(
                library,
                plan,
                self.how,
                threshold=threshold,
                journal=self.journal or None,
                dry_run=given.dry_run,
            ):
                self.done.append(each)
                self.out.line(self._line(each))
                step(1, each.path)

    def _line(self, each: Doing) -> str:
        if each.state != "done":
            return f"{each.state:9}  {each.message}"
        where = f" to {printable(each.target)}" if self.how.action == "move" else ""
        kept = f"{each.distance} bits from {printable(each.kept)}, which is kept"
        return f"{_WORDS[self.how.action]:9}  {printable(each.path)}{where}  ({kept})"

    def _document(self, lib: str | Path, counts: Mapping[str, int], failed: BaseException | None) -> None:
        self.out.document(
            plan=path_entry(self.plan.file),
            library=path_entry(lib),
            action=self.how.action,
            dry_run=self.given.dry_run,
            journal=path_entry(self.journal) if self.journal else None,
            counts=dict(sorted(counts.items())),
            files=[_entry(each) for each in self.done],
            **({} if failed is None else {"error": error_entry(failed)}),
        )


def _entry(each: Doing) -> dict[str, Any]:
    return {
        **path_entry(each.path),
        "group": safe(each.group),
        "state": each.state,
        "kept": path_entry(each.kept) if each.kept else None,
        "distance": each.distance if each.kept else None,
        "target": path_entry(each.target) if each.target else None,
        "message": safe(each.message) or None,
    }
