"""``vhash find``: where clips are in the videos of a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .encode import finish
from .inputs import Videos, expand
from .library import Lib, model_entry
from .output import Json, Output, error_entry, path_entry, printable
from .pixels import Pixels
from .spans import frame_entry, show_frames, span_entry, span_text

if TYPE_CHECKING:
    from ..library.records import FoundFrame, FoundSpan


def find(
    lib: Lib,
    clips: Videos,
    *,
    fmr: Annotated[
        float | None,
        typer.Option(help="Threshold: of clips that are not there, the share found in an hour [about 5e-3]."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Places of each clip.")] = 10,
    pixels: Pixels = True,
    json: Json = False,
) -> None:
    """Find clips inside the videos of a library: score, where in the clip, where in the video.

    The library needs segments (`vhash add LIB PATH --segments`). Copies that were re-encoded, cropped,
    mirrored or put behind a logo are found, at speeds from 0.8 to 1.25, with other scenes before, between
    and after. The score is in nats of evidence, from 3 on it is a copy; where it leaves a doubt (-2 to 8),
    the pixels of both files decide.

    Of a picture (JPEG, PNG, WebP, …) the videos that show it are listed, nearest first: distance in bits, and
    when. Nothing moves in a picture, so that nothing is concluded from it: look at what is there.

    [bold]Examples[/bold]

      vhash add library /videos --segments

      vhash find library suspicious.mp4

      vhash find library frame.jpg -k 3

      vhash find library clips/ --fmr 1e-2 --json
    """
    with Output("find", json=json) as out:
        from ..errors import VideoError
        from ..library.library import Library
        from ..video.sources import is_picture

        answers: list[tuple[str, list[FoundSpan], list[FoundFrame]]] = []
        errors: list[dict[str, Any]] = []
        names = expand(clips)
        with Library(lib, create=False) as library:
            with out.progress("searching", len(names)) as step:
                for name in names:
                    try:
                        picture = is_picture(name)
                        spans = [] if picture else library.find(name, fmr=fmr, k=k, pixels=pixels)
                        answers.append((name, spans, library.find_frame(name, k) if picture else []))
                        _show(out, *answers[-1], bits=library.spec.bits)
                    except VideoError as error:
                        out.problem(error)
                        errors.append({**path_entry(name), "error": error_entry(error)})
                    step(1, name)
            out.document(
                model=model_entry(library),
                library={**path_entry(library.directory), "videos": len(library)},
                fmr=fmr,
                clips=[_entry(*answer) for answer in answers],
                errors=errors,
            )
        finish(out, done=len(answers), failed=len(errors))


def _show(out: Output, name: str, found: list[FoundSpan], frames: list[FoundFrame], *, bits: int) -> None:
    out.line(printable(name))
    show_frames(out, frames, bits)
    for one in found:
        span = one.span
        speed = "" if abs(span.speed - 1) < 0.02 else f"  at {1 / span.speed:.2f} times the speed"
        speed += "  backwards" if span.reversed else ""
        out.line(
            f"{span.score:6.1f}  {span_text(span.query_start, span.query_end)}  is  "
            f"{span_text(span.ref_start, span.ref_end)} of {printable(one.entry.path)}{speed}"
        )
    if not found and not frames:
        out.line("     nothing")


def _entry(name: str, found: list[FoundSpan], frames: list[FoundFrame]) -> dict[str, Any]:
    spans = [{**path_entry(one.entry.path), "id": one.entry.id, **span_entry(one.span)} for one in found]
    return {**path_entry(name), "spans": spans, "frames": [frame_entry(one) for one in frames]}
