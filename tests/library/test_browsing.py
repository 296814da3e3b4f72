"""Pages of a library by filters: what a path holds is taken word for word, in any case of ASCII letters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_encoder import MAGIC, FakeEncoder
from vhash_sdk import Library
from vhash_sdk.library.browsing import Filters, Place

NAMES = [
    b"100% real.mp4", b"100 real.mp4", b"a_b.mp4", b"axb.mp4", b"back\\slash.mp4", b"Grosse ANSICHT.mp4",
    "Äpfel.mp4".encode(), "äpfel.mp4".encode(), b"bad \xff\xfe.mp4", b"bad \xfd.mp4", b"'; DROP TABLE.mp4",
]  # fmt: skip


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    folder = os.fsencode(tmp_path / "videos")
    os.mkdir(folder)
    for number, name in enumerate(NAMES):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(MAGIC + bytes([number]))
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as made:  # type: ignore[arg-type]
        made.add([os.fsdecode(folder)])
        yield made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%", [0]), ("0% R", [0]), ("A_b", [2]), ("\\", [4]), ("k\\S", [4]), ("ansicht", [5]), ("Äpfel", [6]),
        ("äPFEL", [7]), (os.fsdecode(b"\xff"), [8]), (os.fsdecode(b"\xfd"), [9]), ("\ufffd", []),
        ("'; dr", [10]), ("nothing", []),
    ],
)  # fmt: skip
def test_what_a_path_holds_is_taken_word_for_word(library: Library, text: str, found: list[int]) -> None:
    entries, end, total = library.page(Filters(text=text))
    assert {os.path.basename(os.fsencode(entry.path)) for entry in entries} == {NAMES[i] for i in found}
    assert end is None and total == len(found)


def test_a_page_knows_how_many_there_are_wherever_it_is(library: Library) -> None:
    every = [entry.path for entry in library.page(Filters(), sort="path")[0]]
    assert len(every) == len(NAMES)
    seen: list[str] = []
    after: Place | None = None
    while True:
        some, after, total = library.page(Filters(text="mp4"), sort="path", after=after, limit=4)
        assert total == len(NAMES)
        seen += [entry.path for entry in some]
        if after is None:
            break
    assert seen == every
    skipped, end, total = library.page(Filters(text="MP4"), sort="path", skip=9, limit=4)
    assert [entry.path for entry in skipped] == every[9:] and end is None and total == len(NAMES)
