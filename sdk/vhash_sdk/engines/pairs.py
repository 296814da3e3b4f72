"""All pairs of near duplicates among very many codes: the kernel of ``Index.pairs``, shared out by Ray."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import IndexFormatError, OptionError, StoreError
from ..index.base import BaseIndex
from ..index.matches import PairShare
from ..index.memory import Index
from ..system.checks import checked_count
from ..system.files import write_text
from ..system.strict_json import parse_json
from .bulk import import_codes
from .cluster import Cluster, map_rows
from .parts import PLAN_FOLDER, Folder, arrow
from .sources import dataset_of

_BATCH = 1 << 20


class PairFinder:
    """A callable for ``map_batches`` whose rows are shares of the work: writes the pairs of each.

    Args:
        codes: an index file or the directory of a durable index, which every actor can read.
        output: folder of the results.
        radius: largest distance, in bits.
        threads: that one actor may use.
    """

    def __init__(self, codes: str, output: str, radius: int, threads: int = 1) -> None:
        self._index = _opened(codes, threads)
        self._folder = Folder(output)
        self._radius = radius

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Write the pairs of some shares; out come the shares and how many pairs there were."""
        pyarrow = arrow()
        schema = pyarrow.schema(
            [("a", pyarrow.int64()), ("b", pyarrow.int64()), ("distance", pyarrow.uint16())],
            {"vhash.radius": str(self._radius)},
        )
        counts = []
        for row in zip(batch["choice"], batch["part"], batch["parts"], strict=True):
            share = PairShare(*map(int, row))

            def tables(share: PairShare = share) -> Iterator[Any]:
                for pairs in self._index.pairs(self._radius, batch=_BATCH, share=share):
                    yield pyarrow.table(
                        [pairs.ids[:, 0].copy(), pairs.ids[:, 1].copy(), pairs.distances], schema=schema
                    )

            counts.append(self._folder.write(_name(share), tables(), schema))
        return {**batch, "pairs": counts}


@dataclass(frozen=True)
class PairDataset:
    """What a ``find_pairs`` did.

    Attributes:
        output: the folder of the pairs; columns a, b (ids, a < b) and distance.
        codes, pairs: numbers of them.
        shares: of the work; done: those of this run, the others were there already.
        engine: ``local`` or ``ray``.
        seconds: that this run took.
    """

    output: str
    codes: int
    pairs: int
    shares: int
    done: int
    engine: Literal["local", "ray"]
    seconds: float


def find_pairs(
    codes: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    radius: int,
    cluster: Cluster | None = None,
    rows: int = 50_000_000,
    progress: Callable[[int, int, int], None] | None = None,
) -> PairDataset:
    """Find all pairs of codes within ``radius`` bits (inclusive), exactly, into a folder of parquet files.

    Each pair comes once. The same call again goes on where it was stopped.

    Args:
        codes: an index file (``Index.save``), the directory of a durable index, or parquet with columns
            ``id`` and ``code``, which is copied into a durable index in ``output`` first. With a cluster,
            a place that all its machines share.
        output: a new folder, or that of the same call before. It must be a local path for parquet.
        radius: largest distance, in bits.
        cluster: the Ray cluster; None: this process with all its cores.
        rows: codes that an actor sorts at once, at 32 bytes and twice the code each; beyond that many
            the codes are divided further, for which each actor reads them more often.
        progress: called with (shares done, all shares, pairs of this run) after each.

    Raises:
        OptionError: the folder holds the pairs of another radius or of other codes.
        StoreError, IndexFormatError: the codes cannot be read, or the folder not written.
        BackendError: Ray cannot be started or reached.
    """
    started = time.monotonic()
    radius = checked_count("radius", radius, 0)
    place = _as_index(os.fspath(codes), Path(output) / "_codes")
    folder = Folder(output)
    with_threads = max(1, int(cluster.cpus_per_actor)) if cluster is not None else 0
    index = _opened(place, with_threads)
    shares = index.pair_shares(radius, rows=checked_count("rows", rows, 1))
    _check_job(folder, {"radius": str(radius), "codes": str(len(index)), "shares": str(len(shares))})
    done = set(folder.names())
    todo = [share for share in shares if _name(share) not in done]
    found = 0
    for number, row in enumerate(_run(todo, place, folder.location, radius, cluster)):
        found += int(row["pairs"])
        if progress is not None:
            progress(len(shares) - len(todo) + number + 1, len(shares), found)
    pairs = sum(folder.rows(_name(share)) for share in shares)
    engine: Literal["local", "ray"] = "local" if cluster is None else "ray"
    seconds = time.monotonic() - started
    return PairDataset(folder.location, len(index), pairs, len(shares), len(todo), engine, seconds)


def _run(
    todo: list[PairShare], codes: str, output: str, radius: int, cluster: Cluster | None
) -> Iterator[Mapping[str, Any]]:
    rows = [share._asdict() for share in todo]
    if cluster is not None and rows:
        threads = max(1, int(cluster.cpus_per_actor))
        yield from map_rows(cluster, PairFinder, (codes, output, radius, threads), rows)
    elif rows:
        finder = PairFinder(codes, output, radius, threads=0)
        for row in rows:
            result = finder({name: [value] for name, value in row.items()})
            yield {name: values[0] for name, values in result.items()}


def _name(share: PairShare) -> str:
    return f"pairs-{share.choice:04d}-{share.part:05d}.parquet"


def _opened(place: str, threads: int) -> BaseIndex:
    """``threads`` 0: all cores."""
    if os.path.isdir(place):
        return Index.open(place, mode="r", threads=threads or None)
    return Index.load(place, verify=False, threads=threads or None)


def _as_index(codes: str, copy: Path) -> str:
    """Where the codes are an index; parquet is copied into one, unless that was done before."""
    local = Path(codes)
    if (local / "MANIFEST").exists() or (local.is_file() and not codes.endswith(".parquet")):
        return os.path.abspath(codes)
    complete = copy / "COMPLETE"  # of this copy: an import that was stopped is done again
    if not complete.exists():
        kind = dataset_of(codes).schema.field("code").type
        if not hasattr(kind, "byte_width"):
            raise StoreError(f"{codes}: 'code' is {kind}, not binary of one width; see encode_dataset")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Index.open(copy, bits=8 * kind.byte_width) as index:
            import_codes(codes, index)
            index.compact()
        write_text(complete, "the import is complete\n")
    return os.path.abspath(copy)


def _check_job(folder: Folder, job: dict[str, str]) -> None:
    """Remember what the folder holds, or compare with what it holds."""
    pyarrow = arrow()
    name = f"{PLAN_FOLDER}/pairs.parquet"
    if not folder.names(PLAN_FOLDER):
        schema = pyarrow.schema([], {"vhash.job": json.dumps(job)})
        folder.write(name, [], schema)
        return
    try:
        before = dict(parse_json((folder.table(name).schema.metadata or {})[b"vhash.job"]))
    except (KeyError, ValueError, TypeError) as error:
        raise IndexFormatError(
            f"{folder.location}/{name}: does not say what the folder holds ({error}); give a new folder"
        ) from error
    if before != job:
        was = ", ".join(f"{key} {before.get(key)}" for key in job if before.get(key) != job[key])
        raise OptionError(f"{folder.location} holds the pairs of another call ({was}); give a new folder")
