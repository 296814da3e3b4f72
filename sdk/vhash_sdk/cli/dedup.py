"""``vhash dedup``: groups of duplicates in a library, a report to judge them, a plan. Never deletes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError, StoreError
from ..library.keeping import KeepRules
from ..names import csv_line, printable
from ..report.facts import Facts
from ..report.parts import csv_part_rows
from ..report.plan import csv_rows, plan_lines
from ..system.files import write_text
from ..video.outputs import check_output
from .group_entries import file_entries, group_entry, related_entry, threshold_entry
from .group_lines import show_groups, tell_left_out
from .library import Lib, model_entry
from .options import takes
from .output import Force, Json, Output, path_entry, safe
from .parts import PartSeconds, WithParts, find_parts, parts_entry, show_parts, tell_parts
from .pixels import Pixels
from .roles import AcrossOnly, IgnoredWithin, References, roles_entry, roles_lines, roles_with
from .sound import check_kept, show_pairs

if TYPE_CHECKING:
    from ..library.duplicates import Groups
    from ..library.judgements import Judgement
    from ..library.library import Library
    from ..library.records import Entry
    from ..library.roles import Roles
    from ..library.shared_parts import Parts
    from ..matching.alignment import Span

_NO_PLANS = (".json", ".html", ".tsv")  # names of files that other programs would take for something else


def rules(text: str) -> str:
    """Rules as they were given, once it is known that they are some.

    Raises:
        typer.BadParameter: they are none.
    """
    try:
        return KeepRules(text).text
    except OptionError as error:
        raise typer.BadParameter(str(error)) from None


@dataclass(frozen=True)
class Options:
    """What ``vhash dedup`` takes."""

    lib: Lib
    fmr: Annotated[
        float | None,
        typer.Option(
            help="Threshold: the share of pairs of different scenes that may match; by default 1e-4, and "
            "less in a library where more than one pair would."
        ),
    ] = None
    radius: Annotated[int | None, typer.Option(min=0, help="Threshold in bits, instead.")] = None
    keep: Annotated[
        str,
        typer.Option(
            metavar="RULES",
            callback=rules,
            help="Which video of a group is the one to keep: rules in their order, the first by which two "
            "differ counts. longest, sharpest, largest, reference, undamaged, resolution, fps, bitrate, "
            "oldest, codec (the newest), codec>h264, codec=h264, path~TEXT, path!~TEXT.",
        ),
    ] = "longest"
    reference: References = None
    ignore_within: IgnoredWithin = None
    across_only: AcrossOnly = None
    parts: WithParts = False
    part_seconds: PartSeconds = 5.0
    calibration: Annotated[
        Path | None, typer.Option(help="From `vhash calibrate`; that of the model by default.")
    ] = None
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page with pictures, to look through and judge.")
    ] = None
    not_a_match: Annotated[
        list[Path] | None,
        typer.Option(help="Read judgements that a report exported: those pairs are never grouped again."),
    ] = None
    plan: Annotated[
        Path | None,
        typer.Option(help="Write what could be removed: as CSV (FILE.csv), or as a script, all commented."),
    ] = None
    pixels: Pixels = True
    sound: Annotated[
        bool,
        typer.Option(
            "--sound", help="Also list pairs with the same sound over other pictures (`vhash add --sound`)."
        ),
    ] = False
    csv_: Annotated[bool, typer.Option("--csv", help="Print a CSV row for each video (or part) instead.")] = (
        False
    )
    force: Force = False
    json: Json = False


@takes(Options)
def dedup(given: Options) -> None:
    """Find duplicates in a library: groups in which every video is a copy of the one to keep.

    Pairs in doubt are looked at by their pixels, each once: that takes their files. Nothing is ever deleted.
    Look at the report, export what is no match, have it read here, and take
    what is left from the plan: `vhash apply` does what it says, and can be undone. Roles of folders are
    kept in the library; `vhash roles` lists and changes them.

    [bold]Examples[/bold]

      vhash dedup library

      vhash dedup library --report duplicates.html

      vhash dedup library --sound

      vhash dedup library --not-a-match judgements.json --plan plan.csv

      vhash dedup library --parts --report duplicates.html

      vhash dedup library --reference /archive --keep "undamaged, resolution, codec>h264, path~/originals/"
    """
    with Output("dedup", json=given.json) as out:
        from ..library.library import Library

        if given.sound and given.csv_:
            raise typer.BadParameter("--sound lists pairs as text or with --json, not with --csv")
        said = _judgements(given)
        with Library(given.lib, create=False) as library:
            if given.sound:
                check_kept(library)
            if said:
                out.note(f"vhash: {len(said)} judgements read; {library.judge(said)} pairs are no match")
            roles, kept = _roles(given, library, out)
            groups = _groups(given, library, roles, out)
            facts = Facts(len(library), library.spec.bits, groups)
            seconds, pixels = given.part_seconds, given.pixels
            found = find_parts(library, roles, seconds, pixels, out) if given.parts else None
            _print(given, facts, found, out)
            pairs = show_pairs(library, out, groups) if given.sound else None
            _write(given, library, facts, found, out)
            out.document(
                library={**path_entry(library.directory), "videos": len(library)},
                model=model_entry(library),
                threshold=threshold_entry(facts),
                keep=safe(given.keep),
                roles={**roles_entry(roles), "kept": kept},
                bytes=sum(group.bytes for group in groups),
                groups=[group_entry(group) for group in groups],
                related=[related_entry(pair) for pair in groups.related],
                same_sound=pairs,
                **file_entries(groups),
                **({} if found is None else {"parts": parts_entry(found, given.part_seconds)}),
            )


def _groups(given: Options, library: Library, roles: Roles, out: Output) -> Groups:
    from ..matching.calibration import Calibration

    table = library.calibration if given.calibration is None else Calibration.load(given.calibration)
    with out.progress(f"comparing {len(library):,} videos", None):
        return library.duplicates(
            fmr=given.fmr,
            radius=given.radius,
            keep=given.keep,
            calibration=table,
            roles=roles,
            pixels=given.pixels,
        )


def _roles(given: Options, library: Library, out: Output) -> tuple[Roles, bool]:
    """The roles that hold, those that were given kept for later; whether that was possible."""
    roles, kept = library.roles, True
    more = roles_with(
        roles, reference=given.reference, ignore_within=given.ignore_within, across_only=given.across_only
    )
    if more != roles:
        try:
            library.set_roles(more)
        except StoreError as error:  # duplicates can be looked for all the same
            kept = False
            out.note(f"vhash: roles of folders hold for this run only: {error}")
    if more.any:
        out.note(f"vhash: roles: {'; '.join(roles_lines(more))}")
    return more, kept


def _judgements(given: Options) -> list[Judgement]:
    """The judgements to take over, once it is known that what is to be written costs nobody anything."""
    from ..library.judgements import read_judgements

    judged = given.not_a_match or []
    read = judged if given.calibration is None else [*judged, given.calibration]
    outputs = ((given.report, "page", "--report"), (given.plan, _plan_kind(given.plan), "--plan"))
    for file, kind, option in outputs:
        if file is not None:
            check_output(file, kind, option=option, inputs=read, library=given.lib, force=given.force)
    if given.plan is not None and given.plan.suffix.lower() in _NO_PLANS:
        name = printable(given.plan)
        raise OptionError(
            f"--plan {name}: a plan is a table (.csv) or a script (.sh); --json prints the groups"
        )
    return [judgement for file in judged for judgement in read_judgements(file)]


def _print(given: Options, facts: Facts, found: Parts | None, out: Output) -> None:
    """The groups and parts, on standard output; a table is of one of them."""
    full = given.plan is None and given.report is None
    if given.csv_:
        rows = csv_rows(facts.groups, given.lib) if found is None else csv_part_rows(found, given.lib)
        for row in rows:
            out.line(csv_line(row))
        return
    show_groups(out, facts.groups, full=full)
    if found is not None:
        copies = {
            frozenset((group.representative.id, member.entry.id))
            for group in facts.groups
            for member in group.members
        }
        show_parts(out, found, copies, full=full)


def _write(given: Options, library: Library, facts: Facts, found: Parts | None, out: Output) -> None:
    """The files that were asked for, then remarks about everything."""
    if given.plan is not None:
        _write_plan(given.plan, facts, given.keep, library.directory)
    if given.report is not None:
        _write_report(given.report, library, facts, found, given.keep, out)
    tell_left_out(out, facts.groups)
    if found is not None:
        tell_parts(out, found, library)
    out.note(f"vhash: {facts.text()}")
    for file, what in ((given.report, "to look through"), (given.plan, "nothing is removed until you do it")):
        if file is not None:
            out.note(f"vhash: {file} is written: {what}")


def _plan_kind(file: Path | None) -> str:
    return "table" if file is not None and file.suffix.lower() == ".csv" else "plan"


def _write_plan(file: Path, facts: Facts, keep: str, library: Path) -> None:
    if _plan_kind(file) == "table":
        lines = [csv_line(row) for row in csv_rows(facts.groups, library)]
    else:
        lines = list(plan_lines(facts.groups, facts.text(), keep, library))
    write_text(file, "".join(f"{line}\n" for line in lines))


def _write_report(
    file: Path, library: Library, facts: Facts, found: Parts | None, keep: str, out: Output
) -> None:
    from ..report import About, write_report
    from ..report.related import report_entries
    from ..runtime.onnx import usable_cores

    about = About(
        library.directory,
        library.uuid,
        facts.bits,
        facts.groups.radius,
        keep,
        facts.text(),
        picture=library.spec.resize.picture,
    )
    total = len(report_entries(facts.groups))
    with out.progress("report", total) as step:

        def common_spans(member: Entry, representative: Entry) -> list[Span]:
            step(0, member.path)  # an hour of video takes seconds
            return library.common_spans(member, representative)

        write_report(
            file,
            facts.groups,
            about,
            workers=usable_cores(),
            spans=common_spans if library.has_segments else None,
            progress=lambda path: step(1, path),
            parts=found,
        )
