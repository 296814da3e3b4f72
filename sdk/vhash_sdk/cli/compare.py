"""``vhash compare``: how far apart two videos are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .encoding import code_entry, model_entry, open_encoder
from .output import Json, Model, Output, PrecisionOption, printable

if TYPE_CHECKING:
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
    model: Model = "default",
    precision: PrecisionOption = "auto",
    json: Json = False,
) -> None:
    """Compare two videos: Hamming distance, in all and of each part of the code.

    Copies of one video are a few bits apart; unrelated videos differ in about half of all bits.

    [bold]Examples[/bold]

      vhash compare original.mp4 upload.mp4

      vhash compare original.mp4 vh1:0123abcd:64:00ff00ff00ff00ff
    """
    with Output("compare", json=json) as out:
        with open_encoder(model, precision) as encoder:
            first, second = (_subject(side, encoder) for side in (a, b))
        distance = first.code - second.code
        parts = _parts(first.code, second.code, encoder.spec)
        _show(out, first, second, distance, parts)
        out.document(
            model=model_entry(encoder),
            a=_subject_entry(first),
            b=_subject_entry(second),
            distance=distance,
            bits=first.code.bits,
            share=round(distance / first.code.bits, 4),
            parts=parts,
            threshold=None,
        )


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
    out.line("No calibrated threshold: this model does not say yet from which distance on two videos differ.")


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
