"""Parquet, plans and notes that nobody vouches for: named errors, never rubbish taken for codes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vhash_sdk.engines.bulk import import_codes
from vhash_sdk.engines.parts import PLAN_FOLDER, Folder, Plan
from vhash_sdk.engines.sources import paths_of
from vhash_sdk.errors import IndexFormatError, OptionError, StoreError, VhashError
from vhash_sdk.index import Index

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'vhash-sdk[ray]'")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec", reason="needs fsspec: pip install 'vhash-sdk[ray]'")

CODES = [b"\1" * 8, b"\2" * 8]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a", "b"], "code": CODES}, "'id' is string"),
        ({"id": [0.5, 2.0], "code": CODES}, "'id' is double"),
        ({"id": [1, None], "code": CODES}, "no id"),
        ({"id": [1, 2], "code": ["text", "text"]}, "'code' is string"),
        ({"id": [1, 2], "code": [[1] * 8, [2] * 8]}, "'code' is list"),
        ({"id": [1, 2], "code": [b"\1" * 7, b"\2" * 9]}, "codes of 7 bytes"),
        ({"id": [1, 2], "code": [b"\1" * 8, b""]}, "codes of 0 bytes"),
        ({"id": [1, 1], "code": CODES}, "twice"),
        ({"id": [1, 2], "code": CODES, "fingerprint": [1, 2]}, "'fingerprint' is int64"),
        ({"id": [1, 2], "code": CODES, "fingerprint": ["", "x"]}, "model x"),
        ({"id": [1, 2]}, "no column 'code'"),
        ({"code": CODES}, "no column 'id'"),
    ],
)
def test_parquet_that_holds_no_codes_is_named(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    file = tmp_path / "codes.parquet"
    pq.write_table(pyarrow.table(columns), file)
    index = Index(64, model="0" * 64)
    with pytest.raises(VhashError, match=says):
        import_codes(file, index)
    assert len(index) == 0


def test_parquet_that_is_damaged_is_named(tmp_path: Path) -> None:
    file = tmp_path / "codes.parquet"
    pq.write_table(pyarrow.table({"id": [1, 2], "code": CODES}), file)
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        for content in (whole[:at], whole[:at] + bytes(8) + whole[at + 8 :]):
            file.write_bytes(content)
            index = Index(64)
            try:
                import_codes(file, index)
            except VhashError:
                assert len(index) == 0


@pytest.mark.parametrize("paths", [[1, 2], [None, "a"], [["a"], []], [""], [b""]])
def test_lists_of_paths_that_hold_none_are_named(tmp_path: Path, paths: list[Any]) -> None:
    pq.write_table(pyarrow.table({"path": paths}), tmp_path / "paths.parquet")
    with pytest.raises(StoreError, match="its column 'path' holds"):
        list(paths_of(tmp_path / "paths.parquet"))


def test_a_path_with_a_nul_is_named(tmp_path: Path) -> None:
    pq.write_table(pyarrow.table({"path": ["a\0b"]}), tmp_path / "paths.parquet")
    for source in (tmp_path / "paths.parquet", ["a\0b"]):
        with pytest.raises(OptionError, match="NUL"):
            list(paths_of(source))


@pytest.mark.parametrize(
    "columns",
    [
        {"part": ["x"], "id": [1], "path": [b"a"]},
        {"part": pyarrow.array([1], "int32"), "id": [None], "path": [b"a"]},
        {"part": pyarrow.array([-1], "int32"), "id": [1], "path": [b"a"]},
        {"part": pyarrow.array([1], "int32"), "id": [1]},
        {},
    ],
)
def test_a_plan_that_is_none_is_named(tmp_path: Path, columns: dict[str, Any]) -> None:
    (tmp_path / PLAN_FOLDER).mkdir()
    table = pyarrow.table(columns).replace_schema_metadata({"vhash.fingerprint": "f"})
    if columns:
        table = table.cast(pyarrow.schema(table.schema, {"vhash.fingerprint": "f"}))
    pq.write_table(table, tmp_path / PLAN_FOLDER / "plan-0000.parquet")
    plan = Plan(Folder(tmp_path), fingerprint="f", rows=2)
    with pytest.raises(IndexFormatError, match="is no plan"):
        plan.extend([b"/a", os.fsencode("/b")])
    with pytest.raises(IndexFormatError, match="is no plan"):
        list(plan.parts())


def test_a_job_of_pairs_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    from vhash_sdk.engines.pairs import find_pairs

    index = Index(64)
    index.add([[0] * 8, [1] * 8])
    index.save(tmp_path / "codes.vhi")
    (tmp_path / "out" / PLAN_FOLDER).mkdir(parents=True)
    for job in ({}, {"vhash.job": "[NaN]"}, {"vhash.job": "5"}, {"vhash.job": '{"radius": 1e999}'}):
        table = pyarrow.table({"a": [1]}).replace_schema_metadata(job)
        pq.write_table(table, tmp_path / "out" / PLAN_FOLDER / "pairs.parquet")
        with pytest.raises(IndexFormatError, match="does not say what the folder holds"):
            find_pairs(tmp_path / "codes.vhi", tmp_path / "out", radius=1)


class Notes:
    """An index elsewhere whose note anybody may have written to."""

    bits, model = 64, None

    def __init__(self, text: str) -> None:
        self.text = text

    def __len__(self) -> int:
        return 0

    def note(self, name: str) -> str:
        return self.text


@pytest.mark.parametrize(
    "text",
    ["NaN", "[]x", "[1]", "5", '{"uuid": 1}', '{"uuid": "u", "generation": "g", "last": 1e400}',
     '{"uuid": "u", "generation": "g", "last": -1}', '{"uuid": "u", "generation": "g", "last": 1.5}'],
)  # fmt: skip
def test_a_stamp_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    pytest.importorskip("onnx")
    from tests.library.test_library import Place

    place = Place(tmp_path)
    with place.open(index=Notes(text)) as library, pytest.raises(StoreError, match="cannot be read"):
        library.serve()


@pytest.mark.parametrize("notes", [{"bits": "x"}, {"bits": "0"}, {"bits": "9999"}, {"next_id": "-1"}])
def test_notes_of_a_collection_that_are_damaged_are_named(notes: dict[str, str]) -> None:
    from vhash_sdk.engines.milvus_collection import Collection, MilvusOptions

    collection = object.__new__(Collection)
    collection._where, collection._options = "milvus://there", MilvusOptions()  # type: ignore[assignment]
    with pytest.raises(StoreError, match="which is damaged"):
        collection._check({"bits": "64", "model": "", "next_id": "0", "index": "BIN_FLAT"} | notes, 64, "")
