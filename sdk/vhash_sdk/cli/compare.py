"""``vhash compare``: how far apart two videos are, what that means, and what they have in common."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError
from .encoding import code_entry, model_entry, open_encoder
from .output import Force, Json, Model, Output, PrecisionOption, printable
from .spans import span_entry, span_text, time_code, timeline
from .strip import Side as StripSide
from .strip import check_strip, write_strip

if TYPE_CHECKING:
    from ..codes import VideoCode
    from ..encoding.encoder import Encoder
    from ..matching.alignment import Span
    from ..matching.verification import View
    from ..spec import ModelSpec
    from ..video import Region, VideoInfo

_VIEWS = ("whole picture", "content box")

Side = typer.Argument(help="A video, or a code as text (vh1:…).")


@dataclass(frozen=True)
class _Subject:
    """One side of the comparison; a code given as text has no path and no picture.

    ``code`` is of the whole picture; ``views`` has that of its content box too, which is at ``box``.
    ``framewise``: the model looks at single frames, so that parts can be found.
    """

    path: str | None
    code: VideoCode
    views: tuple[View, ...]
    info: VideoInfo | None = None
    box: Region | None = None
    framewise: bool = False


def compare(
    a: Annotated[str, Side],
    b: Annotated[str, Side],
    *,
    fmr: Annotated[
        float, typer.Option(help="Threshold: the share of pairs of different scenes that may match.")
    ] = 1e-4,
    strip: Annotated[
        Path | None, typer.Option(help="Draw frames of both, one above the other: FILE.png or FILE.html.")
    ] = None,
    force: Force = False,
    model: Model = "default",
    precision: PrecisionOption = "auto",
    json: Json = False,
) -> None:
    """Compare two videos: distance and what it means, and which part of one is which part of the other.

    Copies of one video are a few bits apart; unrelated videos differ in about half of all bits. A video
    inside bars or another picture is also taken by itself, as its content box; the nearest views count.
    Near videos in which something moves get a second look at what happens in both, which then decides, by
    a threshold of its own; `vhash dedup`, which compares many, also asks for near codes.
    The distance is that of whole videos: a part of a video is far from it, but is found as a span.

    [bold]Examples[/bold]

      vhash compare original.mp4 upload.mp4

      vhash compare original.mp4 upload.mp4 --strip frames.html

      vhash compare original.mp4 vh1:0123abcd:64:00ff00ff00ff00ff
    """
    with Output("compare", json=json) as out:
        if strip is not None:
            check_strip(strip, [a, b], force=force)
        from ..matching.verification import nearest_views

        with open_encoder(model, precision) as encoder:
            first, second = (_subject(side, encoder) for side in (a, b))
            whole = first.code - second.code  # of one model, or this raises
            distance, i, j = nearest_views(first.views, second.views)
            parts = _parts((first, i), (second, j), encoder.spec)
            meaning = _meaning(encoder, first, second, distance, fmr)
            _show(out, first, second, distance, parts, (i, j))
            _show_meaning(out, meaning, first.code, encoder.spec)
            spans = _align(out, first, second, encoder, strip)
            out.document(
                model=model_entry(encoder),
                a=_subject_entry(first),
                b=_subject_entry(second),
                distance=distance,
                whole=whole,
                bits=first.code.bits,
                share=round(distance / first.code.bits, 4),
                views={"a": _VIEWS[i], "b": _VIEWS[j]},
                parts=parts,
                **meaning,
                spans=None if spans is None else [span_entry(span) for span in spans],
            )


def _meaning(encoder: Encoder, a: _Subject, b: _Subject, distance: int, fmr: float) -> dict[str, Any]:
    """Verified distance, threshold in bits at a false-match rate, the rate here; null without calibration."""
    from ..codes import same_model

    table, bits = encoder.calibration, distance
    if table is None or not same_model(a.code.fingerprint, table.fingerprint):
        return dict.fromkeys(("verified", "threshold", "fmr", "same", "false_match_rate"))
    empty = a.code.unreliable or b.code.unreliable  # what moves then is the noise of the video's encoder
    verified = None if empty else table.second_look(a.views, b.views, distance)
    look, most = table.verification, table.bits
    if verified is not None and look is not None:
        # clips of one scene are no part of the rate: what happens must not speak against a copy, as in dedup
        table, bits, most = look.table, verified, look.even
    rate, threshold = table.false_match_rate(bits), min(table.threshold(fmr), most)
    return {
        "verified": verified,
        "threshold": threshold,
        "fmr": fmr,
        "same": None if empty else bits <= threshold,
        "false_match_rate": {"low": rate.low, "estimate": rate.estimate, "high": rate.high},
    }


def _show_meaning(out: Output, meaning: dict[str, Any], code: VideoCode, spec: ModelSpec) -> None:
    from ..codes import same_model

    if meaning["threshold"] is None:
        why = f"{spec.name} does not say from which distance on two videos differ"
        if not same_model(code.fingerprint, spec.fingerprint):
            why = f"these codes are not of {spec.name}; --model names another"
        out.line(f"No calibrated threshold: {why}.")
        return
    rate, verified, scale = meaning["false_match_rate"], meaning["verified"], "bits"
    if verified is not None:
        out.line(f"second look {verified} bits, by what happens in both")
        scale = "bits of the second look"  # not of the distance, which --radius elsewhere is
    verdict = {
        True: "the same video",
        False: "not the same video as a whole",
        None: "nothing is concluded, there is too little in them to be told apart",
    }[meaning["same"]]
    out.line(
        f"threshold   {meaning['threshold']} {scale} at a false-match rate of {meaning['fmr']:g}: {verdict}"
    )
    out.line(
        f"chance      videos of different scenes are as near as this at a rate of {rate['estimate']:.2g} "
        f"({rate['low']:.2g} to {rate['high']:.2g})"
    )


def _align(out: Output, a: _Subject, b: _Subject, encoder: Encoder, strip: Path | None) -> list[Span] | None:
    """The parts that the videos have in common, told and drawn; None where they cannot be looked for."""
    if a.path is None or b.path is None or a.info is None or b.info is None:
        if strip is not None:
            raise OptionError(f"--strip {strip}: frames are of two videos, and one side is a code")
        return None
    if not a.framewise:
        if strip is not None:
            raise OptionError(f"--strip {strip}: {encoder.spec.name} codes whole clips, so it finds no parts")
        out.line(f"parts are not looked for: {encoder.spec.name} codes whole clips only")
        return None
    from ..library.finding import common_spans
    from ..video.isolation.pool import DecodePool

    with DecodePool(2, encoder.limits) as decoders:
        spans = common_spans(encoder, a.path, b.path, decoders, box=b.box)
        for i, span in enumerate(spans, start=1):
            mine = span_text(span.query_start, span.query_end)
            theirs = span_text(span.ref_start, span.ref_end)
            said = f"(score {span.score:.1f}, similarity {span.similarity:.2f})"
            out.line(f"span {i:<7}a {mine}  is  b {theirs}  {said}")
        if not spans:
            out.line("no part of one was found in the other")
        for label, info, parts in (
            ("a", a.info, [(span.query_start, span.query_end) for span in spans]),
            ("b", b.info, [(span.ref_start, span.ref_end) for span in spans]),
        ):
            out.line(f"{label}  {timeline(info.duration, parts)}  {time_code(info.duration)}")
        if strip is not None:
            write_strip(strip, StripSide(a.path, a.info), StripSide(b.path, b.info), spans, decoders)
            out.note(f"vhash: frames drawn in {strip}")
    return spans


def _subject(text: str, encoder: Encoder) -> _Subject:
    from ..codes import VideoCode
    from ..encoding.encoded import views
    from ..matching.verification import View

    if text.startswith("vh1:") and not os.path.lexists(text):
        code = VideoCode.from_text(text)
        return _Subject(None, code, (View(code.code, None),))
    (result,) = encoder.encode_many([text], isolate=True, frames=True, box=True)
    if result.code is None:
        raise result.error or AssertionError("neither code nor error")
    box = None if result.box is None else result.box.region
    framewise = result.sequence is not None
    return _Subject(text, result.code, views(result), result.info, box, framewise)


def _parts(a: tuple[_Subject, int], b: tuple[_Subject, int], spec: ModelSpec) -> list[dict[str, Any]]:
    """Distance of each named bit range; none where the codes are of a model that is not at hand."""
    from ..codes import same_model, unpack_bits

    if not same_model(a[0].code.fingerprint, spec.fingerprint):
        return []
    (one, i), (other, j) = a, b
    differs = (unpack_bits(one.views[i].code, spec.bits) != unpack_bits(other.views[j].code, spec.bits))[0]
    parts = []
    for part in spec.parts:
        start, stop = part.bits
        distance = int(differs[start:stop].sum())
        share = round(distance / (stop - start), 4)
        parts.append({"name": part.name, "distance": distance, "bits": stop - start, "share": share})
    return parts


def _show(
    out: Output,
    a: _Subject,
    b: _Subject,
    distance: int,
    parts: list[dict[str, Any]],
    views: tuple[int, int],
) -> None:
    bits = a.code.bits
    out.line(f"distance    {distance} of {bits} bits ({100 * distance / bits:.1f} %)")
    if any(views):
        sides = [f"{label}'s {_VIEWS[view]}" for label, view in zip("ab", views, strict=True)]
        out.line(f"  of {' and '.join(sides)}; {a.code - b.code} bits as whole pictures")
    for part in parts:
        out.line(
            f"  {part['name']:<10}{part['distance']} of {part['bits']} bits ({100 * part['share']:.1f} %)"
        )
    for label, subject in (("a", a), ("b", b)):
        out.line(f"{label}  {_describe(subject)}")


def _describe(subject: _Subject) -> str:
    if subject.path is None or subject.info is None:
        return subject.code.text
    info, code = subject.info, subject.code
    picture = f"{info.width}×{info.height} {info.codec}, {info.duration:.2f} s"
    if subject.box is not None:
        left, top, right, bottom = subject.box.pixels(info.width, info.height)
        picture += f", content box {right - left}×{bottom - top} at {left}, {top}"
    if code.unreliable:
        picture += f", {code.unreliable}"
    return f"{printable(subject.path)}  ({picture}, confidence {code.confidence:.2f})"


def _subject_entry(subject: _Subject) -> dict[str, Any]:
    if subject.path is None or subject.info is None:
        return {"code": subject.code.text}
    info = subject.info
    return {
        **code_entry(subject.path, subject.code),
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "box": None if subject.box is None else asdict(subject.box),
    }
