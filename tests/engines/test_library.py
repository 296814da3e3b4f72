"""A library that serves from Milvus: SQLite is the truth, and the index follows it whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fake_encoder import BAD, MAGIC, FakeEncoder
from vhash_sdk import Library, open_index
from vhash_sdk.errors import ModelMismatchError, OptionError, StoreError
from vhash_sdk.library.serving import Served

pytest.importorskip("pymilvus", reason="pip install 'vhash-sdk[milvus]'")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("lite") / "codes.db"
    with open_index(f"milvus-lite://{place}/first", bits=8):  # stays open: opening takes a second
        yield place


@pytest.fixture
def where(file: Path, request: pytest.FixtureRequest) -> str:
    return f"milvus-lite://{file}/{request.node.name}"


def videos(folder: Path, count: int, start: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(start, start + count):
        (folder / f"{number:04d}.ivf").write_bytes(MAGIC + str(number).encode())


def contents(index: Any) -> dict[int, bytes]:
    return {
        id: code.tobytes()
        for ids, codes in index.rows()
        for id, code in zip(ids.tolist(), codes, strict=True)
    }


def truth(library: Library) -> dict[int, bytes]:
    return {entry.id: entry.code.code.tobytes() for entry in library}


def test_search_finds_what_the_cache_finds(tmp_path: Path, where: str) -> None:
    videos(tmp_path / "v", 40)
    (tmp_path / "v" / "bad.ivf").write_bytes(BAD)
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=where) as library:  # type: ignore[arg-type]
        library.add([tmp_path / "v"])
        code = next(iter(library)).code
        found = [(hit.distance, hit.entry.id) for hit in library.search(code, 7)]
        near = [(hit.distance, hit.entry.id) for hit in library.search(code, None, radius=25)]
        assert library.serve() == 40
    with Library(tmp_path / "l", encoder=FakeEncoder()) as plain:  # type: ignore[arg-type]
        assert found == [(hit.distance, hit.entry.id) for hit in plain.search(code, 7)]
        assert near == [(hit.distance, hit.entry.id) for hit in plain.search(code, None, radius=25)]


def test_follows_every_change(tmp_path: Path, where: str) -> None:
    videos(tmp_path / "v", 30)
    index = open_index(where, bits=64, model=FakeEncoder().spec.fingerprint)
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        library.add([tmp_path / "v"])
        assert library.serve() == 30
        videos(tmp_path / "v", 5, start=30)
        (tmp_path / "v" / "0003.ivf").write_bytes(MAGIC + b"another film altogether")  # changed
        library.add([tmp_path / "v"])
        library.remove([tmp_path / "v" / "0007.ivf"])
        assert library.serve() == 34
        assert contents(index) == truth(library)
        code = library.get(tmp_path / "v" / "0003.ivf").code  # type: ignore[union-attr]
        assert library.search(code, 1)[0].distance == 0
    index.close()


@pytest.mark.parametrize("kill", ["before the stamp", "between batches", "before anything"])
def test_a_kill_is_made_good(
    tmp_path: Path, where: str, kill: str, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """The process dies at a bad moment: the next one makes the index equal to the library."""
    videos(tmp_path / "v", 30)
    where = f"milvus-lite://{file}/kill_{kill.replace(' ', '_')}"
    monkeypatch.setattr("vhash_sdk.library.serving._ROWS", 7)
    index: Any = open_index(where, bits=64)

    class DiedError(Exception):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise DiedError

    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        library.add([tmp_path / "v"])
        if kill != "before anything":
            library.serve()
            library.remove([tmp_path / "v" / "0001.ivf"])
            videos(tmp_path / "v", 20, start=30)
            library.add([tmp_path / "v"])
        with monkeypatch.context() as broken:
            if kill == "before the stamp":
                broken.setattr(index, "set_note", die)
            else:
                real, calls = index.upsert, []

                def some(codes: Any, ids: Any) -> None:
                    calls.append(ids)
                    die() if len(calls) == 2 else real(codes, ids)

                broken.setattr(index, "upsert", some)
            with pytest.raises(DiedError):
                library.serve()
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        assert library.serve() == len(library)
        assert contents(index) == truth(library)
    index.close()


def test_what_was_changed_behind_its_back_is_repaired(tmp_path: Path, where: str) -> None:
    videos(tmp_path / "v", 25)
    index: Any = open_index(where, bits=64)
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        library.add([tmp_path / "v"])
        library.serve()
        served = library._served
        assert isinstance(served, Served) and list(served.differences()) == []
        index.upsert(np.zeros((2, 8), np.uint8), [3, 900])
        index.upsert(np.zeros((1, 8), np.uint8), [-4])
        index.remove([11])
        assert served.repair() == 4
        assert contents(index) == truth(library) and served.repair() == 0
    index.close()


def test_verify_compares_the_index_elsewhere(tmp_path: Path, where: str) -> None:
    videos(tmp_path / "v", 25)
    index: Any = open_index(where, bits=64)
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        library.add([tmp_path / "v"])
        assert list(library.verify()) == []
        index.upsert(np.zeros((1, 8), np.uint8), [3])  # as many codes as before
        (problem,) = library.verify()
        assert problem.kind == "index" and problem.path == repr(index) and ": 1;" in problem.message
        assert library.serve() == 25 and contents(index) == truth(library)
        index.upsert(np.zeros((1, 8), np.uint8), [900])
        index.remove([11])
        assert ": 2;" in next(iter(library.verify())).message
    with Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
        assert list(library.verify()) == [] and contents(index) == truth(library)
    index.close()


def test_an_index_of_something_else_is_refused(tmp_path: Path, where: str) -> None:
    videos(tmp_path / "v", 2)
    index: Any = open_index(where, bits=64)
    index.add(np.zeros((1, 8), np.uint8))
    with (
        Library(tmp_path / "l", encoder=FakeEncoder(), index=index) as library,  # type: ignore[arg-type]
        pytest.raises(StoreError, match="not of this library"),
    ):
        library.serve()
    index.remove([0])
    for name, error in (("l", None), ("other", StoreError)):
        with Library(tmp_path / name, encoder=FakeEncoder(), index=index) as library:  # type: ignore[arg-type]
            library.add([tmp_path / "v"])
            if error is None:
                assert library.serve() == 2
            else:
                with pytest.raises(error, match="not of this library"):
                    library.serve()
    with pytest.raises(OptionError, match="keeps its own index"):
        Library(tmp_path / "l", encoder=FakeEncoder(), index=str(tmp_path / "d"))  # type: ignore[arg-type]
    with (
        Library(tmp_path / "l", encoder=FakeEncoder()) as library,  # type: ignore[arg-type]
        pytest.raises(OptionError, match="without index="),
    ):
        library.serve()
    other: Any = open_index(where.replace("test_an", "other"), bits=64, model="b" * 64)
    with pytest.raises(ModelMismatchError, match="not of the library's model"):
        Library(tmp_path / "l", encoder=FakeEncoder(), index=other)  # type: ignore[arg-type]
    other.close()
    index.close()
