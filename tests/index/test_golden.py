"""Files that past versions wrote: each loads, for ever (tests/golden.py wrote them)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import golden
from vhash_sdk.index import Index

from .test_store import contents

STORES = sorted(golden.HERE.glob("store_v*"))
FILES = sorted(golden.HERE.glob("index_v*.vhash"))


def test_there_are_some_of_every_version() -> None:
    assert {"store_v1"} <= {path.name for path in STORES}
    assert {"index_v1_ids.vhash", "index_v1_sequence.vhash"} <= {path.name for path in FILES}


@pytest.mark.parametrize("source", STORES, ids=lambda path: path.name)
def test_stores_open(source: Path, tmp_path: Path) -> None:
    expected = {id: golden.code(id, turn) for id, turn in golden.STORE.items()}
    for directory in (source, tmp_path / "copy"):
        if directory != source:
            shutil.copytree(source, directory)
        reader = Index.open(directory, mode="r")
        assert (reader.bits, reader.model) == (golden.BITS, golden.MODEL)
        assert contents(reader) == expected
    with Index.open(tmp_path / "copy") as index:
        assert contents(index) == expected
        assert index.add(golden.codes([1])).tolist() == [golden.NEXT_ID]
        index.compact()
        assert contents(index) == expected | {golden.NEXT_ID: golden.code(1)}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("mmap", [True, False])
def test_index_files_load(file: Path, mmap: bool) -> None:
    index = Index.load(file, mmap=mmap)
    assert (index.bits, index.model) == (golden.BITS, golden.MODEL)
    ids = [9, -3, 2**50, 0] if "ids" in file.name else list(range(5, 40))
    assert contents(index) == {id: golden.code(id) for id in ids}
    assert index.search(np.zeros((1, 3), np.uint8), 3).ids.shape == (1, 3)
