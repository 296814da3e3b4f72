"""Encode with Ray Data: an actor pool of encoders, paths in, parquet out.

The classes here are plain callables, so that any framework which maps a class over batches can run
them; see ``docs/scale.md`` for NVIDIA's NeMo Curator.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import VhashError
from ..system.checks import checked_count
from .cluster import Cluster, map_rows
from .parts import Folder, Part, Plan, arrow
from .sources import Source, opened, paths_of

logger = logging.getLogger("vhash_sdk")


@dataclass(frozen=True)
class EncoderOptions:
    """What each actor's encoder is made of.

    Attributes:
        model, device, precision: as for ``Encoder``.
        workers: videos that one actor has in work at once; its share of the CPUs.
        isolate: decode in processes of their own, so that no file can take an actor down.
    """

    model: str = "default"
    device: str = "auto"
    precision: Literal["auto", "int8", "fp16", "fp32"] = "auto"
    workers: int = 1
    isolate: bool = True


class VideoEncoder:
    """A callable for ``map_batches``: the column ``path`` in, all columns and the codes out.

    The model is loaded once, when the actor starts. A video that cannot be read gives a row with
    ``error``; it never stops the others. Added columns: ``code`` (bytes), ``bits``, ``fingerprint``,
    ``confidence``, ``duration`` (seconds), ``error``.

    >>> import numpy as np
    >>> encode = VideoEncoder()
    >>> batch = encode({"path": np.array(["missing.mp4"], dtype=object)})
    >>> batch["code"], batch["error"][0][:11]
    ([None], 'SourceError')
    >>> encode.close()
    """

    def __init__(self, options: EncoderOptions | None = None, **fields: Any) -> None:
        from ..encoding.encoder import Encoder

        self._options = replace(options or EncoderOptions(), **fields)
        self._encoder = Encoder(
            self._options.model,
            device=self._options.device,  # a pool's GPUs are all cuda:0 to their actors
            precision=self._options.precision,
            threads=self._options.workers,
        )
        self.spec = self._encoder.spec

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Encode the videos of a batch, in its order."""
        columns: dict[str, list[Any]] = {name: [] for name in _RESULTS}
        sources = (opened(path) for path in batch["path"])
        for encoded in self._encoder.encode_many(
            sources, workers=self._options.workers, isolate=self._options.isolate
        ):
            code = encoded.code
            columns["code"].append(None if code is None else code.code.tobytes())
            columns["bits"].append(self.spec.bits)
            columns["fingerprint"].append(self.spec.fingerprint)
            columns["confidence"].append(None if code is None else code.confidence)
            columns["duration"].append(None if code is None or np.isnan(code.duration) else code.duration)
            columns["error"].append(None if encoded.error is None else _text(encoded.error))
        return {**batch, **columns}

    def close(self) -> None:
        """Free the network."""
        self._encoder.close()


class PartEncoder:
    """A callable for ``map_batches`` whose rows are parts: encodes each and writes it as one file."""

    def __init__(self, options: EncoderOptions, location: str) -> None:
        self._encode = VideoEncoder(options)
        self._folder = Folder(location)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Write the parts of a batch; out come their numbers, sizes and failures."""
        sizes, failures = [], []
        for number, ids, paths in zip(batch["number"], batch["ids"], batch["paths"], strict=True):
            part = Part(int(number), list(ids), list(paths))
            columns = self._encode(
                {"path": np.array([os.fsdecode(path) for path in part.paths], dtype=object)}
            )
            table = self._table(part, columns)
            self._folder.write(part.name, [table], table.schema)
            sizes.append(len(part.ids))
            failures.append(sum(error is not None for error in columns["error"]))
        return {"number": list(batch["number"]), "rows": sizes, "failed": failures}

    def _table(self, part: Part, columns: Mapping[str, Any]) -> Any:
        pyarrow = arrow()
        spec = self._encode.spec
        types = {
            "path": pyarrow.string(),
            "id": pyarrow.int64(),
            "code": pyarrow.binary((spec.bits + 7) // 8),
            "bits": pyarrow.int32(),
            "fingerprint": pyarrow.string(),
            "confidence": pyarrow.float32(),
            "duration": pyarrow.float64(),
            "error": pyarrow.string(),
        }
        # a name that is not UTF-8 has backslash escapes here; the plan keeps its bytes
        paths = [path.decode("utf-8", "backslashreplace") for path in part.paths]
        content = {**columns, "path": paths, "id": part.ids}
        arrays = [pyarrow.array(content[name], kind) for name, kind in types.items()]
        return pyarrow.table(arrays, schema=pyarrow.schema(types.items(), {"vhash.spec": spec.to_json()}))

    def close(self) -> None:
        """Free the network."""
        self._encode.close()


@dataclass(frozen=True)
class EncodedDataset:
    """What an ``encode_dataset`` did.

    Attributes:
        output: the folder of the parts.
        rows: videos in it, those of earlier runs among them.
        encoded: videos of this run; failed: those of them that have an error.
        engine: ``local`` or ``ray``; reason: why.
        seconds: that this run took, the start of Ray among them.
    """

    output: str
    rows: int
    encoded: int
    failed: int
    engine: Literal["local", "ray"]
    reason: str
    seconds: float


def encode_dataset(
    source: Source,
    output: str | os.PathLike[str],
    *,
    options: EncoderOptions | None = None,
    cluster: Cluster | None = None,
    part_rows: int = 256,
    local_below: int = 2000,
    progress: Callable[[int, int, int], None] | None = None,
) -> EncodedDataset:
    """Encode many videos into a folder of parquet parts; the same call again goes on where it was stopped.

    Columns: path, id (its number in the order of the input), code, bits, fingerprint, confidence,
    duration, error. Parts are whole or not there, so that each video has exactly one row whatever was
    killed and whenever.

    Args:
        source: paths or URLs; a folder, a glob, or a parquet file or folder with a column ``path``.
        output: the folder, or a URL that fsspec knows (``s3://…``). It belongs to one model.
        options: the model, and what each actor has.
        cluster: the Ray cluster; None: this process, without Ray.
        part_rows: videos in a part, at most; a stopped run repeats the parts that were in work.
        local_below: a job of fewer videos stays in this process, for Ray takes 7 to 24 s to start; 0: never.
        progress: called with (videos done, all videos, failures of this run) after each part.

    Raises:
        ModelMismatchError: the folder holds codes of another model.
        StoreError: the source or the folder cannot be read or written.
        BackendError: Ray cannot be started or reached.
    """
    checked_count("part_rows", part_rows, 1)
    checked_count("local_below", local_below, 0)
    from ..models import zoo

    options, started = options or EncoderOptions(), time.monotonic()
    spec = zoo.load(options.model).spec
    if os.path.isfile(options.model):
        options = replace(options, model=os.path.abspath(options.model))  # actors work elsewhere
    folder = Folder(output)
    plan = Plan(folder, fingerprint=spec.fingerprint, rows=part_rows)
    plan.extend(os.fsencode(path) for path in paths_of(source))
    done, all_parts, todo = set(folder.names()), 0, []
    for part in plan.parts():
        all_parts += len(part.ids)
        if part.name not in done:
            todo.append(part)
    wanted = sum(len(part.ids) for part in todo)
    engine, reason = _engine(cluster, wanted, local_below)
    logger.info("encode_dataset: %d of %d videos to encode, %s", wanted, all_parts, reason)
    encoded = failed = 0
    for row in _results(todo, options, folder.location, cluster if engine == "ray" else None):
        encoded += int(row["rows"])
        failed += int(row["failed"])
        if progress is not None:
            progress(all_parts - wanted + encoded, all_parts, failed)
    seconds = time.monotonic() - started
    return EncodedDataset(folder.location, all_parts, encoded, failed, engine, reason, seconds)


def _engine(cluster: Cluster | None, wanted: int, local_below: int) -> tuple[Literal["local", "ray"], str]:
    if cluster is None:
        return "local", "in this process: no cluster was given"
    if wanted < local_below:
        return "local", f"in this process: Ray would take longer to start than {wanted} videos are worth"
    return "ray", f"by Ray at {cluster.address}"


def _results(
    todo: list[Part], options: EncoderOptions, location: str, cluster: Cluster | None
) -> Iterator[Mapping[str, Any]]:
    if not todo:
        return
    rows = (asdict(part) for part in todo)
    if cluster is not None:
        options = replace(options, workers=max(1, int(cluster.cpus_per_actor)))
        yield from map_rows(cluster, PartEncoder, (options, location), list(rows))
        return
    from ..runtime.onnx import usable_cores

    encoder = PartEncoder(replace(options, workers=max(options.workers, usable_cores())), location)
    try:
        for row in rows:
            result = encoder({name: [value] for name, value in row.items()})
            yield {name: values[0] for name, values in result.items()}
    finally:
        encoder.close()


_RESULTS = ("code", "bits", "fingerprint", "confidence", "duration", "error")


def _text(error: VhashError) -> str:
    return f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
