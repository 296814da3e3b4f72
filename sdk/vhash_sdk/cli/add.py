"""``vhash add``: videos and folders into a library."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..names import csv_line
from ..scan import given_paths
from ..system.files import write_text
from ..video.outputs import check_output
from .inputs import ServedBy
from .library import Lib, damage, model_entry, reason, roots_of
from .options import takes
from .output import ExitCode, Force, Json, Output, error_entry, path_entry, printable, safe
from .pixels import look_entry
from .segmenting import keep_segments
from .sound import KeepSound, check_sound, keep_sound

if TYPE_CHECKING:
    from ..library.companions import Companions
    from ..library.library import Library
    from ..library.records import Added, Hit
    from ..video import Limits

_EXAMPLES = 3
_NEW = ("added", "changed", "copied")

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH…",
        help="Files, folders (with all below them), quoted globs such as '/disk/**/*.mp4', or - for a "
        "list on standard input: one path a line, or separated by NUL (find -print0).",
        show_default=False,
    ),
]


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


@dataclass(frozen=True)
class Options:
    """What ``vhash add`` takes."""

    lib: Lib
    paths: Paths
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Leave out names (*.part, thumbs) or paths (/disk/old/*) that match; repeatable."),
    ] = None
    follow_symlinks: Annotated[
        bool, typer.Option("--follow-symlinks", help="Enter symbolic links inside folders.")
    ] = False
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what failed before and has not changed.")
    ] = False
    segments: Annotated[
        bool,
        typer.Option("--segments", help="Also keep a code of each half second, for `vhash find`; stays on."),
    ] = False
    sound: KeepSound = False
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Also add pictures (JPEG, PNG, WebP, …), one frame each; stays on."),
    ] = False
    matches: Annotated[
        bool, typer.Option("--matches", help="Tell at once what each new video is a copy of, so far.")
    ] = False
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Of a new library; an old one has its own for ever.")
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Decoding processes; one a core by default.")
    ] = None
    max_pixels: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=2147, callback=_finite, help="Megapixels of a frame (Limits.pixels) [134]."
        ),
    ] = None
    max_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1e6, callback=_finite, help="Seconds to decode one file (Limits.wall_time) [300]."
        ),
    ] = None
    max_memory: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=2**20, callback=_finite, help="GiB to decode one file (Limits.memory) [4]."
        ),
    ] = None
    max_duration: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=2.7e5, callback=_finite, help="Hours that a video may last (Limits.duration) [24]."
        ),
    ] = None
    report: Annotated[Path | None, typer.Option(help="Write every file that is not in, and why, as CSV.")] = (
        None
    )
    force: Force = False
    index: ServedBy = None
    json: Json = False

    def limits(self) -> Limits:
        """What one file may cost."""
        from ..video import Limits

        usual = Limits()
        return Limits(
            pixels=usual.pixels if self.max_pixels is None else int(self.max_pixels * 1e6),
            wall_time=usual.wall_time if self.max_seconds is None else self.max_seconds,
            memory=usual.memory if self.max_memory is None else int(self.max_memory * 2**30),
            duration=usual.duration if self.max_duration is None else self.max_duration * 3600,
        )


@takes(Options)
def add(given: Options) -> None:
    """Add videos to a library; what is in and has not changed is not read again.

    Every file is tried in a process of its own that is stopped at its limits, so no file can stop the
    others. Stop at any time: what has been reported is kept, and the same command goes on from there.

    [bold]Examples[/bold]

      vhash add library /videos

      vhash add library /videos --exclude '*.part' --report problems.csv

      vhash add library /videos --segments

      vhash add library /videos --sound
      vhash add library /memes --pictures

      vhash add library /uploads --matches

      find /disk -size +1M -print0 | vhash add library -

      vhash add library /videos --index milvus://localhost:19530/videos
    """
    with Output("add", json=given.json) as out:
        from ..library.library import Library

        limits = given.limits()
        if given.sound:
            check_sound()
        roots = _roots(given)  # before a new library is made for them
        with Library(given.lib, model=given.model, index=given.index, limits=limits) as library:
            run = Run(out, library.companions() if given.matches else None)
            _add(library, roots, given, run)
            run.show()
            if given.index is not None:
                out.note(f"vhash: {library.serve()} codes served from {given.index}")
            kept = None
            if given.segments or library.has_segments:
                kept = keep_segments(library, out, workers=given.workers)
            heard = None
            if given.sound or library.has_sound:
                heard = keep_sound(library, out, workers=given.workers, asked=given.sound)
            out.document(
                library={**path_entry(library.directory), "videos": len(library)},
                model=model_entry(library),
                counts=dict(sorted(run.counts.items())),
                segments=kept,
                sound=heard,
                matches=run.copies() if given.matches else None,
                **run.entries(),
            )
            bad = run.counts["failed"] + run.counts["vanished"] + len(kept["failed"] if kept else ())
            bad += len(heard["failed"] if heard else ())
            out.end(ExitCode.of(run.counts.total() - bad - run.counts["skipped"], bad))


def _roots(given: Options) -> list[str]:
    """Where videos are looked for; what cannot be is better known before than after."""
    from ..library.place import not_own

    roots = given_paths(roots_of(given.paths))
    not_own(given.lib, roots)
    if given.report is not None:
        check_output(given.report, "table", option="--report", library=given.lib, force=given.force)
        _write_report(given.report, [])
    return roots


def _add(library: Library, roots: list[str], given: Options, run: Run) -> None:
    """Add what is new or has changed; what was done is told and written down however it ends."""
    out = run.out
    out.note(f"vhash: looking through {', '.join(map(printable, roots[:3]))}{' …' * (len(roots) > 3)}")
    exclude = given.exclude or ()
    found = list(library.scan(roots, exclude=exclude, follow_symlinks=given.follow_symlinks))
    try:
        with out.progress("adding", len(found)) as step:
            for result in library.adding(
                found,
                roots,
                retry=given.retry,
                workers=given.workers,
                pictures=given.pictures or None,
                awaiting=lambda path: step(0, path),
            ):
                run.take(result)
                step(int(result.status != "vanished"), result.path)
    except KeyboardInterrupt:
        out.note(f"vhash: stopped; {run.text()}; the same command goes on from here")
        raise
    finally:
        if given.report is not None:
            _write_report(given.report, run.problems)


class Run:
    """What an ``add`` has done so far, and how it is told."""

    def __init__(self, out: Output, companions: Companions | None = None) -> None:
        self.out, self._companions = out, companions
        self.matches: list[tuple[str, list[Hit]]] = []
        self.counts: Counter[str] = Counter()
        self.problems: list[Added] = []
        self.moved: list[Added] = []
        self.damaged: list[Added] = []
        self.noted: list[Added] = []

    def take(self, result: Added) -> None:
        """Count one result, and keep it where it is worth telling."""
        self.counts[result.status] += 1
        if result.notes:
            self.noted.append(result)
        if self._companions is not None and result.status in _NEW:
            self._match(self._companions.at(result.path), result.path)
        if result.status in ("failed", "skipped", "vanished"):
            self.problems.append(result)
        if result.damaged:
            self.damaged.append(result)
        if result.status == "moved":
            self.moved.append(result)

    def _match(self, hits: list[Hit], path: str) -> None:
        if not hits:
            return
        self.matches.append((path, hits))
        self.out.line(f"copy  {printable(path)}")
        for hit in hits[:_EXAMPLES]:
            self.out.line(f"  of  {printable(hit.entry.path)}  ({hit.distance} bits)")
        if len(hits) > _EXAMPLES:
            self.out.line(f"  … and of {len(hits) - _EXAMPLES} more")

    def copies(self) -> list[dict[str, Any]]:
        """What each new video is a copy of, for JSON."""
        return [
            {
                **path_entry(path),
                "of": [
                    {
                        **path_entry(hit.entry.path),
                        "id": hit.entry.id,
                        "distance": hit.distance,
                        "verified": hit.verified,
                        "relation": hit.relation,
                        "pixels": look_entry(hit.look),
                        "false_match_rate": hit.false_match_rate,
                    }
                    for hit in hits
                ],
            }
            for path, hits in self.matches
        ]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        """What is worth telling, for JSON."""
        return {
            "problems": [_problem_entry(result) for result in self.problems],
            "noted": [{**path_entry(result.path), "notes": list(result.notes)} for result in self.noted],
            "moved": [
                {**path_entry(result.path), "previous": path_entry(result.previous or "")}
                for result in self.moved
            ],
            "damaged": [
                {**path_entry(result.path), "message": safe(result.damaged or "")} for result in self.damaged
            ],
        }

    def text(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "nothing done yet"

    def show(self) -> None:
        """The counts, then the problems grouped by kind with a few examples of each."""
        self.out.line(self.text())
        groups: dict[str, list[Added]] = {}
        for problem in self.problems:
            kind = "vanished" if problem.error is None else type(problem.error).__name__
            if problem.status == "skipped":
                kind = f"{kind} (skipped)"
            groups.setdefault(kind, []).append(problem)
        if self.damaged:
            self.out.line(
                f"\ndamaged, added all the same, kept only where no whole copy is: {len(self.damaged)}"
            )
            for file in self.damaged[:_EXAMPLES]:
                self.out.line(f"  {printable(file.path)}{damage(file.damaged)}")
            if len(self.damaged) > _EXAMPLES:
                self.out.line(f"  … and {len(self.damaged) - _EXAMPLES} more; `vhash list` says which")
        for kind, members in sorted(groups.items(), key=lambda group: -len(group[1])):
            self.out.line(f"\n{kind}: {len(members)}")
            for problem in members[:_EXAMPLES]:
                said = (
                    "in the library, but not on the disk any more" if problem.error is None else problem.error
                )
                self.out.line(f"  {printable(problem.path)}")
                self.out.line(f"    {reason(problem.path, str(said))}")
            if len(members) > _EXAMPLES:
                self.out.line(f"  … and {len(members) - _EXAMPLES} more; --report FILE.csv lists all")
        if self.noted:
            self.out.line(f"\nadded, with a remark: {len(self.noted)}")
        for result in self.noted[:_EXAMPLES]:
            self.out.line(f"  {printable(result.path)}")
            for note in result.notes:
                self.out.line(f"    {note.partition('; --stream')[0]}")
        if len(self.noted) > _EXAMPLES:
            self.out.line(f"  … and {len(self.noted) - _EXAMPLES} more; --json lists all")


def _write_report(file: Path, problems: list[Added]) -> None:
    rows: list[tuple[str, ...]] = [("status", "kind", "path", "message")]
    for problem in problems:
        kind = "" if problem.error is None else type(problem.error).__name__
        message = "" if problem.error is None else reason(problem.path, str(problem.error))
        rows.append((problem.status, kind, printable(problem.path), message))
    write_text(file, "".join(f"{csv_line(row)}\r\n" for row in rows))


def _problem_entry(result: Added) -> dict[str, Any]:
    error = {} if result.error is None else {"error": error_entry(result.error)}
    return {**path_entry(result.path), "status": result.status, "known": result.known, **error}
