"""What cannot be sent to another process, or is used after it was closed, says what to do instead."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import FakeEncoder
from vhash_sdk import Encoder, Index
from vhash_sdk.errors import StoreError
from vhash_sdk.library import Library


def test_each_says_what_to_do_instead(tmp_path: Path) -> None:
    with (
        Encoder("small") as encoder,
        Library(tmp_path / "library", encoder=FakeEncoder()) as library,
        Index.open(tmp_path / "store", bits=64) as stored,
    ):
        for one, instead in (
            (Index(64), r"an Index .* save\(\) it"),
            (stored, "a StoredIndex .* open its directory"),
            (encoder, "an Encoder .* one in each process"),
            (library, "a Library .* open its directory"),
        ):
            for send in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match=instead):
                    send(one)


def test_a_closed_library_says_so(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", encoder=FakeEncoder())
    library.close()
    for use in (lambda: len(library), lambda: library.add([tmp_path]), lambda: list(library)):
        with pytest.raises(StoreError, match="was closed; open it again"):
            use()
