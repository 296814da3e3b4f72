"""``vhash calibrate``: what distances mean on the user's own videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..video.outputs import check_output
from .encode import finish
from .encoding import encode_all, failure_entry, model_entry, open_encoder
from .inputs import Videos, expand
from .output import Force, Json, Model, Output, PrecisionOption, counted, path_entry, printable

if TYPE_CHECKING:
    from ..matching.calibration import Calibration

_RATES = (1e-2, 1e-3, 1e-4, 1e-5)


def calibrate(
    videos: Videos,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "calibration.json"
    ),
    scenes: Annotated[
        bool,
        typer.Option("--folders-are-scenes", help="Videos of one folder show one scene; else each its own."),
    ] = False,
    force: Force = False,
    model: Model = "default",
    precision: PrecisionOption = "auto",
    json: Json = False,
) -> None:
    """Measure how often different videos come near each other, and write it down as a calibration.

    Give videos that are no copies of each other; of files that are the same byte for byte one counts. The
    smallest distance of whole pictures and content boxes counts. ``Encoder`` and ``dedup`` take the file.

    [bold]Examples[/bold]

      vhash calibrate /videos --output mine.json
    """
    with Output("calibrate", json=json) as out, open_encoder(model, precision) as encoder:
        from ..library.calibrating import calibrate as measure

        paths = expand(videos)
        check_output(output, "calibration", option="--output", inputs=paths, force=force)
        results = encode_all(encoder, paths, out, detail="box")
        table = measure(results, encoder.spec, folders_are_scenes=scenes)
        table.save(output)
        thresholds = _thresholds(table)
        _show(table, thresholds, out)
        out.line(printable(str(output)))
        out.document(
            model=model_entry(encoder),
            calibration=path_entry(str(output)),
            pairs=table.pairs,
            scenes=table.scenes,
            smallest_rate=table.smallest_rate,
            thresholds=thresholds,
            errors=[failure_entry(result) for result in results if result.error is not None],
        )
        failed = sum(result.error is not None for result in results)
        finish(out, done=len(results) - failed, failed=failed)


def _thresholds(table: Calibration) -> list[dict[str, float]]:
    """What the usual rates are in bits, as far as the pairs support them."""
    rows = []
    for rate in (rate for rate in _RATES if rate >= table.smallest_rate):
        low, _, high = table.false_match_rate(limit := table.threshold(rate))
        rows.append({"rate": rate, "threshold": limit, "low": low, "high": high})
    return rows


def _show(table: Calibration, thresholds: list[dict[str, float]], out: Output) -> None:
    support = (
        f"smallest rate {table.smallest_rate:.2g}" if table.smallest_rate < 1 else "too few for any rate"
    )
    out.line(f"{counted(table.pairs, 'pair')} of {table.scenes} scenes; {support}")
    for row in thresholds:
        out.line(
            f"{row['rate']:8.0e}  {row['threshold']:4d} bits  (95 %: {row['low']:.1e} to {row['high']:.1e})"
        )
