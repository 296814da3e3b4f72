"""How sound is told, beside what the pictures say; the half of ``vhash add --sound``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ..errors import OptionError
from .output import Output, counted, error_entry, number, path_entry, printable
from .spans import span_text

if TYPE_CHECKING:
    from ..library.duplicates import Groups
    from ..library.library import Library
    from ..library.records import Entry, SoundHit
    from ..matching.sound import Heard

_SHOWN = 20  # pairs

KeepSound = Annotated[
    bool,
    typer.Option("--sound", help="Also keep the sound's fingerprint, for `vhash dedup --sound`; stays on."),
]


def check_sound() -> None:
    """Raise MissingDependencyError where sound cannot be fingerprinted, before anything else is done."""
    from ..video.sound import check_sound

    check_sound()


def check_kept(library: Library) -> None:
    """Raise OptionError where a library keeps no sound, before anything else is done."""
    if not library.has_sound:
        raise OptionError(
            f"{printable(str(library.directory))}: no sound is kept; `vhash add LIB PATH --sound` keeps it"
        )


def keep_sound(library: Library, out: Output, *, workers: int | None, asked: bool) -> dict[str, Any]:
    """Fingerprint the sound of all videos that lack it; what became of it, for JSON.

    Raises:
        MissingDependencyError: it was asked for, and Chromaprint is not there.
    """
    missing = library.sound_missing
    if missing and not asked:
        lacking = library.lacking_sound
        if lacking:
            out.note(f"vhash: the sound of {counted(lacking, 'video')} is not kept: {missing}")
        return {"videos": 0, "without": 0, "failed": [], "missing": missing}
    videos, without, failed = 0, 0, []
    with out.progress("sound", library.lacking_sound) as step:
        for made in library.sounding(workers=workers, awaiting=lambda path: step(0, path)):
            if made.error is None:
                videos += 1
                without += bool(made.says)
            else:
                out.problem(made.error)
                failed.append({**path_entry(made.path), "error": error_entry(made.error)})
            step(1, made.path)
    said = f"sound of {counted(videos, 'video')}"
    said += f", {without} of which say nothing by it" if without else ""
    out.line(said + (f", {len(failed)} failed" if failed else ""))
    return {"videos": videos, "without": without, "failed": failed, "missing": None}


def heard_entry(heard: Heard | None) -> dict[str, Any] | None:
    """What was heard, for JSON; times in seconds."""
    if heard is None:
        return None
    part = None
    if heard.same:
        names = ("a_start", "a_end", "b_start", "b_end")
        part = {name: number(getattr(heard, name)) for name in names}
    return {
        "relation": heard.relation,
        "bits": None if heard.bits is None else number(heard.bits),
        "offset": None if heard.offset is None else number(heard.offset),
        "part": part,
        "why": heard.why or None,
    }


def heard_text(heard: Heard, a: str = "a", b: str = "b") -> str:
    """What was heard, in words; ``a`` and ``b``: what the two videos are called.

    >>> from vhash_sdk.matching.sound import Heard
    >>> heard_text(Heard("same sound", 0.974, 2.0, 22.0, 2.3, 22.3))
    'same, offset +0.3 s, 97 % of the bits, for 20.0 s'
    >>> heard_text(Heard("other sound")), heard_text(Heard(None, why="b is silent"))
    ('other', 'nothing to go by: b is silent')
    """
    if heard.relation is None:
        return f"nothing to go by: {b if heard.why.startswith('b ') else a}{heard.why[1:]}"
    if heard.offset is None or heard.bits is None or heard.a_start is None or heard.a_end is None:
        return "other"
    offset = round(heard.offset, 1) or 0.0
    shift = "no offset" if not offset else f"offset {offset:+.1f} s"
    return f"same, {shift}, {100 * heard.bits:.0f} % of the bits, for {heard.a_end - heard.a_start:.1f} s"


def parts_text(heard: Heard) -> str:
    """Which part is which, in words; it is the same sound."""
    a, b = (heard.a_start or 0.0, heard.a_end or 0.0), (heard.b_start or 0.0, heard.b_end or 0.0)
    return f"{span_text(*a)}  is  {span_text(*b)}"


def show_pairs(library: Library, out: Output, groups: Groups) -> list[dict[str, Any]]:
    """The pairs of a library with the same sound; in text those whose pictures are no copies.

    Pairs that nobody asks about by the roles of folders are left out.

    Args:
        library: keeps sound.
        out: where they are told.
        groups: of its duplicates: pairs in them are copies, whatever the threshold was.
    """
    from ..library.roles import Places

    copies = {
        tuple(sorted((group.representative.id, member.entry.id)))
        for group in groups
        for member in group.members
    }
    where = Places(library.roles)
    with out.progress("comparing sound", None):
        found = [one for one in library.same_sound() if not where.ignored(one[0].path, one[1].path)]
    rows = []
    other: list[tuple[Entry, Entry, Heard]] = []
    for a, b, heard in found:
        same = (a.id, b.id) in copies or library.decide(a, b).same
        rows.append(
            {"a": path_entry(a.path), "b": path_entry(b.path), "copies": same, "sound": heard_entry(heard)}
        )
        if not same:
            other.append((a, b, heard))
    out.line(f"same sound over other pictures: {counted(len(other), 'pair')}")
    for a, b, heard in other[:_SHOWN]:
        out.line(f"  {heard_text(heard)}")
        out.line(f"      {printable(a.path)}")
        out.line(f"      {printable(b.path)}")
        out.line(f"      {parts_text(heard)}")
    if len(other) > _SHOWN:
        out.line(f"  … and {len(other) - _SHOWN:,} more; --json lists all")
    if len(found) > len(other):
        out.line(f"and {counted(len(found) - len(other), 'pair')} of copies")
    return rows


class QuerySound(NamedTuple):
    """What the sound of a query says of what was found by the picture, by id; and what sounds like it."""

    of: dict[int, Heard]
    hits: list[SoundHit]


def query_sound(library: Library, video: str, found: Iterable[int], out: Output) -> QuerySound | None:
    """Listen to a query; None where its sound cannot be read, which is told.

    Args:
        library: keeps sound.
        video: the query.
        found: ids of the videos that were found by its picture.
    """
    from ..errors import VideoError

    try:
        sound = library.listen(video)
    except VideoError as error:
        out.problem(error)
        return None
    hits = library.search_sound(sound)
    return QuerySound(library.hear_all(sound, found), hits)


def show_hits(out: Output, heard: QuerySound) -> None:
    """The videos that sound like a query and were not found by its picture."""
    others = [hit for hit in heard.hits if hit.entry.id not in heard.of]
    found = counted(len(heard.hits), "video")
    out.line(f"  same sound: {found}" + (f", {len(others)} not listed above" if others else ""))
    for hit in others[:_SHOWN]:
        out.line(f"    {heard_text(hit.heard)}")
        out.line(f"        {printable(hit.entry.path)}")
    if len(others) > _SHOWN:
        out.line(f"    … and {len(others) - _SHOWN:,} more; --json lists all")


def hit_entry(hit: SoundHit) -> dict[str, Any]:
    """A video with the same sound, for JSON."""
    return {**path_entry(hit.entry.path), "id": hit.entry.id, "sound": heard_entry(hit.heard)}
