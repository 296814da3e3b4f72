"""``vhash undo``: what ``vhash apply`` has done, taken back by its journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .inputs import place
from .options import takes
from .output import ExitCode, Json, Output, path_entry, printable, safe


@dataclass(frozen=True)
class Options:
    """What ``vhash undo`` takes."""

    journal: Annotated[
        Path,
        typer.Argument(metavar="JOURNAL", parser=place, help="That `vhash apply` wrote.", show_default=False),
    ]
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only what was interrupted; what was done stays.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the same; change nothing.")] = False
    json: Json = False


@takes(Options)
def undo(given: Options) -> None:
    """Bring the files back that `vhash apply` has moved, put into the trash or replaced by links.

    The last one comes first. Nothing is replaced: where something else has the name of a file by now, the
    file stays where it is, and the message says where that is. May be interrupted, and called again.

    [bold]Examples[/bold]

      vhash undo plan.csv.20261130-101500.journal --dry-run

      vhash undo plan.csv.20261130-101500.journal
    """
    with Output("undo", json=given.json) as out:
        from ..acting.undo import undo

        steps = []
        for each in undo(given.journal, unfinished=given.unfinished, dry_run=given.dry_run):
            steps.append(each)
            bad = each.state in ("refused", "failed")
            out.line(f"{each.state:9}  {each.message if bad else printable(each.path)}")
        counts = Counter(each.state for each in steps)
        text = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
        tail = "; nothing was changed: a dry run" if given.dry_run else ""
        out.note(f"vhash: {text or 'nothing to undo'}{tail}")
        out.document(
            journal=path_entry(given.journal),
            dry_run=given.dry_run,
            counts=dict(sorted(counts.items())),
            steps=[
                {
                    **path_entry(each.path),
                    "step": each.step,
                    "action": each.action,
                    "state": each.state,
                    "message": safe(each.message) or None,
                }
                for each in steps
            ],
        )
        failed = counts["refused"] + counts["failed"]
        out.end(ExitCode.of(len(steps) - failed, failed) if steps else ExitCode.DONE)
