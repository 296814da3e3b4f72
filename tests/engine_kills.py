"""Kill a Milvus server with -9 under upserts, and look for what it had acknowledged."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.milvus_server import MilvusServer
from vhash_sdk.engines.milvus import MilvusIndex, MilvusOptions
from vhash_sdk.errors import VhashError

_BATCH = 500


def batch_of(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and ids of one upsert: new ids, and some that the batch before it wrote."""
    codes = np.random.default_rng(number).integers(0, 256, (_BATCH, 8), dtype=np.uint8)
    return codes, np.arange(_BATCH) + number * _BATCH - (_BATCH // 10 if number else 0)


class Writer(threading.Thread):
    """Upserts one batch after the other until one fails; ``acknowledged`` counts those that returned."""

    def __init__(self, location: str, first: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged = first
        self.error: VhashError | None = None
        self._index = MilvusIndex(location, bits=64, options=MilvusOptions(timeout=5))

    def run(self) -> None:
        try:
            while True:
                codes, ids = batch_of(self.acknowledged)
                self._index.upsert(codes, ids)
                self.acknowledged += 1
        except VhashError as error:
            self.error = error


def kill_server(folder: Path, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Write, kill, start again, compare; every round goes on from the one before.

    Args:
        folder: the server's data.
        rounds: number of kills.
        seconds: of writing before a kill, at most; the moment is drawn.
    """
    rng = np.random.default_rng(0)
    acknowledged = lost = wrong = 0
    restarts = []
    server = MilvusServer(folder)
    server.start()
    try:
        for _ in range(rounds):
            location = f"milvus://127.0.0.1:{server.port}/kills"
            writer = Writer(location, acknowledged)
            writer.start()
            time.sleep(seconds * rng.uniform(0.3, 1))
            server.kill()
            writer.join(60)
            assert writer.error is not None, "the writer did not notice the kill"
            acknowledged = writer.acknowledged
            started = time.monotonic()
            server.start()
            expected = {}
            for number in range(acknowledged):
                codes, ids = batch_of(number)
                expected.update(zip(ids.tolist(), (code.tobytes() for code in codes), strict=True))
            # the batch that was under way may be there, or not, or in part
            codes, ids = batch_of(acknowledged)
            maybe = dict(zip(ids.tolist(), (code.tobytes() for code in codes), strict=True))
            with MilvusIndex(location, options=MilvusOptions(timeout=120)) as index:
                found = {
                    id: code.tobytes()
                    for some, codes in index.rows()
                    for id, code in zip(some.tolist(), codes, strict=True)
                }
            restarts.append(time.monotonic() - started)
            lost += sum(id not in found for id in expected)
            wrong += sum(code not in (expected.get(id), maybe.get(id)) for id, code in found.items())
    finally:
        server.stop()
    return {
        "kills": rounds,
        "upserts acknowledged": acknowledged,
        "codes acknowledged": len(expected),
        "lost": lost,
        "wrong": wrong,
        "seconds until everything is read again": {
            "median": float(np.median(restarts)),
            "max": max(restarts),
        },
    }
