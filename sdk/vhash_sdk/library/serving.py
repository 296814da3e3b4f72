"""A library's codes in an index elsewhere: brought up to date from SQLite, which stays the truth.

A stamp in the index says of which library and generation its codes are, and up to which row of codes they
go. The stamp is written after the codes, so one that matches can be trusted, and whatever was killed in
between is made good by the next look.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..codes import code_bytes, same_model
from ..engines.open import open_index
from ..errors import ModelMismatchError, OptionError, StoreError
from ..index.protocol import OpenIndex
from ..spec import ModelSpec
from ..system.strict_json import parse_json
from .database import Database
from .reading import Arrays, codes_between, new_codes

logger = logging.getLogger("vhash_sdk")

_STAMP = "library"
_ROWS = 10_000


class ServedIndex(OpenIndex, Protocol):
    """An index that can carry a stamp and be read from end to end: ``MilvusIndex`` is one."""

    def note(self, name: str) -> str:
        """What ``set_note`` stored, or an empty text."""
        ...

    def set_note(self, name: str, text: str) -> None:
        """Keep a short text, durably."""
        ...

    def rows(self, *, batch: int = ...) -> Iterator[Arrays]:
        """Everything, by ascending id."""
        ...


def serve(database: Database, index: str | ServedIndex, spec: ModelSpec) -> Served:
    """A library's view of an index elsewhere.

    Raises:
        OptionError: the index cannot carry a stamp: give a Milvus location.
        ModelMismatchError: it holds codes of another model.
    """
    if not isinstance(index, str):
        if index.bits != spec.bits or not same_model(index.model, spec.fingerprint):
            raise ModelMismatchError(f"{index!r} is not of the library's model {spec.fingerprint[:8]}")
        return Served(database, index, spec, owned=False)
    if "://" not in index:
        raise OptionError(
            f"index={index!r}: expected milvus://host:port/collection or milvus-lite://file.db/collection; "
            "on this machine a library keeps its own index"
        )
    opened = open_index(index, bits=spec.bits, model=spec.fingerprint)
    return Served(database, opened, spec, owned=True)  # type: ignore[arg-type]  # every scheme there is one


class Served:
    """The codes of whole videos of one library, in one index.

    Attributes:
        where: the index, for people.
    """

    def __init__(self, database: Database, index: ServedIndex, spec: ModelSpec, *, owned: bool) -> None:
        self._db = database
        self._index = index
        self._spec = spec
        self.where = repr(index)
        self._owned = owned
        self._generation = ""  # that the index is known to have

    def current(self) -> ServedIndex:
        """The index, after whatever has changed in the library since.

        Raises:
            StoreError: the index holds codes of something else, or cannot be written.
            UnreachableError: its server gives no answer.
        """
        if self._generation != self._db.generation():
            self._bring_up_to_date()
        return self._index

    def close(self) -> None:
        """Close the index, if it was opened for this."""
        if self._owned:
            self._index.close()

    def _bring_up_to_date(self) -> None:
        uuid, stamp = self._db.uuid(), self._read_stamp()
        if stamp.get("uuid", uuid) != uuid or (not stamp and len(self._index)):
            raise StoreError(
                f"{self.where}: holds codes that are not of this library; give it a collection of its own"
            )
        # the generation first: what is written meanwhile makes it stale, and the next look goes on
        generation, last = self._db.generation(), stamp.get("last", 0)
        if stamp.get("generation") != generation:
            if not stamp:
                self._stamp(uuid, "", 0)
            while rows := new_codes(self._db, self._spec.bits, last, _ROWS):
                ids, codes, last = rows
                self._index.upsert(codes, ids)
            if len(self._index) != self._db.count():  # something was removed, by us or behind our back
                changed = self.repair()
                logger.info("%s: %d codes differed from the library's", self.where, changed)
            self._stamp(uuid, generation, last)
        self._generation = generation

    def _read_stamp(self) -> dict[str, Any]:
        """What the last writer left in the index, which anybody may have written to since."""
        text = self._index.note(_STAMP)
        try:
            stamp = parse_json(text) if text else {}
            if not stamp or (
                isinstance(stamp["uuid"], str)
                and isinstance(stamp["generation"], str)
                and type(stamp["last"]) is int
                and stamp["last"] >= 0
            ):
                return dict(stamp)
            raise ValueError(text[:100])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self.where}: its note of what it holds cannot be read ({error!r}); drop the collection, "
                "it is filled again"
            ) from error

    def _stamp(self, uuid: str, generation: str, last: int) -> None:
        self._index.set_note(_STAMP, json.dumps({"uuid": uuid, "generation": generation, "last": last}))

    def repair(self) -> int:
        """Make the index equal to the library, reading both from end to end; returns how many differed."""
        changed = 0
        for wrong, ids, codes in self.differences():
            changed += self._index.remove(wrong)
            self._index.upsert(codes, ids)
            changed += len(ids)
        return changed

    def check(self) -> int:
        """How many codes differ from the library's, once the index is up to date; reads all of both.

        Where any do, the stamp says no more how far the index goes, so that the next look writes all
        codes again.
        """
        self.current()
        wrong = sum(len(strange) + len(ids) for strange, ids, _ in self.differences())
        if self._generation != self._db.generation():  # another process has written since
            return 0
        if wrong:
            self._stamp(self._db.uuid(), "", 0)
            self._generation = ""
        return wrong

    def differences(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
        """Batches of (ids that the index should not have, ids and codes that it should have and has not)."""
        low, size = -(2**63), code_bytes(self._spec.bits)
        for ids, codes in self._index.rows():
            yield from self._differing(ids, codes, low, int(ids[-1]))
            low = int(ids[-1])
        yield from self._differing(np.empty(0, np.int64), np.empty((0, size), np.uint8), low, 2**63 - 1)

    def _differing(
        self, ids: NDArray[np.int64], codes: NDArray[np.uint8], low: int, high: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
        """The index's rows with low < id ≤ high, compared with the library's."""
        while low < high:
            own, own_codes = codes_between(self._db, self._spec.bits, low, high, _ROWS)
            upto = int(own[-1]) if len(own) == _ROWS else high
            there = (ids > low) & (ids <= upto)
            _, i, j = np.intersect1d(ids[there], own, assume_unique=True, return_indices=True)
            same = (codes[there][i] == own_codes[j]).all(axis=1)
            missing = np.ones(len(own), bool)
            missing[j[same]] = False
            wrong = np.setdiff1d(ids[there], own, assume_unique=True)
            if len(wrong) or missing.any():
                yield wrong, own[missing], own_codes[missing]
            low = upto
