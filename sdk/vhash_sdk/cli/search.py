"""``vhash search``: the nearest videos of a library, a folder or a saved index."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .encode import finish
from .encoding import code_entry, encode_all, failure_entry, model_entry, open_encoder
from .gallery import LibraryGallery
from .inputs import ServedBy, StreamOption, Videos, expand, place
from .options import takes
from .output import Json, Output, PrecisionOption, path_entry, printable
from .pixels import TOLD, Pixels, look_entry, look_text
from .sound import (
    QuerySound,
    check_kept,
    check_sound,
    heard_entry,
    heard_text,
    hit_entry,
    query_sound,
    show_hits,
)
from .spans import frame_entry, show_frames

if TYPE_CHECKING:
    from ..codes import VideoCode
    from ..encoding.encoded import Detail, Encoded
    from ..encoding.encoder import Encoder
    from ..library.records import FoundFrame
    from .gallery import Gallery, Neighbour


@dataclass(frozen=True)
class Options:
    """What ``vhash search`` takes."""

    where: Annotated[
        Path,
        typer.Argument(
            metavar="WHERE",
            parser=place,
            help="A library of `vhash add`, a folder of videos, or an index file of `vhash encode --index`.",
        ),
    ]
    videos: Videos
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="Neighbours of each video; 10, or no limit with --radius."),
    ] = None
    radius: Annotated[
        int | None, typer.Option(min=0, help="Only neighbours at most this many bits away, all of them.")
    ] = None
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="As for encode; a saved index knows the model that made it."),
    ] = None
    precision: PrecisionOption = "auto"
    stream: StreamOption = None
    sound: Annotated[
        bool,
        typer.Option("--sound", help="Also say which videos sound the same; of a library that keeps sound."),
    ] = False
    pixels: Pixels = True
    index: ServedBy = None
    json: Json = False


@takes(Options)
def search(given: Options) -> None:
    """Find the nearest videos: distance in bits, its share of all bits, path.

    In a library content boxes count too, and before the path stands how often videos of different
    scenes come as near as that, after a second look at what happens in both (the false-match rate). Pairs
    in doubt are looked at once more, by their pixels, and that decides.

    A picture (JPEG, PNG, WebP, …) is a video of one frame. Where a library keeps segments (`vhash add
    --segments`), the videos that show it are listed as well, with the time and the distance of that second.

    Equal distances are ordered by path in a folder, and as they were encoded in an index. A folder is
    encoded anew each time; make a library or an index to search it often.

    [bold]Examples[/bold]

      vhash search library suspicious.mp4

      vhash search library suspicious.mp4 --sound

      vhash search /videos suspicious.mp4

      vhash search library frame.jpg

      vhash search /videos suspicious.mp4 --radius 30

      vhash encode /videos --index videos.vhi

      vhash search videos.vhi uploads/ -k 3 --json
    """
    with Output("search", json=given.json) as out:
        queries = expand(given.videos)
        gallery = _kept(given)
        failed: list[Encoded] = []
        model = given.model or (gallery.model if gallery is not None else "default")
        with open_encoder(model, given.precision, stills=True) as encoder:
            if gallery is None:
                gallery, failed = _folder(given.where, encoder, out)
            # what a library keeps of its videos: content boxes, and frames for a second look
            detail: Detail = "views" if gallery.kind == "library" else "code"
            results = encode_all(encoder, queries, out, detail=detail, stream=given.stream)
        answers = [
            _answer(gallery, result, result.code, given, out) for result in results if result.code is not None
        ]
        out.document(
            model=model_entry(encoder),
            gallery={"kind": gallery.kind, **path_entry(gallery.path), "videos": len(gallery)},
            queries=[_query_entry(answer) for answer in answers],
            errors=[failure_entry(result) for result in (*failed, *results) if result.error is not None],
        )
        finish(out, done=len(answers), failed=len(results) - len(answers) + len(failed))


class Answer(NamedTuple):
    """A query, its code, and what is near it."""

    query: Encoded
    code: VideoCode
    neighbours: list[Neighbour]
    frames: list[FoundFrame]
    sound: QuerySound | None = None


def _kept(given: Options) -> Gallery | None:
    """The library or index file that is searched; None for a folder, which is encoded first."""
    from .gallery import load_index

    library = (given.where / "library.db").is_file()
    if given.index is not None and not library:
        raise typer.BadParameter("--index goes with a library")
    if given.sound and not library:
        raise typer.BadParameter("--sound goes with a library that keeps sound (`vhash add --sound`)")
    if library:
        gallery = LibraryGallery(given.where, given.index, pixels=given.pixels)
        if given.sound:
            check_kept(gallery.library)
            check_sound()
        return gallery
    return None if given.where.is_dir() else load_index(given.where)


def _folder(where: Path, encoder: Encoder, out: Output) -> tuple[Gallery, list[Encoded]]:
    from .gallery import build_gallery

    results = encode_all(encoder, expand([os.fspath(where)]), out)
    good = [(str(result.source), result.code) for result in results if result.code is not None]
    if not good:
        out.note(f"vhash: no video in {printable(where)} could be encoded")
    failed = [result for result in results if result.error is not None]
    return build_gallery(os.fspath(where), encoder.spec, good), failed


def _answer(gallery: Gallery, query: Encoded, code: VideoCode, given: Options, out: Output) -> Answer:
    """What is near a query, and what sounds like it; told at once."""
    found = _neighbours(gallery, query, given.k, given.radius)
    heard = None
    if given.sound and isinstance(gallery, LibraryGallery):
        heard = query_sound(gallery.library, str(query.source), [each.id for each in found], out)
    answer = Answer(query, code, found, gallery.showing(query, given.k or 10), heard)
    _show(answer, out)
    return answer


def _neighbours(gallery: Gallery, query: Encoded, k: int | None, radius: int | None) -> list[Neighbour]:
    if radius is None:
        return gallery.nearest(query, k or 10)
    return gallery.within(query, radius, k)


def _show(answer: Answer, out: Output) -> None:
    code = answer.code
    out.line(f"{printable(str(answer.query.source))}  (confidence {code.confidence:.2f})")
    for neighbour in answer.neighbours:
        share = 100 * neighbour.distance / code.bits
        rate = neighbour.false_match_rate
        chance = "" if rate is None else f"{f'{rate:.0e}' if rate else 'none seen':>9s}  "
        copy = "copy  " if neighbour.same else "      " if rate is not None else ""
        told = f"  ({neighbour.relation})" if neighbour.relation in TOLD else ""
        out.line(f"{neighbour.distance:6d} {share:6.1f} %  {chance}{copy}{printable(neighbour.path)}{told}")
        if neighbour.look is not None:
            out.line(f"{'':17}pixels: {look_text(neighbour.look)}")
        if answer.sound is not None and (heard := answer.sound.of.get(neighbour.id)) is not None:
            out.line(f"{'':17}sound: {heard_text(heard, 'the query', 'it')}")
    if not answer.neighbours:
        out.line("     nothing")
    if answer.sound is not None:
        show_hits(out, answer.sound)
    show_frames(out, answer.frames, code.bits)


def _query_entry(answer: Answer) -> dict[str, Any]:
    code, sound = answer.code, answer.sound
    heard = {} if sound is None else sound.of
    return {
        **code_entry(str(answer.query.source), code, answer.query.info),
        "neighbours": [
            {
                **path_entry(neighbour.path),
                "id": neighbour.id,
                "distance": neighbour.distance,
                "share": round(neighbour.distance / code.bits, 4),
                "verified": neighbour.verified,
                "false_match_rate": neighbour.false_match_rate,
                "same": neighbour.same,
                "sound": heard_entry(heard.get(neighbour.id)),
                "relation": neighbour.relation,
                "pixels": look_entry(neighbour.look),
            }
            for neighbour in answer.neighbours
        ],
        "same_sound": None if sound is None else [hit_entry(hit) for hit in sound.hits],
        "frames": [frame_entry(found) for found in answer.frames],
    }
