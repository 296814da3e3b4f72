"""``vhash compare``: how far apart two videos are, what that means, and what they have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError
from .encoding import code_entry, model_entry, open_encoder
from .output import Json, Model, Output, PrecisionOption, printable
from .spans import span_entry, span_text, time_code, timeline
from .strip import Side as StripSide
from .strip import check_strip, write_strip

if TYPE_CHECKING:
    from ..alignment import Span
    from ..codes import VideoCode
    from ..encoder import Encoder
    from ..spec import ModelSpec
    from ..video import VideoInfo

Side = typer.Argument(help="A video, or a code as text (vh1:…).")


@dataclass(frozen=True)
class _Subject:
    """One side of the comparison; a code given as text has no path and no picture."""

    path: str | None
    code: VideoCode
    info: VideoInfo | None


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
    model: Model = "default",
    precision: PrecisionOption = "auto",
    json: Json = False,
) -> None:
    """Compare two videos: distance and what it means, and which part of one is which part of the other.

    Copies of one video are a few bits apart; unrelated videos differ in about half of all bits. The
    distance is that of the whole videos: a part of a video is far from it, but is found as a span.

    [bold]Examples[/bold]

      vhash compare original.mp4 upload.mp4

      vhash compare original.mp4 upload.mp4 --strip frames.html

      vhash compare original.mp4 vh1:0123abcd:64:00ff00ff00ff00ff
    """
    with Output("compare", json=json) as out:
        if strip is not None:
            check_strip(strip)
        with open_encoder(model, precision) as encoder:
            first, second = (_subject(side, encoder) for side in (a, b))
            distance = first.code - second.code
            parts = _parts(first.code, second.code, encoder.spec)
            meaning = _meaning(encoder, distance, fmr)
            _show(out, first, second, distance, parts)
            _show_meaning(out, distance, meaning)
            spans = _align(out, first, second, encoder, strip)
            out.document(
                model=model_entry(encoder),
                a=_subject_entry(first),
                b=_subject_entry(second),
                distance=distance,
                bits=first.code.bits,
                share=round(distance / first.code.bits, 4),
                parts=parts,
                **meaning,
                spans=None if spans is None else [span_entry(span) for span in spans],
            )


def _meaning(encoder: Encoder, distance: int, fmr: float) -> dict[str, Any]:
    """Threshold in bits at a false-match rate, and the rate at this distance; null without calibration."""
    table = encoder.calibration
    if table is None:
        return {"threshold": None, "fmr": None, "false_match_rate": None}
    rate = table.false_match_rate(distance)
    return {
        "threshold": table.threshold(fmr),
        "fmr": fmr,
        "false_match_rate": {"low": rate.low, "estimate": rate.estimate, "high": rate.high},
    }


def _show_meaning(out: Output, distance: int, meaning: dict[str, Any]) -> None:
    if meaning["threshold"] is None:
        out.line("No calibrated threshold: this model does not say from which distance on two videos differ.")
        return
    rate = meaning["false_match_rate"]
    verdict = "the same video" if distance <= meaning["threshold"] else "not the same video as a whole"
    out.line(
        f"threshold   {meaning['threshold']} bits at a false-match rate of {meaning['fmr']:g}: {verdict}"
    )
    out.line(
        f"chance      videos of different scenes are as near as this at a rate of {rate['estimate']:.2g} "
        f"({rate['low']:.2g} to {rate['high']:.2g})"
    )


def _align(out: Output, a: _Subject, b: _Subject, encoder: Encoder, strip: Path | None) -> list[Span] | None:
    """The parts that the videos have in common, told and drawn; None where one side is a code."""
    if a.path is None or b.path is None or a.info is None or b.info is None:
        if strip is not None:
            raise OptionError(f"--strip {strip}: frames are of two videos, and one side is a code")
        return None
    from ..isolation import DecodePool
    from ..segment_search import common_spans

    with DecodePool(2, encoder.limits) as decoders:
        spans = common_spans(encoder, a.path, b.path, decoders)
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

    if text.startswith("vh1:") and not os.path.lexists(text):
        return _Subject(None, VideoCode.from_text(text), None)
    (result,) = encoder.encode_many([text], isolate=True)
    if result.code is None:
        raise result.error or AssertionError("neither code nor error")
    return _Subject(text, result.code, result.info)


def _parts(a: VideoCode, b: VideoCode, spec: ModelSpec) -> list[dict[str, Any]]:
    """Distance of each named bit range; none where the codes are of a model that is not at hand."""
    from ..codes import same_model, unpack_bits

    if not same_model(a.fingerprint, spec.fingerprint):
        return []
    differs = (unpack_bits(a.code, a.bits) != unpack_bits(b.code, b.bits))[0]
    parts = []
    for part in spec.parts:
        start, stop = part.bits
        distance = int(differs[start:stop].sum())
        share = round(distance / (stop - start), 4)
        parts.append({"name": part.name, "distance": distance, "bits": stop - start, "share": share})
    return parts


def _show(out: Output, a: _Subject, b: _Subject, distance: int, parts: list[dict[str, Any]]) -> None:
    bits = a.code.bits
    out.line(f"distance    {distance} of {bits} bits ({100 * distance / bits:.1f} %)")
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
    }
