"""The benchmark of sound, with few of everything: what is planted is found, and strangers are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.near_duplicates import sound
from tests.sound_files import needs_chromaprint

needs_chromaprint()


@pytest.fixture(scope="module")
def made() -> list[sound.Original]:
    return sound.originals(2)


def test_what_is_planted_is_found_and_strangers_are_not(made: list[sound.Original], tmp_path: Path) -> None:
    source = sound.Case("original", lambda one: one.wave, "aac", 128)
    kept = [sound.listen(tmp_path, one.wave, source) for one in made]
    apart = sound.strangers(kept)
    assert apart["pairs"] == 15 and apart["above SAME_BITS"] == 0
    rows = sound.planted(tmp_path, made[:3], kept[:3])
    assert set(rows) == {case.name for case in sound.CASES}
    for name, row in rows.items():
        if name not in sound.OTHERS:
            assert row["same"] == row["sounds"] == 3 and row["offset error, s"]["highest"] < 0.1
    opus = [sound.listen(tmp_path, one.wave, sound.CASES[1]) for one in made]
    found = sound.in_a_library(made, kept, opus)
    assert found["found"] == found["planted pairs"] == 6 and found["wrong"] == 0


def test_what_says_nothing_says_why(tmp_path: Path) -> None:
    assert all(sound.saying_nothing(tmp_path).values())


def test_a_large_library_gives_its_planted_pairs() -> None:
    row = sound.large(300, 60.0)
    assert row["found"] == row["planted pairs"] == 3 and row["wrong"] == 0
