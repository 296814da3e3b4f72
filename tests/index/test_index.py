"""The index as its users see it: ids, removal, models, files, errors."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import invariant

from tests.against import AgainstFresh
from vhash_sdk import VideoCode
from vhash_sdk.errors import CodeError, IndexFormatError, ModelMismatchError, OptionError, UnknownIdError
from vhash_sdk.index import Index

A, B = "a" * 64, "b" * 64


def filled(
    n: int = 100, bits: int = 64, ids: np.ndarray | None = None, model: str | None = None
) -> tuple[Index, np.ndarray]:
    codes = np.random.default_rng(n).integers(0, 256, (n, bits // 8), dtype=np.uint8)
    index = Index(bits, model=model)
    index.add(codes, ids)
    return index, codes


class AgainstMemory(AgainstFresh):
    """Any sequence of changes leaves the index equal to a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(24, threads=2)

    @invariant()
    def same(self) -> None:
        self.assert_same()
        assert 10**9 not in self.index
        assert all((id in self.index) == (id in self.model) for id in range(-3, 3))


TestAgainst = AgainstMemory.TestCase
TestAgainst.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_ids_are_given_once_and_survive_removal() -> None:
    index, codes = filled(10)
    assert index.remove([9, 9, 77]) == 1
    assert index.add(codes[:2]).tolist() == [10, 11]
    assert 9 not in index and 10 in index and "x" not in index and 2**70 not in index


def test_compaction_of_many_removals_keeps_every_answer() -> None:
    index, codes = filled(20_000)
    for start in range(0, 18_000, 1500):
        assert index.remove(np.arange(start, start + 1500)) == 1500
    np.testing.assert_array_equal(index.codes(np.arange(18_000, 20_000)), codes[18_000:])
    assert index.search(codes[19_000:19_001], 1).ids.tolist() == [[19_000]]


def test_add_is_all_or_nothing() -> None:
    index, codes = filled(10)
    with pytest.raises(OptionError, match="id 5 is already"):
        index.add(codes[:3], [100, 101, 5])
    with pytest.raises(OptionError, match="id 7 comes twice"):
        index.add(codes[:2], [7, 7])
    assert len(index) == 10 and 100 not in index


def test_snapshot_reads_beside_a_writer() -> None:
    """Whatever moment a search falls on, it sees whole additions: counts are multiples of 1000."""
    index = Index(64, threads=2)
    codes = np.random.default_rng(0).integers(0, 256, (1000, 8), dtype=np.uint8)
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(len(index.range_search(codes[:1], 64).ids))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        ids = index.add(codes)
        if turn % 3 == 2:
            assert index.remove(ids - 1000) == 1000
    done.set()
    for reader in readers:
        reader.join()
    assert len(index) == 40_000 and seen and all(count % 1000 == 0 for count in seen)


@pytest.mark.parametrize("ids", ["sequence", "ascending", "shuffled"])
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("bits", [64, 72, 256])
def test_save_and_load(tmp_path: Path, mmap: bool, ids: str, bits: int) -> None:
    rng = np.random.default_rng(1)
    given = None if ids == "sequence" else rng.choice(10**12, 5000, replace=False)
    index, codes = filled(5000, bits, np.sort(given) if ids == "ascending" else given, model=A)
    file = tmp_path / "index.vhash"
    index.save(file)
    loaded = Index.load(file, mmap=mmap)
    assert (len(loaded), loaded.bits, loaded.model) == (5000, bits, A)
    a, b = index.search(codes[:20], 30), loaded.search(codes[:20], 30)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.distances, b.distances)
    new = loaded.add(codes[:10])
    assert new[0] == int(np.max(index.search(codes[:1], 5000).ids)) + 1
    removed = int(a.ids[0, 0])
    assert loaded.remove([removed]) == 1
    assert loaded.search(codes[:1], 1).ids[0, 0] == new[0]
    loaded.save(file)  # over the file that it is mapped from
    assert len(Index.load(file)) == 5009 and removed not in Index.load(file)
    assert [path.name for path in tmp_path.iterdir()] == ["index.vhash"]


def test_empty_index_saves_and_searches(tmp_path: Path) -> None:
    index = Index(100)
    index.save(tmp_path / "empty")
    loaded = Index.load(tmp_path / "empty")
    assert len(loaded) == 0
    assert loaded.search(np.zeros((3, 13), np.uint8), 5).ids.shape == (3, 0)
    assert loaded.range_search(np.zeros((3, 13), np.uint8), 5).splits.tolist() == [0, 0, 0, 0]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    index, _ = filled(200, ids=np.random.default_rng(0).permutation(200))
    file = tmp_path / "index"
    index.save(file)
    good = file.read_bytes()
    for at in [0, 9, 13, 20, 40, 100, 200, 254, 4096, 4096 + 1599, len(good) - 1]:
        bad = bytearray(good)
        bad[at] ^= 4
        file.write_bytes(bad)
        for mmap in (True, False):
            with pytest.raises(IndexFormatError):
                Index.load(file, mmap=mmap)
    for size in [0, 10, 255, 256, 4096, len(good) - 1]:
        file.write_bytes(good[:size])
        with pytest.raises(IndexFormatError, match=str(file)):
            Index.load(file)


def test_every_format_version_loads() -> None:
    index = Index.load(Path(__file__).parents[1] / "data" / "index_v1.vhash")
    assert (index.bits, index.model, len(index)) == (24, A, 3)
    assert index.codes([-5, 7, 2**40]).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_save_reports_what_the_system_says(tmp_path: Path) -> None:
    index, _ = filled(3)
    with pytest.raises(FileNotFoundError, match="no/such"):
        index.save("/no/such/directory/index")
    with pytest.raises(FileNotFoundError):
        Index.load(tmp_path / "absent")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError):
        index.save(tmp_path / "directory")
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_codes_of_another_model_are_refused() -> None:
    index = Index(16)
    index.add(VideoCode(np.uint8([1, 2]), 16, A))
    assert index.model == A
    with pytest.raises(ModelMismatchError, match="bbbbbbbb"):
        index.add([VideoCode(np.uint8([1, 2]), 16, B)])
    with pytest.raises(ModelMismatchError):
        index.search(VideoCode(np.uint8([1, 2]), 16, B))
    with pytest.raises(ModelMismatchError):
        index.range_search(VideoCode(np.uint8([1, 2, 3]), 24, A), 3)
    with pytest.raises(ModelMismatchError):
        Index(16).add([VideoCode(np.uint8([1, 2]), 16, A), VideoCode(np.uint8([1, 2]), 16, B)])
    with pytest.raises(CodeError, match="among VideoCodes"):
        index.add([VideoCode(np.uint8([1, 2]), 16, A), np.uint8([1, 2])])
    assert len(index) == 1
    assert index.search(VideoCode.from_text("vh1:aaaaaaaa:16:0102")).distances.tolist() == [[0]]


@pytest.mark.parametrize("durable", [False, True])
def test_a_change_that_fails_leaves_the_model_open(durable: bool, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "store", bits=16) if durable else Index(16)
    index.add(np.uint8([[0, 0]]), [7])
    with pytest.raises(OptionError, match="already in the index"):
        index.add(VideoCode(np.uint8([1, 2]), 16, A), [7])
    with pytest.raises(OptionError, match="twice"):
        index.upsert([VideoCode(np.uint8([1, 2]), 16, A)] * 2, [8, 8])
    assert index.model is None and len(index) == 1
    index.add(VideoCode(np.uint8([1, 2]), 16, B))
    assert index.model == B


def added_to(index: Index, start: threading.Barrier, model: str) -> int:
    start.wait()
    try:
        return len(index.add([VideoCode(np.uint8([1, 2]), 16, model)] * 500))
    except ModelMismatchError:
        return 0


def test_of_two_models_added_at_once_one_stays() -> None:
    for _ in range(20):
        index, start = Index(16), threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            added = pool.map(partial(added_to, index, start), (A, B))
            assert sorted(added) == [0, 500] and len(index) == 500


def test_inputs_of_every_shape() -> None:
    index, codes = filled(50, 128)
    codes.setflags(write=False)
    strided = np.zeros((20, 32), np.uint8)[:, ::2]
    assert index.search(strided, 3).ids.shape == (20, 3)
    assert index.search(codes[0], 3).ids[0, 0] == 0
    assert index.search(np.asfortranarray(codes), 1).ids[:, 0].tolist() == list(range(50))
    assert index.search(codes[:4], 0).ids.shape == (4, 0)
    assert index.search(codes[:0], 5).ids.shape == (0, 5)
    assert index.search(codes[:2], 10**12).ids.shape == (2, 50)
    assert index.add(codes[:0]).tolist() == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i: i.search(np.zeros((1, 9), np.uint8)), CodeError, r"\[n, 8\]"),
        (lambda i: i.search(np.zeros((1, 8), np.float32)), CodeError, "float32"),
        (lambda i: i.search(np.zeros((1, 8), np.uint8), -1), OptionError, "k=-1"),
        (lambda i: i.search(np.zeros((1, 8), np.uint8), 2.5), OptionError, "k=2.5"),
        (lambda i: i.range_search(np.zeros((1, 8), np.uint8), -1), OptionError, "radius=-1"),
        (lambda i: i.range_search(np.zeros((1, 8), np.uint8), 3, limit=-1), OptionError, "limit=-1"),
        (lambda i: i.add(np.zeros((2, 8), np.uint8), [1]), OptionError, "1 ids for 2 codes"),
        (lambda i: i.add(np.zeros((1, 8), np.uint8), [1.5]), OptionError, "float64"),
        (lambda i: i.add(np.zeros((1, 8), np.uint8), np.uint64([2**63])), OptionError, "int64"),
        (lambda i: i.add(np.zeros((1, 8), np.uint8), [2**63 - 1]), OptionError, "reserved"),
        (lambda i: i.codes([4]), UnknownIdError, "id 4"),
        (lambda i: Index(0), CodeError, "bits=0"),
        (lambda i: Index(4097), CodeError, "4097"),
        (lambda i: Index(64, model="xyz"), OptionError, "xyz"),
        (lambda i: Index(64, threads=0), OptionError, "threads=0"),
    ],
)
def test_errors_name_the_value(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call(Index(64))


def test_result_types_show_shapes() -> None:
    index, codes = filled(5)
    assert repr(index) == "Index(64, codes=5)"
    assert repr(index.search(codes[:2], 3)) == "Matches(queries=2, k=3)"
    ranged = index.range_search(codes[:2], 0)
    assert repr(ranged) == "RangeMatches(queries=2, matches=2)" and len(ranged) == 2
    assert [ids.tolist() for ids, _ in ranged] == [[0], [1]]
    with pytest.raises(IndexError):
        ranged[2]


def test_import_is_light() -> None:
    code = (
        "import sys, vhash_sdk.index; print([m for m in ('torch', 'onnxruntime', 'av') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
