"""``vhash eval``: how well the distances tell copies from others, on the user's own pairs."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError
from .encoding import encode_all, failure_entry, model_entry, open_encoder
from .output import ExitCode, Json, Model, Output, PrecisionOption, number

if TYPE_CHECKING:
    from ..codes import VideoCode
    from ..encoded import Encoded
    from ..evaluation import Figure

_LABELS = {"1": True, "true": True, "match": True, "0": False, "false": False, "not a match": False}


@dataclass(frozen=True)
class _Pair:
    a: str
    b: str
    copy: bool


def eval_(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Columns path_a, path_b, label (1: copies, 0: not); paths are relative to the file.",
            show_default=False,
        ),
    ],
    *,
    model: Model = "default",
    precision: PrecisionOption = "auto",
    json: Json = False,
) -> None:
    """Measure a model on pairs that you know: micro-AP and recall at false-match rates, with intervals.

    Each video is encoded once, as `vhash add` does it. Pairs with a video that cannot be read are left
    out and counted. A rate that takes more negative pairs than there are is not claimed.

    [bold]Examples[/bold]

      vhash eval pairs.csv

      vhash eval pairs.csv --model small --json
    """
    with Output("eval", json=json) as out:
        from ..evaluation import evaluate

        known = read_pairs(pairs)
        paths = list(dict.fromkeys(path for pair in known for path in (pair.a, pair.b)))
        with open_encoder(model, precision) as encoder:
            results = encode_all(encoder, paths, out, box=True)
        at = {path: result for path, result in zip(paths, results, strict=True) if result.code is not None}
        kept = [pair for pair in known if pair.a in at and pair.b in at]
        distances = [_distance(at[pair.a], at[pair.b]) for pair in kept]
        copies = [pair.copy for pair in kept]
        figures = evaluate(distances, copies, [pair.a for pair in kept], [pair.b for pair in kept])
        _show(out, figures, encoder.spec.bits)
        out.note(
            f"vhash: {sum(copies):,} pairs of copies and {len(kept) - sum(copies):,} of others; "
            f"{len(known) - len(kept)} pairs left out: {len(paths) - len(at)} of {len(paths)} videos failed"
        )
        out.document(
            model=model_entry(encoder),
            videos=len(at),
            copies=sum(copies),
            others=len(kept) - sum(copies),
            left_out=len(known) - len(kept),
            figures=[_figure_entry(figure) for figure in figures],
            errors=[failure_entry(result) for result in results if result.error is not None],
        )
        out.end(ExitCode.of(len(at), len(paths) - len(at)))


eval_.__name__ = "eval"  # the name of the command; the builtin keeps its own


def read_pairs(file: Path) -> list[_Pair]:
    """The pairs of a CSV file; paths are relative to its folder.

    Raises:
        OptionError: a column is missing, or a label is none.
        OSError: it cannot be read.
    """
    pairs = []
    with open(file, newline="", encoding="utf-8", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream)
        missing = {"path_a", "path_b", "label"} - set(reader.fieldnames or ())
        if missing:
            raise OptionError(
                f"{file}: has no column {', '.join(sorted(missing))}; expected path_a, path_b, label"
            )
        for row in reader:
            label = str(row["label"]).strip().lower()
            if label not in _LABELS:
                raise OptionError(
                    f"{file}, line {reader.line_num}: label {row['label']!r}; allowed: {', '.join(_LABELS)}"
                )
            a, b = (os.path.join(file.parent, row[name] or "") for name in ("path_a", "path_b"))
            pairs.append(_Pair(a, b, _LABELS[label]))
    return pairs


def _distance(a: Encoded, b: Encoded) -> int:
    """The smallest over whole pictures and content boxes, as in a library."""
    return min(first - second for first in _codes(a) for second in _codes(b))


def _codes(encoded: Encoded) -> list[VideoCode]:
    inner = None if encoded.box is None else encoded.box.code
    return [code for code in (encoded.code, inner) if code is not None]


def _show(out: Output, figures: list[Figure], bits: int) -> None:
    out.line(f"{'':26}{'value':>7}   95 % interval   threshold")
    for figure in figures:
        if figure.value is None or figure.interval is None:
            out.line(f"{figure.name:26}{'–':>7}   takes {figure.needs:,} pairs of others")
            continue
        low, high = figure.interval
        radius = "" if figure.radius is None else f"{figure.radius} of {bits} bits"
        if figure.radius == -1:
            radius = "none: others are as near as any copy"
        out.line(f"{figure.name:26}{figure.value:7.3f}   {low:.3f} – {high:.3f}   {radius}")


def _figure_entry(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "value": None if figure.value is None else number(figure.value),
        "interval": None if figure.interval is None else [number(end) for end in figure.interval],
        "radius": figure.radius,
        "needs": figure.needs,
    }
