"""``vhash demo``: the whole flow on sample clips that come with the package."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import VhashError
from ..video.outputs import check_output
from .encoding import encode_all, model_entry, open_encoder
from .output import ExitCode, Json, Model, Output, PrecisionOption
from .variants import VARIANTS, Variant

if TYPE_CHECKING:
    from ..index.matches import Matches

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class _Copy:
    """A modified copy that was searched for.

    Attributes:
        original: the clip that it was made from.
        variant: what was done to it.
        neighbours: all clips as (name, distance in bits), nearest first.
    """

    original: str
    variant: str
    neighbours: tuple[tuple[str, int], ...]

    @property
    def distance(self) -> int:
        """Bits to its original."""
        return dict(self.neighbours)[self.original]

    @property
    def other(self) -> int:
        """Bits to the nearest other clip."""
        return min(distance for name, distance in self.neighbours if name != self.original)

    @property
    def correct(self) -> bool:
        """Whether its original is nearer than any other clip."""
        return self.distance < self.other


def demo(
    *,
    model: Model = "default",
    precision: PrecisionOption = "auto",
    keep: Annotated[
        Path | None, typer.Option(help="Keep the modified copies in this folder, to look at them.")
    ] = None,
    json: Json = False,
) -> None:
    """Find modified copies of sample videos: the whole flow in half a minute.

    Six short clips come with vhash. Each is modified in eight ways (encoded poorly, scaled, cropped, with
    bars, a logo, …) here and now; all are encoded, the clips go into an index, and each copy is looked up
    in it. The right answer is the clip that it was made from.

    [bold]Examples[/bold]

      vhash demo

      vhash demo --keep copies/
    """
    from ..index.memory import Index

    with Output("demo", json=json) as out, contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vhash-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        originals = sorted(SAMPLES.glob("*.mp4"))
        seconds: dict[str, float] = {}
        with _timed(seconds, "make copies"):
            paths = _make_copies(originals, folder, out)
        with _timed(seconds, "load model"):
            encoder = stack.enter_context(open_encoder(model, precision))
        with _timed(seconds, "encode"):
            results = encode_all(encoder, [*map(str, originals), *map(str, paths)], out, isolate=False)
        if any(result.error for result in results):
            raise VhashError("the samples cannot be encoded here; look at `vhash doctor`")
        codes = [result.code for result in results if result.code is not None]
        names = [path.stem for path in originals]
        with _timed(seconds, "index"):
            index = Index(encoder.spec.bits, model=encoder.spec.fingerprint)
            index.add(codes[: len(names)])
        with _timed(seconds, "search"):
            found = index.search(codes[len(names) :], k=len(names))
        copies = _name(found, names)
        _show(out, copies, encoder.spec.bits)
        _show_times(out, seconds, len(codes), len(copies))
        right = sum(copy.correct for copy in copies)
        out.document(
            model=model_entry(encoder),
            copies=[_copy_entry(copy) for copy in copies],
            correct=right,
            total=len(copies),
            largest_distance_to_original=max(copy.distance for copy in copies),
            smallest_distance_to_other=min(copy.other for copy in copies),
            seconds={stage: round(value, 6) for stage, value in seconds.items()},
        )
        out.end(ExitCode.of(right, len(copies) - right))


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


def _make_copies(originals: list[Path], folder: Path, out: Output) -> list[Path]:
    from ..runtime.onnx import usable_cores

    jobs = [
        (variant, original, folder / f"{original.stem} ({variant.name}).mp4")
        for original in originals
        for variant in VARIANTS
    ]

    for _, _, target in jobs:
        check_output(target, "copy", option="--keep", inputs=originals, force=None)

    def make(job: tuple[Variant, Path, Path]) -> Path:
        variant, original, target = job
        variant.write(original, target)
        return target

    paths = []
    with out.progress("making copies", len(jobs)) as step, ThreadPoolExecutor(usable_cores()) as pool:
        for path in pool.map(make, jobs):
            paths.append(path)
            step()
    return paths


def _name(found: Matches, names: list[str]) -> list[_Copy]:
    """Put names to the results; copies come in the order in which ``_make_copies`` made them."""
    made = [(name, variant.name) for name in names for variant in VARIANTS]
    return [
        _Copy(
            name,
            variant,
            tuple((names[id], int(distance)) for id, distance in zip(ids, distances, strict=True)),
        )
        for (name, variant), ids, distances in zip(made, found.ids, found.distances, strict=True)
    ]


def _show(out: Output, copies: list[_Copy], bits: int) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"Bits of {bits} from each copy to its nearest clip (✓ the right one)",
        title_justify="left",
        show_footer=True,
    )
    names = list(dict.fromkeys(copy.original for copy in copies))
    table.add_column("copy", "nearest other clip")
    for name in names:
        others = [copy.other for copy in copies if copy.original == name]
        table.add_column(name, f"{min(others)}  ", justify="right")
    for variant in VARIANTS:
        row = [copy for copy in copies if copy.variant == variant.name]
        cells = [f"{copy.neighbours[0][1]} {'[green]✓[/]' if copy.correct else '[red]✗[/]'}" for copy in row]
        table.add_row(variant.name, *cells)
    out.table(table)
    right = sum(copy.correct for copy in copies)
    near, far = max(copy.distance for copy in copies), min(copy.other for copy in copies)
    out.line(
        f"{right} of {len(copies)} copies found their clip: at most {near} bits from it, "
        f"at least {far} bits from any other."
    )


def _show_times(out: Output, seconds: dict[str, float], videos: int, queries: int) -> None:
    each = 1000 * seconds["encode"] / videos
    out.line(
        f"make copies {seconds['make copies']:.1f} s · load model {seconds['load model']:.2f} s · "
        f"encode {videos} videos {seconds['encode']:.1f} s ({each:.0f} ms each) · "
        f"index {1e6 * seconds['index']:.0f} µs · search {1e6 * seconds['search'] / queries:.1f} µs a copy"
    )


def _copy_entry(copy: _Copy) -> dict[str, Any]:
    return {
        "original": copy.original,
        "variant": copy.variant,
        "correct": copy.correct,
        "neighbours": [{"name": name, "distance": distance} for name, distance in copy.neighbours],
    }
