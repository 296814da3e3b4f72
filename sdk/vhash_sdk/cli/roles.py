"""``vhash roles``: what folders of a library are for when duplicates are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError
from .inputs import place
from .library import Lib
from .options import takes
from .output import Json, Output, path_entry, printable

if TYPE_CHECKING:
    from ..library.roles import Roles

References = Annotated[
    list[Path] | None,
    typer.Option(
        "--reference",
        metavar="DIR",
        parser=place,
        help="What lies there is never offered for removal, and is kept rather than what does not.",
        show_default=False,
    ),
]
IgnoredWithin = Annotated[
    list[Path] | None,
    typer.Option(
        "--ignore-within",
        metavar="DIR",
        parser=place,
        help="Two videos that both lie there are no pair.",
        show_default=False,
    ),
]
AcrossOnly = Annotated[
    bool | None,
    typer.Option(
        "--across-only/--no-across-only",
        help="Only pairs of videos whose files lie in different folders.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Options:
    """What ``vhash roles`` takes."""

    lib: Lib
    reference: References = None
    ignore_within: IgnoredWithin = None
    across_only: AcrossOnly = None
    remove: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", parser=place, help="Take its roles from a folder.", show_default=False),
    ] = None
    clear: Annotated[bool, typer.Option("--clear", help="Take away all roles, before others are given.")] = (
        False
    )
    json: Json = False


@takes(Options)
def roles(given: Options) -> None:
    """List and change the roles of folders, which `vhash dedup` goes by.

    A folder means all below it. Roles are kept in the library until they are taken away.

    [bold]Examples[/bold]

      vhash roles library

      vhash roles library --reference /archive --ignore-within /archive

      vhash roles library --remove /archive --no-across-only
    """
    with Output("roles", json=given.json) as out:
        from ..library.library import Library
        from ..library.roles import Roles

        with Library(given.lib, create=False) as library:
            before = Roles() if given.clear else library.roles  # what cannot be read can be cleared
            after = roles_with(
                before.without(given.remove or ()),
                reference=given.reference,
                ignore_within=given.ignore_within,
                across_only=given.across_only,
            )
            if given.clear or after != before:
                library.set_roles(after)
            for line in roles_lines(after):
                out.line(line)
            if not after.any:
                out.line("no folder has a role")
            out.document(library=path_entry(library.directory), roles=roles_entry(after))


def roles_with(
    roles: Roles,
    *,
    reference: Sequence[Path] | None,
    ignore_within: Sequence[Path] | None,
    across_only: bool | None,
) -> Roles:
    """Roles and those that a command line gives.

    Raises:
        OptionError: there is no such folder: one that is misspelt would protect nothing.
    """
    for path in (*(reference or ()), *(ignore_within or ())):
        if not os.path.lexists(path):
            raise OptionError(
                f"{printable(path)}: there is no such folder; check its name, or mount its disk"
            )
    return roles.with_more(
        references=reference or (), ignored_within=ignore_within or (), across_only=across_only
    )


def roles_entry(roles: Roles) -> dict[str, Any]:
    """Roles for JSON."""
    return {
        "references": [path_entry(path) for path in roles.references],
        "ignored_within": [path_entry(path) for path in roles.ignored_within],
        "across_only": roles.across_only,
    }


def roles_lines(roles: Roles) -> Iterator[str]:
    """Roles for people."""
    yield from (f"reference {printable(path)}" for path in roles.references)
    yield from (f"no pairs within {printable(path)}" for path in roles.ignored_within)
    if roles.across_only:
        yield "only pairs across folders"
