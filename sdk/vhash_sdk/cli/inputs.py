"""Which files a command line means: paths, folders, globs, and a list on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from ..scan import VIDEO_SUFFIXES
from ..system.patterns import has_magic, matches


def place(text: str) -> Path:
    """A path that a command line names; an empty one would be the current directory.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not text:
        raise typer.BadParameter("an empty path; give a directory, . for the current one")
    return Path(text)


Videos = Annotated[
    list[str],
    typer.Argument(
        metavar="VIDEO",
        help="Files, folders (with all below them), quoted globs such as '**/*.mp4', or - for a list on "
        "standard input: one path a line, or separated by NUL (find -print0).",
        show_default=False,
    ),
]


StreamOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Which video stream of each file, from 0, cover pictures not counted; without it the one marked "
        "as default, else the longest.",
        show_default=False,
    ),
]


ServedBy = Annotated[
    str | None,
    typer.Option(
        "--index",
        help="Serve the library from milvus://host:port/collection or milvus-lite://file.db/collection.",
        show_default=False,
    ),
]


def expand(
    words: Iterable[str], *, suffixes: Collection[str] | None = VIDEO_SUFFIXES, stdin: BinaryIO | None = None
) -> list[str]:
    """The files that the words of a command line stand for, each once, in order.

    Args:
        words: paths, folders, globs, or ``-``. A name that is neither there nor a glob that finds
            something comes back as it is: whoever opens it says what is wrong with it.
        suffixes: which files of a folder to take (lower case, with the dot); None: all of them.
        stdin: what ``-`` reads; None: standard input.

    >>> expand(["missing.mp4", "missing.mp4"])
    ['missing.mp4']
    """
    found: dict[str, None] = {}
    for word in words:
        names = listed(stdin or sys.stdin.buffer) if word == "-" else [word]
        for name in names:
            found.update(dict.fromkeys(_files(name, suffixes)))
    return list(found)


def listed(stream: BinaryIO) -> list[str]:
    """The names in a list: one a line, or separated by NUL."""
    content = stream.read()
    names = content.split(b"\0") if b"\0" in content else content.replace(b"\r\n", b"\n").split(b"\n")
    return [os.fsdecode(name) for name in names if name]


def _files(name: str, suffixes: Collection[str] | None) -> Iterator[str]:
    if os.path.isdir(name):
        yield from _walk(name, suffixes)
    elif has_magic(name) and not os.path.lexists(name):
        found = matches(name)
        for match in found:
            if not os.path.isdir(match):
                yield match
            elif not name.endswith("**"):  # a/** lists what is below a folder beside the folder itself
                yield from _walk(match, suffixes)
        if not found:
            yield name
    else:
        yield name


def _walk(folder: str, suffixes: Collection[str] | None) -> Iterator[str]:
    # links to folders are not followed, so that no loop of links can trap us
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if suffixes is None or os.path.splitext(file)[1].lower() in suffixes:
                yield os.path.join(root, file)
