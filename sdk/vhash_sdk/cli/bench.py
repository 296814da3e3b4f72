"""``vhash bench``: how fast this machine searches and encodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import Json, Model, Output, path_entry, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="Time vhash on this machine. Comparisons with other tools are in the benchmarks of its repository.",
)

_SECONDS = 1.0  # a case is repeated for about this long, at least three times


@app.command()
def search(
    *,
    bits: Annotated[list[int] | None, typer.Option(min=1, max=4096, help="Repeatable [64, 256].")] = None,
    codes: Annotated[int, typer.Option(min=1, help="Random codes to search.")] = 1_000_000,
    queries: Annotated[list[int] | None, typer.Option(min=1, help="Repeatable [1, 100].")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each query.")] = 10,
    threads: Annotated[int | None, typer.Option(min=1, help="All cores by default.")] = None,
    json: Json = False,
) -> None:
    """Time exact searches over random codes.

    [bold]Examples[/bold]

      vhash bench search

      vhash bench search --bits 128 --codes 10000000 --queries 1000 --threads 1
    """
    with Output("bench search", json=json) as out:
        import numpy as np

        from .. import _core
        from ..codes import pack_bits
        from ..index.memory import Index

        rng, cases = np.random.default_rng(0), []
        for width in bits or [64, 256]:
            index = Index(width, threads=threads)
            index.add(_random_codes(rng, codes, width))
            for count in queries or [1, 100]:
                asked = pack_bits(rng.integers(0, 2, (count, width)))
                seconds = _time(partial(index.search, asked, k))
                plan = index.explain(asked, k)
                case = {
                    "bits": width,
                    "codes": codes,
                    "queries": count,
                    "k": k,
                    "path": plan.path,
                    "nanoseconds_per_code_and_query": seconds["median"] / codes / count * 1e9,
                    "seconds": seconds,
                }
                cases.append(case)
                out.line(
                    f"{width:5} bits  {codes:>12,} codes  {count:>6,} queries  "
                    f"{1e3 * seconds['median']:10.3f} ms  "
                    f"{case['nanoseconds_per_code_and_query']:8.4f} ns per code and query  ({plan.path})"
                )
        out.document(simd=_core.simd_level(), threads=threads or _core.available_threads(), cases=cases)


@app.command()
def encode(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO…", help="Files.", show_default=False)],
    *,
    model: Model = "default",
    json: Json = False,
) -> None:
    """Time encoding of files, whole and by stage.

    [bold]Example[/bold]

      vhash bench encode video.mp4
    """
    with Output("bench encode", json=json) as out:
        from ..encoding.encoder import Encoder
        from ..video import open_source

        cases = []
        with Encoder(model) as encoder:
            spec = encoder.spec

            def sample(video: Path) -> NDArray[np.uint8]:
                with open_source(video) as reader:
                    return reader.sample(spec.sampling, spec.resize).frames

            for video in videos:
                stages = {"file_to_code": _time(partial(encoder.encode, video))}
                said = f"{1e3 * stages['file_to_code']['median']:9.1f} ms"
                if spec.crops == 1:  # with ten, cropping is neither decoding nor the network
                    stages["decode"] = _time(partial(sample, video))
                    stages["network"] = _time(partial(encoder.encode_frames, sample(video)[None, None]))
                    decode, network = (1e3 * stages[stage]["median"] for stage in ("decode", "network"))
                    said += f"  (decode {decode:.1f}, network {network:.1f})"
                cases.append({**path_entry(video), **stages})
                out.line(f"{said}  {printable(video)}")
            out.document(
                encoder={key: value for key, value in encoder.info().items() if key != "file"}, cases=cases
            )


def _random_codes(rng: Any, n: int, bits: int) -> Any:
    import numpy as np

    codes = rng.integers(0, 256, (n, (bits + 7) // 8), dtype=np.uint8)
    codes[:, -1] &= 0xFF >> (-bits % 8)
    return codes


def _time(run: Callable[[], object]) -> dict[str, float]:
    """Seconds of a call: minimum and median of at least three runs after one that is not counted."""
    import numpy as np

    run()
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < _SECONDS and len(seconds) < 1000):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"min": min(seconds), "median": float(np.median(seconds)), "runs": len(seconds)}
