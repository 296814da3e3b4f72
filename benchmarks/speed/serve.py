"""How many bare codes a server looks up a second, and how long each waits.

    python -m benchmarks.speed.serve                            # 1e7 codes of 256 bits, 4000 a second
    python -m benchmarks.speed.serve --codes 1000000 --runs 20:1000 --seconds 5
    python -m benchmarks.speed.serve --faiss 31:50              # faiss behind the same server too
    python -m benchmarks.speed.serve --alone                    # other work on the machine waits

Writes benchmarks/results/serve.json. One process of ``vhash serve`` answers ``POST /v1/lookup``, one code a
request, over 64 connections of 127.0.0.1; the load comes from this process, on the same cores. It is an open
loop: requests are due at random moments (Poisson) whatever becomes of those before, and each waits from the
moment that it was due, so that a server that stalls cannot hide it. Half of the codes are 0 to 2 fifths of
the radius from one of the stored codes, which has to be found, half are strangers; stored codes are random.
``behind`` is how late this process itself was in sending. It stops by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import re
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.common import CACHE, command_line, summary, write_result
from vhash_sdk.index import Index
from vhash_sdk.library import Library

BITS, CONNECTIONS = 256, 64


def stored(count: int) -> Path:
    """A directory with so many random codes, made once."""
    folder = CACHE / f"serve-{count}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        draw = np.random.default_rng(count)
        with Index.open(folder / "codes", bits=BITS) as index:
            for start in range(0, count, 1 << 20):
                rows = min(1 << 20, count - start)
                index.add(draw.integers(0, 256, (rows, BITS // 8), dtype=np.uint8))
            index.compact()
        (folder / "done").touch()
    return folder / "codes"


def queries(place: Path, count: int, radius: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes to ask for, and the id that each has to find (-1: none)."""
    draw = np.random.default_rng(seed)
    with Index.open(place, mode="r") as index:
        ids = draw.integers(0, len(index), count)
        bits = np.unpackbits(index.codes(ids), axis=1)
    for row in bits:
        row[draw.choice(BITS, draw.integers(0, 2 * radius // 5 + 1), replace=False)] ^= 1
    codes = np.packbits(bits, axis=1)
    strange = draw.random(count) < 0.5
    codes[strange] = draw.integers(0, 256, (int(strange.sum()), BITS // 8), dtype=np.uint8)
    return codes, np.where(strange, -1, ids)


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: Load) -> None:
        self.load, self.transport = load, None  # type: ignore[assignment]
        self.buffer, self.number = b"", -1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.load.free.append(self)

    def send(self, number: int) -> None:
        self.number = number
        self.transport.write(self.load.head + self.load.bodies[number])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self.load.length.search(self.buffer)[1])
        if len(self.buffer) < end + 4 + length:
            return
        status, body = self.buffer[9:12], self.buffer[end + 4 : end + 4 + length]
        self.buffer = b""
        self.load.answered(self, status, body)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.load.free:
            self.load.free.remove(self)


class Load:
    """Requests that are due at random moments, and what became of them."""

    length = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

    def __init__(self, port: int, token: str, path: str, codes: np.ndarray, wanted: np.ndarray) -> None:
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Accept: application/octet-stream\r\nContent-Length: {codes.shape[1]}\r\n\r\n"
        ).encode()
        self.bodies, self.wanted = [code.tobytes() for code in codes], wanted
        self.free: deque[Connection] = deque()
        self.waiting: deque[int] = deque()
        self.due: np.ndarray = np.zeros(0)
        self.seconds: list[float] = []
        self.behind: list[float] = []
        self.wrong, self.missed = 0, 0
        self.done = asyncio.Event()

    async def run(self, port: int, rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
        gaps = np.random.default_rng(1).exponential(1 / rate, int(rate * seconds))
        self.due = loop.time() + 0.05 + np.cumsum(gaps)
        for number, due in enumerate(self.due):
            wait = due - loop.time()
            if wait > 0.0005:
                await asyncio.sleep(wait)
            elif number % 16 == 0:
                await asyncio.sleep(0)
            self.behind.append(max(0.0, loop.time() - due))
            if self.free:
                self.free.popleft().send(number)
            else:
                self.waiting.append(number)
        with contextlib.suppress(TimeoutError):  # what is not answered by then is told
            await asyncio.wait_for(self.done.wait(), 60)

    def answered(self, connection: Connection, status: bytes, body: bytes) -> None:
        number = connection.number
        self.seconds.append(asyncio.get_running_loop().time() - self.due[number])
        if status != b"200":
            self.wrong += 1
        elif self.wanted[number] >= 0:
            (found,) = struct.unpack_from("<I", body, 4)
            self.missed += self.wanted[number] not in struct.unpack_from(f"<{found}q", body, 8)
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)
        if len(self.seconds) == len(self.due):
            self.done.set()


def cpu_seconds(pid: int) -> float:
    """Of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Server:
    """``vhash serve`` on an empty library, with the codes as an index; or faiss behind the same routes."""

    def __init__(self, folder: Path, place: Path, engine: str) -> None:
        with Library(folder / "library"):
            pass
        self.token = secrets.token_urlsafe(32)
        (folder / "tokens").write_text(self.token + "\n")
        ours = ["-c", "from vhash_sdk.cli import main; main()"]
        program = ["-m", "benchmarks.speed.serve_faiss"] if engine == "faiss" else ours
        command = [
            sys.executable, *program, "serve", str(folder / "library"), "--port", "0", "--quiet",
            "--token-file", str(folder / "tokens"), "--index", f"codes={place}",
        ]  # fmt: skip
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise SystemExit(f"the server does not start: {line}")
        self.port, self.ready = int(found[1]), time.perf_counter() - began

    def go_first(self, wanted: bool) -> None:
        """Let the server and this process go before all else on the machine, or not any more."""
        policy, level = (os.SCHED_RR, 1) if wanted else (os.SCHED_OTHER, 0)
        for process in (self.process.pid, os.getpid()):
            for thread in os.listdir(f"/proc/{process}/task"):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setscheduler(int(thread), policy, os.sched_param(level))

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def measured(
    server: Server, place: Path, radius: int, rate: float, seconds: float, alone: bool
) -> dict[str, Any]:
    """One run: waits, cores used, what was wrong."""
    path = f"/v1/lookup?index=codes&radius={radius}"
    pid = server.process.pid

    def run(rate: float, seconds: float, seed: int) -> tuple[Load, float]:
        codes, wanted = queries(place, int(rate * seconds), radius, seed)

        async def main() -> Load:
            load = Load(server.port, server.token, path, codes, wanted)
            await load.run(server.port, rate, seconds)
            return load

        if alone:
            server.go_first(True)
        began = time.perf_counter()
        load = uvloop.run(main())
        took = time.perf_counter() - began
        server.go_first(False)
        return load, took

    run(min(rate, 200), 3, 7)  # caches, and what the server learns of its costs
    cpu, own = cpu_seconds(pid), time.process_time()
    load, took = run(rate, seconds, 8)
    worst = heapq.nlargest(1, load.seconds)[0]
    return {
        "radius": radius,
        "asked_per_second": rate,
        "answered_per_second": len(load.seconds) / took,
        "wait_seconds": {**summary(load.seconds), "max": worst},
        "behind_p99": float(np.percentile(load.behind, 99)),
        "server_cores": (cpu_seconds(pid) - cpu) / took,
        "load_cores": (time.process_time() - own) / took,
        "errors": load.wrong,
        "unanswered": len(load.due) - len(load.seconds),
        "missed": load.missed,
        "alone": alone,
        "memory_bytes": memory(pid),
        "machine_load": os.getloadavg()[0],
    }


def told(run: dict[str, Any]) -> str:
    """A run in one line."""
    p50, p99, most = (1e3 * run["wait_seconds"][name] for name in ("p50", "p99", "max"))
    return (
        f"{run['engine']} radius {run['radius']}, {run['asked_per_second']:g}/s: "
        f"{run['answered_per_second']:.0f}/s, wait p50 {p50:.1f} p99 {p99:.1f} max {most:.0f} ms, "
        f"cores {run['server_cores']:.2f} + {run['load_cores']:.2f}, errors {run['errors']}, "
        f"missed {run['missed']}, machine load {run['machine_load']:.1f}"
    )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--codes", type=int, default=10_000_000)
    parser.add_argument(
        "--runs",
        nargs="+",
        default=["16:4000", "20:4000", "24:4000", "31:1500"],
        metavar="RADIUS:RATE",
        help="bits, and requests a second",
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument(
        "--alone",
        action="store_true",
        help="server and load go before all else on the machine while they are measured (needs root)",
    )
    parser.add_argument(
        "--faiss", nargs="*", default=[], metavar="RADIUS:RATE", help="also faiss behind the same server"
    )
    given = parser.parse_args()
    place, runs = stored(given.codes), []
    command = " ".join(["python -m benchmarks.speed.serve", *sys.argv[1:]])
    about = {"command": command, "codes": given.codes, "bits": BITS, "connections": CONNECTIONS}
    for engine, asked in (("vhash", given.runs), ("faiss", given.faiss)):
        if not asked:
            continue
        with tempfile.TemporaryDirectory() as folder:
            server = Server(Path(folder), place, engine)
            try:
                for radius, rate in (map(float, text.split(":")) for text in asked):
                    found = measured(server, place, int(radius), rate, given.seconds, given.alone)
                    runs.append({"engine": engine, **found})
                    print(told(runs[-1]), flush=True)
                    write_result("serve", {**about, "runs": runs})
            finally:
                server.close()


if __name__ == "__main__":
    main()
