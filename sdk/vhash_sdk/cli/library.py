"""``vhash list``, ``remove``, ``verify``: a library of videos on disk; what is said about it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .inputs import ServedBy, listed, place
from .output import ExitCode, Json, Output, number, path_entry, printable, safe

if TYPE_CHECKING:
    from ..library.library import Library
    from ..library.records import Entry

Lib = Annotated[
    Path,
    typer.Argument(metavar="LIB", parser=place, help="The library's directory.", show_default=False),
]


def list_(
    lib: Lib,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="The files that are not in, and why.")] = False,
    json: Json = False,
) -> None:
    """List the videos of a library: id, code, seconds, size of the picture, path.

    [bold]Examples[/bold]

      vhash list library

      vhash list library --failed
    """
    with Output("list", json=json) as out, _open(lib) as library:
        if failed:
            failures = []
            for failure in library.failures():
                failures.append(
                    {**path_entry(failure.path), "error": {"type": failure.kind, "message": failure.message}}
                )
                out.line(
                    f"{failure.kind:22} {printable(failure.path)}: {reason(failure.path, failure.message)}"
                )
            out.document(library=path_entry(library.directory), failures=failures)
            return
        videos = []
        for entry in library:
            if json:
                videos.append(_entry(entry))
            out.line(
                f"{entry.id:8} {entry.code.text} {entry.code.duration:9.2f} "
                f"{entry.width or 0:5}x{entry.height or 0:<5} {printable(entry.path)}{damage(entry.damaged)}"
            )
        out.document(library=path_entry(library.directory), model=model_entry(library), videos=videos)


list_.__name__ = "list"  # the name of the command; the builtin is needed here


def remove(
    lib: Lib,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Files and folders.")] = None,
    *,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only entries whose file is gone; of all, without a PATH.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove videos from a library; never touches the files themselves.

    [bold]Examples[/bold]

      vhash remove library /videos/old

      vhash remove library --missing
    """
    if not paths and not missing:
        raise typer.BadParameter("give a PATH, or --missing for all entries whose file is gone")
    with Output("remove", json=json) as out, _open(lib) as library:
        removed = library.remove(list(roots_of(paths or ())), missing=missing)
        for path in removed:
            out.line(printable(path))
        out.note(f"vhash: {len(removed)} removed, {len(library)} left")
        out.document(library=path_entry(library.directory), removed=[path_entry(path) for path in removed])
        out.end(ExitCode.DONE if removed or missing else ExitCode.NOTHING_DONE)


def verify(
    lib: Lib,
    *,
    content: Annotated[
        bool, typer.Option("--content", help="Also read every file (up to 16 MiB) for silent changes.")
    ] = False,
    index: ServedBy = None,
    json: Json = False,
) -> None:
    """Check the database, every code, the index and every file of a library.

    [bold]Examples[/bold]

      vhash verify library

      vhash verify library --content

      vhash verify library --index milvus://localhost:19530/videos
    """
    with Output("verify", json=json) as out, _open(lib, index) as library:
        problems = []
        for problem in library.verify(content=content):
            problems.append(problem)
            out.line(f"{problem.kind:9} {printable(problem.path)}: {safe(problem.message)}")
        counts = Counter(problem.kind for problem in problems)
        if not problems:
            out.line(f"{len(library)} videos, nothing wrong")
        out.document(
            library=path_entry(library.directory),
            counts=dict(counts),
            problems=[{**path_entry(p.path), "kind": p.kind, "message": safe(p.message)} for p in problems],
        )
        out.end(ExitCode.SOME_FAILED if problems else ExitCode.DONE)


def roots_of(paths: list[str] | tuple[str, ...]) -> Iterator[str]:
    """The paths of a command line, ``-`` being a list on standard input."""
    for path in paths:
        if path == "-":
            yield from listed(sys.stdin.buffer)
        else:
            yield path


def _open(lib: Path, index: str | None = None) -> Library:
    from ..library.library import Library

    return Library(lib, create=False, index=index)


def reason(path: str, message: str) -> str:
    """A message without the path that it starts with."""
    return safe(message.removeprefix(path).lstrip(": ")).replace("\n", " ")


def damage(said: str | None) -> str:
    """What is said behind the path of a file of which something is missing."""
    return f"  [{safe(said)}]" if said else ""


def model_entry(library: Library) -> dict[str, Any]:
    """The model of a library, for JSON."""
    spec = library.spec
    return {"name": spec.name, "version": spec.version, "fingerprint": spec.fingerprint, "bits": spec.bits}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        **path_entry(entry.path),
        "id": entry.id,
        "code": entry.code.text,
        "confidence": number(entry.code.confidence),
        "duration": number(entry.code.duration),
        "width": entry.width,
        "height": entry.height,
        "rate": None if entry.rate is None else number(entry.rate),
        "codec": entry.codec,
        "size": entry.size,
        "modified": number(entry.modified),
        "added": number(entry.added),
        "damaged": None if entry.damaged is None else safe(entry.damaged),
    }
