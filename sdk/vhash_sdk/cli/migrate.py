"""``vhash migrate``: the videos of a library in a new library, by another model."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError, SourceError
from ..scan import Found
from .add import Run
from .inputs import place
from .library import Lib, model_entry
from .options import takes
from .output import ExitCode, Json, Output, path_entry, printable
from .segmenting import keep_segments

if TYPE_CHECKING:
    from ..library.library import Library


@dataclass(frozen=True)
class Options:
    """What ``vhash migrate`` takes."""

    lib: Lib
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", parser=place, metavar="DIR", help="The new library; LIB.MODEL by default."
        ),
    ] = None
    model: Annotated[str, typer.Option("--model", "-m", help="Of the new library.")] = "default"
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Decoding processes; one a core by default.")
    ] = None
    json: Json = False


@takes(Options)
def migrate(given: Options) -> None:
    """Encode the videos of a library anew, by another model, into a new library beside it.

    A library belongs to one model for ever, and codes of two models cannot be compared. The old library is
    only read, and stays. Files that are gone or cannot be read are named. What was judged and the roles of
    folders are taken over, and segments are kept where the old library keeps them. Stop at any time: the same
    command goes on from there.

    [bold]Examples[/bold]

      vhash migrate library

      vhash migrate library --model small --output library-64
    """
    with Output("migrate", json=given.json) as out:
        from ..library.library import Library
        from ..models import zoo

        with Library(given.lib, create=False) as old:
            spec = zoo.load(given.model).spec
            if spec.fingerprint == old.spec.fingerprint:
                raise OptionError(
                    f"{old.directory} belongs to {spec.name} already; name another model with --model"
                )
            where = given.output or old.directory.with_name(f"{old.directory.name}.{spec.name}")
            with Library(where, model=given.model) as new:
                run = Run(out)
                _migrate(old, new, run, given.workers)
                run.show()
                kept = keep_segments(new, out, workers=given.workers) if old.has_segments else None
                out.note(f"vhash: {len(new)} of {len(old)} videos are in {printable(str(new.directory))}")
                out.document(
                    library={**path_entry(new.directory), "videos": len(new)},
                    previous={**path_entry(old.directory), "videos": len(old)},
                    model=model_entry(new),
                    counts=dict(sorted(run.counts.items())),
                    segments=kept,
                    **run.entries(),
                )
                bad = run.counts["failed"] + len(kept["failed"] if kept else ())
                out.end(ExitCode.of(run.counts.total() - bad, bad))


def _migrate(old: Library, new: Library, run: Run, workers: int | None) -> None:
    """Add the files of one library to another; what was judged first, for it costs nothing."""
    new.judge(old.judgements())
    if old.roles.any:
        new.set_roles(new.roles.with_more(**asdict(old.roles)))
    paths = [entry.path for entry in old]
    there = [path for path in paths if os.path.isfile(path)]
    # by name only: what is gone may look like a pattern, or be a folder now
    gone = [
        Found(path, error=SourceError(f"{path}: does not exist (any more); check the path"))
        for path in sorted(set(paths) - set(there))
    ]
    found = [*new.scan(there), *gone]
    try:
        with run.out.progress("encoding anew", len(found)) as step:
            pictures = old.has_pictures or None
            for result in new.adding(
                found, workers=workers, pictures=pictures, awaiting=lambda path: step(0, path)
            ):
                run.take(result)
                step(1, result.path)
    except KeyboardInterrupt:
        run.out.note(f"vhash: stopped; {run.text()}; the same command goes on from here")
        raise
