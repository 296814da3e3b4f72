"""What a library makes of damage: verify, other formats, broken pages, rows of the wrong type."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import code_of
from tests.library.test_library import Place
from vhash_sdk.codes import VideoCode
from vhash_sdk.errors import StoreError, VhashError
from vhash_sdk.library import Library
from vhash_sdk.library.database import MIGRATIONS, Database


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_verify_names_what_is_wrong(place: Place) -> None:
    for name in "abcd":
        place.write(name, name)
    place.add()
    with place.open() as library:
        assert list(library.verify(content=True)) == []
    times = os.stat(place.folder / "a")
    place.write("a", "A")  # bit rot: same size, same time
    os.utime(place.folder / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    place.write("b", "longer")
    with place.open() as library:
        assert [(p.kind, Path(p.path).name) for p in library.verify()] == [("changed", "b")]
        assert [Path(p.path).name for p in library.verify(content=True)] == ["a", "b"]
    with sqlite3.connect(place.directory / "library.db") as raw:
        raw.execute("UPDATE code SET code = x'00' WHERE video = 3")
        raw.execute("DELETE FROM code WHERE video = 4")
    raw.close()
    with place.open() as library:
        found = [(p.kind, Path(p.path).name) for p in library.verify()]
        assert found == [("code", "d"), ("code", "c"), ("changed", "b")]
        with pytest.raises(StoreError, match="vhash verify"):
            library.search(code_of(b"a", library.spec))


def test_directories_that_are_no_library(tmp_path: Path, place: Place) -> None:
    with pytest.raises(StoreError, match="no library there"):
        Library(tmp_path / "absent", create=False)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be made"):
        place.directory = tmp_path / "file"
        place.open()
    for content, says in (
        (b"rubbish" * 1000, "NOTADB"),
        (b"SQLite format 3\0" + b"\0" * 100, "NOTADB|CORRUPT"),
    ):
        place.directory = tmp_path / "broken"
        place.directory.mkdir(exist_ok=True)
        (place.directory / "library.db").write_bytes(content)
        with pytest.raises(StoreError, match=says):
            place.open()
    (place.directory / "library.db").unlink()
    with sqlite3.connect(place.directory / "library.db") as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    with pytest.raises(StoreError, match="another program"):
        place.open()


def test_newer_formats_are_refused_and_old_ones_brought_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("a", "a")
    place.add()
    monkeypatch.setattr(
        "vhash_sdk.library.database.MIGRATIONS", (*MIGRATIONS, "ALTER TABLE video ADD COLUMN note TEXT;")
    )
    assert len(place.contents()) == 1  # migrated
    with place.open() as library:
        assert library._db.rows("SELECT note FROM video") == [(None,)]
    monkeypatch.setattr("vhash_sdk.library.database.MIGRATIONS", MIGRATIONS)
    formats = len(MIGRATIONS)
    with pytest.raises(StoreError, match=f"format {formats + 1}, this vhash reads up to {formats}; upgrade"):
        place.open()


def test_a_library_of_format_1_loads_for_ever(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "data" / "library-1.db", tmp_path / "library.db")
    with Library(tmp_path, create=False) as library:
        (entry,) = library
        assert entry.path == "/videos/a.mp4" and entry.code.text == "vh1:2799d74c:64:2cf24dba5fb0a30e"
        assert entry.codec == "fake" and [f.kind for f in library.failures()] == ["DecodeError"]


def test_damaged_pages_are_errors_not_surprises(place: Place) -> None:
    for n in range(200):
        place.write(f"v{n}", str(n))
    place.add()
    file = place.directory / "library.db"
    whole = file.read_bytes()
    generator = np.random.default_rng(5)
    outcomes = Counter()
    for _ in range(40):
        damaged = bytearray(whole)
        at = int(generator.integers(0, len(damaged) - 64))
        damaged[at : at + 64] = generator.bytes(64)
        file.write_bytes(
            damaged[: int(generator.integers(100, len(damaged)))] if generator.random() < 0.3 else damaged
        )
        try:
            with place.open() as library:
                problems = list(library.verify())
                entries = list(library)
                outcomes["found" if problems else "unnoticed"] += 1
                del entries
        except (StoreError, ValueError) as error:  # CodeError, ModelError of a damaged row: also ours
            assert type(error).__module__ == "vhash_sdk.errors", repr(error)
            outcomes["refused"] += 1
    assert outcomes["refused"] + outcomes["found"] > 10


@pytest.mark.parametrize("value", ["text", 1e308, None])
@pytest.mark.parametrize(
    "column",
    ["video.path", "video.size", "video.mtime_ns", "code.video", "code.code", "failure.kind", "library.spec"],
)
def test_rows_of_the_wrong_type_are_errors_of_ours(tmp_path: Path, column: str, value: object) -> None:
    table, name = column.split(".")
    file = shutil.copy(Path(__file__).parents[1] / "data" / "library-1.db", tmp_path / "library.db")
    for statement in (  # two connections: the second one reads the schema without its constraints
        "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')",
        f"UPDATE {table} SET {name} = ?",
    ):
        raw = sqlite3.connect(file, isolation_level=None)
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute(statement, (value,) if "?" in statement else ())
        raw.close()
    uses: tuple[Callable[[Library], object], ...] = (
        lambda library: list(library.verify()),
        list,
        lambda library: list(library.failures()),
        lambda library: library.search(VideoCode(np.zeros(8, np.uint8), 64, library.spec.fingerprint)),
        lambda library: library.remove(["/videos"]),
    )
    for use in uses:
        with contextlib.suppress(VhashError), Library(tmp_path, create=False) as library:
            use(library)


def test_databases_are_synchronous(place: Place) -> None:
    with place.open() as library:
        assert isinstance(library._db, Database)
        assert library._db.rows("PRAGMA journal_mode") == [("wal",)]
        assert library._db.rows("PRAGMA synchronous") == [(2,)]
