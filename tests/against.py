"""An index beside a dictionary: the changes that every kind of index takes, in any sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from vhash_sdk.codes import hamming_distance

SOME_IDS = st.lists(st.integers(-50, 300), unique=True, max_size=30)


class Against(RuleBasedStateMachine):
    """Makes changes of ``index``, of 24-bit codes, and the same changes of ``model``."""

    index: Any

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, bytes] = {}
        self.next = 0

    def codes(self, n: int, seed: int) -> np.ndarray:
        """Random codes, many of them equal or near."""
        return np.random.default_rng(seed).integers(0, 4, (n, 3), dtype=np.uint8)

    @rule(ids=SOME_IDS, seed=st.integers(0, 99))
    def add_ids(self, ids: list[int], seed: int) -> None:
        codes = self.codes(len(ids), seed)
        if self.model.keys() & set(ids):
            with pytest.raises(ValueError, match="already in"):
                self.index.add(codes, ids)
        else:
            self.index.add(codes, ids)
            self.put(codes, ids)

    @rule(ids=SOME_IDS, seed=st.integers(0, 99))
    def upsert(self, ids: list[int], seed: int) -> None:
        codes = self.codes(len(ids), seed)
        self.index.upsert(codes, ids)
        self.put(codes, ids)

    @rule(ids=st.lists(st.integers(-50, 300), max_size=60))
    def remove(self, ids: list[int]) -> None:
        assert self.index.remove(ids) == len(self.model.keys() & set(ids))
        for id in ids:
            self.model.pop(id, None)

    def put(self, codes: np.ndarray, ids: list[int]) -> None:
        self.model.update(zip(ids, (code.tobytes() for code in codes), strict=True))
        self.next = max([self.next, *(id + 1 for id in ids)])

    def assert_same(self) -> None:
        """The index holds what the dictionary holds, and finds it in order."""
        assert len(self.index) == len(self.model)
        ids = sorted(self.model)
        assert self.index.codes(ids).tobytes() == b"".join(self.model[id] for id in ids)
        query = np.uint8([[1, 2, 3]])
        found = self.index.search(query, 7)
        stored = np.frombuffer(b"".join(self.model[id] for id in ids), np.uint8).reshape(-1, 3)
        expected = sorted(zip(hamming_distance(stored, query).tolist(), ids, strict=True))[:7]
        assert list(zip(found.distances[0].tolist(), found.ids[0].tolist(), strict=True)) == expected


class AgainstFresh(Against):
    """The same of an index that is new, so that the ids that it gives out are known."""

    @rule(n=st.integers(0, 80), seed=st.integers(0, 99))
    def add(self, n: int, seed: int) -> None:
        codes = self.codes(n, seed)
        ids = self.index.add(codes).tolist()
        assert ids == list(range(self.next, self.next + n))
        self.put(codes, ids)

    @rule()
    def remove_most(self) -> None:
        ids = list(self.model)[: len(self.model) * 9 // 10]
        assert self.index.remove(ids) == len(ids)
        for id in ids:
            del self.model[id]
