"""``vhash eval``: how well the distances tell copies from others, on the user's own pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .encoding import encode_all, failure_entry, model_entry, open_encoder
from .eval_spans import SpanTrial
from .output import ExitCode, Json, Model, Output, PrecisionOption, counted, error_entry, number, path_entry
from .pairs import Pair, read_pairs

if TYPE_CHECKING:
    from ..codes import VideoCode
    from ..encoding.encoded import Encoded
    from ..matching.evaluation import Figure


def eval_(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Columns path_a, path_b, label (1: copies, 0: not); paths are relative to the file. "
            "Optional: start_a, end_a, start_b, end_b, seconds of a part that is the same; a row for each.",
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

    Where the file tells which parts are the same, segment AP says how well `vhash compare` finds them:
    a part is found if it overlaps the true one by half of their union, in both videos.

    [bold]Examples[/bold]

      vhash eval pairs.csv

      vhash eval pairs.csv --model small --json
    """
    with Output("eval", json=json) as out:
        known = read_pairs(pairs)
        paths = list(dict.fromkeys(path for pair in known for path in (pair.a, pair.b)))
        with open_encoder(model, precision) as encoder:
            results = encode_all(encoder, paths, out, detail="box")
            by_path = zip(paths, results, strict=True)
            read = {path: result for path, result in by_path if result.code is not None}
            kept = [pair for pair in known if pair.a in read and pair.b in read]
            figures = _figures(kept, read)
            trial = SpanTrial(kept)
            trial.run(encoder, out)
        figures[1:1] = trial.figures()
        copies = sum(pair.copy for pair in kept)
        others, left_out, failed = len(kept) - copies, len(known) - len(kept), len(paths) - len(read)
        _show(out, figures, encoder.spec.bits)
        out.note(
            f"vhash: {counted(copies, 'pair')} of copies and {others:,} of others; "
            f"{counted(left_out, 'pair')} left out: {failed} of {len(paths)} videos failed"
        )
        trial.note(out)
        out.document(
            model=model_entry(encoder),
            videos=len(read),
            copies=copies,
            others=others,
            left_out=left_out,
            figures=[_figure_entry(figure) for figure in figures],
            segments=trial.entry(),
            errors=_errors(results, trial),
        )
        out.end(ExitCode.of(len(read), failed + len(trial.failed)))


eval_.__name__ = "eval"  # the name of the command; the builtin keeps its own


def _figures(pairs: list[Pair], encoded: dict[str, Encoded]) -> list[Figure]:
    from ..matching.evaluation import evaluate

    distances = [_distance(encoded[pair.a], encoded[pair.b]) for pair in pairs]
    copies = [pair.copy for pair in pairs]
    return evaluate(distances, copies, [pair.a for pair in pairs], [pair.b for pair in pairs])


def _distance(a: Encoded, b: Encoded) -> int:
    """The smallest over whole pictures and content boxes."""
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


def _errors(results: list[Encoded], trial: SpanTrial) -> list[dict[str, Any]]:
    failed = [failure_entry(result) for result in results if result.error is not None]
    whole = [{**path_entry(path), "error": error_entry(error)} for path, error in trial.failed.items()]
    return failed + whole


def _figure_entry(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "value": None if figure.value is None else number(figure.value),
        "interval": None if figure.interval is None else [number(end) for end in figure.interval],
        "radius": figure.radius,
        "needs": figure.needs,
    }
