"""The second half of ``vhash add --segments``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import Output, error_entry, path_entry

if TYPE_CHECKING:
    from ..library.library import Library


def keep_segments(library: Library, out: Output, *, workers: int | None) -> dict[str, Any]:
    """Encode the segments of all videos that lack them; what became of it, for JSON."""
    videos, failed = 0, []
    with out.progress("segments", library.lacking_segments) as step:
        for made in library.segmenting(workers=workers, awaiting=lambda path: step(0, path)):
            if made.error is None:
                videos += 1
            else:
                out.problem(made.error)
                failed.append({**path_entry(made.path), "error": error_entry(made.error)})
            step(1, made.path)
    out.line(f"segments of {videos} videos" + (f", {len(failed)} failed" if failed else ""))
    return {"videos": videos, "failed": failed}
