"""``vhash encode --output``: into a folder of parquet, here or by Ray."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ..video.outputs import check_folder
from .inputs import expand
from .output import ExitCode, Output, Precision, path_entry, printable

if TYPE_CHECKING:
    from ..engines.ray import EncodedDataset

Engine = Literal["auto", "local", "ray"]


def encode_dataset(
    videos: Sequence[str],
    output: str,
    out: Output,
    *,
    model: str,
    precision: Precision,
    engine: Engine,
    address: str | None,
) -> None:
    """Encode into parquet parts, show the progress, print the document, and leave with the exit code."""
    from ..engines.cluster import Cluster
    from ..engines.ray import EncoderOptions
    from ..engines.ray import encode_dataset as encode

    if "://" not in output:
        check_folder(output, option="--output")
    wanted = engine == "ray" or (engine == "auto" and address is not None)
    with out.progress("encoding", None) as step:
        before = 0

        def moved(done: int, total: int, failed: int) -> None:
            nonlocal before
            step(done - before, f"{done} of {total}, {failed} failed")
            before = done

        done = encode(
            _source(videos),
            output,
            options=EncoderOptions(model, precision=precision),
            cluster=Cluster(address or "local") if wanted else None,
            progress=moved,
        )
    _tell(done, output, out, wanted=wanted)


def _source(videos: Sequence[str]) -> list[str] | str:
    """One parquet list or URL goes to the engine as it is; anything else is what `vhash encode` takes."""
    (only,) = videos if len(videos) == 1 else ("",)
    if only.rstrip("/").endswith(".parquet") or "://" in only:
        return only
    names = [name for name in videos if "://" in name and not glob.has_magic(name)]
    return names + expand(name for name in videos if name not in names)


def _tell(done: EncodedDataset, output: str, out: Output, *, wanted: bool) -> None:
    if wanted and done.engine == "local" and done.encoded:
        out.note(f"vhash: {done.reason}")
    out.line(
        f"{done.rows} videos in {printable(output)}: {done.encoded} encoded now in {done.seconds:.1f} s "
        f"({done.engine}), {done.failed} failed (see the column 'error')"
    )
    place = output if "://" in output else os.path.abspath(output)
    out.document(
        dataset={
            **path_entry(place),
            "rows": done.rows,
            "encoded": done.encoded,
            "failed": done.failed,
            "engine": done.engine,
            "reason": done.reason,
            "seconds": round(done.seconds, 3),
        }
    )
    out.end(ExitCode.of(done.rows - done.failed, done.failed))
