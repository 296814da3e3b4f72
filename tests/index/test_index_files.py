"""What an index's files may do to whoever opens them, and where writing may lead."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk import _core, open_index
from vhash_sdk.errors import IndexFormatError, OptionError, StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex, repair
from vhash_sdk.library.lock import writer_lock

ODD = b"caf\xe9-\xff"  # no UTF-8
PRECIOUS = "three years of work\n"


def random_codes(n: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size), dtype=np.uint8)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    folder = tmp_path / os.fsdecode(ODD)
    folder.mkdir()
    return folder


def test_a_folder_of_any_bytes(odd: Path) -> None:
    codes = random_codes(500)
    index = Index(64)
    index.add(codes)
    for file in (odd / "index.vhi", os.fsencode(odd / "other.vhi")):
        index.save(file)
        assert len(Index.load(file)) == 500 == len(Index.load(file, mmap=False))
    with StoredIndex(odd / "store", bits=64, seal_rows=100) as stored:
        stored.add(codes)
        stored.compact()
        assert stored.directory == str(odd / "store")
    assert len(open_index(os.fsencode(odd / "store"))) == 500
    assert repair(odd / "store") == []


def test_errors_name_a_path_of_any_bytes(odd: Path) -> None:
    name = os.fsdecode(ODD)
    (odd / "text").write_text("x" * 300)
    with pytest.raises(FileNotFoundError, match=name):
        Index.load(odd / "absent")
    with pytest.raises(IndexFormatError, match=name):
        Index.load(odd / "text")
    with pytest.raises(OSError, match=name):
        Index(8).save(odd / "no" / "such")
    with pytest.raises(StoreError, match=name):
        Index.open(odd / "absent")
    with StoredIndex(odd / "s", bits=64) as index:
        index.add(random_codes(3))
        with pytest.raises(StoreError, match=name):
            Index.open(odd / "s")
    with pytest.raises(StoreError, match=name):
        index.add(random_codes(1))
    (log,) = (odd / "s").glob("log-*")
    log.write_bytes(log.read_bytes()[:4100])
    with pytest.raises(IndexFormatError, match=name):
        Index.open(odd / "s")
    (lost,) = repair(odd / "s")
    assert name in lost


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", "", b"", "\ud800", 5, None])
def test_paths_that_no_system_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: object) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: Index.load(path),  # type: ignore[arg-type]
        lambda: Index(8).save(path),  # type: ignore[arg-type]
        lambda: Index.open(path, bits=8),  # type: ignore[arg-type]
        lambda: open_index(path, bits=8),  # type: ignore[arg-type]
        lambda: repair(path),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(OptionError, match="path"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_the_engine_itself_refuses_a_nul(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: _core.HammingIndex.load(b"a\0b", True, True),
        lambda: _core.HammingIndex(8).save(b"a\0b"),
        lambda: _core.Store(b"a\0b", 8, "", True),
        lambda: _core.repair_store(b"a\0b"),
    ):
        with pytest.raises(OptionError, match="NUL"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_or_a_pipe_is_no_index_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for mmap in (True, False):
        with pytest.raises(IndexFormatError, match=r"is a directory.*Index\.open"):
            Index.load(tmp_path, mmap=mmap)
        with pytest.raises(IndexFormatError, match="no regular file"):
            Index.load(tmp_path / "pipe", mmap=mmap)
    with StoredIndex(tmp_path / "s", bits=8) as index:
        index.add([[1]])
    (tmp_path / "s" / "MANIFEST").unlink()
    os.mkfifo(tmp_path / "s" / "MANIFEST")
    with pytest.raises(IndexFormatError, match="MANIFEST.*no regular file"):
        Index.open(tmp_path / "s", mode="r")


# ---- links ----


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "precious.txt"
    file.write_text(PRECIOUS)
    return file


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_locks_are_not_followed_to_other_files(
    tmp_path: Path, precious: Path, link: Callable[..., None]
) -> None:
    for folder in ("store", "library", "fresh"):
        (tmp_path / folder).mkdir()
    StoredIndex(tmp_path / "store", bits=64).close()
    (tmp_path / "store" / "LOCK").unlink()
    for place in ("store/LOCK", "fresh/LOCK", "library/lock"):
        link(precious, tmp_path / place)
    for folder in ("store", "fresh"):
        with pytest.raises(StoreError, match="LOCK"):
            Index.open(tmp_path / folder, bits=64)
    with pytest.raises(StoreError, match="LOCK"):
        repair(tmp_path / "store")
    with pytest.raises(StoreError, match="lock"), writer_lock(tmp_path / "library" / "lock"):
        pass
    assert precious.read_text() == PRECIOUS


def test_a_lock_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    StoredIndex(tmp_path, bits=64).close()
    for name in ("LOCK", "lock"):
        (tmp_path / name).write_text(PRECIOUS)
    with pytest.raises(StoreError, match="something else"):
        Index.open(tmp_path)
    with pytest.raises(StoreError, match="something else"), writer_lock(tmp_path / "lock"):
        pass
    assert (tmp_path / "LOCK").read_text() == (tmp_path / "lock").read_text() == PRECIOUS
    for name in ("LOCK", "lock"):  # what a crash of the machine leaves
        (tmp_path / name).write_bytes(bytes(10))
    Index.open(tmp_path).close()
    with writer_lock(tmp_path / "lock"):
        assert b"process" in (tmp_path / "lock").read_bytes()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_new_files_are_never_written_through_links(
    tmp_path: Path, precious: Path, link: Callable[..., None]
) -> None:
    """Every name that comes next is taken already, by a link to a file of somebody else."""
    where = tmp_path / "store"
    with StoredIndex(where, bits=64, seal_rows=100) as index:
        index.add(random_codes(50))
        for number in range(1, 60):
            for name in (f"log-{number}.vlog", f"segment-{number}.vhash", f"live-{number}.bits"):
                if not (where / name).exists():
                    link(precious, where / name)
            for turn in range(5):  # of segment files that will be written under a temporary name
                link(precious, where / f"segment-{number}.vhash.tmp.{os.getpid()}.{turn}")
        link(precious, where / "MANIFEST.tmp")
        for turn in range(6):
            index.add(random_codes(50, seed=turn))
            index.remove(range(turn, 300, 9))
        index.compact()
        size = len(index)
    with Index.open(where) as index:
        assert len(index) == size
    index_file = tmp_path / "index.vhi"
    for turn in range(2000):
        link(precious, tmp_path / f"index.vhi.tmp.{os.getpid()}.{turn}") if turn % 2 else None
    Index(64).save(index_file)
    assert len(Index.load(index_file)) == 0 and precious.read_text() == PRECIOUS
    (log,) = where.glob("log-*.vlog")
    link(precious, where / f"{log.name}.damaged")
    with Index.open(where) as index:
        index.add(random_codes(3))
        index.add(random_codes(3))
    log.write_bytes(log.read_bytes()[:-1])
    assert len(repair(where)) == 1
    assert precious.read_text() == PRECIOUS


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    where = tmp_path / "store"
    with Index.open(where, bits=64) as index:
        index.add(random_codes(10))
    (log,) = where.glob("log-*")
    shutil.move(log, tmp_path / "elsewhere")
    log.symlink_to(tmp_path / "elsewhere")
    assert len(Index.open(where, mode="r")) == 10  # reading does no harm
    with pytest.raises(StoreError, match="symbolic link"):
        Index.open(where)


# ---- headers whose sums hold ----

HEADER = struct.Struct("<8sIIQqqQQQIII64s112s")


def forged(file: Path, **fields: object) -> Path:
    """The index file with other fields in its header, and sums that hold."""
    content = bytearray(file.read_bytes())
    names = (
        "magic version bits count id_base next_id codes_offset ids_offset file_size flags codes_crc ids_crc"
    )
    values = dict(zip((*names.split(), "model", "reserved"), HEADER.unpack_from(content), strict=True))
    codes, ids = fields.pop("codes", None), fields.pop("ids", None)
    if codes is not None:
        content[4096 : 4096 + len(codes)] = codes  # type: ignore[arg-type]
        values["codes_crc"] = _core.crc32c(bytes(codes))  # type: ignore[call-overload]
    if ids is not None:
        content[values["ids_offset"] :] = ids  # type: ignore[misc]
        values["ids_crc"] = _core.crc32c(bytes(ids))  # type: ignore[call-overload]
    values.update(fields)  # type: ignore[arg-type]
    HEADER.pack_into(content, 0, *values.values())
    struct.pack_into("<I", content, 252, _core.crc32c(bytes(content[:252])))
    target = file.with_suffix(".forged")
    target.write_bytes(content)
    return target


def refused(file: Path) -> None:
    for mmap in (True, False):
        for verify in (True, False):
            with pytest.raises(IndexFormatError, match=file.name):
                Index.load(file, mmap=mmap, verify=verify)


@pytest.mark.parametrize("bits", [1, 60, 63, 65, 100, 4095])
def test_padding_bits_are_refused(tmp_path: Path, bits: int) -> None:
    index, words = Index(bits), (bits + 63) // 64
    index.add(np.zeros((20, (bits + 7) // 8), np.uint8))
    index.save(tmp_path / "index")
    refused(forged(tmp_path / "index", codes=b"\xff" * (20 * words * 8)))
    one = bytearray(20 * words * 8)
    one[-1] = 0x80
    refused(forged(tmp_path / "index", codes=one))


def test_padding_bits_that_come_later_are_an_error_and_no_crash(tmp_path: Path) -> None:
    index = Index(60)
    index.add(random_codes(100) & 15)
    index.save(tmp_path / "index")
    mapped = Index.load(tmp_path / "index")
    with open(tmp_path / "index", "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 800)
    with pytest.raises(IndexFormatError, match="padding"):
        mapped.search(np.zeros((3, 8), np.uint8), 50)
    mapped.range_search(np.zeros((3, 8), np.uint8), 60)


def test_offsets_and_counts_are_checked_without_wrapping(tmp_path: Path) -> None:
    index = Index(64)
    index.add(random_codes(100), np.arange(100)[::-1])
    index.save(tmp_path / "index")
    size = (tmp_path / "index").stat().st_size
    fields: dict[str, object]
    for fields in (
        {"ids_offset": 2**64 - 800 + 8, "file_size": 8},  # their end wraps to the end of the file
        {"ids_offset": (size - 800) % 2**64 - 64},
        {"ids_offset": 2**64 - 64},
        {"ids_offset": size},
        {"ids_offset": 4096},
        {"ids_offset": 0},
        {"count": 99},
        {"count": 2**32 - 17},
        {"count": 2**61},
        {"count": 2**64 - 1},
        {"codes_offset": 0},
        {"codes_offset": 2**64 - 4096},
        {"file_size": 2**64 - 1},
        {"flags": 0},
        {"flags": 3},
        {"bits": 0},
        {"bits": 4097},
        {"bits": 128},
        {"bits": 2**32 - 1},
        {"model": b"\xff" * 64},
        {"model": b"a b"},
        {"version": 0},
    ):
        refused(forged(tmp_path / "index", **fields))
    # as many ids as end, modulo 2^64, where the file does
    many = 2**32 - 17
    refused(forged(tmp_path / "index", ids_offset=(size - 8 * many) % 2**64, count=many, bits=1))


def test_ids_that_no_index_holds(tmp_path: Path) -> None:
    index = Index(64)
    index.add(random_codes(100))
    index.save(tmp_path / "index")
    refused(forged(tmp_path / "index", id_base=2**63 - 50))
    index = Index(64)
    index.add(random_codes(100), np.arange(100)[::-1])
    index.save(tmp_path / "twice")
    ids = np.arange(100)[::-1].copy()
    ids[40] = 7
    refused(forged(tmp_path / "twice", ids=ids.tobytes()))


# ---- stores whose sums hold ----


def manifest(where: Path, edit: Callable[[bytearray], None]) -> None:
    content = bytearray((where / "MANIFEST").read_bytes()[:-4])
    edit(content)
    (where / "MANIFEST").write_bytes(content + struct.pack("<I", _core.crc32c(bytes(content))))


def set_field(offset: int, kind: str, value: int) -> Callable[[bytearray], None]:
    return lambda content: struct.pack_into(f"<{kind}", content, offset, value)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, one of them with a bitmap, and a log."""
    where = tmp_path_factory.mktemp("sealed") / "s"
    engine = _core.Store(os.fsencode(where), 60, "", True, 100, False)
    for seed in range(2):
        engine.index.add(random_codes(100, seed=seed) & 15, None)
    engine.compact()
    engine.close()
    with StoredIndex(where, seal_rows=100) as index:
        index.remove(np.arange(0, 200, 20))
        index.add(random_codes(120, seed=5) & 15)
        while index.state().logs > 1:
            pass
    names = {path.name.split("-")[0] for path in where.iterdir()}
    assert names >= {"segment", "live", "log", "MANIFEST"}
    return where


FIRST, SECOND = 192, 192 + 48


@pytest.mark.parametrize(
    ("offset", "kind", "value"),
    [
        (12, "I", 61),
        (16, "Q", 2**64 - 1),  # generation
        (24, "Q", 2**64 - 1),  # sealed
        (32, "Q", 1),  # next_file: would give out the numbers of files that exist
        (32, "Q", 2**64 - 1),
        (40, "q", -1),  # next_id
        (48, "I", 2**32 - 1),  # segments
        (52, "I", 2**32 - 1),  # logs
        (56, "Q", 2**64 - 1),  # model
        (FIRST, "Q", 2**64 - 1),  # number
        (FIRST + 8, "Q", 0),  # rows
        (FIRST + 8, "Q", 2**64 - 1),
        (FIRST + 8, "Q", 2**61),
        (FIRST + 16, "Q", 0),  # live
        (FIRST + 16, "Q", 2**64 - 1),
        (FIRST + 24, "Q", 0),  # file size
        (SECOND + 32, "Q", 2**63),  # bitmap
    ],
)
def test_manifests_that_no_vhash_writes(
    tmp_path: Path, sealed: Path, offset: int, kind: str, value: int
) -> None:
    where = tmp_path / "s"
    shutil.copytree(sealed, where)
    manifest(where, set_field(offset, kind, value))
    for mode in ("r", "rw"):
        with pytest.raises(IndexFormatError):
            Index.open(where, mode=mode)  # type: ignore[arg-type]


def test_a_segment_named_twice(tmp_path: Path, sealed: Path) -> None:
    where = tmp_path / "s"
    shutil.copytree(sealed, where)

    def twice(content: bytearray) -> None:
        content[SECOND : SECOND + 48] = content[FIRST : FIRST + 48]

    manifest(where, twice)
    with pytest.raises(IndexFormatError, match="MANIFEST"):
        Index.open(where)


def test_a_bitmap_that_counts_wrongly_is_refused(tmp_path: Path, sealed: Path) -> None:
    where = tmp_path / "s"
    shutil.copytree(sealed, where)
    (bitmap,) = where.glob("live-*")
    content = bytearray(bitmap.read_bytes())
    content[48:] = b"\xff" * (len(content) - 48)  # also beyond the rows
    struct.pack_into("<I", content, 40, _core.crc32c(bytes(content[48:])))
    struct.pack_into("<I", content, 44, _core.crc32c(bytes(content[:44])))
    bitmap.write_bytes(content)
    for mode in ("r", "rw"):
        with pytest.raises(IndexFormatError, match=bitmap.name):
            Index.open(where, mode=mode)  # type: ignore[arg-type]


def test_a_log_whose_ids_run_beyond_the_last(tmp_path: Path) -> None:
    where = tmp_path / "s"
    with Index.open(where, bits=64) as index:
        index.add(random_codes(5))
    (log,) = where.glob("log-*")
    content = bytearray(log.read_bytes())
    (salt,) = struct.unpack_from("<I", content, 60)
    struct.pack_into("<q", content, 4096 + 32, 2**63 - 3)
    struct.pack_into("<I", content, 4096 + 4, _core.crc32c(bytes(content[4104:]), salt))
    log.write_bytes(content)
    for mode in ("r", "rw"):
        with pytest.raises(IndexFormatError, match=log.name):
            Index.open(where, mode=mode)  # type: ignore[arg-type]


# ---- modes ----


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes")
@pytest.mark.parametrize(("umask", "file", "folder"), [(0o000, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_nobody_else_may_write_what_is_made(tmp_path: Path, umask: int, file: int, folder: int) -> None:
    before = os.umask(umask)
    try:
        with StoredIndex(tmp_path / "s", bits=64, seal_rows=50) as index:
            for turn in range(4):
                index.add(random_codes(30, seed=turn))
                index.remove([turn])
            index.compact()
            index.add(random_codes(3))
        Index(8).save(tmp_path / "index")
        with writer_lock(tmp_path / "lock"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "s").stat().st_mode & 0o777 == folder
    made = [*(tmp_path / "s").iterdir(), tmp_path / "index", tmp_path / "lock"]
    assert {path.name: path.stat().st_mode & 0o777 for path in made} == {path.name: file for path in made}
