"""A table of results as parquet parts that are either whole or not there, on a disk or in an object store.

What belongs to which part is written down before any work begins. So a run that was stopped, however
hard, goes on with the parts that are missing; a part that is made twice replaces itself; and every input
has exactly one row.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from ..errors import IndexFormatError, MissingDependencyError, ModelMismatchError, StoreError
from ..system.extras import pip_install
from ..system.files import write_whole

PLAN_FOLDER = "_plan"  # readers of parquet folders pass over names that begin with an underscore


def arrow() -> ModuleType:
    """pyarrow with its parquet module. Raises MissingDependencyError."""
    try:
        import fsspec  # noqa: F401  (asked for here, so that there is one message)
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(f"{error.name} is not installed; {pip_install('ray')}") from error
    module: ModuleType = pyarrow
    return module


@dataclass(frozen=True)
class Part:
    """Some of the inputs: their ids, paths (as bytes, as file names are), and the number of the part."""

    number: int
    ids: list[int]
    paths: list[bytes]

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"part-{self.number:06d}.parquet"


class Folder:
    """A folder anywhere that fsspec reaches: ``/disk/codes``, ``s3://bucket/codes``."""

    def __init__(self, location: str | os.PathLike[str]) -> None:
        arrow()
        from fsspec.core import url_to_fs

        name = os.fspath(location)
        self.location = name if "://" in name else os.path.abspath(name)  # actors work elsewhere
        try:
            self._system, self._root = url_to_fs(self.location)
        except (ImportError, ValueError) as error:
            raise StoreError(f"{self.location}: {error}") from error

    def path(self, name: str) -> str:
        """Where a file of it is, for the file system."""
        return f"{self._root.rstrip('/')}/{name}"

    def write(self, name: str, tables: Iterable[Any], schema: Any) -> int:
        """Put a stream of tables there as one file, whole or not at all; returns the number of rows.

        Raises:
            StoreError: it cannot be written; what was there before is still there.
        """
        path = self.path(name)
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            if "file" in _protocols(self._system):
                with write_whole(path) as file:
                    return _write(file, tables, schema)
            with tempfile.TemporaryDirectory() as near:
                with write_whole(f"{near}/part") as file:
                    rows = _write(file, tables, schema)
                self._system.put_file(f"{near}/part", path)  # an object appears when it is complete
                return rows
        except OSError as error:
            raise StoreError(f"{self.location}/{name}: cannot be written ({error})") from error

    def rows(self, name: str) -> int:
        """Number of rows of a table, from its footer. Raises IndexFormatError as ``table``."""
        return int(self._read(name, lambda file: arrow().parquet.read_metadata(file).num_rows))

    def table(self, name: str) -> Any:
        """Read a table. Raises IndexFormatError where the file is no whole parquet file."""
        return self._read(name, lambda file: arrow().parquet.read_table(file))

    def _read(self, name: str, how: Callable[[Any], Any]) -> Any:
        pyarrow = arrow()
        try:
            with self._system.open(self.path(name), "rb") as file:
                return how(file)
        except (pyarrow.ArrowException, EOFError, ValueError) as error:
            raise IndexFormatError(
                f"{self.location}/{name}: damaged ({error}); delete it, and it is made again"
            ) from error
        except OSError as error:
            raise StoreError(f"{self.location}/{name}: cannot be read ({error})") from error

    def names(self, sub: str = "") -> list[str]:
        """Parquet files in it, in the order of their names; none where it does not exist."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = self._system.ls(self.path(sub).rstrip("/"), detail=False)
            names = (path.rstrip("/").rpartition("/")[2] for path in found)
            return sorted(name for name in names if name.endswith(".parquet"))
        return []


class Plan:
    """Which inputs belong to which part, for ever; inputs that come later get parts of their own.

    Args:
        folder: where the parts go.
        fingerprint: of the model that all codes there are of.
        rows: inputs in a part.
    """

    def __init__(self, folder: Folder, *, fingerprint: str, rows: int) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._rows = rows
        self._files = folder.names(PLAN_FOLDER)

    def extend(self, paths: Iterable[bytes]) -> None:
        """Write down the inputs that are not in it yet, in parts of their own.

        Raises:
            ModelMismatchError: the folder holds codes of another model.
        """
        known: set[bytes] = set()  # digests: 16 bytes each, whatever the length of a path
        part = first = -1
        for table in self._tables():
            for column in table["path"].chunks:
                known.update(_digest(path.as_py()) for path in column)
            if len(table):
                first, part = table["id"][-1].as_py(), table["part"][-1].as_py()
        new: list[bytes] = []
        for path in paths:
            if (digest := _digest(path)) not in known:
                known.add(digest)
                new.append(path)
        if not new:
            return
        pyarrow = arrow()
        size = len(new)
        table = pyarrow.table(
            {
                "part": pyarrow.array((part + 1 + np.arange(size) // self._rows).astype(np.int32)),
                "id": pyarrow.array(first + 1 + np.arange(size)),
                "path": pyarrow.array(new, pyarrow.binary()),
            }
        ).replace_schema_metadata({"vhash.fingerprint": self._fingerprint})
        name = f"plan-{len(self._files):04d}.parquet"
        self._folder.write(f"{PLAN_FOLDER}/{name}", [table], table.schema)
        self._files.append(name)

    def parts(self) -> Iterator[Part]:
        """All parts, done or not."""
        for table in self._tables():
            numbers = table["part"].to_numpy()
            starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
            for start, end in pairwise([*starts, len(numbers)]):
                some = table.slice(start, end - start)
                yield Part(int(numbers[start]), some["id"].to_pylist(), some["path"].to_pylist())

    def _tables(self) -> Iterator[Any]:
        for name in self._files:
            table = self._folder.table(f"{PLAN_FOLDER}/{name}")
            found = (table.schema.metadata or {}).get(b"vhash.fingerprint", b"").decode(errors="replace")
            _check_plan(f"{self._folder.location}/{PLAN_FOLDER}/{name}", table)
            if found != self._fingerprint:
                raise ModelMismatchError(
                    f"{self._folder.location} holds codes of model {found[:8] or 'unknown'}, not of "
                    f"{self._fingerprint[:8]}; go on with that model, or give another folder"
                )
            yield table


def _check_plan(where: str, table: Any) -> None:
    """Raise IndexFormatError unless a table is a plan: numbers of parts, ids and paths, none missing."""
    expected = {"part": "int32", "id": "int64", "path": "binary"}
    found = {field.name: str(field.type) for field in table.schema}
    whole = expected == found and not any(table[name].null_count for name in expected)
    if not whole or (len(table) and min(table["part"].to_numpy().min(), table["id"].to_numpy().min()) < 0):
        raise IndexFormatError(
            f"{where}: is no plan of encode_dataset (columns {found}); give a new folder, or bring it back"
        )


def _write(file: BinaryIO, tables: Iterable[Any], schema: Any) -> int:
    """Write a parquet file, a row group for each table; returns the number of rows."""
    rows = 0
    with arrow().parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            rows += len(table)
    return rows


def _digest(path: bytes) -> bytes:
    return hashlib.blake2b(path, digest_size=16).digest()


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)
