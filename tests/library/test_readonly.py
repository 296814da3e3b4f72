"""A library that cannot be written is read all the same; writers say plainly that they cannot write."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import code_of
from tests.library.test_library import Place
from vhash_sdk.errors import StoreError
from vhash_sdk.library import Library, connection
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.matching.track import Track

READER = """
import contextlib, json, os, shutil, sys, tempfile
from pathlib import Path
from tests.fake_encoder import FakeEncoder, code_of
from vhash_sdk.errors import StoreError
from vhash_sdk.library.judgements import Judgement
from vhash_sdk.library import Library

def see(directory):
    seen, refused = {}, []
    with Library(directory, encoder=FakeEncoder(), create=False) as library:
        seen["list"] = [Path(entry.path).name for entry in library]
        seen["rates"] = sorted({entry.rate for entry in library})
        seen["failed"] = [failure.kind for failure in library.failures()]
        for _ in range(2):
            seen["search"] = library.search(code_of(b"a", library.spec), k=1)[0].distance
            seen["dedup"] = len(library.duplicates(radius=2))
            seen["segments"] = len(library._segments())
        seen["verify"] = [problem.kind for problem in library.verify()]
        for write in (
            lambda: library.add(["/nowhere"]),
            lambda: library.remove(["/nowhere"]),
            lambda: library.judge([Judgement(b"a" * 32, b"b" * 32, False)]),
            lambda: list(library.segmenting()),
        ):
            try:
                write()
            except StoreError as error:
                refused.append("cannot be written" in str(error))
    return {**seen, "refused": refused}

directory, user = sys.argv[1], int(sys.argv[2])
if user:
    # The other user may be kept out of the virtual environment: what is imported late is imported now.
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
        see(shutil.copytree(sys.argv[3], Path(folder) / "copy"))
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
print(json.dumps(see(directory)))
"""
WHOLE = {
    "list": ["a", "b", "copy"], "failed": ["DecodeError"], "search": 0, "dedup": 1, "segments": 2,
    "verify": [], "refused": [True] * 4, "rates": [25.0],
}  # fmt: skip


def read(directory: Path, user: int = 0, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    """What a process sees of a library, as another user if one is given."""
    result = reader(directory, user, prefix)
    assert result.returncode == 0, result.stderr
    seen: dict[str, object] = json.loads(result.stdout)
    return seen


def reader(
    directory: Path, user: int = 0, prefix: tuple[str, ...] = (), rehearsal: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A process that reads a library, as another user after it has read the rehearsal as this one."""
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    command = [*prefix, sys.executable, "-c", READER, str(directory), str(user), str(rehearsal or directory)]
    env = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def place(open_path: Path) -> Iterator[Place]:
    place = Place(open_path)
    for name, content in (("a", "a"), ("b", "b"), ("copy", "a"), ("bad", "BAD")):
        place.write(name, content)
    place.add()
    with sqlite3.connect(place.directory / "library.db") as raw:
        for start in (0.0, 1.0):
            raw.execute(
                "INSERT INTO code (video, kind, t0, t1, confidence, code) VALUES (1, 'segment', ?, ?, 1, ?)",
                (start, start + 1, b"\1" * 8),
            )
    raw.close()
    yield place
    for path in (place.directory, *place.directory.iterdir()):
        path.chmod(0o755)


def freeze(directory: Path) -> None:
    for path in directory.iterdir():
        path.chmod(0o444)
    directory.chmod(0o555)


as_another_user = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")


@as_another_user
def test_another_users_library_is_read(place: Place) -> None:
    before = sorted(path.name for path in place.directory.iterdir())
    freeze(place.directory)
    assert read(place.directory, 65534) == WHOLE
    assert sorted(path.name for path in place.directory.iterdir()) == before


def read_only_mount(directory: Path) -> tuple[str, ...]:
    """How a command begins that sees a directory on a read-only mount."""
    inside = f"mount --bind {directory} {directory} && mount -o remount,ro,bind {directory}"
    shell = ("unshare", "-m", "sh", "-c", f'{inside} && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*shell, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    return shell


def test_a_library_on_a_read_only_mount_is_read(place: Place) -> None:
    assert read(place.directory, prefix=read_only_mount(place.directory)) == WHOLE


@as_another_user
def test_what_is_still_in_the_writers_log_is_read_through_it(place: Place) -> None:
    """A snapshot of a library in use: its file, its log, and the log's index."""
    with place.open() as writer:
        writer._db.execute("UPDATE video SET rate = 30.0")  # stays in the log
        for name in ("library.db", "library.db-wal", "library.db-shm"):
            assert (place.directory / name).exists()
        snapshot = place.directory.parent / "snapshot"
        shutil.copytree(place.directory, snapshot)
    with sqlite3.connect(f"file:{snapshot}/library.db?immutable=1", uri=True) as raw:
        assert raw.execute("SELECT rate FROM video WHERE id = 1").fetchone() == (25.0,)  # in the file alone
    raw.close()
    freeze(snapshot)
    assert read(snapshot, 65534) == {**WHOLE, "rates": [30.0]}
    # without the index, the log cannot be read in place: an error, never the old content
    snapshot.chmod(0o755)
    (snapshot / "library.db-shm").unlink()
    snapshot.chmod(0o555)
    result = reader(snapshot, 65534, rehearsal=place.directory)
    assert "StoreError" in result.stderr and "in the log beside it" in result.stderr
    snapshot.chmod(0o755)


@as_another_user
def test_a_writer_that_comes_meanwhile_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vhash_sdk.library.connection._unwritable", lambda path: "so says a test")
    reader = place.open()
    monkeypatch.undo()
    assert len(reader) == 3 and reader._db.unwritable
    place.write("new", "new")
    place.add(segments=False)
    assert len(reader) == 4 and len(list(reader)) == 4
    assert [hit.distance for hit in reader.search(code_of(b"new", reader.spec), k=1)] == [0]
    with place.open() as writer:
        writer.remove([place.folder / "a"])
        assert [Path(entry.path).name for entry in reader] == ["b", "copy", "new"]
    reader.close()


def test_a_writer_that_leaves_and_comes_back_is_noticed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last writer takes its log away; the next one has another, which the reader must open anew."""
    with place.open() as writer:
        writer._db.execute("UPDATE video SET rate = 30.0")
        monkeypatch.setattr("vhash_sdk.library.connection._unwritable", lambda path: "so says a test")
        reader = place.open()
        monkeypatch.undo()
        assert len(reader) == 3 and {entry.rate for entry in reader} == {30.0}
    for rate in (31.0, 32.0):
        with place.open() as writer:
            writer._db.execute("UPDATE video SET rate = ?", (rate,))
            assert {entry.rate for entry in reader} == {rate}
            assert len(reader.search(code_of(b"a", reader.spec))) == 3
        assert {entry.rate for entry in reader} == {rate}
    reader.close()


@as_another_user
def test_an_old_format_that_cannot_be_written_is_a_named_error(open_path: Path) -> None:
    (open_path / "lib").mkdir()
    shutil.copy(Path(__file__).parents[1] / "data" / "library-1.db", open_path / "lib" / "library.db")
    freeze(open_path / "lib")
    with pytest.raises(AssertionError, match="format 1 has to be brought up to . first, and cannot be"):
        read(open_path / "lib", 65534)
    (open_path / "lib").chmod(0o755)


def test_the_commands_read_and_say_that_they_cannot_write(place: Place) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])

    def run(*arguments: str) -> tuple[int, str]:
        program = "from vhash_sdk.cli import main; main()"
        result = subprocess.run(
            [*read_only_mount(place.directory), sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in result.stderr, result.stderr
        return result.returncode, result.stdout + result.stderr

    library = str(place.directory)
    assert run("list", library)[0] == 0 and run("verify", library)[0] == 0
    code, said = run("remove", library, "/nowhere")
    assert code == 3 and "cannot be written" in said
    code, said = run("add", library, "/nowhere")
    assert code == 3 and "cannot be written" in said


def test_a_full_disk_is_no_reason_not_to_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"  # type: ignore[misc]
        raise StoreError("full") from error

    monkeypatch.setattr("vhash_sdk.library.connection._writable", full)
    with place.open() as library:
        assert len(list(library)) == 3 and "SQLITE_FULL" in library._db.unwritable
        with pytest.raises(StoreError, match="cannot be written"):
            library.judge([Judgement(b"a" * 32, b"b" * 32, False)])


def test_logs_that_are_links_and_pipes_are_refused(place: Place) -> None:
    precious = place.folder / "precious.txt"
    precious.write_text("precious")
    (place.directory / "library.db-wal").symlink_to(precious)
    with pytest.raises(StoreError, match="link or no file"):
        place.open()
    assert precious.read_text() == "precious"
    (place.directory / "library.db-wal").unlink()
    (place.directory / "library.db").unlink()
    os.mkfifo(place.directory / "library.db")
    with pytest.raises(StoreError, match="is no file"):
        Library(place.directory, create=False)


def test_caches_that_are_pipes_or_rubbish_are_made_again(place: Place) -> None:
    for make in (os.mkfifo, lambda path: Path(path).write_bytes(b"PK\3\4" + b"\0" * 99)):
        with place.open() as library:
            generation = library._db.generation()
            for name in (f"index-{generation}.vhi", f"segments-{generation}.vhi", "pairs.npz"):
                (place.directory / name).unlink(missing_ok=True)
                make(place.directory / name)
            assert library.search(code_of(b"a", library.spec), k=1)[0].distance == 0
            assert len(library.duplicates(radius=2)) == 1 and len(library._segments()) == 2


def test_a_cache_of_other_segments_is_named(place: Place) -> None:
    from vhash_sdk.index import Index

    with place.open() as library:
        library._segments()
        index = Index(64, model=library.spec.fingerprint)
        index.add(np.zeros((2, 8), np.uint8), [70, 80])
        index.save(place.directory / f"segments-{library._db.generation()}.vhi")
    with place.open() as library:
        segments = library._segments()
        with pytest.raises(StoreError, match="segments-.* is not of these segments"):
            segments._close(segments_track(library))


def segments_track(library: Library) -> Track:
    from vhash_sdk.encoding.tracks import kept_track

    return kept_track(np.zeros((4, 8), np.uint8), np.arange(4.0), library.spec.bits, 4.0)


def test_a_log_that_cannot_be_read_at_this_moment_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a writer, the log may just be about to get its index."""
    with place.open() as writer:
        writer._db.execute("UPDATE video SET rate = 30.0")  # stays in the log
        snapshot = place.directory.parent / "snapshot"
        shutil.copytree(place.directory, snapshot)
    index = snapshot / "library.db-shm"
    index.rename(index.with_suffix(".later"))
    monkeypatch.setattr(connection, "_unwritable", lambda path: "read-only for this test")
    timer = threading.Timer(0.1, lambda: index.with_suffix(".later").rename(index))
    timer.start()
    opened = connection.connect(snapshot / "library.db")
    timer.join()
    assert opened.connection.execute("SELECT rate FROM video WHERE id = 1").fetchone() == (30.0,)
    opened.connection.close()
