"""``vhash encode``: videos to codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..names import csv_line
from .dataset import Engine, encode_dataset
from .encoding import code_entry, encode_all, failure_entry, model_entry, open_encoder
from .inputs import StreamOption, Videos, expand
from .options import takes
from .output import (
    ExitCode,
    Force,
    Json,
    Model,
    Output,
    PrecisionOption,
    path_entry,
    printable,
    safe,
)

if TYPE_CHECKING:
    from ..encoding.encoded import Encoded


@dataclass(frozen=True)
class Options:
    """What ``vhash encode`` takes."""

    videos: Videos
    model: Model = "default"
    precision: PrecisionOption = "auto"
    stream: StreamOption = None
    index: Annotated[
        Path | None,
        typer.Option(help="Also save the codes as an index file, which `vhash search` takes."),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Write parquet files into this folder or URL (s3://…) instead; run it again to go on.",
        ),
    ] = None
    engine: Annotated[
        Engine, typer.Option(help="With --output: this process, or Ray; auto: Ray if --address is given.")
    ] = "auto"
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster: host:port, auto, or local to start one here for large jobs."),
    ] = None
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")] = False
    force: Force = False
    json: Json = False

    def check(self) -> None:
        """Raise BadParameter for options that do not go together."""
        if self.csv_ and self.json:
            raise typer.BadParameter("choose one of --csv and --json")
        if self.output is None and (self.engine != "auto" or self.address is not None):
            raise typer.BadParameter("--engine and --address go with --output")
        if self.output is not None and (self.csv_ or self.index is not None or self.stream is not None):
            raise typer.BadParameter("--output writes parquet; leave out --csv, --index and --stream")


@takes(Options)
def encode(given: Options) -> None:
    r"""Print the code of each video.

    One line a video: code, confidence (0 to 1: how far the code is from flipping), seconds, path. A video
    that cannot be read is reported on standard error and the others go on. A picture that is named (JPEG,
    PNG, WebP, BMP, TIFF, HEIC, AVIF) is a video of one frame.

    In text and CSV, a path has backslash escapes where it needs them: \n, \\, \xNN for a byte that is
    not UTF-8. In JSON, "path_base64" stands beside "path" where a name is not UTF-8.

    [bold]Examples[/bold]

      vhash encode holiday.mp4 clips/

      vhash encode '**/*.mkv' --csv > codes.csv

      find /videos -name '*.mp4' -print0 | vhash encode - --json

      vhash encode /videos --index videos.vhi

      vhash encode list.parquet --output codes --engine ray --address head:6379
    """
    given.check()
    with Output("encode", json=given.json) as out:
        if given.output is not None:
            encode_dataset(
                given.videos,
                given.output,
                out,
                model=given.model,
                precision=given.precision,
                engine=given.engine,
                address=given.address,
            )
        else:
            _print(given, out)


def _print(given: Options, out: Output) -> None:
    """Print the codes, and save them where that was asked for."""
    from .gallery import check_index, save_index

    paths = expand(given.videos)
    if given.index is not None:
        check_index(given.index, paths, force=given.force)
    if given.csv_:
        out.line(csv_line(("code", "confidence", "duration", "path", "error")))
    line = _csv_row if given.csv_ else _line
    with open_encoder(given.model, given.precision, stills=True) as encoder:
        results = encode_all(
            encoder, paths, out, stream=given.stream, show=lambda result: out.line(line(result))
        )
        good = [(str(result.source), result.code) for result in results if result.code is not None]
        saved = {}
        if given.index is not None and good:
            save_index(given.index, encoder.spec, good)
            saved = {"index": path_entry(given.index.absolute())}
            out.note(
                f"vhash: {len(good)} codes saved in {given.index}; "
                f"search them with: vhash search {given.index} VIDEO"
            )
        out.document(
            model=model_entry(encoder),
            videos=[
                code_entry(str(result.source), result.code, result.info)
                for result in results
                if result.code is not None
            ],
            errors=[failure_entry(result) for result in results if result.error is not None],
            **saved,
        )
    finish(out, done=len(good), failed=len(results) - len(good))


def finish(out: Output, *, done: int, failed: int) -> None:
    """Sum up where something went wrong, and leave with the exit code that says so."""
    if not done + failed:
        out.note("vhash: no videos there; of a folder, files with the suffix of a video count")
    elif failed:
        out.note(f"vhash: {failed} of {done + failed} videos failed")
    out.end(ExitCode.of(done, failed))


def _line(result: Encoded) -> str | None:
    if result.code is None:
        return None
    code = result.code
    return f"{code.text}  {code.confidence:.2f}  {code.duration:8.2f}  {printable(result.source)}"


def _csv_row(result: Encoded) -> str:
    path = printable(result.source)
    if result.code is None:
        return csv_line(("", "", "", path, safe(str(result.error)).replace("\n", " ")))
    code = result.code
    return csv_line((code.text, f"{code.confidence:.4f}", f"{code.duration:.4f}", path, ""))
