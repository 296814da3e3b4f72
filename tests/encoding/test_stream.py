from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from vhash_sdk.encoding.stream import ordered_map


def test_order_is_kept_and_input_is_read_lazily() -> None:
    read: list[int] = []

    def numbers():
        for i in range(50):
            read.append(i)
            yield i

    def slow_at_first(i: int) -> int:
        time.sleep(0.02 if i == 0 else 0)
        return i * i

    with ThreadPoolExecutor(4) as pool:
        results = ordered_map(pool, slow_at_first, numbers(), window=6)
        assert next(results) == 0
        assert len(read) <= 7  # the window, and no more
        assert list(results) == [i * i for i in range(1, 50)]


def test_an_error_stops_the_rest() -> None:
    started = threading.Semaphore(0)

    def work(i: int) -> int:
        started.release()
        if i == 3:
            raise ValueError("three")
        return i

    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="three"):
        list(ordered_map(pool, work, range(1000), window=8))
    assert sum(started.acquire(blocking=False) for _ in range(1000)) < 20
