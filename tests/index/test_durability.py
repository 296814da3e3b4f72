"""Short versions of benchmarks/robustness/durability.py: a store loses nothing that it acknowledged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability import closing, damage, faults, kills, shim, traces


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: these tests open stores thousands of times."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    result = kills.run(tmp_path / "store", 6)
    assert (result.kills, result.lost, result.wrong) == (6, 0, 0)
    assert result.changes > 6 and result.refreshes > 6


def test_flipped_bits_are_refused_by_name(memory: Path) -> None:
    result = damage.flips(memory / "store", 600)
    assert (result.cases, result.unnamed, result.wrong) == (600, 0, 0), result.examples[:5]
    assert result.refused > 300


def test_a_log_cut_at_every_byte(memory: Path) -> None:
    result = damage.truncations(memory / "store", 6)
    assert (result.cut.unnamed, result.cut.wrong) == (0, 0), result.cut.examples[:5]
    assert result.cut.refused == 4096  # the log's beginning, which no crash can take
    assert result.acknowledged.refused == result.acknowledged.cases > 4096


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    if shim.compiler() is None:
        pytest.skip("needs a C compiler")
    return shim.build(tmp_path_factory.mktemp("shim"))


def test_failing_calls_raise_and_lose_nothing(library: Path, memory: Path) -> None:
    for name, result in faults.run(library, memory, every=16).items():
        assert (result.lost, result.wrong) == (0, 0), (name, result.examples)
        assert result.faults, name
        assert result.raised or name in ("short write", "ENOSPC on create", "EIO on rename"), name


def test_closing_while_it_is_compacted_loses_nothing(library: Path, memory: Path) -> None:
    result = closing.run(library, memory, every=2)
    assert (result.lost, result.wrong) == (0, 0), result.examples
    assert result.steps > 10 and result.given_up > 0


def test_a_crash_of_the_machine_loses_nothing(library: Path, memory: Path) -> None:
    result = traces.run(library, memory, changes=40, share=0.15)
    assert (result.lost, result.wrong, result.refused) == (0, 0, 0), result.examples[:5]
    assert result.states > 200
