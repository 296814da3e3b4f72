"""A store against a dictionary: any sequence of changes, openings, refreshes and compactions."""

from __future__ import annotations

import os
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vhash_sdk.errors import StoreError
from vhash_sdk.index import Index
from vhash_sdk.store import StoredIndex

from .test_store import contents, random_codes


class Against(RuleBasedStateMachine):
    """Any sequence of changes, sealing, merging, reopening and refreshing equals a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.where = os.path.join(self.folder, "store")
        self.model: dict[int, bytes] = {}
        self.next = 0

    @initialize(seal=st.sampled_from([1, 7, 40, 1000]))
    def create(self, seal: int) -> None:
        self.seal = seal
        self.index = StoredIndex(self.where, bits=20, seal_rows=seal)
        self.reader = Index.open(self.where, mode="r")

    @rule(n=st.integers(0, 40), seed=st.integers(0, 99))
    def add(self, n: int, seed: int) -> None:
        codes = self._codes(n, seed)
        ids = self.index.add(codes).tolist()
        assert ids == list(range(self.next, self.next + n))
        self._put(codes, ids)

    @rule(ids=st.lists(st.integers(-50, 200), unique=True, max_size=30), seed=st.integers(0, 99))
    def upsert(self, ids: list[int], seed: int) -> None:
        codes = self._codes(len(ids), seed)
        self.index.upsert(codes, ids)
        self._put(codes, ids)

    @rule(ids=st.lists(st.integers(-50, 200), unique=True, max_size=30), seed=st.integers(0, 99))
    def add_ids(self, ids: list[int], seed: int) -> None:
        codes = self._codes(len(ids), seed)
        if self.model.keys() & set(ids):
            with pytest.raises(ValueError, match="already in the index"):
                self.index.add(codes, ids)
        else:
            self.index.add(codes, ids)
            self._put(codes, ids)

    @rule(ids=st.lists(st.integers(-50, 200), max_size=60))
    def remove(self, ids: list[int]) -> None:
        assert self.index.remove(ids) == len(self.model.keys() & set(ids))
        for id in ids:
            self.model.pop(id, None)

    @rule()
    def remove_most(self) -> None:
        ids = list(self.model)[: len(self.model) * 9 // 10]
        assert self.index.remove(ids) == len(ids)
        for id in ids:
            del self.model[id]

    @rule()
    def compact(self) -> None:
        self.index.compact()
        state = self.index.state()
        assert (state.logs, state.dead_rows, state.sealed_rows) == (1, 0, len(self.model))
        assert state.segments == bool(self.model)

    @rule()
    def reopen(self) -> None:
        self.index.close()
        with pytest.raises(StoreError, match="closed"):
            self.index.add(self._codes(1, 0))
        self.index = StoredIndex(self.where, seal_rows=self.seal)

    @rule()
    def read(self) -> None:
        self.reader.refresh()
        assert contents(self.reader) == self.model
        assert not self.reader.refresh()

    @rule()
    def read_anew(self) -> None:
        self.reader = Index.open(self.where, mode="r")
        assert contents(self.reader) == self.model

    def _codes(self, n: int, seed: int) -> np.ndarray:
        return random_codes(n, 3, seed) & np.uint8([3, 3, 15])

    def _put(self, codes: np.ndarray, ids: list[int]) -> None:
        self.model.update(zip(ids, (code.tobytes() for code in codes), strict=True))
        self.next = max([self.next, *(id + 1 for id in ids)])

    @invariant()
    def same(self) -> None:
        if hasattr(self, "index"):
            assert contents(self.index) == self.model and len(self.index) == len(self.model)
            assert not self.index.state().trouble

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


TestAgainst = Against.TestCase
TestAgainst.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
