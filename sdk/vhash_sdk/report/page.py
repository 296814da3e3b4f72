"""One self-contained HTML file that shows groups of duplicates, for a person to judge.

It needs nothing but a browser: style, script, data and pictures are inside, and its policy lets it
load nothing. Names of files only ever reach it as JSON, so none can act as markup. The pictures come
after the script, in blocks that are read when they are looked at: the page is there at once, however
many there are.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from .. import web
from ..library.duplicates import Group, Groups, Member
from ..library.records import Entry
from ..library.shared_parts import Parts
from ..matching.alignment import Span
from ..names import path_entry, printable, shell_quoted
from ..system.files import write_whole
from ..video import Limits
from .parts import report_parts
from .pictures import Strip, film_strips, strip_size, strip_width
from .related import report_entries, report_related

Align = Callable[[Entry, Entry], Sequence[Span]]
_BLOCK = 32  # pictures in one block of the page
_COMPONENTS = ("strings", "text", "dom", "lines", "video", "parts")  # of the page, which the app has too


@dataclass(frozen=True)
class About:
    """What a report says about where its groups are from.

    Attributes:
        library: its directory.
        uuid: its identity; judgements in the browser belong to it.
        bits, radius: width of its codes, and the threshold, in bits.
        keep: by which rules a video of a group is kept, e.g. ``longest``.
        facts: one or two sentences for people.
        picture: the rule by which its model takes the picture of a video, see ``Resize.picture``.
    """

    library: Path
    uuid: str
    bits: int
    radius: int
    keep: str
    facts: str
    picture: int = 1


def write_report(
    file: str | os.PathLike[str],
    groups: Sequence[Group],
    about: About,
    *,
    workers: int = 1,
    limits: Limits | None = None,
    spans: Align | None = None,
    progress: Callable[[str], None] | None = None,
    parts: Parts | None = None,
) -> None:
    """Write the report, whole or not at all.

    Args:
        file: where; what was there is replaced.
        groups: what it shows; of ``Groups`` also who is related without being a duplicate, what was left out,
            and other names of the same files.
        about: where they are from.
        workers: decoding processes.
        limits: what one video may cost.
        spans: which parts of a member (the first) are which of its representative, e.g.
            ``Library.common_spans``; drawn as a time line.
        progress: called with the path of each video whose pictures are done.
        parts: what videos share, from ``Library.parts``; drawn as time lines.

    Raises:
        OSError: the file cannot be written.
    """
    entries = report_entries(groups)
    left, names = (groups.left_out, groups.same_files) if isinstance(groups, Groups) else ((), ())
    others = {same.path: same.names for same in names}
    frames, height = strip_size(len(entries))
    strips = film_strips(
        entries,
        frames=frames,
        height=height,
        picture=about.picture,
        workers=workers,
        limits=limits or Limits(),
    )
    data = {
        "library": _library(about),
        "threshold": {"radius": about.radius, "bits": about.bits},
        "keep": about.keep,
        "facts": about.facts,
        "frames": frames,
        "block": _BLOCK,
        "videos": [_video(entry, frames, height, others.get(entry.path, ())) for entry in entries],
        "groups": list(_groups(groups, spans)),
        "related": report_related(groups, {entry.id: place for place, entry in enumerate(entries)}),
        "left": [{"path": printable(each.path), "message": each.message} for each in left],
        "parts": report_parts(parts, picture=about.picture, limits=limits or Limits()),
    }
    with write_whole(file) as stream:
        head, tail = _page(f"Duplicates in {printable(about.library.name)}", data)
        stream.write(head)
        for done in _write_pictures(stream, strips, entries):
            if progress is not None:
                progress(done)
        stream.write(tail)


def _library(about: About) -> dict[str, Any]:
    path = os.fspath(about.library)
    return {"path": printable(path), "quoted": shell_quoted(path), "uuid": about.uuid}


def _video(entry: Entry, frames: int, height: int, names: Sequence[str]) -> dict[str, Any]:
    known = path_entry(entry.path)
    return {
        **known,
        "shown": printable(entry.path),
        "names": [printable(name) for name in names],
        "uri": Path(entry.path).as_uri(),
        "digest": entry.digest.hex(),
        "bytes": entry.size,
        "seconds": _rounded(entry.code.duration),
        "width": entry.width,
        "height": entry.height,
        "rate": _rounded(entry.rate),
        "codec": entry.codec,
        "damaged": entry.damaged,
        "size": [frames * strip_width(entry, height), height],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 3)


def _groups(groups: Sequence[Group], spans: Align | None) -> Iterator[dict[str, Any]]:
    place = 0  # of the representative among the videos; its members follow it
    for group in groups:
        members = [_member(group, member, place + 1 + i, spans) for i, member in enumerate(group.members)]
        yield {"representative": place, "members": members}
        place += 1 + len(members)


def _member(group: Group, member: Member, place: int, spans: Align | None) -> dict[str, Any]:
    rate = member.false_match_rate
    return {
        "video": place,
        "distance": member.distance,
        "same": member.entry.digest == group.representative.digest,
        "not_offered": member.not_offered,
        "rate": None if rate is None else float(f"{rate.high:.2g}"),
        "because": member.kept_because,
        "relation": member.relation,
        "spans": [_span(span) for span in spans(member.entry, group.representative)] if spans else [],
    }


def _span(span: Span) -> list[float]:
    """Start and end in the representative, then in the member, which is the query."""
    return [round(time, 2) for time in (span.ref_start, span.ref_end, span.query_start, span.query_end)]


def _page(title: str, data: dict[str, Any]) -> tuple[bytes, bytes]:
    """The page before and after its pictures."""
    folder = resources.files(__package__)
    own = {kind: folder.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js")}
    style, script = web.style("base") + own["css"], '"use strict";\n' + web.bundle(*_COMPONENTS) + own["js"]
    policy = (
        f"default-src 'none'; img-src data:; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    values = {
        "policy": policy,
        "title": html.escape(title),
        "style": style,
        "script": script,
        # "<" is the only character that could end the element that holds it
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    head, tail = folder.joinpath("page.html").read_text("utf-8").split("{{pictures}}")
    # in one pass, so that values are taken as they are
    filled = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], head)
    return filled.encode(), tail.encode()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _write_pictures(stream: BinaryIO, strips: Iterable[Strip | None], entries: list[Entry]) -> Iterator[str]:
    """Write the blocks of pictures, a line for each video; yields the path of each that is done."""
    pictures = iter(strips)
    for first in range(0, len(entries), _BLOCK):
        stream.write(f'<script type="text/plain" id="pictures-{first}">'.encode())
        for i, strip in enumerate(islice(pictures, _BLOCK)):
            stream.write(b"\n" * (i > 0))
            if strip is not None:
                stream.write(base64.b64encode(strip.jpeg))
            yield entries[first + i].path
        stream.write(b"</script>\n")
