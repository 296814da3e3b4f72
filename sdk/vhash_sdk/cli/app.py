"""The command line as a whole: its commands, and ``--version``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from . import (
    add,
    apply,
    bench,
    calibrate,
    compare,
    dedup,
    demo,
    doctor,
    encode,
    eval,
    exchange,
    find,
    library,
    migrate,
    models,
    parts,
    roles,
    search,
    serve,
    undo,
    watch,
)

app = typer.Typer(
    name="vhash",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A video becomes a few bytes; the nearest videos come back in microseconds.",
    epilog="Exit codes: 0 done, 1 some inputs failed, 2 wrong usage, 3 nothing could be done. "
    "Try [bold]vhash demo[/bold] first.",
)


def _help(command: Callable[..., None]) -> str:
    """The docstring with its paragraphs unwrapped, so that typer wraps them to the terminal."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(text if text.startswith(" ") else " ".join(text.split()) for text in paragraphs)


for command in (
    encode.encode,
    search.search,
    find.find,
    add.add,
    watch.watch,
    library.list_,
    library.remove,
    library.verify,
    migrate.migrate,
    dedup.dedup,
    apply.apply,
    undo.undo,
    roles.roles,
    parts.parts,
    serve.serve,
    compare.compare,
    exchange.export,
    exchange.match,
    eval.eval_,
    calibrate.calibrate,
    models.models,
    doctor.doctor,
    demo.demo,
):
    app.command(help=_help(command))(command)
app.add_typer(bench.app)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__
        from ..system.commit import commit

        known = commit()
        typer.echo(f"vhash {__version__}" + (f" (commit {known})" if known else ""))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and its commit, and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""
