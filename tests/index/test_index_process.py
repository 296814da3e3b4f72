"""The engine in a process: its end, its signals, its forks, its interpreters, its threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk import _core
from vhash_sdk.errors import OptionError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

COMMON = """
import os, signal, sys, threading, time, warnings
import numpy as np
from vhash_sdk.errors import StoreError
from vhash_sdk.index import Index
from vhash_sdk.index.stored import StoredIndex

def codes(n, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size), dtype=np.uint8)

def interrupted(call):
    "Seconds from Ctrl-C to its effect."
    sent = []
    def press():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(0.3, press).start()
    try:
        call()
    except KeyboardInterrupt:
        return time.monotonic() - sent[0]
    raise SystemExit("ended before Ctrl-C")
"""


def random_codes(n: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size), dtype=np.uint8)


def python(code: str, *arguments: object) -> list[str]:
    """The words that a program of its own prints; it must end, and well."""
    command = [sys.executable, "-c", COMMON + textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.split()


# ---- the end ----


@pytest.mark.parametrize("queries", [1, 300])
def test_daemon_threads_in_a_search_do_not_abort_the_process(queries: int) -> None:
    code = """
    index = Index(64, threads=2)
    index.add(codes(100_000))
    wanted = codes(int(sys.argv[1]))
    def work():
        while True:
            index.search(wanted, 5)
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    """
    for _ in range(3):
        python(code, queries)


def test_daemon_threads_in_a_network_do_not_abort_the_process() -> None:
    pytest.importorskip("onnxruntime")
    code = """
    from vhash_sdk import Encoder
    encoder = Encoder("small")
    frames = np.zeros((40, 64, 64, 3), np.uint8)
    def work():
        while True:
            encoder.encode(frames)
    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.4)
    """
    for _ in range(3):
        python(code)


def test_four_threads_close_one_store(tmp_path: Path) -> None:
    for turn in range(20):
        index = StoredIndex(tmp_path / str(turn), bits=64, seal_rows=50)
        for part in range(6):
            index.add(random_codes(30, seed=part))
        closing = [threading.Thread(target=index.close, daemon=True) for _ in range(4)]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(20)
        assert not any(thread.is_alive() for thread in closing)
        with Index.open(tmp_path / str(turn)) as opened:
            assert len(opened) == 180


# ---- signals ----


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", ["search(wanted, 10)", "range_search(wanted, 200)", "build()", "pairs(300)"])
def test_ctrl_c_ends_a_long_call(call: str, threads: int) -> None:
    code = f"""
    index = Index(1024, threads={threads})
    index.add(codes(400_000, 128))
    wanted = codes(100_000, 128, 1)
    class Calls:
        search, range_search = index.search, index.range_search
        def build(self):
            while True:
                index.add(codes(1, 128))
                index.build_multi_index()
        def pairs(self, radius):
            list(index.pairs(radius))
    waited = interrupted(lambda: Calls().{call})
    assert index.search(wanted[:3], 2).ids.shape == (3, 2)
    print(waited)
    """
    assert float(python(code)[0]) < 3  # seconds; alone on a machine, a tenth of one


def test_ctrl_c_ends_a_compaction_and_loses_nothing(tmp_path: Path) -> None:
    code = """
    index = StoredIndex(sys.argv[1], bits=2048)
    index.add(codes(100_000, 256))
    def compact():
        while True:
            index.remove(index.search(codes(1, 256), 1).ids[0])
            index.compact()
    interrupted(compact)
    index.compact()
    size = len(index)
    index.close()
    print(size, len(Index.open(sys.argv[1], mode="r")))
    """
    kept, found = python(code, tmp_path / "s")
    assert kept == found
    assert not list((tmp_path / "s").glob("*.tmp*")) and len(list((tmp_path / "s").glob("segment-*"))) == 1


def test_a_handler_that_searches_and_closes_inside_the_same_calls(tmp_path: Path) -> None:
    code = """
    index = Index(256, threads=1)
    index.add(codes(300_000, 32))
    wanted = codes(3_000, 32, 1)
    expected = index.search(wanted, 3)
    store = StoredIndex(sys.argv[1], bits=2048)
    store.add(codes(60_000, 256))
    seen = []
    def handler(number, frame):
        seen.append(bool((index.search(wanted[:50], 3).ids == expected.ids[:50]).all()))
        if compacting:
            store.close()
    compacting = False
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.15, 0.15)
    while len(seen) < 5:
        found = index.search(wanted, 3)
        assert (found.ids == expected.ids).all() and (found.distances == expected.distances).all()
    compacting = True
    try:
        while True:
            store.remove([len(seen)])
            store.compact()
    except StoreError as error:
        assert "closed" in str(error), error
    signal.setitimer(signal.ITIMER_REAL, 0)
    store.close()
    size = len(store)
    print(all(seen), size == len(Index.open(sys.argv[1])))
    """
    assert python(code, tmp_path / "s") == ["True", "True"]


# ---- fork ----


def test_a_child_of_a_process_whose_threads_change_and_search(tmp_path: Path) -> None:
    code = """
    warnings.simplefilter("ignore")
    index, store = Index(64, threads=2), StoredIndex(sys.argv[1], bits=64, seal_rows=500)
    index.add(codes(20_000)), store.add(codes(1000))
    reader = Index.open(sys.argv[1], mode="r")
    done = False
    def change(number):
        while not done:
            wanted = np.unique(np.random.default_rng(number).integers(0, 20_000, 500))
            index.upsert(codes(len(wanted)), wanted)
            store.add(codes(20))
    def search():
        while not done:
            index.search(codes(20), 3, among=np.arange(0, 20_000, 3))
            reader.refresh()
            store.state()
    threads = [threading.Thread(target=change, args=(n,)) for n in range(2)]
    threads += [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    def in_child():
        signal.alarm(20)  # a hang is a death
        assert index.search(codes(3), 5).ids.shape == (3, 5)
        index.search(codes(3), 5, among=[1, 2, 3])
        index.upsert(codes(2), [5, 6])
        index.add(codes(2))
        store.search(codes(1), 3)
        store.state()
        for call in (lambda: store.add(codes(1)), reader.refresh):
            try:
                assert call() in (True, False)
            except StoreError as error:
                assert "forked" in str(error)
        store.close()
    failed = 0
    for turn in range(60):
        child = os.fork()
        if child == 0:
            try:
                in_child()
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(4)
        failed += os.waitpid(child, 0)[1] != 0
    done = True
    for thread in threads:
        thread.join()
    store.close()
    print(failed, len(store) == len(Index.open(sys.argv[1])))
    """
    assert python(code, tmp_path / "s") == ["0", "True"]


# ---- interpreters ----


def test_another_interpreter_of_the_process_gets_the_engine_or_an_import_error() -> None:
    code = """
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        import _interpreters as interpreters
    inside = (
        "try:\\n"
        "    from vhash_sdk import _core\\n"
        "    assert len(_core.HammingIndex(8)) == 0\\n"
        "except ImportError as error:\\n"
        "    assert str(error)\\n"
    )
    for _ in range(2):
        other = interpreters.create()
        interpreters.run_string(other, inside)
        interpreters.destroy(other)
    index = Index(64)
    index.add(codes(10))
    print(len(index.search(codes(2), 3)))
    """
    assert python(code) == ["2"]


# ---- threads ----


@pytest.mark.parametrize("threads", [0, -1, 257, 100_000, 2**40, True, 1.5, "2"])
def test_threads_are_checked_where_they_enter(tmp_path: Path, threads: int) -> None:
    index = Index(8, threads=256)
    index.add([[1], [2]])
    index.save(tmp_path / "index")
    StoredIndex(tmp_path / "s", bits=8).close()
    for make in (
        lambda: Index(8, threads=threads),
        lambda: Index.load(tmp_path / "index", threads=threads),
        lambda: Index.open(tmp_path / "s", threads=threads),
    ):
        with pytest.raises(OptionError, match="threads="):
            make()
    assert index.search([[3]], 2).ids.tolist() == [[0, 1]] and _core.available_threads() <= _core.MAX_THREADS


def test_any_number_of_threads_is_bounded_in_the_engine() -> None:
    code = """
    import ctypes, resource
    from vhash_sdk import _core
    c = ctypes.CDLL(_core.__file__)
    index = ctypes.c_void_p()
    assert c.vhash_index_create(1024, None, ctypes.byref(index)) == 0
    c.vhash_index_set_threads(index, ctypes.c_uint(2**32 - 1))
    n, k = 50_000, 5
    data, queries = codes(n, 128), codes(200, 128, 1)
    address = lambda array: array.ctypes.data_as(ctypes.c_void_p)
    assert c.vhash_index_add(index, address(data), ctypes.c_size_t(n), None, None) == 0
    ids, distances, found = np.zeros((200, k), np.int64), np.zeros((200, k), np.uint16), ctypes.c_size_t()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes, out = (ctypes.c_size_t(200), ctypes.c_size_t(k)), (address(ids), address(distances))
    assert c.vhash_index_search(index, address(queries), *sizes, *out, ctypes.byref(found)) == 0
    engine = _core.HammingIndex(1024)
    engine.add(data, None)
    again = engine.search(queries, k, 2**32 - 1, None)
    assert (again[0] == ids).all() and (again[1] == distances).all()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    assert int(python(code)[0]) < 1000  # MiB


def test_the_c_interface_checks_its_arguments() -> None:
    code = """
    import ctypes
    from vhash_sdk import _core
    c = ctypes.CDLL(_core.__file__)
    c.vhash_error.restype = ctypes.c_char_p
    index, found, size = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t
    data = np.zeros(64, np.uint8).ctypes.data_as(ctypes.c_void_p)
    assert c.vhash_set_simd_level(None) == 1 and b"null" in c.vhash_error()
    for model in (b"x" * 65, b"\\xff", b"two words"):
        assert c.vhash_index_create(64, model, ctypes.byref(index)) == 1
    assert c.vhash_index_create(64, None, ctypes.byref(index)) == 0
    for n in (2**60, 2**61, 2**63, 2**64 - 1):
        assert c.vhash_index_add(index, data, size(n), None, None) == 1, n
        assert c.vhash_index_upsert(index, data, size(n), data) == 1
        assert c.vhash_index_remove(index, data, size(n), None) == 1
        assert c.vhash_index_codes(index, data, size(n), data) == 1
        assert c.vhash_index_search(index, data, size(n), size(1), data, data, ctypes.byref(found)) == 1
        assert c.vhash_index_range(index, data, size(n), 1, size(0), data) == 1
        assert b"hold" in c.vhash_error()
    assert c.vhash_index_open(b"", 64, None, 1, ctypes.byref(index)) == 1 and b"empty" in c.vhash_error()
    assert c.vhash_index_load(b"/", 1, ctypes.byref(index)) == 3 and b"directory" in c.vhash_error()
    pairs, batch = ctypes.c_void_p(), ctypes.c_void_p()
    assert c.vhash_index_pairs(index, None, 2**32 - 1, ctypes.byref(pairs)) == 0
    assert c.vhash_pairs_next(pairs, size(0), ctypes.byref(batch), ctypes.byref(found)) == 1
    print("done")
    """
    assert python(code) == ["done"]
