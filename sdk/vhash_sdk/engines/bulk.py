"""From parquet to an index, as a stream: a directory of ``Index.open``, or Milvus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codes import code_bytes, same_model
from ..errors import CodeError, ModelMismatchError, OptionError, StoreError
from ..index.protocol import CodeIndex
from .milvus import MilvusIndex
from .sources import batches, dataset_of


def import_codes(
    source: str | os.PathLike[str],
    index: CodeIndex,
    *,
    metadata: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> int:
    """Put the codes of a parquet file or folder into an index; returns how many.

    Columns: ``id`` (int64) and ``code`` (binary), as ``encode_dataset`` writes them; rows without a
    code are passed over, ``fingerprint`` is checked where there is one. Ids that exist are replaced, so
    that an import that was stopped is simply done again.

    Args:
        source: a path or URL.
        index: where to; only Milvus takes metadata.
        metadata: names of further columns to keep beside the codes.
        progress: called with the number of codes so far.

    Raises:
        StoreError: the source cannot be read, or the index not written.
        ModelMismatchError: codes of another model than the index's.
        CodeError: codes of another width.
    """
    if metadata and not isinstance(index, MilvusIndex):
        raise OptionError(f"metadata={list(metadata)}: only Milvus keeps metadata; leave them out")
    done = 0
    for ids, codes, more in read_codes(source, index.bits, index.model, metadata):
        if isinstance(index, MilvusIndex) and metadata:
            index.upsert(codes, ids, metadata=more)
        else:
            index.upsert(codes, ids)
        done += len(ids)
        if progress is not None:
            progress(done)
    return done


def read_codes(
    source: str | os.PathLike[str], bits: int, model: str | None, metadata: Sequence[str] = ()
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], list[dict[str, Any]]]]:
    """Batches of (ids int64 [n], codes uint8 [n, bytes], metadata) of a parquet file or folder."""
    import pyarrow.compute as compute

    columns = ["id", "code", *metadata]
    schema = dataset_of(source).schema
    _check_types(source, schema)
    if "fingerprint" in schema.names:
        columns.append("fingerprint")
    for batch in batches(source, columns):
        batch = batch.filter(compute.is_valid(batch["code"]))
        if not len(batch):
            continue
        if "fingerprint" in columns:
            for found in batch["fingerprint"].unique().to_pylist():
                if found and not same_model(model, found):
                    raise ModelMismatchError(
                        f"{os.fspath(source)} holds codes of model {found[:8]}, the index those of "
                        f"{(model or 'unknown')[:8]}; encode with one model"
                    )
        found_codes = batch["code"].to_pylist()
        if wrong := {len(code) for code in found_codes} - {code_bytes(bits)}:
            raise CodeError(
                f"{os.fspath(source)}: codes of {min(wrong)} bytes; the index has {bits} bits, "
                f"which are {code_bytes(bits)}"
            )
        if batch["id"].null_count:
            raise StoreError(f"{os.fspath(source)}: a row has a code but no id; give each an id")
        codes = np.frombuffer(b"".join(found_codes), np.uint8).reshape(len(batch), -1)
        yield batch["id"].to_numpy().astype(np.int64), codes, batch.select(list(metadata)).to_pylist()


def _check_types(source: str | os.PathLike[str], schema: Any) -> None:
    """Raise StoreError unless the columns that codes are read from are of their types."""
    from pyarrow import types

    binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    texts = (types.is_string, types.is_large_string, types.is_null)
    for name, checks, expected in (
        ("id", (types.is_signed_integer,), "int64"),
        ("code", binary, "binary"),
        ("fingerprint", texts, "string"),
    ):
        if name not in schema.names:
            if name != "fingerprint":
                raise StoreError(f"{os.fspath(source)}: has no column {name!r}; see encode_dataset")
        elif not any(check(schema.field(name).type) for check in checks):
            kind = schema.field(name).type
            raise StoreError(f"{os.fspath(source)}: {name!r} is {kind}, not {expected}; see encode_dataset")
