"""Targets of ``tests.fuzz`` in the engine: its files, with sums that hold, and its C interface."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vhash_sdk import _core
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

BITS = 60
_SEAL_ROWS = 100


def _random(n: int, bits: int = BITS, seed: int = 0) -> np.ndarray:
    bools = np.random.default_rng(seed).integers(0, 2, (n, bits), dtype=np.uint8)
    return np.packbits(bools, axis=1, bitorder="little")


def _crc(data: bytes | bytearray, before: int = 0) -> int:
    return _core.crc32c(bytes(data), before)


# ---- one index file ----


def index_seeds(folder: Path) -> list[bytes]:
    """Index files with and without ids of their own, of widths with and without padding."""
    contents = []
    for bits, ids in ((64, None), (60, None), (60, [9, 3, 7, 1, 5]), (1, [4, 1, 3, 0, 2]), (4096, None)):
        index = Index(bits, model="0123abcd")
        index.add(_random(5, bits), ids)
        index.save(folder / "seed.vhi")
        contents.append((folder / "seed.vhi").read_bytes())
    return contents


def _summed_index(data: bytes) -> bytes:
    """The file with the sums that belong to it, as far as its own offsets say where."""
    content = bytearray(data)
    if len(content) < 256:
        return data
    bits, count = struct.unpack_from("<IQ", content, 12)
    codes_offset, ids_offset, file_size = struct.unpack_from("<QQQ", content, 40)
    if file_size % 3 == 0:  # mostly that of the file, or nothing else would be looked at
        struct.pack_into("<Q", content, 56, len(content))
    if codes_offset < len(content):
        end = min(codes_offset + count * ((bits + 63) // 64) * 8, len(content))
        struct.pack_into("<I", content, 68, _crc(content[codes_offset:end]))
    if ids_offset < len(content):
        struct.pack_into("<I", content, 72, _crc(content[ids_offset : ids_offset + 8 * count]))
    struct.pack_into("<I", content, 252, _crc(content[:252]))
    return bytes(content)


def read_summed_index(data: bytes, folder: Path) -> None:
    """Load it in every mode, and search what loads."""
    path = folder / "input"
    path.write_bytes(_summed_index(data))
    for mmap in (True, False):
        for verify in (True, False):
            index = Index.load(path, mmap=mmap, verify=verify)
            _use(index)


def _use(index: Index) -> None:
    queries = _random(3, index.bits, 1)
    found = index.search(queries, k=7)
    assert found.ids.shape == (3, min(7, len(index)))
    within = index.range_search(queries, index.bits)
    assert len(within.ids) == 3 * len(index)
    few = within.ids[:3]
    assert index.codes(few).shape == (len(few), (index.bits + 7) // 8)
    index.search(queries, k=2, among=few)
    sum(len(pairs) for pairs in index.pairs(2))
    index.build_multi_index()


# ---- a store, one of whose files is the input ----


def _store(folder: Path) -> Path:
    """Segments, one with a bitmap, and a log with all kinds of changes."""
    where = folder / "seed-store"
    if where.exists():
        return where
    with StoredIndex(where, bits=BITS, seal_rows=_SEAL_ROWS) as index:
        index.add(_random(120))
        index.compact()
        index.add(_random(150, seed=1))
        index.remove(np.arange(0, 200, 20))
        index.add(_random(110, seed=2))
        while index.state().logs > 1:
            pass
        index.add(_random(4, seed=3))
        index.upsert(_random(3, seed=4), [5, 900, 7])
        index.remove([900, 6])
    return where


def _seeds_of(pattern: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [path.read_bytes() for path in sorted(_store(folder).glob(pattern))]


def _opened(data: bytes, folder: Path, pattern: str, sums: Callable[[Path, bytes], bytes]) -> None:
    where = folder / "store"
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(_store(folder), where)
    victim = sorted(where.glob(pattern))[0]
    victim.write_bytes(sums(where, data))
    _use(Index.open(where, mode="r"))
    with StoredIndex(where, seal_rows=_SEAL_ROWS) as index:
        _use(index)
        index.add(_random(2, seed=6))
        size = len(index)
        index.compact()
        _use(index)
    assert len(Index.open(where, mode="r")) == size


def _summed_manifest(where: Path, data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", _crc(data[:-4]))


def _summed_bitmap(where: Path, data: bytes) -> bytes:
    content = bytearray(data)
    if len(content) >= 48:
        struct.pack_into("<I", content, 40, _crc(content[48:]))
        struct.pack_into("<I", content, 44, _crc(content[:44]))
    return bytes(content)


def _summed_log(where: Path, data: bytes) -> bytes:
    content = bytearray(data)
    if len(content) < 4096:
        return data
    struct.pack_into("<I", content, 60, _crc(content[:60]))
    (salt,) = struct.unpack_from("<I", content, 60)
    struct.pack_into("<I", content, 512 + 20, _crc(content[512 : 512 + 20], salt))
    at = 4096
    while at + 40 <= len(content):
        (size,) = struct.unpack_from("<Q", content, at + 8)
        if not 40 <= size <= len(content) - at:
            break
        struct.pack_into("<I", content, at + 4, _crc(content[at + 8 : at + size], salt))
        at += size
    return bytes(content)


def _summed_segment(where: Path, data: bytes) -> bytes:
    """Its sums hold, and the manifest names them."""
    summed = _summed_index(data)
    if len(summed) >= 256:
        number = int(sorted(where.glob("segment-*"))[0].stem.partition("-")[2])
        manifest = bytearray((where / "MANIFEST").read_bytes())
        for at in range(192, 192 + 48 * struct.unpack_from("<I", manifest, 48)[0], 48):
            if struct.unpack_from("<Q", manifest, at)[0] != number:
                continue
            (count,) = struct.unpack_from("<Q", summed, 16)
            struct.pack_into("<Q", manifest, at + 8, count)
            if not struct.unpack_from("<Q", manifest, at + 32)[0]:
                struct.pack_into("<Q", manifest, at + 16, count)
            struct.pack_into("<Q", manifest, at + 24, len(summed))
            struct.pack_into("<I", manifest, at + 40, struct.unpack_from("<I", summed, 252)[0])
        (where / "MANIFEST").write_bytes(_summed_manifest(where, bytes(manifest)))
    return summed


# ---- the C interface ----

_CAPACITY = 64  # codes, ids and results that every buffer holds
_SIZES = (0, 1, 2, 3, 17, _CAPACITY, 1 << 60, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_NUMBERS = (0, 1, 2, 7, 63, 64, 65, 1000, 4096, 4097, (1 << 31) - 1, (1 << 32) - 1)
_IDS = (0, 1, 2, 5, 40, -1, 1 << 40, (1 << 63) - 2, (1 << 63) - 1, -(1 << 63))
_WIDTHS = (0, 1, 7, 60, 64, 65, 4096, 4097, (1 << 32) - 1)


class _Ranges(ctypes.Structure):
    _fields_ = (
        ("queries", ctypes.c_size_t),
        ("splits", ctypes.c_void_p),
        ("ids", ctypes.c_void_p),
        ("distances", ctypes.c_void_p),
    )


class _Program:
    """Bytes as a sequence of calls: each names a function and picks its arguments, null among them."""

    def __init__(self, data: bytes, folder: Path) -> None:
        self.c = ctypes.CDLL(_core.__file__)
        self.data, self.at, self.folder = data, 0, folder
        self.indexes: list[ctypes.c_void_p] = []
        self.met: set[tuple[str, int | None, bytes]] = set()
        rng = np.random.default_rng(len(data))
        self.codes = rng.integers(0, 256, (_CAPACITY, 512), dtype=np.uint8)
        self.ids = np.array([_IDS[i % len(_IDS)] if i % 3 else i for i in range(_CAPACITY)], np.int64)
        self.out = [np.zeros((_CAPACITY, size), np.uint8) for size in (512, 8 * _CAPACITY, 2 * _CAPACITY)]

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def pick(self, values: tuple[int, ...]) -> int:
        return values[self.byte() % len(values)]

    def pointer(self, array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(None if self.byte() % 16 == 15 else array.ctypes.data)

    def index(self) -> ctypes.c_void_p:
        choice = self.byte()
        if choice % 16 == 15 or not self.indexes:
            return ctypes.c_void_p(None)
        return self.indexes[choice % len(self.indexes)]

    def size(self) -> ctypes.c_size_t:
        return ctypes.c_size_t(self.pick(_SIZES))

    def path(self) -> bytes | None:
        names = (b"file", b"store", b"no/such", b"", b"caf\xe9", None)
        name = names[self.byte() % len(names)]
        return os.fsencode(self.folder) + b"/capi-" + name if name else name

    def run(self) -> None:
        calls = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("call_")]
        self.c.vhash_error.restype = ctypes.c_char_p
        while self.at < len(self.data) and self.at < 4000:
            call = calls[self.byte() % len(calls)]
            status = call()
            assert status in (None, 0, 1, 2, 3, 4, 5, 7, 8), status  # 6: a defect of ours
            why = self.c.vhash_error() if status else b""
            assert not status or why
            self.met.add((call.__name__, status, re.sub(rb"\d+|'.*'", b"", why)))
        for index in self.indexes:
            self.c.vhash_index_free(index)

    def _made(self, status: int, index: ctypes.c_void_p) -> int:
        if status == 0:
            self.indexes.append(index)
        if len(self.indexes) > 4:
            self.c.vhash_index_free(self.indexes.pop(0))
        return status

    def call_create(self) -> int:
        index = ctypes.c_void_p()
        model = (None, b"0123abcd", b"x" * 65, b"\xff\xfe", b"")[self.byte() % 5]
        target = None if self.byte() % 16 == 15 else ctypes.byref(index)
        bits = ctypes.c_uint(self.pick(_WIDTHS))
        return self._made(self.c.vhash_index_create(bits, model, target), index)

    def call_load(self) -> int:
        index = ctypes.c_void_p()
        return self._made(self.c.vhash_index_load(self.path(), self.byte() % 2, ctypes.byref(index)), index)

    def call_open(self) -> int:
        index = ctypes.c_void_p()
        bits, writable = ctypes.c_uint(self.pick(_WIDTHS)), self.byte() % 2
        status = self.c.vhash_index_open(self.path(), bits, None, writable, ctypes.byref(index))
        return self._made(status, index)

    def call_add(self) -> int:
        index, n = self.index(), self.size()
        ids = self.pointer(self.ids) if self.byte() % 2 else None
        return self.c.vhash_index_add(index, self.pointer(self.codes), n, ids, None)

    def call_upsert(self) -> int:
        return self.c.vhash_index_upsert(
            self.index(), self.pointer(self.codes), self.size(), self.pointer(self.ids)
        )

    def call_remove(self) -> int:
        return self.c.vhash_index_remove(self.index(), self.pointer(self.ids), self.size(), None)

    def call_codes(self) -> int:
        return self.c.vhash_index_codes(
            self.index(), self.pointer(self.ids), self.size(), self.pointer(self.out[0])
        )

    def call_search(self) -> int:
        found, index = ctypes.c_size_t(), self.index()
        # the results of n queries have room for n × 64 each
        k = ctypes.c_size_t(min(self.pick(_NUMBERS), _CAPACITY))
        queries, n = self.pointer(self.codes), self.size()
        out = self.pointer(self.out[1]), self.pointer(self.out[2])
        target = None if self.byte() % 16 == 15 else ctypes.byref(found)
        if self.byte() % 2:
            return self.c.vhash_index_search(index, queries, n, k, *out, target)
        among = self.pointer(self.ids)
        return self.c.vhash_index_search_among(index, queries, n, k, among, self.size(), *out, target)

    def call_range(self) -> int:
        ranges = _Ranges()
        target = None if self.byte() % 16 == 15 else ctypes.byref(ranges)
        radius, limit = ctypes.c_uint(self.pick(_NUMBERS)), ctypes.c_size_t(self.pick(_NUMBERS))
        index, queries = self.index(), self.pointer(self.codes)
        status = self.c.vhash_index_range(index, queries, self.size(), radius, limit, target)
        self.c.vhash_ranges_free(ctypes.byref(ranges))
        return status

    def call_pairs(self) -> int:
        pairs, batch, n = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        radius = ctypes.c_uint(self.pick(_NUMBERS))
        other = self.index() if self.byte() % 2 else None
        status = self.c.vhash_index_pairs(self.index(), other, radius, ctypes.byref(pairs))
        for _ in range(3):
            wanted = ctypes.c_size_t(self.pick(_NUMBERS))
            self.c.vhash_pairs_next(pairs, wanted, ctypes.byref(batch), ctypes.byref(n))
        self.c.vhash_pairs_free(pairs)
        return status

    def call_save(self) -> int:
        return self.c.vhash_index_save(self.index(), self.path())

    def call_facts(self) -> None:
        index, model = self.index(), ctypes.create_string_buffer(65)
        self.c.vhash_index_bits(index), self.c.vhash_index_size(index)
        self.c.vhash_index_contains(index, ctypes.c_int64(self.pick(_IDS)))
        self.c.vhash_index_model(index, model)
        self.c.vhash_index_set_threads(index, ctypes.c_uint(self.pick(_NUMBERS)))
        self.c.vhash_set_simd_level((None, b"auto", b"none", b"scalar")[self.byte() % 4])

    def call_maintain(self) -> int:
        functions = ("refresh", "compact", "close", "build_multi_index")
        name = functions[self.byte() % len(functions)]
        more = (None,) if name == "refresh" else ()
        return getattr(self.c, f"vhash_index_{name}")(self.index(), *more)

    def call_free(self) -> None:
        if self.indexes:
            self.c.vhash_index_free(self.indexes.pop(self.byte() % len(self.indexes)))
        self.c.vhash_index_free(None)


def capi_seeds(folder: Path) -> list[bytes]:
    """Programs of a few hundred calls."""
    return [np.random.default_rng(seed).integers(0, 256, 1500, dtype=np.uint8).tobytes() for seed in range(8)]


_met: set[tuple[str, int | None, bytes]] = set()


def run_capi(data: bytes, folder: Path) -> object:
    """One program, on files that the one before left; what no program met before."""
    program = _Program(data, folder)
    program.run()
    fresh = program.met - _met
    _met.update(fresh)
    if len(data) % 5 == 0:
        for path in folder.glob("capi-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(_met) if fresh else None


TARGETS = {
    "summed-index": (index_seeds, read_summed_index),
    "manifest": (
        _seeds_of("MANIFEST"),
        lambda data, folder: _opened(data, folder, "MANIFEST", _summed_manifest),
    ),
    "bitmap": (_seeds_of("live-*"), lambda data, folder: _opened(data, folder, "live-*", _summed_bitmap)),
    "log": (_seeds_of("log-*"), lambda data, folder: _opened(data, folder, "log-*", _summed_log)),
    "segment": (
        _seeds_of("segment-*"),
        lambda data, folder: _opened(data, folder, "segment-*", _summed_segment),
    ),
    "capi": (capi_seeds, run_capi),
}
