"""What the process of a job does with files: the basket applied through a journal, and taken back."""

from __future__ import annotations

import os
import time
from typing import Any

from ..acting import How, Plan, Threshold, apply, undo
from ..acting.plan_file import Named, PlannedGroup
from ..errors import OptionError
from ..library.library import Library
from ..names import csv_line, printable, safe
from ..system.files import write_text
from .shapes import shown_path
from .state import State, read_json
from .work import Work


def run_apply(work: Work, library: Library, state: State) -> dict[str, Any]:
    """Do with the files of the basket what is asked."""
    options, dry = work.options, bool(work.options.get("dry_run"))
    how = How(
        options["action"],
        work.given["move_to"] or "" if options["action"] == "move" else "",
        bool(options.get("different")),
    )
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{work.given['job']}"
    folder = os.path.join(work.given["library"], "journals")
    os.makedirs(folder, exist_ok=True)
    plan, places = planned(library, state, os.path.join(folder, f"{stem}.csv"), write=not dry)
    if not plan.groups:
        raise OptionError("the basket is empty; put duplicates into it first")
    journal = None if dry else os.path.join(folder, f"{stem}.journal")
    total = sum(len(group.removals) for group in plan.groups)
    files = []
    for done in apply(library, plan, how, threshold=_threshold(state), journal=journal, dry_run=dry):
        files.append(
            {
                **shown_path(done.path),
                "state": done.state,
                "kept": shown_path(done.kept)["path"] if done.kept else None,
                "target": shown_path(done.target)["path"] if done.target else None,
                "message": safe(done.message) or None,
            }
        )
        if done.state == "done" and not dry and done.path in places:
            state.execute("DELETE FROM basket WHERE video = ?", places[done.path])
        work.step(done.state, done.path, done.message or None, total)
    return {
        "journal": None if journal is None else os.path.basename(journal),
        "dry_run": dry,
        "files": files[:2000],
        "counts": dict(work.counts),
    }


def planned(library: Library, state: State, file: str, *, write: bool) -> tuple[Plan, dict[str, int]]:
    """The basket as a plan, also as a file that `vhash apply` reads; paths and their videos."""
    rows = state.rows("SELECT video, kept, number FROM basket ORDER BY number, video")
    entries = {
        entry.id: entry for entry in library.by_id({row[name] for row in rows for name in ("video", "kept")})
    }
    names: dict[int, tuple[str, ...]] = {}
    groups: dict[tuple[int, int], list[Named]] = {}
    for row in rows:
        entry = entries.get(row["video"])
        if entry is None or row["kept"] not in entries:
            continue
        names[entry.id] = _other_names(state, entry.id)
        groups.setdefault((row["number"], row["kept"]), []).append(
            Named(entry.path, entry.size, names[entry.id])
        )
    plan = Plan(
        file,
        os.fspath(library.directory),
        tuple(
            PlannedGroup(str(number), (Named(entries[kept].path, entries[kept].size),), tuple(removals))
            for (number, kept), removals in groups.items()
        ),
    )
    if write:
        write_text(file, "".join(f"{line}\n" for line in _lines(plan)))
    return plan, {entry.path: number for number, entry in entries.items() if number in names}


def _other_names(state: State, video: int) -> tuple[str, ...]:
    row = state.row("SELECT number FROM member WHERE video = ?", video)
    if row is None:
        return ()
    body = read_json(state.value("SELECT body FROM grp WHERE number = ?", row["number"]))
    return next((tuple(one["hard_links"]) for one in body["members"] if one["video"]["id"] == video), ())


def _lines(plan: Plan) -> list[str]:
    lines = [csv_line(["group", "action", "bytes", "path", "library"])]
    place = printable(plan.library or "")
    for group in plan.groups:
        for action, files in (("keep", group.kept), ("duplicate", group.removals)):
            for named in files:
                lines.append(csv_line([group.name, action, named.size, printable(named.path), place]))
                lines += [
                    csv_line([group.name, "same file", "", printable(name), place]) for name in named.names
                ]
    return lines


def _threshold(state: State) -> Threshold:
    """By which the groups were found that the basket is from."""
    about = read_json(state.value("SELECT about FROM run WHERE kind = 'dedup'")) or {}
    return Threshold(about.get("fmr"), about.get("asked_radius"))


def run_undo(work: Work, library: Library, state: State) -> dict[str, Any]:
    """Take back what a journal says."""
    journal = os.path.join(work.given["library"], "journals", work.options["journal"])
    files = []
    with library.exclusively():
        for back in undo(journal):
            files.append(
                {**shown_path(back.path), "state": back.state, "message": safe(back.message) or None}
            )
            work.step(back.state, back.path, back.message or None)
    return {"files": files[:2000], "counts": dict(work.counts)}
