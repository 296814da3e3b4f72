"""What a library keeps, recognises and reports; decoding itself is test_hostile's."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import BAD, MAGIC, FakeEncoder, code_of
from vhash_sdk.codes import VideoCode, hamming_distance
from vhash_sdk.errors import DecodeError, ModelMismatchError, StoreError
from vhash_sdk.library import Library
from vhash_sdk.library.lock import writer_lock


class Place:
    """A library, a folder of files, and an encoder that counts."""

    def __init__(self, root: Path) -> None:
        self.folder, self.directory, self.encoder = root / "videos", root / "lib", FakeEncoder()
        self.folder.mkdir()

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MAGIC + (content if isinstance(content, bytes) else content.encode()))
        return path

    def open(self, **options: Any) -> Library:
        return Library(self.directory, encoder=self.encoder, **options)  # type: ignore[arg-type]

    def add(self, **options: Any) -> dict[str, int]:
        self.encoder.encoded.clear()
        with self.open() as library:
            return library.add([self.folder], **options).counts

    def contents(self) -> dict[str, VideoCode]:
        with self.open() as library:
            return {os.path.relpath(entry.path, self.folder): entry.code for entry in library}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_added_comes_back_with_its_metadata(place: Place) -> None:
    path = place.write("a/b.mp4", "hello")
    assert place.add() == {"added": 1}
    with place.open() as library:
        (entry,) = library
        assert entry.path == str(path) and entry.size == 9 and entry.code == code_of(b"hello", library.spec)
        assert (entry.width, entry.height, entry.rate, entry.codec) == (320, 240, 25.0, "fake")
        assert entry.code.duration == 5 and entry.code.confidence == 0.5
        assert entry.modified == pytest.approx(path.stat().st_mtime, abs=1e-3)
        assert path in library and library.get(path) == entry and len(library) == 1


def test_a_second_run_encodes_only_what_is_new_or_changed(place: Place) -> None:
    for name in "abc":
        place.write(name, name)
    place.write("bad", "BAD")
    assert place.add() == {"added": 3, "failed": 1}
    assert place.add() == {"unchanged": 3, "failed": 1} and place.encoder.encoded == []
    assert place.add(retry=True) == {"unchanged": 3, "failed": 1} and len(place.encoder.encoded) == 1
    place.write("d", "d")
    place.write("a", "other")
    place.write("bad", "good now")
    os.utime(place.folder / "b")  # touched: the same content
    assert place.add() == {"changed": 1, "unchanged": 2, "added": 2} and len(place.encoder.encoded) == 3
    with place.open() as library:
        assert list(library.failures()) == []
        assert place.contents()["a"] == code_of(b"other", library.spec)


def test_known_failures_are_reported_with_their_reason(place: Place) -> None:
    place.write("bad", "BAD")
    place.add()
    with place.open() as library:
        (problem,) = library.add([place.folder]).problems
        assert problem.known and isinstance(problem.error, DecodeError) and "bad" in str(problem.error)
        (failure,) = library.failures()
        assert failure.kind == "DecodeError" and failure.path == str(place.folder / "bad")


def test_a_file_that_turned_bad_loses_its_old_code(place: Place) -> None:
    place.write("a", "fine")
    place.add()
    place.write("a", "BAD")
    assert place.add() == {"failed": 1} and place.contents() == {}


def test_what_is_no_video_is_passed_over_and_what_became_none_goes(place: Place) -> None:
    place.write("a", "fine")
    (place.folder / "notes.txt").write_bytes(b"just some notes")
    (place.folder / "empty.mp4").write_bytes(b"")
    assert place.add() == {"added": 1, "skipped": 1, "failed": 1} and len(place.encoder.encoded) == 1
    (place.folder / "a").write_bytes(b"#EXTM3U\n/etc/passwd")
    assert place.add() == {"skipped": 2, "failed": 1} and place.contents() == {}


def test_a_library_inside_the_folder_does_not_add_itself(place: Place) -> None:
    place.directory = place.folder / "lib"
    place.write("a", "a")
    assert place.add() == {"added": 1}
    with place.open() as library:
        library.search(code_of(b"a", library.spec))
    assert place.add() == {"unchanged": 1}


def test_moved_files_keep_their_code_and_id(place: Place) -> None:
    place.write("a", "content")
    place.add()
    (place.folder / "new").mkdir()
    (place.folder / "a").rename(place.folder / "new" / "b")
    with place.open() as library:
        (before,) = library
        results = list(library.adding(library.scan([place.folder]), [str(place.folder)]))
        (after,) = library
    assert [(r.status, r.previous) for r in results] == [("moved", str(place.folder / "a"))]
    assert after.id == before.id and after.code == before.code and after.path.endswith("new/b")
    assert len(place.encoder.encoded) == 1


def test_swapped_names_and_moved_copies(place: Place) -> None:
    place.write("a", "one")
    place.write("b", "two")
    place.add()
    (place.folder / "a").rename(place.folder / "t")
    (place.folder / "b").rename(place.folder / "a")
    (place.folder / "t").rename(place.folder / "b")
    os.utime(place.folder / "a", ns=(1, 1))
    os.utime(place.folder / "b", ns=(2, 2))
    place.add()
    with place.open() as library:
        assert place.contents() == {"a": code_of(b"two", library.spec), "b": code_of(b"one", library.spec)}
    # one file becomes two at new places: one of them is the moved one, the other a copy
    shutil.copy(place.folder / "a", place.folder / "c")
    (place.folder / "a").rename(place.folder / "d")
    assert place.add() == {"unchanged": 1, "moved": 1, "copied": 1} and not place.encoder.encoded
    with place.open() as library:
        two = code_of(b"two", library.spec)
        assert place.contents() == {"b": code_of(b"one", library.spec), "c": two, "d": two}


def test_copies_are_not_decoded_again(place: Place) -> None:
    place.write("a", "same")
    place.add()
    place.write("b", "same")
    os.link(place.folder / "a", place.folder / "c")
    assert place.add() == {"unchanged": 1, "copied": 2} and not place.encoder.encoded
    assert len(set(place.contents().values())) == 1


def test_vanished_files_are_reported_kept_and_removed_on_request(place: Place) -> None:
    for name in ("a", "b", "sub/c"):
        place.write(name, name)
    place.add()
    shutil.rmtree(place.folder / "sub")
    (place.folder / "a").unlink()
    assert place.add() == {"unchanged": 1, "vanished": 2} and len(place.contents()) == 3
    with place.open() as library:
        assert library.add([place.folder / "a"]).counts == {"vanished": 1}
        assert Counter(p.kind for p in library.verify()) == {"vanished": 2}
        assert sorted(library.remove(missing=True)) == [str(place.folder / "a"), str(place.folder / "sub/c")]
        assert [entry.path for entry in library] == [str(place.folder / "b")]


def test_remove_takes_files_and_folders_and_gives_no_id_twice(place: Place) -> None:
    for name in ("a", "sub/b", "sub/deep/c", "sub-not", "subz"):
        place.write(name, name)
    place.add()
    with place.open() as library:
        newest = max(entry.id for entry in library)
        assert len(library.remove([place.folder / "sub"])) == 2
        assert len(library.remove([place.folder / "subz", place.folder / "nothing"])) == 1
    assert sorted(place.contents()) == ["a", "sub-not"]
    assert place.add() == {"unchanged": 2, "added": 3}
    with place.open() as library:
        assert min(entry.id for entry in library if "sub/" in entry.path) > newest


def test_search_agrees_with_the_obvious_version(place: Place) -> None:
    for n in range(60):
        place.write(f"v{n % 50:02d}-{n}", str(n % 50))
    place.add()
    with place.open() as library:
        entries = list(library)
        query = code_of(b"7", library.spec)
        distances = hamming_distance(np.stack([e.code.code for e in entries]), query.code)
        expected = sorted(zip(distances.tolist(), [e.id for e in entries], strict=True))
        hits = library.search(query, k=100)
        assert [(hit.distance, hit.entry.id) for hit in hits] == expected and hits[0].distance == 0
        near = library.search(place.folder / "v07-7", k=5, radius=expected[4][0])
        assert [(hit.distance, hit.entry.id) for hit in near] == expected[:5]
        with pytest.raises(ModelMismatchError):
            library.search(VideoCode.from_text("vh1:0123abcd:64:" + "0" * 16))
    with Library(place.directory / "other", encoder=place.encoder) as empty:  # type: ignore[arg-type]
        assert empty.search(query) == []


def test_the_index_cache_follows_the_codes_whatever_happens_to_it(place: Place, caplog: Any) -> None:
    def cache() -> list[Path]:
        return list(place.directory.glob("index-*"))

    def nearest() -> int:
        with place.open() as library:
            return len(library.search(code_of(b"a", library.spec), k=100))

    place.write("a", "a")
    place.add()
    assert nearest() == 1 and len(cache()) == 1
    first = cache()[0]
    place.write("b", "b")
    place.add()
    assert nearest() == 2 and len(cache()) == 1 and cache()[0] != first
    for damage in (b"", b"rubbish", cache()[0].read_bytes()[:-3]):
        cache()[0].write_bytes(damage)
        assert nearest() == 2
    cache()[0].unlink()
    assert nearest() == 2
    with place.open() as library:
        library.remove([place.folder / "a"])
        assert len(library.search(code_of(b"a", library.spec))) == 1  # in the process that wrote, too
        assert list(library.verify(content=True)) == []


def test_a_cache_that_another_process_writes_is_left_to_it(place: Place) -> None:
    written, abandoned = (place.directory / f"index-{n}-{n}.vhi.tmp.{n}.0" for n in (1, 2))
    place.write("a", "a")
    place.add()
    for path in (written, abandoned):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    with place.open() as library:
        library.search(code_of(b"a", library.spec))
    assert written.exists() and not abandoned.exists()


def test_a_cache_that_cannot_be_written_costs_one_warning(
    place: Place, monkeypatch: Any, caplog: Any
) -> None:
    from vhash_sdk.index import Index

    def refuse(self: Index, file: Any) -> None:
        raise OSError(28, "No space left on device")

    place.write("a", "a")
    place.add()
    monkeypatch.setattr(Index, "save", refuse)
    with place.open() as library, caplog.at_level(logging.WARNING):
        assert len(library.search(code_of(b"a", library.spec))) == 1
    assert "No space left" in caplog.text


def test_a_library_belongs_to_one_model(place: Place) -> None:
    place.write("a", "a")
    place.add()
    with pytest.raises(ModelMismatchError, match=r"belongs to model tiny version 1"):
        Library(place.directory, encoder=FakeEncoder(name="another"))  # type: ignore[arg-type]
    with pytest.raises(ModelMismatchError):
        Library(place.directory, model="default")
    with Library(place.directory) as library:  # reading needs no model file
        assert library.spec == place.encoder.spec and len(library) == 1
        with pytest.raises(ValueError, match=r"needs model tiny version 1 .*/nowhere/tiny\.onnx"):
            library.add([place.write("b", "b")])


def test_a_second_writer_is_told_who_writes_and_readers_go_on(place: Place) -> None:
    for n in range(3):
        place.write(f"a{n}", str(n))
    with place.open() as library, place.open() as second:
        results = library.adding(library.scan([place.folder]))
        next(iter(results))
        with pytest.raises(StoreError, match=rf"process {os.getpid()} on .* since"):
            second.add([place.folder])
        with pytest.raises(StoreError, match="being written"):
            second.remove([place.folder])
        assert isinstance(list(second), list) and second.search(code_of(b"0", second.spec)) is not None
        results.close()  # type: ignore[attr-defined]
        assert second.add([place.folder]).counts.keys() <= {"added", "unchanged"}
    assert len(place.contents()) == 3


def test_a_writer_that_soon_ends_is_waited_for(place: Place) -> None:
    """A judgement that a server wrote between two steps of a job ended the job."""
    place.write("a", "a")
    place.add()
    held, free = threading.Event(), threading.Event()

    def judge() -> None:
        with writer_lock(place.directory / "lock"):
            held.set()
            free.wait(60)
            time.sleep(0.2)

    writer = threading.Thread(target=judge)
    writer.start()
    assert held.wait(60)
    with place.open() as library:
        library.patience = 0.0
        with pytest.raises(StoreError, match="is being written by process"):
            library.remove([place.folder])
        free.set()
        library.patience = 60.0
        assert len(library.remove([place.folder])) == 1
    writer.join()


def test_what_was_handed_out_is_durable_and_what_was_done_is_kept(place: Place) -> None:
    for n in range(20):
        place.write(f"v{n:02d}", str(n))

    def stop(path: str) -> None:
        if path.endswith("v10"):
            raise KeyboardInterrupt

    place.encoder.before = stop
    reported = []
    with place.open() as library:
        reader = sqlite3.connect(place.directory / "library.db")
        with pytest.raises(KeyboardInterrupt):
            for result in library.adding(library.scan([place.folder])):
                rows = reader.execute("SELECT 1 FROM video WHERE path = ?", (os.fsencode(result.path),))
                assert rows.fetchone() is not None
                reported.append(result)
    assert len(place.contents()) == 10 >= len(reported)
    place.encoder.before = lambda path: None
    assert place.add() == {"unchanged": 10, "added": 10}


def test_a_file_that_changes_while_it_is_read_is_not_trusted(place: Place) -> None:
    path = place.write("a", "before")
    place.encoder.before = lambda name: path.write_bytes(MAGIC + b"while it was copied") and None
    assert place.add() == {"failed": 1}
    place.encoder.before = lambda name: None
    assert place.add() == {"added": 1}


STRANGE = [
    b"new\nline",
    b"quo'te\"s",
    b"not utf-8 \xff\xfe",
    b" ",
    b"-rf",
    b"%s;DROP TABLE video",
    b"tab\tbell\x07",
]


def test_file_names_are_bytes(place: Place) -> None:
    for n, name in enumerate(STRANGE):
        (place.folder / os.fsdecode(name)).write_bytes(MAGIC + b"%d" % n)
        (place.folder / os.fsdecode(name + b".bad")).write_bytes(BAD)
    assert place.add() == {"added": len(STRANGE), "failed": len(STRANGE)}
    assert place.add() == {"unchanged": len(STRANGE), "failed": len(STRANGE)}
    assert sorted(map(os.fsencode, place.contents())) == sorted(STRANGE)
    with place.open() as library:
        assert sorted(os.fsencode(os.path.basename(f.path)) for f in library.failures()) == sorted(
            name + b".bad" for name in STRANGE
        )
        hit = library.search(code_of(b"2", library.spec), k=1)[0]
        assert os.fsencode(os.path.basename(hit.entry.path)) == STRANGE[2]


def test_many_that_need_no_encoding_between_two_that_do(place: Place, monkeypatch: Any) -> None:
    monkeypatch.setattr("vhash_sdk.library.adding._SETTLED_ROWS", 5)
    for n in range(40):
        place.write(f"v{n:02d}", str(n))
    place.add()
    for n in (3, 30, 39):
        place.write(f"v{n:02d}", f"new {n}")
    assert place.add() == {"unchanged": 37, "changed": 3} and len(place.encoder.encoded) == 3


KILLED = """
import os, sys, time
sys.path[:0] = {paths!r}
from tests.fake_encoder import FakeEncoder
from vhash_sdk.library import Library
encoder = FakeEncoder()
encoder.before = lambda path: time.sleep(0.004)
library = Library({directory!r}, encoder=encoder)
for result in library.adding(library.scan([{folder!r}])):
    os.write(1, os.fsencode(result.path) + b"\\0")
os.write(1, b"END")
"""


def test_kill_dash_nine_loses_nothing_that_was_reported(place: Place) -> None:
    names = {str(place.write(f"v{n:03d}", str(n))) for n in range(150)}
    code = KILLED.format(
        paths=[str(Path(__file__).parents[2])], directory=str(place.directory), folder=str(place.folder)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reported: set[str] = set()
    kills = 0
    for attempt in range(12):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            if attempt < 4:  # soon after the first results, then later and later
                output = child.stdout.read(1 + 900 * attempt)
                child.kill()
                kills += 1
                output += child.stdout.read()
            else:
                output = child.stdout.read()
        reported |= {os.fsdecode(name) for name in output.split(b"\0")[:-1]}
        with place.open() as library:
            paths = [entry.path for entry in library]
            assert len(paths) == len(set(paths)) and reported <= set(paths)
            assert [p for p in library.verify() if p.kind != "vanished"] == []
        if output.endswith(b"END"):
            break
    assert set(paths) == names and kills == 4
