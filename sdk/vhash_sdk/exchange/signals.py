"""What our signal type needs beside ``threatexchange``: codes as text, their radius, an index of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode, as_codes, same_model
from ..errors import CodeError, ModelNotFoundError, VhashError
from ..index.memory import Index
from ..matching.calibration import USUAL_RATE
from ..models import zoo
from ..names import safe
from ..spec import ModelSpec

T = TypeVar("T")
_log = logging.getLogger("vhash_sdk")


def code_of(text: str) -> VideoCode:
    """A code from its text.

    Raises:
        CodeError: it is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise CodeError("an empty text is no code: expected vh1:<8 hex>:<bits>:<hex>")
    return VideoCode.from_text(text)


def radius_of(fingerprint: str, bits: int) -> int:
    """The distance up to which two codes of a model are taken for copies: strangers get as near 1e-4 times.

    Args:
        fingerprint: of the model, or its first 8 hex digits.
        bits: of its codes.

    Raises:
        ModelNotFoundError: no model here has this fingerprint and a calibration.

    >>> from vhash_sdk import Encoder
    >>> with Encoder("small") as encoder:
    ...     radius_of(encoder.spec.fingerprint[:8], 64) == encoder.threshold()
    True
    """
    for known, radius in _radii():
        if known.bits == bits and same_model(known.fingerprint, fingerprint):
            return radius
    raise ModelNotFoundError(
        f"codes of model {fingerprint[:8]} ({bits} bits): no calibrated model here has it, so no "
        "distance is known to mean a copy; register the model they were made with (docs/library.md)"
    )


@cache
def _radii() -> tuple[tuple[ModelSpec, int], ...]:
    """The models here that are calibrated, each with its radius."""
    found = []
    for name in (*zoo.names(), *zoo.own()):
        try:
            model = zoo.load(name)
            table = model.calibration
            if table is not None:
                found.append((model.spec, table.threshold(max(USUAL_RATE, table.smallest_rate))))
        except VhashError as error:  # of one's own models one may have gone
            _log.warning("%s", safe(str(error)))
    return tuple(found)


class SignalStore(Generic[T]):
    """Codes of any models, each model's in an index of its own, with what is to be said of each.

    >>> from vhash_sdk.models import zoo
    >>> code = f"vh1:{zoo.load('small').spec.fingerprint[:8]}:64:" + "0f" * 8
    >>> store = SignalStore[str]()
    >>> store.add(code, "known since May")
    >>> store.query(code.removesuffix("0f") + "0e")
    [(1, 'known since May')]
    """

    def __init__(self) -> None:
        self._entries: list[T] = []
        self._indexes: dict[tuple[str, int], Index] = {}  # by fingerprint and bits
        self._numbers: dict[tuple[str, int], list[int]] = {}  # the ids in each

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, text: str, entry: T) -> None:
        """Add a code; one that is there keeps what is said of it as well.

        Raises:
            CodeError: it is none.
            ModelNotFoundError: nothing is known of its model.
        """
        self._put([(code_of(text), entry)])

    def add_all(self, entries: Iterable[tuple[str, T]]) -> None:
        """Add many; what is no code of a model that is known here is left out, with a warning."""
        good: list[tuple[VideoCode, T]] = []
        for text, entry in entries:
            try:
                code = code_of(text)
                radius_of(code.fingerprint[:8], code.bits)
                good.append((code, entry))
            except VhashError as error:
                _log.warning("a signal is left out: %s", safe(str(error)))
        self._put(good)

    def _put(self, entries: list[tuple[VideoCode, T]]) -> None:
        groups: dict[tuple[str, int], list[tuple[VideoCode, int]]] = {}
        for code, _ in entries:
            radius_of(code.fingerprint[:8], code.bits)
        for code, entry in entries:
            key = (code.fingerprint[:8], code.bits)
            groups.setdefault(key, []).append((code, len(self._entries)))
            self._entries.append(entry)
        for key, rows in groups.items():
            numbers = [number for _, number in rows]
            index = self._indexes.setdefault(key, Index(key[1]))
            index.add(np.stack([code.code for code, _ in rows]), numbers)
            self._numbers.setdefault(key, []).extend(numbers)

    def query(self, text: str) -> list[tuple[int, T]]:
        """(distance, what was said) of all codes within the radius of their model, the nearest first.

        An empty text, which stands for a video without a code, has none.

        Raises:
            CodeError: it is no code.
        """
        if not text:
            return []
        code = code_of(text)
        index = self._indexes.get((code.fingerprint[:8], code.bits))
        if index is None:
            return []
        ids, distances = index.range_search(code.code, radius_of(code.fingerprint[:8], code.bits))[0]
        return [(int(d), self._entries[i]) for i, d in zip(ids, distances, strict=True)]

    def state(self) -> dict[str, Any]:
        """All of it as plain values and bytes."""
        parts = []
        for (fingerprint, bits), index in self._indexes.items():
            ids = np.array(self._numbers[fingerprint, bits], np.int64)
            parts.append((fingerprint, bits, ids.tobytes(), index.codes(ids).tobytes()))
        return {"version": 1, "entries": self._entries, "indexes": parts}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SignalStore[T]:
        """What ``state`` gave.

        Raises:
            CodeError: it is of another version, or damaged.
        """
        if state.get("version") != 1:
            raise CodeError(f"an index of version {state.get('version')!r}; build it again from its signals")
        store = cls()
        store._entries = list(state["entries"])
        for fingerprint, bits, ids, codes in state["indexes"]:
            numbers: NDArray[np.int64] = np.frombuffer(ids, np.int64)
            rows = np.frombuffer(codes, np.uint8).reshape(len(numbers), -1)
            index = store._indexes[fingerprint, bits] = Index(bits)
            index.add(as_codes(rows, bits), numbers)
            store._numbers[fingerprint, bits] = numbers.tolist()
        return store
