"""An index in Milvus: exact, ordered by (distance, id), of one model, as every index of vhash."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..codes import code_bytes
from ..errors import OptionError, UnknownIdError
from ..index.arguments import Codes, checked_codes, checked_ids, checked_model, checked_range, eligible_ids
from ..index.matches import Matches, RangeMatches
from ..system.checks import checked_count
from .milvus_client import Connection, Location
from .milvus_collection import Collection, MilvusOptions
from .milvus_search import MOST, Searcher

__all__ = ["MilvusIndex", "MilvusOptions"]

_UPSERT_ROWS = 10_000
_IN_ROWS = 10_000  # ids in one expression
_IDS_RESERVED = 65_536
_LAST_ID = 2**63 - 1


class MilvusIndex:
    """An index in a Milvus collection; ``open_index("milvus://…")`` makes it. May be shared by threads.

    Args:
        location: ``milvus://[user:password@]host:port/collection`` (``milvus+tls://`` encrypts), or
            ``milvus-lite://file.db/collection`` for a file of this machine.
        bits: width of the codes; None: the collection must exist.
        model: fingerprint of the model whose codes it holds.
        options: see ``MilvusOptions``.

    Where it differs from ``Index``: k is at most 16,384 (``range_search`` has no limit); a call of more
    than 10,000 codes that fails may have stored some of them: repeat it; only one process may let
    ``add`` choose ids; ids after a crash go on up to 65,536 higher.

    Raises:
        UnreachableError: no server there, or no answer in time (a ``ConnectionError``).
        ModelMismatchError: it holds codes of another model.
        OptionError: a bad location, or the collection has another width or kind of index.
        StoreError: there is no such collection, it is not one of vhash, or Milvus refuses.
        MissingDependencyError: pymilvus or milvus-lite is not installed.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        bits: int | None = None,
        model: str | None = None,
        options: MilvusOptions | None = None,
    ) -> None:
        if bits is not None:
            code_bytes(bits)
        self.options = options or MilvusOptions()
        self.location = Location.parse(os.fspath(location))
        self._name = self.location.collection
        self._connection = Connection(self.location, timeout=self.options.timeout, token=self.options.token)
        self._collection = Collection(self._connection, self.options)
        self._lock = threading.Lock()
        # writes, and how many of them reads are sure to see; the first stands for those of earlier clients
        self._writes, self._seen = 1, 0
        try:
            notes = self._collection.open(bits, checked_model(model))
        except BaseException:
            self._connection.close()
            raise
        self._bits, self._model = int(notes["bits"]), notes["model"]
        self._next = self._reserved = int(notes["next_id"])
        params = {} if self.options.exact else {"nprobe": self.options.nprobe}
        self._searcher = Searcher(self._read, self._bits, params)

    @property
    def bits(self) -> int:
        """Width of the codes, in bits."""
        return self._bits

    @property
    def model(self) -> str | None:
        """Fingerprint of the model whose codes these are, or None where it is not known."""
        return self._model or None

    def __len__(self) -> int:
        return int(self._read("query", filter="", output_fields=["count(*)"])[0]["count(*)"])

    def __contains__(self, id: object) -> bool:
        fits = isinstance(id, (int, np.integer)) and -(2**63) < int(id) < _LAST_ID
        return fits and bool(self._existing(np.array([id], np.int64)))

    def add(
        self,
        codes: Codes,
        ids: ArrayLike | None = None,
        *,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> NDArray[np.int64]:
        """Add codes and return their ids, int64 ``[n]``; ``metadata`` as for ``upsert``.

        Raises:
            OptionError: an id exists already or comes twice (a ``ValueError``).
        """
        array, model = checked_codes(codes, self._bits, self.model)
        with self._lock:
            if ids is None:
                wanted = np.arange(self._next, self._next + len(array), dtype=np.int64)
            else:
                wanted = _storable_ids(ids, len(array))
                if taken := self._existing(wanted[wanted < self._next]):
                    raise OptionError(
                        f"id {min(taken)} is already in {self.location}; upsert replaces its code"
                    )
            self._write(array, wanted, model, metadata)
        return wanted

    def upsert(
        self,
        codes: Codes,
        ids: ArrayLike,
        *,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add codes under ``ids``, replacing the codes and the metadata of those that exist.

        Args:
            codes: as for ``Index``.
            ids: int64 ``[n]``.
            metadata: for each code what ``where`` may ask for: strings, numbers, booleans by name.

        Raises:
            OptionError: an id comes twice, or metadata are not one mapping for each code.
            StoreError, UnreachableError: of many codes some may be stored; the same call again is safe.
        """
        array, model = checked_codes(codes, self._bits, self.model)
        wanted = _storable_ids(ids, len(array))
        with self._lock:
            self._write(array, wanted, model, metadata)

    def _write(
        self,
        codes: NDArray[np.uint8],
        ids: NDArray[np.int64],
        model: str | None,
        metadata: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        if metadata is not None and (
            len(metadata) != len(ids) or any({"id", "code"} & entry.keys() for entry in metadata)
        ):
            raise OptionError(
                f"{len(metadata)} metadata for {len(ids)} codes: pass one mapping for each code, without the "
                "names 'id' and 'code'"
            )
        if not len(ids):
            return
        self._adopt(model)
        self._reserve(int(ids.max()) + 1)
        for start in range(0, len(ids), _UPSERT_ROWS):
            part = slice(start, start + _UPSERT_ROWS)
            extra = metadata[part] if metadata is not None else [{}] * len(ids[part])
            rows = [
                {**more, "id": id, "code": code.tobytes()}
                for id, code, more in zip(ids[part].tolist(), codes[part], extra, strict=True)
            ]
            self._writes += 1  # before: a call that fails may have written as well
            self._call("upsert", self._name, rows)

    def _adopt(self, model: str | None) -> None:
        if model and len(model) > len(self._model):
            self._collection.notes.write({"model": model})
            self._model = model

    def _reserve(self, upto: int) -> None:
        """Make sure that no later process gives out an id below ``upto``."""
        if upto > self._reserved:
            reserved = min(upto + _IDS_RESERVED, _LAST_ID)
            self._collection.notes.write({"next_id": str(reserved)})
            self._reserved = reserved
        self._next = max(self._next, upto)

    def remove(self, ids: ArrayLike) -> int:
        """Remove those of the ids that exist and return how many there were."""
        with self._lock:
            found = sorted(self._existing(np.unique(checked_ids(ids, None))))
            for start in range(0, len(found), _IN_ROWS):
                self._writes += 1
                self._call("delete", self._name, ids=found[start : start + _IN_ROWS])
        return len(found)

    def codes(self, ids: ArrayLike) -> NDArray[np.uint8]:
        """Codes of ids, ``uint8[n, bytes]`` in their order. Raises UnknownIdError."""
        wanted = checked_ids(ids, None)
        rows = self._rows(wanted, ["code"])
        raw = b"".join(rows[id]["code"][0] for id in wanted.tolist())
        return np.frombuffer(raw, np.uint8).reshape(len(wanted), code_bytes(self._bits)).copy()

    def metadata(self, ids: ArrayLike) -> list[dict[str, Any]]:
        """Metadata of ids, in their order. Raises UnknownIdError."""
        wanted = checked_ids(ids, None)
        rows = self._rows(wanted, ["*"])
        return [{k: v for k, v in rows[id].items() if k not in ("id", "code")} for id in wanted.tolist()]

    def search(
        self, codes: Codes, k: int = 10, *, among: ArrayLike | None = None, where: str = ""
    ) -> Matches:
        """Find the k nearest codes of each query, by (distance, id), ties at the cut included.

        Args:
            codes: the queries.
            k: how many neighbours of each, at most 16,384 where there are more codes than that.
            among: eligible ids, or a boolean mask with a place for each id from 0; None: all.
            where: eligible by metadata, in Milvus's language: ``'year > 1999 and owner == "ann"'``.
        """
        array, _ = checked_codes(codes, self._bits, self.model)
        wanted = checked_count("k", k, 0)
        if wanted > MOST:
            wanted, asked = len(self), wanted
            if wanted > MOST:
                raise OptionError(f"k={asked}: Milvus gives {MOST:,} at most; range_search has no limit")
        return self._searcher.nearest(array, wanted, self._filters(among), where)

    def range_search(
        self,
        codes: Codes,
        radius: int,
        *,
        limit: int | None = None,
        among: ArrayLike | None = None,
        where: str = "",
    ) -> RangeMatches:
        """Find all codes within ``radius`` bits (inclusive) of each query, by (distance, id).

        With ``limit`` at most that many of the nearest are returned for each query; ``among`` and
        ``where`` are as for ``search``.
        """
        array, _ = checked_codes(codes, self._bits, self.model)
        within, most = checked_range(radius, limit, self._bits)
        return self._searcher.within(array, within, most, self._filters(among), where)

    def rows(self, *, batch: int = MOST) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Everything, as batches of (ids, codes) by ascending id.

        What is written meanwhile may be in or not.
        """
        last, size = -(2**63) + 1, code_bytes(self._bits)
        step = max(1, min(batch, MOST))
        while found := self._read("query", filter=f"id >= {last}", output_fields=["id", "code"], limit=step):
            found = sorted(found, key=lambda row: row["id"])
            ids = np.array([row["id"] for row in found], np.int64)
            raw = b"".join(row["code"][0] for row in found)
            yield ids, np.frombuffer(raw, np.uint8).reshape(len(ids), size)
            last = int(ids[-1]) + 1

    def note(self, name: str) -> str:
        """What was last stored under ``name`` by ``set_note``, or an empty text."""
        return self._collection.notes.read().get(f"user.{name}", "")

    def set_note(self, name: str, text: str) -> None:
        """Keep a short text beside the codes, durably: where a copy came from, for example."""
        self._collection.notes.write({f"user.{name}": text})

    def drop(self) -> None:
        """Delete the collection with everything in it, and close."""
        self._collection.drop()
        self._next = self._reserved
        self._connection.close()

    def close(self) -> None:
        """Let go of the connection; what was acknowledged stays."""
        if self._next < self._reserved:  # the ids that were not given out are free again
            self._collection.notes.write({"next_id": str(self._next)})
            self._reserved = self._next
        self._connection.close()

    def _filters(self, among: ArrayLike | None) -> list[str] | None:
        ids = eligible_ids(among)
        if ids is None:
            return None
        ids = np.unique(ids)
        return [f"id in {ids[at : at + _IN_ROWS].tolist()}" for at in range(0, len(ids), _IN_ROWS)]

    def _rows(self, ids: NDArray[np.int64], fields: list[str]) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        unique = np.unique(ids)
        for start in range(0, len(unique), _IN_ROWS):
            expression = f"id in {unique[start : start + _IN_ROWS].tolist()}"
            for row in self._read("query", filter=expression, output_fields=fields):
                found[int(row["id"])] = dict(row)
        if fields != ["id"] and len(found) < len(unique):
            missing = next(id for id in ids.tolist() if id not in found)
            raise UnknownIdError(f"id {missing} is not in {self.location}")
        return found

    def _existing(self, ids: NDArray[np.int64]) -> set[int]:
        return set(self._rows(ids, ["id"])) if len(ids) else set()

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        return self._connection.call(method, *args, **options)

    def _read(self, method: str, **options: Any) -> Any:
        """A search or query that sees what the consistency promises."""
        writes, level = self._writes, self.options.level
        if level == "Session" and self._seen < writes:
            level = "Strong"  # Milvus 2.3's own sessions do not wait for deletions
        result = self._call(method, self._name, consistency_level=level, **options)
        if level == "Strong":
            self._seen = max(self._seen, writes)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MilvusIndex({str(self.location)!r}, bits={self._bits}, {self.options.kind})"


def _storable_ids(ids: ArrayLike, n: int) -> NDArray[np.int64]:
    array = checked_ids(ids, n)
    unique, counts = np.unique(array, return_counts=True)
    if len(unique) != len(array):
        raise OptionError(f"id {unique[counts > 1][0]} comes twice; pass each id once")
    if len(array) and (unique[-1] == _LAST_ID or unique[0] == -(2**63)):
        raise OptionError(f"id {unique[-1]} is reserved; ids are above -2^63 and below 2^63 - 1")
    return array
