"""Moments and places where a library used to go wrong: each test is a finding of a review."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from tests.library.test_library import Place
from vhash_sdk.errors import OptionError
from vhash_sdk.library import Library
from vhash_sdk.library.writing import Ledger


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("moment", ["INSERT INTO video", "INSERT INTO code", "DELETE FROM failure"])
def test_ctrl_c_in_the_middle_of_an_entry_leaves_none_of_it(
    place: Place, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("a", "a")
    place.write("b", "b")
    write = Ledger._write

    def interrupted(self: Ledger, sql: str, *values: Any) -> int:
        done = write(self, sql, *values)
        if sql.startswith(moment) and place.encoder.encoded[-1].endswith("b"):
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.add()
    with place.open() as library:
        assert [os.path.basename(entry.path) for entry in library] == ["a"] and len(library) == 1
        assert list(library.verify()) == []
    assert place.add() == {"unchanged": 1, "added": 1}


def test_a_folder_that_cannot_be_reached_is_not_missing(place: Place) -> None:
    place.write("a", "a")
    place.add()
    shutil.rmtree(place.folder)
    place.folder.symlink_to(place.folder)  # ELOOP: as unreachable as a disk that is not mounted
    with place.open() as library:
        assert library.remove(missing=True) == [] and len(library) == 1
    place.folder.unlink()
    with place.open() as library:
        assert len(library.remove(missing=True)) == 1


def test_a_date_beyond_sqlite_stops_nothing(place: Place) -> None:
    far = place.write("a", "a")
    place.write("b", "b")
    os.utime(far, ns=(10**18, 10**19))
    if far.stat().st_mtime_ns < 1 << 63:
        pytest.skip("this file system has no dates after 2262")
    assert place.add() == {"added": 2}
    assert place.add() == {"unchanged": 2}
    with place.open() as library:
        assert list(library.verify()) == []


def test_an_entry_that_moved_while_its_old_path_was_decoded_stays(place: Place) -> None:
    first = place.write("a", "old")
    place.add()
    place.write("a", "new")
    second = place.write("b", "old")  # found after a, which is in the decoder by then

    def vanish(path: str) -> None:
        if path == str(first):
            first.unlink()

    place.encoder.before = vanish
    with place.open() as library:
        library.add([place.folder])
        place.encoder.before = lambda path: None
        library.add([place.folder])
        assert [entry.path for entry in library] == [str(second)]


def test_failures_end_with_what_caused_them(place: Place) -> None:
    path = place.write("a", "fine")
    place.add()
    path.write_bytes(b"")
    assert place.add() == {"failed": 1} and place.contents() == {}  # what it held is gone
    place.write("a", "fine")
    assert place.add() == {"added": 1}
    place.write("bad", "BAD")
    place.add()
    (place.folder / "bad").unlink()
    place.add()
    with place.open() as library:
        assert list(library.failures()) == []


def test_removing_a_failure_counts(place: Place) -> None:
    bad = place.write("bad", "BAD")
    place.add()
    with place.open() as library:
        assert library.remove([bad]) == [str(bad)] and list(library.failures()) == []


def test_roots_within_each_other_report_a_vanished_file_once(place: Place) -> None:
    path = place.write("inner/a", "a")
    place.write("b", "b")
    place.add()
    path.unlink()
    with place.open() as library:
        counts = library.add([place.folder, path.parent]).counts
    assert counts == {"vanished": 1, "unchanged": 1}


def test_the_library_never_looks_into_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("a", "a")
    monkeypatch.chdir(place.folder)
    with Library("../videos/../lib", encoder=place.encoder) as library:  # type: ignore[arg-type]
        assert library.add([place.folder.parent]).counts == {"added": 1}
        with pytest.raises(OptionError, match="own directory"):
            library.add([place.directory])
