"""A library that a stranger made: nonsense in any column is an error of ours, and never becomes a path."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import MAGIC, FakeEncoder, code_of
from vhash_sdk.encoding.tracks import kept_track
from vhash_sdk.errors import ModelError, OptionError, StoreError, VhashError
from vhash_sdk.library import Library
from vhash_sdk.library.content import Content
from vhash_sdk.library.database import Database
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.library.rows import WHOLE_ROWS, Metadata, checked, fitting, kinds
from vhash_sdk.models.modelfile import read_model

COLUMNS = sorted({(table, name) for table, row in WHOLE_ROWS for name, _ in kinds(row)})
VALUES = (
    "x/../../PWNED.sh\0", float("inf"), -1e308, -5, 2**62, None, b"", b"relative", b"/a\0b", b"\xff" * 9,
)  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with something in every column, without constraints, so that anything can be put there."""
    root = tmp_path_factory.mktemp("sound")
    (root / "videos").mkdir()
    for name, content in (("a", b"a"), ("b", b"b"), ("c", b"a"), ("bad", b"BAD")):
        (root / "videos" / name).write_bytes(MAGIC + content)
    encoder = FakeEncoder()
    with Library(root / "lib", encoder=encoder) as library:  # type: ignore[arg-type]
        library.add([root / "videos"])
        library.judge([Judgement(b"\1" * 32, b"\2" * 32, False)])
        entry = next(iter(library))
    file = root / "lib" / "library.db"
    steps = bytes(encoder.spec.sampling.frames * 64)
    for statements in (
        [
            "UPDATE code SET t1 = 1.0, confidence = 0.5",
            "UPDATE video SET unreliable = NULL, codec = 'h264'",
            f"INSERT INTO trajectory SELECT id, 'full', 0, x'{steps.hex()}' FROM video",
            *(
                "INSERT INTO code (video, kind, t0, t1, confidence, code) SELECT id, 'segment', "
                f"{start}, {start + 1}, 1, x'{entry.code.code.tobytes().hex()}' FROM video"
                for start in range(4)
            ),
            "INSERT INTO code (video, kind, t0, confidence, code)"
            f" SELECT id, 'box', 0, 1, x'{bytes(8).hex()}' FROM video",
        ],
        [
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET sql = replace(replace(sql, 'NOT NULL', ''), "
            "'REFERENCES video (id) ON DELETE CASCADE', '')",
        ],
    ):
        raw = sqlite3.connect(file, isolation_level=None)
        for statement in statements:
            raw.execute(statement)
        raw.close()
    with Library(root / "lib", encoder=encoder) as library:  # type: ignore[arg-type]
        assert list(library.verify()) == [] and len(library._segments()) == 12
    return root


def uses(root: Path) -> dict[str, Callable[[Library], object]]:
    """Everything that is done with a library."""

    def find(library: Library) -> object:
        track = kept_track(np.zeros((6, 8), np.uint8), np.arange(6.0), 64, 6.0)
        entries = list(library)
        return list(library._segments().find(track)), library.common_spans(entries[0], entries[1])

    return {
        "list": lambda library: [(repr(entry), entry.modified) for entry in library],
        "failures": lambda library: list(library.failures()),
        "search": lambda library: library.search(code_of(b"a", library.spec)),
        "find": find,
        "dedup": lambda library: library.duplicates(radius=64),
        "verify": lambda library: list(library.verify(content=True)),
        "add": lambda library: library.add([root / "more"], segments=False),
        "judge": lambda library: library.judge([Judgement(b"\1" * 32, b"\3" * 32, False)]),
        "lacking": lambda library: (library.lacking_segments, library.has_segments, library.uuid),
        "remove": lambda library: library.remove([root / "more"]),
        "missing": lambda library: library.remove(missing=True),
    }


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_nonsense_in_any_column_is_an_error_of_ours(
    sound: Path, tmp_path: Path, table: str, column: str
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "d").write_bytes(MAGIC + b"a")
    where = "" if table in ("failure", "not_a_match", "trajectory") else "WHERE id = 1"
    kind = next(kind for of, row in WHOLE_ROWS for name, kind in kinds(row) if (of, name) == (table, column))
    for number, value in enumerate(VALUES):
        directory = tmp_path / f"lib{number}"
        directory.mkdir()
        shutil.copy(sound / "lib" / "library.db", directory)
        raw = sqlite3.connect(directory / "library.db", isolation_level=None)
        raw.execute("PRAGMA ignore_check_constraints = ON")
        try:
            raw.execute(f"UPDATE {table} SET {column} = ? {where}", (value,))
        except sqlite3.Error:  # SQLite itself lets nothing else into an id
            continue
        finally:
            stored = [kept for (kept,) in raw.execute(f"SELECT {column} FROM {table}")]  # 5.0 for 5, and such
            raw.close()
        said: object = None
        try:
            with Library(directory, encoder=FakeEncoder(), create=False) as library:  # type: ignore[arg-type]
                for name, use in uses(tmp_path).items():
                    with contextlib.suppress(VhashError):
                        found = use(library)
                        said = found if name == "verify" else said
        except VhashError:
            continue
        assert said != [] or kind.all_fit(stored), (value, stored)
        assert not [path for path in (*tmp_path.iterdir(), *directory.iterdir()) if "PWNED" in path.name]


def test_the_name_of_a_generation_never_leaves_the_library(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "lib", tmp_path / "lib")
    raw = sqlite3.connect(tmp_path / "lib" / "library.db", isolation_level=None)
    raw.execute("UPDATE library SET uuid = ?", ("x/../../PWNED.sh\0",))
    raw.close()
    with (
        pytest.raises(StoreError, match="uuid is 'x/../../PWNED.sh.x00', not 16 hexadecimal digits"),
        Library(tmp_path / "lib", encoder=FakeEncoder()) as library,  # type: ignore[arg-type]
    ):
        library.search(code_of(b"a", library.spec))
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


@pytest.mark.parametrize("source", ["../evil.onnx", "evil", "/dev/zero", "/a\0b.onnx", "", "-", "FIFO"])
def test_a_model_that_a_library_names_is_no_pipe_or_device(sound: Path, tmp_path: Path, source: str) -> None:
    shutil.copytree(sound / "lib", tmp_path / "lib")
    os.mkfifo(tmp_path / "model.onnx")
    raw = sqlite3.connect(tmp_path / "lib" / "library.db", isolation_level=None)
    raw.execute("UPDATE library SET source = ?", (source.replace("FIFO", f"{tmp_path}/model.onnx"),))
    raw.close()
    with pytest.raises(VhashError) as caught, Library(tmp_path / "lib") as library:
        _ = library.calibration
    assert isinstance(caught.value, (StoreError, ModelError))
    with pytest.raises(ModelError, match="a pipe, socket or device"):
        read_model(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER DELETE ON video BEGIN DELETE FROM code; END",
        "CREATE VIEW w AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c",
    ],
)
def test_a_schema_that_runs_something_is_refused(sound: Path, tmp_path: Path, statement: str) -> None:
    file = shutil.copy(sound / "lib" / "library.db", tmp_path / "library.db")
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute(statement)
    raw.close()
    with pytest.raises(StoreError, match="a view, trigger or virtual table"):
        Library(tmp_path, create=False)


@pytest.mark.parametrize("version", [-5, -1, 99])
def test_a_format_that_never_was_is_a_store_error(sound: Path, tmp_path: Path, version: int) -> None:
    file = shutil.copy(sound / "lib" / "library.db", tmp_path / "library.db")
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute(f"PRAGMA user_version = {version}")
    raw.close()
    with pytest.raises(StoreError, match=f"format {version}, this vhash reads up to"):
        Library(tmp_path, create=False)


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    """A decoder may call a rate infinite or a width negative; the library then does not know it."""
    row = fitting(Metadata, float("inf"), -1, 2**40, float("nan"), "c" * 2000, None, "d" * 2000, 0)
    known = (1.0, 2, 3, 4.0, "h264", "why", "cut off", 2)
    assert row == (None,) * 8 and checked(tmp_path, Metadata, [row]) == [row]
    assert fitting(Metadata, *known) == known
    assert Content.__dataclass_fields__["metadata"].type == "Metadata"


NUL: tuple[Callable[[Path, Library], object], ...] = (
    lambda root, library: Library(f"{root}/a\0b"),
    lambda root, library: Library(root / "new", model="a\0b.onnx"),
    lambda root, library: library.add(["a\0b"]),
    lambda root, library: library.remove(["a\0b"]),
    lambda root, library: library.get("a\0b"),
    lambda root, library: read_model("a\0b.onnx"),
)


@pytest.mark.parametrize("number", range(len(NUL)))
def test_a_path_with_a_nul_is_an_option_error(sound: Path, tmp_path: Path, number: int) -> None:
    shutil.copytree(sound / "lib", tmp_path / "lib")
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="NUL"):
            NUL[number](tmp_path, library)
        for given in (5, "a\0b"):
            with pytest.raises(OptionError):
                library.duplicates(radius=3, calibration=given)  # type: ignore[arg-type]


def test_a_failure_whose_path_has_a_nul_can_be_removed(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "lib", tmp_path / "lib")
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        library._db.execute("UPDATE failure SET path = ?", (b"/a\0b",))
        with pytest.raises(StoreError, match="absolute path"):
            list(library.failures())
        assert "/a\0b" in library.remove(missing=True) and list(library.failures()) == []


def test_rows_are_read_in_one_place() -> None:
    """Nothing but the reader turns BLOBs into arrays; ``verify`` looks at damage on purpose."""
    folder = Path(Database.open.__code__.co_filename).parent
    found = [path.name for path in folder.glob("*.py") if "frombuffer" in path.read_text()]
    assert sorted(found) == ["checking.py", "rows.py"]
