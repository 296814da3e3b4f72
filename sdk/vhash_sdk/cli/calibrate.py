"""``vhash calibrate``: what distances mean on the user's own videos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ..video.outputs import check_output
from .encode import finish
from .encoding import encode_all, failure_entry, model_entry, open_encoder
from .inputs import Videos, expand
from .output import Force, Json, Model, Output, PrecisionOption, counted, path_entry, printable

if TYPE_CHECKING:
    from ..encoding.encoded import Encoded

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
    from ..codes import hamming_distance
    from ..encoding.encoded import views
    from ..errors import OptionError
    from ..matching.calibration import calibrate as measure
    from ..scan import content_digest

    with Output("calibrate", json=json) as out, open_encoder(model, precision) as encoder:
        paths = expand(videos)
        check_output(output, "calibration", option="--output", inputs=paths, force=force)
        results = encode_all(encoder, paths, out, detail="box")
        contents: dict[bytes, Encoded] = {}
        for result in results:
            if result.code is not None and not result.code.unreliable:
                contents.setdefault(content_digest(str(result.source)), result)
        good = list(contents.values())
        names = [str(result.source) for result in good]
        if len(good) < 2:
            raise OptionError(
                f"{len(good)} of {len(results)} videos have a code that says something and are no copies of "
                "others: it takes two at least"
            )
        seen = [np.stack([view.code for view in views(result)]) for result in good]
        nearest = np.zeros((len(seen), len(seen)), np.int64)
        for i, own in enumerate(seen):
            for j in range(i):
                near = hamming_distance(own[:, None], seen[j][None]).min()
                nearest[i, j] = nearest[j, i] = near
        groups = [os.path.dirname(name) if scenes else name for name in names]
        spec = encoder.spec
        table = measure(
            nearest, groups, fingerprint=spec.fingerprint, bits=spec.bits, made=f"{len(good)} videos"
        )
        table.save(output)
        support = (
            f"smallest rate {table.smallest_rate:.2g}" if table.smallest_rate < 1 else "too few for any rate"
        )
        out.line(f"{counted(table.pairs, 'pair')} of {table.scenes} scenes; {support}")
        rows = []
        for rate in (rate for rate in _RATES if rate >= table.smallest_rate):
            low, _, high = table.false_match_rate(limit := table.threshold(rate))
            out.line(f"{rate:8.0e}  {limit:4d} bits  (95 %: {low:.1e} to {high:.1e})")
            rows.append({"rate": rate, "threshold": limit, "low": low, "high": high})
        out.line(printable(str(output)))
        out.document(
            model=model_entry(encoder),
            calibration=path_entry(str(output)),
            pairs=table.pairs,
            scenes=table.scenes,
            smallest_rate=table.smallest_rate,
            thresholds=rows,
            errors=[failure_entry(result) for result in results if result.error is not None],
        )
        failed = sum(result.error is not None for result in results)
        finish(out, done=len(results) - failed, failed=failed)
