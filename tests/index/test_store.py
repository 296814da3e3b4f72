"""Index.open(directory): what is kept, who may write, who may read, what is said when it cannot be."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk import VideoCode, _core, open_index
from vhash_sdk.errors import IndexFormatError, ModelMismatchError, OptionError, StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.base import BaseIndex
from vhash_sdk.index.stored import StoredIndex, repair

A, B = "a" * 64, "b" * 64


def random_codes(n: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size), dtype=np.uint8)


def contents(index: BaseIndex) -> dict[int, bytes]:
    """Everything that an index holds."""
    ids = index.range_search(np.zeros((1, (index.bits + 7) // 8), np.uint8), index.bits).ids
    return dict(zip(ids.tolist(), (code.tobytes() for code in index.codes(ids)), strict=True))


@pytest.mark.parametrize("bits", [1, 20, 64, 72, 256, 1000])
def test_every_width_is_kept(tmp_path: Path, bits: int) -> None:
    codes = np.packbits(
        np.random.default_rng(bits).integers(0, 2, (300, bits), dtype=np.uint8), axis=1, bitorder="little"
    )
    with StoredIndex(tmp_path / "s", bits=bits, seal_rows=100) as index:
        for part in np.split(codes, 6):
            index.add(part)
    for mode in ("r", "rw"):
        with Index.open(tmp_path / "s", mode=mode) as index:  # type: ignore[arg-type]
            assert contents(index) == {i: code.tobytes() for i, code in enumerate(codes)}


def test_ids_are_given_once_also_after_removal_and_sealing(tmp_path: Path) -> None:
    with Index.open(tmp_path / "s", bits=64) as index:
        index.add(random_codes(10))
        index.remove(np.arange(10))
        index.compact()
        assert index.state().segments == 0
    with Index.open(tmp_path / "s") as index:
        assert index.add(random_codes(2)).tolist() == [10, 11]


def test_order_is_that_of_an_index_in_memory(tmp_path: Path) -> None:
    codes = random_codes(3000) & 3
    ids = np.random.default_rng(1).permutation(10_000)[:3000]
    plain = Index(64)
    plain.add(codes, ids)
    with StoredIndex(tmp_path / "s", bits=64, seal_rows=500) as index:
        for at in range(0, 3000, 250):
            index.add(codes[at : at + 250], ids[at : at + 250])
        expected = plain.search(codes[:50], 100)
        for _ in range(2):
            found = index.search(codes[:50], 100)
            np.testing.assert_array_equal(found.ids, expected.ids)
            np.testing.assert_array_equal(found.distances, expected.distances)
            index.compact()
        reader = Index.open(tmp_path / "s", mode="r")
        np.testing.assert_array_equal(reader.search(codes[:50], 100).ids, expected.ids)


def test_one_writer(tmp_path: Path) -> None:
    where = tmp_path / "s"
    index = Index.open(where, bits=64)
    with pytest.raises(StoreError, match=f"being written by process {os.getpid()}"):
        Index.open(where)
    code = f"from vhash_sdk.index import Index; Index.open({str(where)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "StoreError" in other.stderr and 'mode="r"' in other.stderr
    index.close()
    Index.open(where).close()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_child_neither_writes_nor_keeps_the_lock(tmp_path: Path) -> None:
    index = Index.open(tmp_path / "s", bits=64)
    index.add(random_codes(3))
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            index.add(random_codes(1))
            os._exit(1)
        except StoreError as error:
            right = "forked" in str(error) and len(index.search(random_codes(1), 5).ids[0]) == 3
            del index
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            os._exit(0 if right else 2)
    os.read(ready[0], 1)
    index.close()
    Index.open(tmp_path / "s").close()  # while the child lives
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0


def test_a_reader_beside_a_writer_that_seals_and_merges(tmp_path: Path) -> None:
    """Whatever moment a refresh falls on, a reader sees whole calls only, and never fewer than before."""
    where = tmp_path / "s"
    index = StoredIndex(where, bits=64, seal_rows=250)
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            reader = Index.open(where, mode="r", threads=1)
            last = 0
            while not done.is_set() or last < 6000:
                acknowledged = len(index)
                reader.refresh()
                now = len(reader)
                assert now % 100 == 0 and now >= acknowledged and now >= last, (now, acknowledged, last)
                last = now
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        index.add(random_codes(100, seed=turn))
        if turn % 15 == 14:
            index.compact()
    done.set()
    for reader in readers:
        reader.join()
    index.close()
    assert not failures, failures


def test_a_reader_keeps_what_compaction_deletes(tmp_path: Path) -> None:
    codes = random_codes(2000)
    with StoredIndex(tmp_path / "s", bits=64, seal_rows=500) as index:
        index.add(codes)
        index.compact()
        reader = Index.open(tmp_path / "s", mode="r")
        before = {path.name for path in (tmp_path / "s").glob("segment-*")}
        index.remove(np.arange(0, 2000, 2))
        index.compact()
        assert not before & {path.name for path in (tmp_path / "s").glob("segment-*")}
        assert reader.search(codes[:2000:2], 1).ids[:, 0].tolist() == list(range(0, 2000, 2))
        assert reader.refresh() and len(reader) == 1000
        assert reader.search(codes[1:2000:2], 1).ids[:, 0].tolist() == list(range(1, 2000, 2))


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="pass bits to create it") as caught:
        Index.open(tmp_path / "absent")
    assert caught.value.errno == errno.ENOENT and isinstance(caught.value, OSError)
    with pytest.raises(StoreError, match="does not exist"):
        Index.open(tmp_path / "absent", bits=64, mode="r")
    assert not (tmp_path / "absent").exists()
    with pytest.raises(StoreError, match="no/such"):
        Index.open("/no/such/parent/store", bits=64)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"):
        Index.open(tmp_path / "file", bits=64)
    with pytest.raises(OptionError, match="mode='w'"):
        Index.open(tmp_path / "absent", bits=64, mode="w")  # type: ignore[arg-type]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    where = tmp_path / "s"
    with StoredIndex(where, bits=64, seal_rows=100) as index:
        index.add(random_codes(300))
        index.compact()
        index.add(random_codes(30))
    for pattern in ("segment-*", "log-*", "MANIFEST"):
        copy = tmp_path / pattern[:3]
        shutil.copytree(where, copy)
        (victim,) = copy.glob(pattern)
        victim.unlink()
        for mode, bits in (("r", None), ("rw", None), ("rw", 64)):
            with pytest.raises(IndexFormatError, match=victim.name):
                Index.open(copy, bits=bits, mode=mode)  # type: ignore[arg-type]


def test_models_are_kept_apart(tmp_path: Path) -> None:
    where = tmp_path / "s"
    code = VideoCode(np.uint8([1, 2]), 16, A)
    with Index.open(where, bits=16) as index:
        assert index.model is None
        index.add(code)
        reader = Index.open(where, mode="r")
        assert reader.model == A
    with pytest.raises(ModelMismatchError, match="aaaaaaaa, not of bbbbbbbb"):
        Index.open(where, model=B)
    with pytest.raises(OptionError, match="bits=64"):
        Index.open(where, bits=64)
    with Index.open(where, model="a" * 8) as index:
        assert index.model == A
        with pytest.raises(ModelMismatchError):
            index.add(VideoCode(np.uint8([1, 2]), 16, B))
        index.compact()
    with open_index(where) as index:
        assert index.model == A and len(index) == 1
    with pytest.raises(OptionError, match="nothing://"):
        open_index("nothing://x")


def test_a_stored_index_offers_only_what_works_on_it(tmp_path: Path) -> None:
    advice = r"Index\.load\(file\) reads a file.*StoredIndex\(directory\)"
    with StoredIndex(tmp_path / "s", bits=64) as index:
        index.add(random_codes(3))
        index.save(tmp_path / "file")
        assert repr(index).startswith("StoredIndex(64, codes=3, directory=")
        assert isinstance(index, BaseIndex) and not isinstance(index, Index)
        (pairs,) = Index.load(tmp_path / "file").pairs(0, other=index)
        assert sorted(pairs.ids.tolist()) == [[0, 0], [1, 1], [2, 2]]
        with pytest.raises(AttributeError, match=advice):
            index.load(tmp_path / "file")
    with pytest.raises(AttributeError, match=advice):
        StoredIndex.load(tmp_path / "file")
    with pytest.raises(AttributeError, match=r"StoredIndex\(directory\) or Index\.open\(directory\)"):
        StoredIndex.open(tmp_path / "s")
    assert not hasattr(StoredIndex, "load") and not hasattr(StoredIndex, "open")


def test_a_reader_cannot_change(tmp_path: Path) -> None:
    Index.open(tmp_path / "s", bits=64).close()
    reader = Index.open(tmp_path / "s", mode="r")
    for change in (
        lambda: reader.add(random_codes(1)),
        lambda: reader.upsert(random_codes(1), [1]),
        reader.compact,
    ):
        with pytest.raises(StoreError, match='mode="rw"'):
            change()
    assert len(reader) == 0 and "mode='r'" in repr(reader)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    where = tmp_path / "s"
    Index.open(where, bits=64).close()
    for name in ("notes.txt", "log-book", "segment-x.vhash"):
        (where / name).write_text("mine")
    (where / "segment-77.vhash").write_text("left by a crash")
    Index.open(where).close()
    assert {"notes.txt", "log-book", "segment-x.vhash"} < {path.name for path in where.iterdir()}
    assert not (where / "segment-77.vhash").exists()


def test_repair_keeps_what_is_intact(tmp_path: Path) -> None:
    where = tmp_path / "s"
    with Index.open(where, bits=64) as index:
        index.add(random_codes(100))
        index.compact()
        index.add(random_codes(50))
        index.add(random_codes(30))
        assert repair_refused(where)
    assert repair(where) == []
    (log,) = where.glob("log-*")
    whole = log.read_bytes()
    log.write_bytes(whole[:-1])
    with pytest.raises(IndexFormatError, match=rf"{log.name}.*repair\(\)"):
        Index.open(where)
    (lost,) = repair(where)
    assert log.name in lost and "from number 3 on" in lost
    assert (where / f"{log.name}.damaged").read_bytes() == whole[:-1]
    with Index.open(where) as index:
        assert len(index) == 150 and index.add(random_codes(1)).tolist() == [150]
    (segment,) = where.glob("segment-*")
    content = bytearray(segment.read_bytes())
    content[4100] ^= 1
    segment.write_bytes(content)
    (lost,) = repair(where)
    assert f"{segment.name}: its 100 codes are lost" in lost
    assert len(Index.open(where, mode="r")) == 51 and repair(where) == []
    (where / "MANIFEST").write_bytes(b"nonsense")
    with pytest.raises(IndexFormatError, match="MANIFEST"):
        repair(where)


def repair_refused(where: Path) -> bool:
    with pytest.raises(StoreError, match="being written"):
        repair(where)
    return True


class CIndex:
    """The C interface of the module's own library."""

    def __init__(self) -> None:
        self.c = ctypes.CDLL(_core.__file__)
        self.c.vhash_error.restype = ctypes.c_char_p
        self.c.vhash_index_size.restype = ctypes.c_size_t

    def open(self, where: Path, bits: int, model: str | None, writable: bool) -> tuple[int, ctypes.c_void_p]:
        index = ctypes.c_void_p()
        name = model.encode() if model else None
        return self.c.vhash_index_open(
            str(where).encode(), bits, name, int(writable), ctypes.byref(index)
        ), index


def test_c_interface(tmp_path: Path) -> None:
    c = CIndex()
    where = tmp_path / "s"
    codes = random_codes(500)
    status, writer = c.open(where, 64, A, True)
    assert status == 0
    data = codes.ctypes.data_as(ctypes.c_void_p)
    assert c.c.vhash_index_add(writer, data, ctypes.c_size_t(500), None, None) == 0
    assert c.open(where, 0, None, True)[0] == 7 and b"being written" in c.c.vhash_error()
    assert c.open(where, 0, B, False)[0] == 8 and b"model" in c.c.vhash_error()
    assert c.open(where, 32, None, False)[0] == 1
    status, reader = c.open(where, 0, None, False)
    assert status == 0 and c.c.vhash_index_size(reader) == 500
    changed = ctypes.c_int(-1)
    assert c.c.vhash_index_refresh(reader, ctypes.byref(changed)) == 0 and changed.value == 0
    assert c.c.vhash_index_add(reader, data, ctypes.c_size_t(1), None, None) == 7
    ids = np.arange(0, 500, 2)
    assert (
        c.c.vhash_index_remove(writer, ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(250), None) == 0
    )
    assert c.c.vhash_index_compact(writer) == 0
    assert c.c.vhash_index_refresh(reader, ctypes.byref(changed)) == 0 and changed.value == 1
    assert c.c.vhash_index_size(reader) == 250
    found, id, distance = ctypes.c_size_t(), np.zeros(1, np.int64), np.zeros(1, np.uint16)
    query = np.ascontiguousarray(codes[1:2]).ctypes.data_as(ctypes.c_void_p)
    one = ctypes.c_size_t(1)
    out = (array.ctypes.data_as(ctypes.c_void_p) for array in (id, distance))
    assert c.c.vhash_index_search(reader, query, one, one, *out, ctypes.byref(found)) == 0
    assert (found.value, id[0], distance[0]) == (1, 1, 0)
    assert c.c.vhash_index_close(writer) == 0
    assert c.c.vhash_index_add(writer, data, ctypes.c_size_t(1), None, None) == 7
    plain = ctypes.c_void_p()
    assert c.c.vhash_index_create(64, None, ctypes.byref(plain)) == 0
    assert c.c.vhash_index_refresh(plain, None) == 1 and b"vhash_index_open" in c.c.vhash_error()
    for index in (writer, reader, plain):
        c.c.vhash_index_free(index)
    with Index.open(where) as index:
        assert len(index) == 250


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a directory that is the working one")
def test_a_relative_directory_stays_the_one_that_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    with Index.open(second / "s", bits=64) as other:
        other.add(random_codes(1000))
        expected = contents(other)
    monkeypatch.chdir(first)
    with StoredIndex("s", bits=64, seal_rows=20) as index:
        index.add(random_codes(10, seed=1))
        monkeypatch.chdir(second)
        with Index.open(first / "s", mode="r") as reader:
            index.add(random_codes(30, seed=2))
            index.compact()
            assert reader.refresh() and len(reader) == 40
        assert index.directory == str(first / "s")
    monkeypatch.chdir(first)
    with Index.open("s", mode="r") as reader:
        monkeypatch.chdir(second)
        assert not reader.refresh() and len(reader) == 40
    with Index.open(second / "s", mode="r") as other:
        assert contents(other) == expected


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a directory whose files are open")
@pytest.mark.parametrize("again", [False, True])
def test_a_writer_whose_directory_was_taken_away_leaves_the_new_one_alone(
    tmp_path: Path, again: bool
) -> None:
    with Index.open(tmp_path / "s", bits=64) as index:
        index.add(random_codes(10))
        shutil.rmtree(tmp_path / "s")
        if again:
            with Index.open(tmp_path / "s", bits=64) as other:
                other.add(random_codes(1000, seed=1))
                expected = contents(other)
        for change in (lambda: index.add(random_codes(5, seed=2)), lambda: index.remove([1]), index.compact):
            with pytest.raises(StoreError, match="was removed or replaced while it was open"):
                change()
        assert len(index) == 10
        index.save(tmp_path / "rescued.vhash")
    assert len(Index.load(tmp_path / "rescued.vhash")) == 10
    if again:
        with Index.open(tmp_path / "s") as other:
            assert contents(other) == expected


@pytest.mark.skipif(os.name == "nt", reason="links, pipes and permissions of POSIX")
def test_saving_replaces_files_only_and_keeps_their_permissions(tmp_path: Path) -> None:
    index = Index(64)
    index.add(random_codes(3))
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "no regular file"), (".", "a directory")):
        with pytest.raises(IndexFormatError, match=said):
            index.save(tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    target = tmp_path / "real.vhash"
    target.write_bytes(b"old")
    target.chmod(0o600)
    (tmp_path / "link").symlink_to("real.vhash")
    index.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and target.stat().st_mode & 0o777 == 0o600
    assert len(Index.load(target)) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "real.vhash"]
