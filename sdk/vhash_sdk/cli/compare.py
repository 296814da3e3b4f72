"""``vhash compare``: how far apart two videos are, what that means, and what they have in common."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..errors import OptionError
from ..matching.relation import VideoRelation
from ..system.extras import pip_install
from .encoding import code_entry, model_entry, open_encoder
from .options import takes
from .output import Force, Json, Model, Output, PrecisionOption, printable
from .pixels import Pixels, look_entry, look_text
from .sound import heard_entry, heard_text
from .spans import span_entries, span_text, time_code, timeline
from .strip import Side as StripSide
from .strip import check_strip, write_strip

if TYPE_CHECKING:
    from ..comparison import Comparison, Subject
    from ..encoding.encoder import Encoder
    from ..spec import ModelSpec

Side = typer.Argument(help="A video, or a code as text (vh1:…).")

_TOLD = {
    VideoRelation.PART: "the first is a part of the second",
    VideoRelation.CONTAINS: "the second is a part of the first",
    VideoRelation.SHARES: "not the same video, but they share a part",
    VideoRelation.TAKE: "not the same video, but another take of the same scene",
}
"""What is said instead of a plain yes or no."""


@dataclass(frozen=True)
class Options:
    """What ``vhash compare`` takes."""

    a: Annotated[str, Side]
    b: Annotated[str, Side]
    fmr: Annotated[
        float, typer.Option(help="Threshold: the share of pairs of different scenes that may match.")
    ] = 1e-4
    sound: Annotated[
        bool, typer.Option("--sound", help=f"Compare the sounds too ({escape(pip_install('sound'))}).")
    ] = False
    pixels: Pixels = True
    strip: Annotated[
        Path | None, typer.Option(help="Draw frames of both, one above the other: FILE.png or FILE.html.")
    ] = None
    force: Force = False
    model: Model = "default"
    precision: PrecisionOption = "auto"
    json: Json = False


@takes(Options)
def compare(given: Options) -> None:
    """Compare two videos: distance and what it means, and which part of one is which part of the other.

    Copies of one video are a few bits apart; unrelated videos differ in about half of all bits. A video
    inside bars or another picture is also taken by itself, as its content box, and so is each pane of a split
    screen; the nearest views count.
    Near videos in which something moves get a second look at what happens in both, which then decides, by
    a threshold of its own; where that leaves a doubt, a third look at their pixels has the last word.
    `vhash dedup`, which compares many, also asks for near codes.
    A side may be a picture: then nothing is concluded, but the nearest second of the other is told.
    The distance is that of whole videos: a part of a video is far from it, but is found as a span.

    [bold]Examples[/bold]

      vhash compare original.mp4 upload.mp4

      vhash compare original.mp4 upload.mp4 --strip frames.html

      vhash compare original.mp4 dubbed.mp4 --sound

      vhash compare original.mp4 frame.jpg

      vhash compare original.mp4 vh1:0123abcd:64:00ff00ff00ff00ff
    """
    with Output("compare", json=given.json) as out:
        if given.strip is not None:
            check_strip(given.strip, [given.a, given.b], force=given.force)
        from ..comparison import compare

        with open_encoder(given.model, given.precision, stills=True) as encoder:
            found = compare(
                given.a, given.b, encoder=encoder, fmr=given.fmr, sound=given.sound, pixels=given.pixels
            )
            _show(out, found)
            _show_meaning(out, found, given.fmr, encoder.spec)
            if found.sound is not None:
                out.line(f"sound       {heard_text(found.sound)}")
            _show_spans(out, found, encoder, given.strip)
            out.document(model=model_entry(encoder), **_entry(found, given.fmr))


def _entry(found: Comparison, fmr: float) -> dict[str, Any]:
    """For JSON."""
    said, rate, bits = found.decision, found.decision.rate, found.a.code.bits
    return {
        "a": _subject_entry(found.a),
        "b": _subject_entry(found.b),
        "distance": found.distance,
        "whole": found.whole,
        "bits": bits,
        "share": round(found.distance / bits, 4),
        "views": dict(zip("ab", _views(found), strict=True)),
        "parts": [{**part._asdict(), "share": round(part.distance / part.bits, 4)} for part in found.parts],
        "verified": said.verified,
        "threshold": said.threshold,
        "fmr": None if rate is None else fmr,
        "same": said.same,
        "false_match_rate": None if rate is None else rate._asdict(),
        "moment": None if found.moment is None else found.moment._asdict(),
        "spans": None if found.spans is None else span_entries(found.spans, found.sound_of_spans),
        "sound": heard_entry(found.sound),
        "relation": said.relation,
        "pixels": look_entry(said.look),
    }


def _show_meaning(out: Output, found: Comparison, fmr: float, spec: ModelSpec) -> None:
    from ..codes import same_model
    from ..encoding.reliability import STILL

    said, rate, scale = found.decision, found.decision.rate, "bits"
    if STILL in (found.a.code.unreliable, found.b.code.unreliable):
        out.line("Nothing is concluded: a picture does not move, and no threshold is known for pictures.")
        return
    if rate is None:
        why = f"{spec.name} does not say from which distance on two videos differ"
        if not same_model(found.a.code.fingerprint, spec.fingerprint):
            why = f"these codes are not of {spec.name}; --model names another"
        out.line(f"No calibrated threshold: {why}.")
        return
    if said.verified is not None:
        out.line(f"second look {said.verified} bits, by what happens in both")
        scale = "bits of the second look"  # not of the distance, which --radius elsewhere is
    verdict = {
        True: "the same video",
        False: "not the same video as a whole",
        None: "nothing is concluded, there is too little in them to be told apart",
    }[said.same]
    if said.relation in _TOLD:
        verdict = _TOLD[said.relation]
    by = "" if said.look is None or said.look.same is None else ", by the third look"
    if said.look is not None:
        out.line(f"third look  {look_text(said.look)}")
    out.line(f"threshold   {said.threshold} {scale} at a false-match rate of {fmr:g}: {verdict}{by}")
    out.line(
        f"chance      videos of different scenes are as near as this at a rate of {rate.estimate:.2g} "
        f"({rate.low:.2g} to {rate.high:.2g})"
    )


def _show_spans(out: Output, found: Comparison, encoder: Encoder, strip: Path | None) -> None:
    """Tell the parts that the videos have in common, and draw them."""
    from ..encoding.reliability import STILL

    a, b, spans = found.a, found.b, found.spans
    if a.info is None or b.info is None:
        if strip is not None:
            raise OptionError(f"--strip {strip}: frames are of two videos, and one side is a code")
        return
    if spans is None:
        if strip is not None:
            raise OptionError(f"--strip {strip}: {encoder.spec.name} codes whole clips, so it finds no parts")
        out.line(f"parts are not looked for: {encoder.spec.name} codes whole clips only")
        return
    for i, span in enumerate(spans, start=1):
        mine = span_text(span.query_start, span.query_end)
        theirs = span_text(span.ref_start, span.ref_end)
        said = f"(score {span.score:.1f}, similarity {span.similarity:.2f})"
        out.line(f"span {i:<7}a {mine}  is  b {theirs}  {said}{_witnessed(found, i - 1)}")
    if found.moment is not None:
        which = "a" if b.code.unreliable == STILL else "b"
        near = f"{found.moment.distance} of {a.code.bits} bits away"
        out.line(f"nearest     {which} at {time_code(found.moment.time)}, {near}")
    elif not spans:
        out.line("no part of one was found in the other")
    for label, info, parts in (
        ("a", a.info, [(span.query_start, span.query_end) for span in spans]),
        ("b", b.info, [(span.ref_start, span.ref_end) for span in spans]),
    ):
        out.line(f"{label}  {timeline(info.duration, parts)}  {time_code(info.duration)}")
    if strip is not None:
        from ..video.isolation.pool import DecodePool

        sides = StripSide(str(a.source), a.info), StripSide(str(b.source), b.info)
        with DecodePool(2, encoder.limits) as decoders:
            write_strip(strip, *sides, list(spans), decoders)
        out.note(f"vhash: frames drawn in {strip}")


def _witnessed(found: Comparison, place: int) -> str:
    """What sound says of a span, to be put behind it."""
    said = found.sound_of_spans[place] if found.sound_of_spans else None
    return f"  {said}" if said else ""


def _show(out: Output, found: Comparison) -> None:
    a, b, bits = found.a, found.b, found.a.code.bits
    out.line(f"distance    {found.distance} of {bits} bits ({100 * found.distance / bits:.1f} %)")
    if any(found.seen):
        first, second = _views(found)
        out.line(f"  of a's {first} and b's {second}; {found.whole} bits as whole pictures")
    for part in found.parts:
        share = 100 * round(part.distance / part.bits, 4)
        out.line(f"  {part.name:<10}{part.distance} of {part.bits} bits ({share:.1f} %)")
    for label, subject in (("a", a), ("b", b)):
        out.line(f"{label}  {_describe(subject)}")


def _views(found: Comparison) -> tuple[str, str]:
    """By which view of each side they are nearest."""
    i, j = found.seen
    return found.a.view_name(i), found.b.view_name(j)


def _describe(subject: Subject) -> str:
    if subject.source is None or subject.info is None:
        return subject.code.text
    info, code = subject.info, subject.code
    picture = f"{info.width}×{info.height} {info.codec}, {info.duration:.2f} s"
    if subject.box is not None:
        left, top, right, bottom = subject.box.pixels(info.width, info.height)
        picture += f", content box {right - left}×{bottom - top} at {left}, {top}"
    if subject.panes:
        picture += ", a split screen"
    if code.unreliable:
        picture += f", {code.unreliable}"
    return f"{printable(str(subject.source))}  ({picture}, confidence {code.confidence:.2f})"


def _subject_entry(subject: Subject) -> dict[str, Any]:
    if subject.source is None or subject.info is None:
        return {"code": subject.code.text}
    info = subject.info
    return {
        **code_entry(str(subject.source), subject.code),
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "box": None if subject.box is None else asdict(subject.box),
        "panes": [asdict(pane) for pane in subject.panes],
    }
