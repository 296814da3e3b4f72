"""``vhash parts``: common parts that are named or ignored; how ``vhash dedup --parts`` tells of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .library import Lib
from .options import takes
from .output import Json, Output, counted, number, path_entry, printable, safe
from .spans import span_text, timeline

if TYPE_CHECKING:
    from ..library.known_parts import KnownPart
    from ..library.library import Library
    from ..library.roles import Roles
    from ..library.shared_parts import CommonPart, Parts, SharedParts
    from ..matching.parts import SharedSpan

_SHOWN = 20  # pairs, where the rest is in a file
_PLACES = 5  # of a common part

WithParts = Annotated[
    bool,
    typer.Option(
        "--parts",
        help="Also tell which videos are part of others, and which share a part. Needs segments, see "
        "`vhash add --segments`.",
    ),
]
PartSeconds = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.5,
        help="A shared part is at least so long, unless one video is part of the other.",
    ),
]


@dataclass(frozen=True)
class Options:
    """What ``vhash parts`` takes."""

    lib: Lib
    name: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ID NAME", help="Name a common part.", show_default=False),
    ] = None
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Leave a common part out from now on.", show_default=False),
    ] = None
    heed: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Ignore it no longer.", show_default=False),
    ] = None
    forget: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Forget its name, and that it was ignored.", show_default=False),
    ] = None
    json: Json = False


@takes(Options)
def parts(given: Options) -> None:
    """List, name and ignore parts that many videos have, such as intros.

    `vhash dedup LIB --parts` lists those that there are, with their ids; a name serves as well once it is
    given. A part is known by what it shows, and is recognised in videos that are added later.

    [bold]Examples[/bold]

      vhash dedup library --parts

      vhash parts library --name 3fa94c11 "news intro"

      vhash parts library --ignore "news intro"
    """
    with Output("parts", json=given.json) as out:
        from ..library.library import Library

        with Library(given.lib, create=False) as library:
            if given.name is not None:
                library.name_part(given.name[0], given.name[1], ignored=_ignored(library, given.name[0]))
            for part in given.ignore or ():
                library.name_part(part, ignored=True)
            for part in given.heed or ():
                library.name_part(part, ignored=False)
            for part in given.forget or ():
                library.forget_part(part)
            known = library.known_parts
            for one in known:
                what = "ignored" if one.ignored else "named"
                out.line(f"{one.id}  {what:7}  {one.seconds:7.1f} s  {safe(one.name)}")
            if not known:
                out.line("no part is named or ignored")
            out.document(library=path_entry(library.directory), parts=[_known_entry(one) for one in known])


def _ignored(library: Library, part: str) -> bool:
    """Whether a part is ignored: a new name changes nothing about that."""
    return any(one.ignored for one in library.known_parts if part in (one.id, one.name))


def find_parts(library: Library, roles: Roles, seconds: float, pixels: bool, out: Output) -> Parts:
    """What videos share, while a bar shows how far that is."""
    with out.progress("comparing segments", None) as step:
        return library.parts(
            seconds=seconds,
            roles=roles,
            pixels=pixels,
            progress=lambda done, of: step(1, f"pair {done:,} of {of:,}"),
        )


def show_parts(out: Output, found: Parts, known: set[frozenset[int]], *, full: bool) -> None:
    """Pairs and common parts, on standard output.

    Args:
        out: where to.
        found: what was found.
        known: pairs of ids that are in one group of duplicates; where these are the same video, the groups
            have said so.
        full: all of them.
    """
    pairs = [
        pair
        for pair in found
        if pair.relation != "same video" or frozenset((pair.a.id, pair.b.id)) not in known
    ]
    if pairs:
        out.line("parts that two videos share:")
    for place, pair in enumerate(pairs if full else pairs[:_SHOWN], 1):
        _show_pair(out, place, pair)
    if not full and len(pairs) > _SHOWN:
        out.line(f"… and {counted(len(pairs) - _SHOWN, 'pair')} more that share parts")
    for part in found.common:
        _show_common(out, part, full=full)
    if not pairs and not found.common:
        out.line("no parts are shared")


def _show_pair(out: Output, place: int, pair: SharedParts) -> None:
    a, b, relation = pair.a, pair.b, pair.relation
    a_shown, b_shown = printable(a.path), printable(b.path)
    covered = [pair.a_covered, pair.b_covered]
    words = {
        "part of": "is part of",
        "contains": "contains",
        "same video": "is the same as",
        "shares a part": f"shares {counted(len(pair.spans), 'part')} with",
    }
    out.line(f"{place}. {a_shown}  {words[relation]}  {b_shown}, {pair.seconds:.1f} s")
    for span in pair.spans:
        out.line(f"     {_span_text(span)}")
    sides = ([(s.a_start, s.a_end) for s in pair.spans], [(s.b_start, s.b_end) for s in pair.spans])
    for entry, side, share in zip((a, b), sides, covered, strict=True):
        duration = entry.code.duration or max(end for _, end in side)
        out.line(f"     {timeline(duration, side)} {100 * share:3.0f} %")


def _span_text(span: SharedSpan) -> str:
    speed = "" if abs(span.speed - 1) < 0.02 else f"  at {1 / span.speed:.2f} times the speed"
    backwards = "  backwards" if span.reversed else ""
    return (
        f"{span_text(span.a_start, span.a_end)}  is  {span_text(span.b_start, span.b_end)}{speed}{backwards}"
    )


def _show_common(out: Output, part: CommonPart, *, full: bool) -> None:
    name = f" “{part.name}”" if part.name else ""
    out.line(f"common part of {part.videos:,} videos, {part.seconds:.1f} s: {part.id}{name}")
    for at in part.places if full else part.places[:_PLACES]:
        out.line(f"     {span_text(at.start, at.end)} of {printable(at.entry.path)}")
    if not full and len(part.places) > _PLACES:
        out.line(f"     … and {len(part.places) - _PLACES:,} more")


def tell_parts(out: Output, found: Parts, library: Library) -> None:
    """Remarks about what was found, and what could not be."""
    out.note(
        f"vhash: {counted(len(found), 'pair')} of videos with parts that they share, "
        f"{counted(len(found.common), 'common part')}; {counted(found.segments, 'segment')} compared, within "
        f"{found.radius} of {library.spec.bits} bits"
    )
    if found.left:
        out.note(
            f"vhash: {counted(found.left, 'part')} in doubt not looked at yet, and left out or told by score "
            "alone; the next run goes on with them"
        )
    if found.ignored:
        out.note(
            f"vhash: {counted(found.ignored, 'part')} left out as ignored; `vhash parts {library.directory}` "
            "lists what is ignored"
        )
    if found.lacking:
        out.note(
            f"vhash: {counted(found.lacking, 'video')} of {len(library):,} without segments: nothing is "
            f"known of their parts; `vhash add {library.directory} --segments` makes them"
        )


def parts_entry(found: Parts, seconds: float) -> dict[str, Any]:
    """What was found, for JSON."""
    return {
        "seconds": seconds,
        "radius": found.radius,
        "segments": found.segments,
        "lacking": found.lacking,
        "ignored": found.ignored,
        "left": found.left,
        "pairs": [_pair_entry(pair) for pair in found],
        "common": [
            {
                "id": part.id,
                "name": safe(part.name),
                "videos": part.videos,
                "seconds": number(part.seconds),
                "places": [
                    {**path_entry(at.entry.path), "start": number(at.start), "end": number(at.end)}
                    for at in part.places
                ],
            }
            for part in found.common
        ],
    }


def _pair_entry(pair: SharedParts) -> dict[str, Any]:
    fields = ("a_start", "a_end", "b_start", "b_end", "score", "speed")
    return {
        "a": path_entry(pair.a.path),
        "b": path_entry(pair.b.path),
        "relation": pair.relation,
        "a_covered": number(pair.a_covered),
        "b_covered": number(pair.b_covered),
        "spans": [
            {**{field: number(getattr(span, field)) for field in fields}, "reversed": span.reversed}
            for span in pair.spans
        ],
    }


def _known_entry(part: KnownPart) -> dict[str, Any]:
    return {
        "id": safe(part.id),
        "name": safe(part.name),
        "ignored": part.ignored,
        "seconds": number(part.seconds),
        "windows": len(part.codes),
    }
