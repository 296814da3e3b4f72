"""``vhash dedup``: groups of duplicates in a library, a report to judge them, a plan. Never deletes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..library.duplicates import Keep
from ..names import csv_line
from ..report.plan import csv_rows, plan_lines
from ..report.wording import megabytes
from ..system.outputs import check_output, write_text
from .library import Lib, damage, model_entry
from .output import Force, Json, Output, counted, number, path_entry, printable, safe

if TYPE_CHECKING:
    from ..library.duplicates import Group, Groups, Member
    from ..library.library import Library
    from ..library.records import Entry
    from ..matching.alignment import Span
    from ..matching.calibration import Calibration, Rate

_SHOWN = 20  # groups, where the rest is in a file
_LEFT_OUT = 5  # named in text


def dedup(
    lib: Lib,
    *,
    fmr: Annotated[
        float | None,
        typer.Option(
            help="Threshold: the share of pairs of different scenes that may match; by default 1e-4, and "
            "less in a library where more than one pair would."
        ),
    ] = None,
    radius: Annotated[int | None, typer.Option(min=0, help="Threshold in bits, instead.")] = None,
    keep: Annotated[Keep, typer.Option(help="Which video of a group is the one to keep.")] = "longest",
    calibration: Annotated[
        Path | None, typer.Option(help="From `vhash calibrate`; that of the model by default.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page with pictures, to look through and judge.")
    ] = None,
    not_a_match: Annotated[
        list[Path] | None,
        typer.Option(help="Read judgements that a report exported: those pairs are never grouped again."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="Write what could be removed: as CSV (FILE.csv), or as a script, all commented."),
    ] = None,
    csv_: Annotated[bool, typer.Option("--csv", help="Print a CSV row for each video instead.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find duplicates in a library: groups in which every video is a copy of the one to keep.

    Nothing is ever deleted. Look at the report, export what is no match, have it read here, and take
    what is left from the plan.

    [bold]Examples[/bold]

      vhash dedup library

      vhash dedup library --report duplicates.html

      vhash dedup library --not-a-match judgements.json --plan plan.sh
    """
    with Output("dedup", json=json) as out:
        from ..library.grouping import threshold
        from ..library.judgements import read_judgements
        from ..library.library import Library
        from ..matching.calibration import Calibration

        read = [*(not_a_match or ()), *([] if calibration is None else [calibration])]
        for file, kind, option in ((report, "page", "--report"), (plan, _plan_kind(plan), "--plan")):
            if file is not None:
                check_output(file, kind, option=option, inputs=read, library=lib, force=force)
        said = [judgement for file in not_a_match or () for judgement in read_judgements(file)]
        with Library(lib, create=False) as library:
            table = library.calibration if calibration is None else Calibration.load(calibration)
            within = radius
            if within is None:
                within = threshold(library.spec, table, fmr=fmr, videos=len(library))
            if said:
                out.note(f"vhash: {len(said)} judgements read; {library.judge(said)} pairs are no match")
            with out.progress(f"comparing {len(library):,} videos", None):
                groups = library.duplicates(radius=within, keep=keep, calibration=table)
            facts = _Facts(library, groups, within, table)
            if csv_:
                for row in csv_rows(groups):
                    out.line(csv_line(row))
            else:
                _show(out, groups, full=plan is None and report is None)
            if plan is not None:
                _write_plan(plan, groups, facts, keep)
            if report is not None:
                _write_report(report, groups, facts, keep, out)
            _tell_left_out(out, groups)
            out.note(f"vhash: {facts.text()}")
            for file, what in ((report, "to look through"), (plan, "nothing is removed until you do it")):
                if file is not None:
                    out.note(f"vhash: {file} is written: {what}")
            out.document(
                library={**path_entry(library.directory), "videos": len(library)},
                model=model_entry(library),
                threshold=facts.entry(),
                keep=keep,
                bytes=sum(group.bytes for group in groups),
                groups=[_group_entry(group) for group in groups],
                same_files=[
                    {**path_entry(same.path), "names": [path_entry(name) for name in same.names]}
                    for same in groups.same_files
                ],
                left_out=[
                    {**path_entry(left.path), "reason": left.reason, "message": left.message}
                    for left in groups.left_out
                ],
            )


class _Facts:
    """What the threshold means in this library."""

    def __init__(
        self, library: Library, groups: Groups, radius: int, calibration: Calibration | None
    ) -> None:
        self.library, self.groups, self.radius = library, groups, radius
        self.rate = library.false_match_rate(radius, calibration=calibration)
        self.pairs = len(library) * (len(library) - 1) // 2

    def text(self) -> str:
        """One sentence for people."""
        duplicates = sum(len(group.members) for group in self.groups)
        held = megabytes(sum(group.bytes for group in self.groups))
        text = (
            f"{counted(len(self.library), 'video')}: {counted(len(self.groups), 'group')} with "
            f"{counted(duplicates, 'duplicate')} of {held}. "
            f"Threshold: {self.radius} of {self.library.spec.bits} bits"
        )
        disk = self._disk()
        if self.rate is None:
            return f"{text}; without a calibration its false-match rate is not known.{disk}"
        chance, most = (rate * self.pairs for rate in (self.rate.estimate, self.rate.high))
        expected, advice = f"about {chance:,.0f}, at most {most:,.0f},", "; a smaller --radius leaves fewer"
        if most < 1:
            expected, advice = "fewer than one", ""
        return (
            f"{text}: a false-match rate of {self.rate.estimate:.2g} (95 %: at most {self.rate.high:.2g}). "
            f"Of the {self.pairs:,} pairs here {expected} match by chance{advice}.{disk}"
        )

    def _disk(self) -> str:
        """What the disk says that the library does not know."""
        said = ""
        if names := sum(len(same.names) for same in self.groups.same_files):
            said += (
                f" {counted(names, 'name')} more of the same files {'is' if names == 1 else 'are'} no copy."
            )
        if left := Counter(left.reason for left in self.groups.left_out):
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in left.items())
            said += f" Left out: {counted(left.total(), 'near video')} ({reasons})."
        return said

    def entry(self) -> dict[str, Any]:
        """For JSON."""
        return {"radius": self.radius, "false_match_rate": _rate_entry(self.rate), "pairs": self.pairs}


def _show(out: Output, groups: Groups, *, full: bool) -> None:
    names = {same.path: same.names for same in groups.same_files}

    def same(path: str) -> None:
        for name in names.pop(path, ()):
            out.line(f"             the same file: {printable(name)}")

    shown = groups if full else groups[:_SHOWN]
    for number_, group in enumerate(shown, 1):
        count = len(group.members)
        out.line(f"{number_}. {counted(count, 'duplicate')}, {megabytes(group.bytes)}")
        out.line(f"    keep  {printable(group.representative.path)}{damage(group.representative.damaged)}")
        same(group.representative.path)
        for member in group.members:
            out.line(
                f"  {member.distance:4} bits  {printable(member.entry.path)}{damage(member.entry.damaged)}"
            )
            if member.not_offered:
                out.line(f"             not to be removed: {member.not_offered}")
            same(member.entry.path)
    if len(shown) < len(groups):
        out.line(f"… and {len(groups) - len(shown):,} groups more")
        return
    for path in list(names)[: None if full else _SHOWN]:
        out.line(f"one file, nothing to remove: {printable(path)}")
        same(path)


def _tell_left_out(out: Output, groups: Groups) -> None:
    for left in groups.left_out[:_LEFT_OUT]:
        out.note(f"vhash: left out: {printable(left.path)}: {left.message}")
    if (more := len(groups.left_out) - _LEFT_OUT) > 0:
        out.note(f"vhash: … and {more:,} more; `vhash verify` lists every file that is not as it was")


def _plan_kind(file: Path | None) -> str:
    return "table" if file is not None and file.suffix.lower() == ".csv" else "plan"


def _write_plan(file: Path, groups: Groups, facts: _Facts, keep: str) -> None:
    if _plan_kind(file) == "table":
        lines = [csv_line(row) for row in csv_rows(groups)]
    else:
        lines = list(plan_lines(groups, facts.text(), keep))
    write_text(file, "".join(f"{line}\n" for line in lines))


def _write_report(file: Path, groups: Groups, facts: _Facts, keep: str, out: Output) -> None:
    from ..report import About, write_report
    from ..runtime.onnx import usable_cores

    library = facts.library
    about = About(library.directory, library.uuid, library.spec.bits, facts.radius, keep, facts.text())
    total = sum(1 + len(group.members) for group in groups)
    with out.progress("report", total) as step:

        def common_spans(member: Entry, representative: Entry) -> list[Span]:
            step(0, member.path)  # an hour of video takes seconds
            return library.common_spans(member, representative)

        write_report(
            file,
            groups,
            about,
            workers=usable_cores(),
            spans=common_spans if library.has_segments else None,
            progress=lambda path: step(1, path),
        )


def _group_entry(group: Group) -> dict[str, Any]:
    # the contract has the path itself as "representative"; a name that is not UTF-8 has its bytes beside it
    place = path_entry(group.representative.path)
    entry: dict[str, Any] = {"representative": place["path"]}
    if "path_base64" in place:
        entry["representative_base64"] = place["path_base64"]
    if group.representative.damaged:
        entry["damaged"] = safe(group.representative.damaged)
    return {**entry, "bytes": group.bytes, "members": [_member_entry(member) for member in group.members]}


def _member_entry(member: Member) -> dict[str, Any]:
    return {
        **path_entry(member.entry.path),
        "distance": member.distance,
        "bytes": member.entry.size,
        "false_match_rate": _rate_entry(member.false_match_rate),
        **({"damaged": safe(member.entry.damaged)} if member.entry.damaged else {}),
        "names": [path_entry(name) for name in member.names],
        "not_offered": member.not_offered or None,
    }


def _rate_entry(rate: Rate | None) -> dict[str, float | None] | None:
    if rate is None:
        return None
    return {name: number(value, 12) for name, value in rate._asdict().items()}
