"""Workers that hang, crash, bloat or lie: the caller gets an error for that source and goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk.errors import (
    DecodeError,
    MemoryLimitError,
    SourceError,
    TimeLimitError,
    VideoError,
    WorkerError,
)
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Limits
from vhash_sdk.video.isolation.pool import DecodePool

TARGET = "tests.hostile_targets:hostile"
SAMPLING, RESIZE = Sampling("uniform", 5), Resize("exact", 8, 12)
LIMITS = Limits(wall_time=1.5, memory=1 << 30)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(2, LIMITS, target=TARGET) as pool:
        yield pool


def decode(pool: DecodePool, source: object) -> np.ndarray:
    return pool.decode(source, SAMPLING, RESIZE).frames  # type: ignore[arg-type]


def test_frames_times_and_info_come_back(pool: DecodePool) -> None:
    clip = pool.decode("good.mp4", SAMPLING, RESIZE)
    assert clip.frames.shape == (5, 8, 12, 3) and (clip.frames == 4).all()
    assert clip.times.tolist() == [0, 1, 2, 3, 4] and clip.info.codec == "fake" and clip.info.duration == 2.5
    assert clip.frames.flags.owndata and clip.frames.flags.writeable


def test_bytes_and_file_objects_reach_the_worker(pool: DecodePool, tmp_path: Path) -> None:
    assert (decode(pool, b"\x07abc") == 7).all()
    assert (decode(pool, io.BytesIO(b"\x09abc")) == 9).all()
    (tmp_path / "x").write_bytes(b"\x0babc")
    with open(tmp_path / "x", "rb") as file:
        assert (decode(pool, file) == 11).all()


@pytest.mark.parametrize(
    ("deed", "error", "says"),
    [
        ("hang", TimeLimitError, "longer than 1.5 s"),
        ("stuck", TimeLimitError, "longer than 1.5 s"),
        ("segfault", WorkerError, "SIGSEGV"),
        ("abort", WorkerError, "SIGABRT"),
        ("exit", WorkerError, "exit code 7"),
        ("bomb", MemoryLimitError, "1073741824 bytes"),
        ("raise", DecodeError, "as it says"),
        ("surprise", DecodeError, "RuntimeError: out of the blue"),
        ("short", WorkerError, "nonsensical answer"),
    ],
)
def test_what_a_worker_does_is_an_error_of_its_source(
    pool: DecodePool, deed: str, error: type[VideoError], says: str
) -> None:
    started = time.monotonic()
    with pytest.raises(error, match=says) as caught:
        decode(pool, f"{deed}.mp4")
    assert type(caught.value) is error and f"{deed}.mp4" in str(caught.value)
    assert time.monotonic() - started < 20
    assert (decode(pool, "good.mp4") == 4).all()  # the pool goes on


def test_a_worker_that_keeps_its_memory_is_replaced() -> None:
    with DecodePool(1, Limits(wall_time=60), target=TARGET) as pool:
        decode(pool, "good.mp4")
        (before,) = pool.pids()
        assert (decode(pool, "creep.mp4") == 5).all()
        decode(pool, "good.mp4")
        assert pool.pids() != [before]


def test_a_worker_killed_from_outside_is_replaced(pool: DecodePool) -> None:
    decode(pool, "good.mp4")
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
    assert (decode(pool, "good.mp4") == 4).all()


def test_names_that_are_not_text(pool: DecodePool) -> None:
    with pytest.raises(DecodeError, match="as it says"):
        decode(pool, os.fsdecode(b"raise-\xff\n'\".mp4"))


def test_closing_stops_what_hangs_and_what_waits() -> None:
    pool = DecodePool(1, Limits(wall_time=None), target=TARGET)
    errors: list[BaseException] = []

    def hang() -> None:
        try:
            decode(pool, "hang.mp4")
        except VideoError as error:
            errors.append(error)

    threads = [threading.Thread(target=hang) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not pool.pids():
        time.sleep(0.01)
    pool.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(errors) == 3 and all(isinstance(error, WorkerError) for error in errors) and not pool.pids()


def test_a_target_that_cannot_be_imported_says_so() -> None:
    with (
        DecodePool(1, LIMITS, target="no_such_module:f") as pool,
        pytest.raises(WorkerError, match="no_such_module"),
    ):
        decode(pool, "good.mp4")


def test_workers_import_no_runtime_and_no_cli() -> None:
    code = (
        "import sys, vhash_sdk.video.isolation.worker, av; "
        "print([m for m in ('onnxruntime', 'torch', 'typer', 'rich', 'sqlite3') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("deed", ["idle", "hang", "stuck"])
def test_no_worker_outlives_its_caller(deed: str) -> None:
    # the caller is killed with -9 while its worker idles, sleeps, or is stuck with the interpreter's lock
    code = f"""
import sys, threading, time
from vhash_sdk.video.isolation.pool import DecodePool
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Limits
pool = DecodePool(1, Limits(wall_time=None), target={TARGET!r})
decode = lambda name: pool.decode(name, Sampling("uniform", 5), Resize("exact", 8, 12))
decode("good.mp4")
if {deed!r} != "idle":
    threading.Thread(target=decode, args=("{deed}.mp4",), daemon=True).start()
    time.sleep(0.3)
print(*pool.pids(), flush=True)
time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as caller:
        assert caller.stdout is not None
        (pid,) = map(int, caller.stdout.readline().split())
        assert _alive(pid)
        caller.kill()
    deadline = time.monotonic() + 5
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_missing_files_keep_their_own_error() -> None:
    with DecodePool(1, LIMITS) as pool, pytest.raises(SourceError, match=r"missing\.mp4"):
        decode(pool, "missing.mp4")
