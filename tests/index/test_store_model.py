"""A store against a dictionary: any sequence of changes, openings, refreshes and compactions."""

from __future__ import annotations

import os
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.against import AgainstFresh
from vhash_sdk.errors import StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

from .test_store import contents, random_codes


class AgainstStore(AgainstFresh):
    """Any sequence of changes, sealing, merging, reopening and refreshing equals a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.where = os.path.join(self.folder, "store")

    @initialize(seal=st.sampled_from([1, 7, 40, 1000]))
    def create(self, seal: int) -> None:
        self.seal = seal
        self.index = StoredIndex(self.where, bits=20, seal_rows=seal)
        self.reader = Index.open(self.where, mode="r")

    def codes(self, n: int, seed: int) -> np.ndarray:
        return random_codes(n, 3, seed) & np.uint8([3, 3, 15])

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
            self.index.add(self.codes(1, 0))
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

    @invariant()
    def same(self) -> None:
        if hasattr(self, "index"):
            assert contents(self.index) == self.model and len(self.index) == len(self.model)
            assert not self.index.state().trouble

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


TestAgainst = AgainstStore.TestCase
TestAgainst.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
