"""What is read by name: nothing twice, nothing left out, and nothing of what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import code_of
from tests.library.test_library import Place
from vhash_sdk.errors import StoreError
from vhash_sdk.library import Library
from vhash_sdk.library.cache import Remembered
from vhash_sdk.library.entries import all_entries, entries_of, entry_at, entry_of
from vhash_sdk.library.reading import (
    all_failures,
    any_trajectory,
    candidates,
    codes_between,
    codes_of_parts,
    every_trajectory,
    failure_of,
    files_of,
    has_failed,
    in_pages,
    lacking,
    new_codes,
    paths_under,
    seen_of,
    segment_codes,
    state_at,
    states,
    video_count,
    whole_codes,
    with_content,
    without_segments,
)
from vhash_sdk.library.rows import PathRow
from vhash_sdk.library.writing import Ledger
from vhash_sdk.scan import scan


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for name, content in (("a/1", "x"), ("a/2", "y"), ("a.b", "x"), ("b", "z"), ("bad", "BAD")):
        place.write(name, content)
    place.add()
    return place


@pytest.fixture
def library(place: Place) -> Iterator[Library]:
    with place.open() as library:
        yield library


def test_files_by_path_by_content_and_one_after_the_other(place: Place, library: Library) -> None:
    found = list(states(library._db))
    names = [os.path.relpath(os.fsdecode(row.path), place.folder) for row in found]
    assert names == ["a/1", "a/2", "a.b", "b"]
    assert video_count(library._db) == lacking(library._db) == len(found)
    for row in found:
        assert state_at(library._db, row.path) == row and row.size == 5
    assert state_at(library._db, b"/nowhere") is None
    same = with_content(library._db, found[0].digest)
    assert [row.id for row in same] == [found[0].id, found[2].id]


def test_pages_neither_repeat_nor_leave_out(library: Library) -> None:
    sql = "SELECT id, path FROM video WHERE id > ? ORDER BY id LIMIT 3"
    pages = in_pages(library._db, PathRow, sql, 0, lambda row: row.id)
    first = next(pages)
    library._db.execute("DELETE FROM video WHERE id = 4")  # changes that come behind are seen
    assert [first.id, *(row.id for row in pages)] == [1, 2, 3]


def test_a_folder_has_what_is_below_it_and_not_its_neighbours(place: Place, library: Library) -> None:
    def under(name: str, **table: Any) -> list[str]:
        found = paths_under(library._db, os.fsencode(place.folder / name), **table)
        return [os.path.relpath(os.fsdecode(path), place.folder) for path in found]

    assert under("a") == ["a/1", "a/2"] and under("a/1") == ["a/1"] and under("c") == []
    assert under("bad", table="failure") == ["bad"] and under("bad") == []


def test_failures(place: Place, library: Library) -> None:
    (row,) = all_failures(library._db)
    status = (place.folder / "bad").stat()
    assert has_failed(library._db, row.path) and not has_failed(library._db, b"/b")
    assert failure_of(library._db, row.path, status.st_size, status.st_mtime_ns) == row
    assert failure_of(library._db, row.path, status.st_size, status.st_mtime_ns + 1) is None


def test_codes_since_a_row_and_between_ids(place: Place, library: Library) -> None:
    read = new_codes(library._db, 64, 0, 3)
    assert read is not None
    ids, codes, last = read
    assert ids.tolist() == [1, 2, 3] and np.array_equal(codes[0], code_of(b"x", library.spec).code)
    place.write("a.b", "changed")
    library.add([place.folder])
    read = new_codes(library._db, 64, last, 10)
    assert read is not None and read[0].tolist() == [4, 3]  # a changed code is a new row
    assert np.array_equal(read[1][1], code_of(b"changed", library.spec).code)
    assert new_codes(library._db, 64, read[2], 10) is None
    assert codes_between(library._db, 64, 1, 3, 10)[0].tolist() == [2, 3]
    assert codes_between(library._db, 64, 0, 9, 2)[0].tolist() == [1, 2]


def test_codes_of_whole_pictures_and_of_panes(library: Library) -> None:
    assert codes_of_parts(library._db) == []
    for place in range(2):
        ids, codes, generation = whole_codes(library._db, 64)
        assert ids.tolist() == [1, 2, 3, 4] and generation == library._db.generation()
        library._db.execute(
            "INSERT INTO code (video, kind, place, t0, confidence, code) VALUES (2, 'pane', ?, 0, 1, ?)",
            (place, codes[0].tobytes()),
        )
        assert [(row.id, row.code) for row in candidates(library._db)][1:3] == [
            (2, codes[1].tobytes()), (2, codes[0].tobytes()),
        ]  # fmt: skip
    parts = codes_of_parts(library._db)
    assert [(row.video, row.kind, row.place) for row in parts] == [(2, "pane", 0), (2, "pane", 1)]
    library._db.execute("UPDATE code SET kind = 'full', place = 0 WHERE kind = 'pane' AND place = 1")
    with pytest.raises(StoreError, match="two codes of its whole picture"):
        whole_codes(library._db, 64)
    assert not any_trajectory(library._db) and not every_trajectory(library._db)
    library._db.execute("INSERT INTO trajectory SELECT id, 'full', 0, x'00' FROM video WHERE id < 4")
    assert any_trajectory(library._db) and not every_trajectory(library._db)
    assert [(row.kind, row.steps) for row in seen_of(library._db, 2)] == [
        ("full", b"\0"),
        ("pane", None),
        ("full", b"\0"),
    ]
    library._db.execute("DELETE FROM video WHERE id = 4")
    assert every_trajectory(library._db)
    assert [row.id for row in files_of(library._db, [4, 3, 1, 1])] == [1, 3]


def test_segments_are_read_by_row_and_their_videos_lack_none(library: Library) -> None:
    code = bytes(range(8))
    for video in (3, 1):
        library._db.execute(
            "INSERT INTO code (video, kind, t0, t1, confidence, code) VALUES (?, 'segment', 0, 1, 1, ?)",
            (video, code),
        )
    ids, codes = segment_codes(library._db, 64)
    assert len(ids) == 2 and (np.diff(ids) > 0).all() and codes[1].tobytes() == code
    assert [row.id for row in without_segments(library._db)] == [2, 4]


def test_entries_by_id_and_path_without_those_that_are_gone(place: Place, library: Library) -> None:
    everything = list(all_entries(library._db, library.spec))
    assert everything == list(library) and [entry.id for entry in everything] == [1, 2, 3, 4]
    assert entry_of(library._db, library.spec, 2) == everything[1]
    assert entry_at(library._db, library.spec, place.folder / "b") == everything[3]
    library.remove([everything[1].path])
    assert entry_of(library._db, library.spec, 2) is None
    assert entry_at(library._db, library.spec, everything[1].path) is None
    assert entries_of(library._db, library.spec, [4, 2, 1, 99]) == [everything[0], everything[3]]
    assert entries_of(library._db, library.spec, []) == []


def test_what_was_made_of_codes_is_made_again_when_they_change(place: Place, library: Library) -> None:
    made: list[int] = []

    def make() -> int:
        made.append(video_count(library._db))
        return made[-1]

    remembered = Remembered(library._db, make)
    assert made == [] and remembered() == remembered() == 4 and made == [4]
    library.remove([place.folder / "b"])
    assert remembered() == remembered() == 3 and made == [4, 3]


def test_codes_that_change_meanwhile_make_stale_what_was_made(place: Place, library: Library) -> None:
    def make() -> int:
        count = video_count(library._db)
        if count == 4:
            library.remove([place.folder / "b"])
        return count

    remembered = Remembered(library._db, make)
    assert [remembered(), remembered()] == [4, 3]


def test_a_ledger_hands_out_only_what_is_durable(place: Place, library: Library) -> None:
    from vhash_sdk.errors import SourceError
    from vhash_sdk.library.records import Added

    (found,) = scan([place.write("new", "n")])
    ledger = Ledger(library._db)
    ledger.fail(found, SourceError("no"), None)
    ledger.done(Added(found.path, "failed"))
    assert len(ledger) == 1 and ledger.commit_when_due() == []
    with place.open() as other:
        assert len(list(other.failures())) == 1  # that of "bad": nothing is written yet
        assert [result.path for result in ledger.commit()] == [found.path] and len(ledger) == 0
        assert len(list(other.failures())) == 2
    ledger.done(Added(found.path, "unchanged"))
    assert len(ledger.commit_when_due()) == 1  # nothing was written for it, so nothing is waited for
