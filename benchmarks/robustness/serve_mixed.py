"""An hour of everything at once against `vhash serve`, with kills: is anything lost, unnamed or leaked?

    python -m benchmarks.robustness.serve_mixed                             # an hour
    python -m benchmarks.robustness.serve_mixed --seconds 60 --no-result    # the same, shorter

Writes benchmarks/results/serve_mixed.json and exits with 1 if anything was lost or untrue. Eight clients on
127.0.0.1 upload and search, search by id and by code, look bare codes up, turn the pages of groups, judge and
take back, ask for what is wrong, and add files by jobs; meanwhile processes of jobs are killed, and the
server is killed and started again on its port. Clients send again what got no answer, as programs do.

Every answer that is no success has to be a problem with a name that the API knows and the status of that
name, and none may be a failure of the server. A request may remain without an answer only while the server
is down. At the end every judgement that was acknowledged and not taken back, and every file that a job has
added, must be there: by the API, and in the library once the server has ended. The memory is that of the
server's process; ``grown`` compares the last tenth of its longest life with the second one.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import command_line, write_result
from vhash_sdk.library import Library
from vhash_sdk.models import zoo
from vhash_sdk.serve.problems import TITLES, TYPES

SAMPLES = sorted((zoo.FOLDER.parent / "samples").glob("*.mp4"))
PATIENCE = 300.0  # seconds that a server may take to be back, and a job to end
GROWN = 1.3  # how much more memory a server may take at its end
NAMED = {(status, name) for name, (status, _) in TITLES.items()}
JSON = {"Content-Type": "application/json"}


class Server:
    """``vhash serve`` in a process of its own, on one port all the time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.token = folder, 0, secrets.token_urlsafe(32)
        self.down = threading.Event()
        (folder / "tokens").write_text(self.token + "\n")
        self.start()

    def start(self) -> None:
        command = [
            sys.executable, "-c", "from vhash_sdk.cli import main; main()", "serve",
            str(self.folder / "library"), "--port", str(self.port), "--quiet",
            "--token-file", str(self.folder / "tokens"),
            "--root", str(self.folder / "videos"), "--max-upload", "8", "--rate", "5000",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise SystemExit(f"the server does not start: {line}")
        self.port = int(found[1])

    def kill(self) -> float:
        """Kill it and start it again; seconds until it answers."""
        began = time.monotonic()
        self.down.set()
        self.process.kill()
        self.process.wait()
        self.start()
        while True:
            with suppress(OSError, HTTPException):
                connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    self.down.clear()
                    return time.monotonic() - began
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"the server is not back after {PATIENCE:g} s")
            time.sleep(0.05)

    def worker(self) -> int | None:
        """The process of the job that runs."""
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for child in task.read_text().split():
                with suppress(OSError):
                    if b"vhash_sdk.serve.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                        return int(child)
        return None

    def memory(self) -> int:
        """Resident bytes of its process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Record:
    """What all clients were answered, and what was wrong with it."""

    def __init__(self) -> None:
        self.statuses: dict[str, Counter[str]] = {}
        self.names: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {}
        self.unanswered = 0
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def answered(self, kind: str, status: int, content_type: str, body: bytes, seconds: float) -> None:
        with self._lock:
            self.statuses.setdefault(kind, Counter())[str(status)] += 1
            self.seconds.setdefault(kind, []).append(seconds)
            if status < 400:
                return
            try:
                document = json.loads(body)
                name = document["type"].removeprefix(TYPES)
                named = content_type == "application/problem+json" and document["type"] != name
                named = named and (status, name) in NAMED and document["status"] == status
                named = named and bool(document["detail"])
            except (ValueError, KeyError, TypeError):
                name, named = "no problem document", False
            self.names[name] += 1
            if not named or status == 500:
                self.faults.append(f"{kind}: {status} {content_type}: {body[:300]!r}")

    def lost_answer(self, kind: str, excused: bool, error: Exception) -> None:
        with self._lock:
            self.unanswered += 1
            if not excused:
                self.faults.append(f"{kind}: no answer, and the server was not down: {error!r}")

    def fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)


class Client:
    """One connection; what got no answer while the server was down is sent again."""

    def __init__(self, server: Server, record: Record, kind: str) -> None:
        self.server, self.record, self.kind = server, record, kind
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.connected_to = server.process
        self.draw = random.Random(kind)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *,
        kind: str = "", token: bool = True,
    ) -> tuple[int, Any]:  # fmt: skip
        """The status and the JSON, or bytes, of an answer."""
        given = {**({"Authorization": f"Bearer {self.server.token}"} if token else {}), **(headers or {})}
        if isinstance(body, (dict, list)):
            body, given = json.dumps(body).encode(), {**given, **JSON}
        end = time.monotonic() + PATIENCE
        while True:
            began, was_down = time.perf_counter(), self.server.down.is_set()
            if self.connection.sock is None:
                self.connected_to = self.server.process
            try:
                self.connection.request(method, path, body, given)
                answer = self.connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException) as error:
                self.connection.close()
                # down before or after, or killed since this connection was made: it may have been idle
                # all the while that the server was down
                killed = self.connected_to is not self.server.process
                excused = was_down or self.server.down.is_set() or killed
                self.record.lost_answer(kind or self.kind, excused, error)
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
                continue
            content_type = answer.getheader("Content-Type", "")
            took = time.perf_counter() - began
            self.record.answered(kind or self.kind, answer.status, content_type, content, took)
            return answer.status, json.loads(content) if "json" in content_type and content else content

    def once(self, path: str, body: Any) -> tuple[int, Any]:
        """A write that is carried out once, however often it is sent."""
        return self.ask("POST", path, body, {"Idempotency-Key": secrets.token_urlsafe(16)})

    def pages(self, path: str, limit: int) -> Iterator[dict[str, Any]]:
        """All items of a list, page after page."""
        cursor = ""
        while True:
            status, page = self.ask("GET", f"{path}?limit={limit}{cursor}")
            if status != 200:
                return
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"


class Mixed:
    """What the clients do, and what they know must be there at the end."""

    def __init__(self, server: Server, record: Record) -> None:
        self.server, self.record = server, record
        self.holds: dict[tuple[int, int], str] = {}
        self.judged = self.undone = 0
        self.added: list[str] = []
        self.jobs: Counter[str] = Counter()
        self.attempts = 0
        self.videos = list(Client(server, record, "videos").pages("/v1/videos", 100))

    def search_by_id(self, client: Client) -> None:
        video = client.draw.choice(self.videos)
        given = {"source": {"video": video["id"]}, "k": client.draw.choice([1, 5, 50])}
        status, found = client.ask("POST", "/v1/search", given)
        if status == 200 and found["hits"][0]["distance"] != 0:
            self.record.fault(f"search: {video['path']} does not find itself: {found['hits'][:1]}")

    def search_by_code(self, client: Client) -> None:
        code = client.draw.choice(self.videos)["code"]
        client.ask("POST", "/v1/search", {"source": {"code": code}, "k": 5, "text": "clip"})

    def look_up(self, client: Client) -> None:
        rows = client.draw.sample(self.videos, 4)
        codes = b"".join(bytes.fromhex(video["code"].rpartition(":")[2]) for video in rows)
        kind = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}
        status, found = client.ask("POST", "/v1/lookup?radius=8", codes, kind)
        if status == 200:
            (count,) = struct.unpack_from("<I", found)
            if count != 4 or not np.frombuffer(found, "<u4", 4, 4).all():
                self.record.fault("look-up: a code of the library is not found")

    def upload(self, client: Client) -> None:
        status, upload = client.ask("POST", "/v1/uploads", client.draw.choice(SAMPLES).read_bytes())
        if status != 201:
            return
        status, found = client.ask("POST", "/v1/search", {"source": {"upload": upload["id"]}, "k": 3})
        if status == 200 and found["hits"][0]["distance"] > 40:
            self.record.fault(f"upload: does not find what it is a copy of: {found['hits'][:1]}")
        client.ask("DELETE", f"/v1/uploads/{upload['id']}")
        time.sleep(1.0)

    def turn_pages(self, client: Client) -> None:
        numbers = [group["number"] for group in client.pages("/v1/groups", 2)]
        if len(numbers) != len(
            set(numbers)
        ):  # a run that ends meanwhile may leave some out, none comes twice
            before = [group["number"] for group in client.pages("/v1/groups", 2)]
            if len(before) != len(set(before)):
                self.record.fault(f"groups: pages repeat themselves: {numbers}")
        client.ask("GET", "/v1/left-out?limit=2")

    def judge(self, client: Client) -> None:
        """One client judges, so that what holds is known exactly."""
        if client.draw.random() < 0.3:
            status, answer = client.once("/v1/judgements/undo", {})
            if status == 200:
                self.undone += 1
                for each in answer["judgements"]:
                    pair = tuple(sorted((each["a"], each["b"])))
                    if each["judgement"] is None:
                        self.holds.pop(pair, None)  # type: ignore[arg-type]
                    else:
                        self.holds[pair] = each["judgement"]  # type: ignore[index]
            return
        a, b = client.draw.sample([video["id"] for video in self.videos], 2)
        said = client.draw.choice(["match", "not a match"])
        status, _ = client.once("/v1/judgements", {"judgements": [{"a": a, "b": b, "judgement": said}]})
        if status == 201:
            self.judged += 1
            self.holds[min(a, b), max(a, b)] = said

    def work(self, client: Client) -> None:
        """Add a file by a job; now and then look for duplicates."""
        path = ""
        if client.draw.random() < 0.7:
            path = other_copy(self.server.folder / "videos", len(self.added) + self.jobs["failed"])
            begun = {"kind": "add", "paths": [path]}
        else:
            begun = {"kind": client.draw.choice(["dedup", "parts"])}
        status, job = client.once("/v1/jobs", begun)
        if status != 202:
            return
        end = time.monotonic() + PATIENCE
        while job["state"] in ("queued", "running") and time.monotonic() < end:
            time.sleep(0.2)
            job = client.ask("GET", f"/v1/jobs/{job['id']}", kind="job")[1]
        self.jobs[job["state"]] += 1
        self.attempts += job["attempts"] > 1
        killed = "(signal 9)" in (job["message"] or "")  # as often as a job is begun, which is by us
        if job["state"] == "failed" and killed:
            self.jobs["given up"] += 1
        elif job["state"] != "done":
            self.record.fault(f"job: {job}")
        elif path:
            self.added.append(path)
        time.sleep(2.0)

    def ask_wrongly(self, client: Client) -> None:
        kind = {"Content-Type": "application/json"}
        method, path, body, headers = client.draw.choice(
            [
                ("GET", "/v1/nothing", None, {}),
                ("DELETE", "/v1/library", None, {}),
                ("GET", "/v1/videos/424242424242", None, {}),
                ("GET", "/v1/videos?cursor=nonsense", None, {}),
                ("GET", "/v1/groups?limit=100000", None, {}),
                ("POST", "/v1/search", b"{", kind),
                ("POST", "/v1/search", {"source": {}, "k": 3}, {}),
                ("POST", "/v1/search", {"source": {"code": "vh1:nonsense"}}, {}),
                ("POST", "/v1/search", {"source": {"path": "/etc/passwd"}}, {}),
                ("POST", "/v1/jobs", {"kind": "add", "paths": ["/etc"]}, {}),
                ("POST", "/v1/jobs", {"kind": "undo", "journal": "none"}, {}),
                ("POST", "/v1/judgements", {"judgements": []}, {}),
                ("POST", "/v1/lookup?radius=3", b"short", {}),
                ("POST", "/v1/lookup?radius=3&index=none", bytes(32), {}),
                ("GET", f"/v1/videos/{client.draw.choice(self.videos)['id']}/still?height=1", None, {}),
            ]
        )
        token = client.draw.random() > 0.05  # without one: 401; wrong ones would make this address wait
        status, answer = client.ask(method, path, body, headers, token=token)
        if status < 400:
            self.record.fault(f"wrong request: {method} {path} was answered {status}: {str(answer)[:200]}")
        if client.draw.random() < 0.1:
            process = self.server.process
            status, upload = client.ask("POST", "/v1/uploads", bytes(2000), kind="wrong upload")
            if status == 201:
                given = {"source": {"upload": upload["id"]}}
                status, _ = client.ask("POST", "/v1/encode", given, kind="wrong upload")
                if status != 422 and process is self.server.process:  # one that was killed forgets it
                    self.record.fault(f"wrong upload: nothing of a video, but {status}")


def other_copy(folder: Path, number: int) -> str:
    """A new file with the pictures of a sample, and bytes of its own behind them."""
    sample = SAMPLES[number % len(SAMPLES)]
    path = folder / f"clip {number:05d}.mp4"
    free = struct.pack(">I4s", 24, b"free") + secrets.token_bytes(16)
    part = path.with_suffix(".part")
    part.write_bytes(sample.read_bytes() + free)
    part.rename(path)
    return str(path)


@contextmanager
def clients(mixed: Mixed, stop: threading.Event) -> Iterator[None]:
    """All that is done at once, each by its own client."""
    paces: dict[str, tuple[Callable[[Client], None], float]] = {
        "search by id": (mixed.search_by_id, 0.1), "search by code": (mixed.search_by_code, 0.1),
        "look-up": (mixed.look_up, 0.02), "upload": (mixed.upload, 0.5), "groups": (mixed.turn_pages, 0.5),
        "judgement": (mixed.judge, 0.1), "wrong": (mixed.ask_wrongly, 0.1), "job": (mixed.work, 0.1),
    }  # fmt: skip

    def go_on(kind: str, does: Callable[[Client], None], pause: float) -> None:
        client = Client(mixed.server, mixed.record, kind)
        while not stop.is_set():
            try:
                does(client)
            except Exception as error:
                mixed.record.fault(f"{kind}: {type(error).__name__}: {error}")
                return
            stop.wait(client.draw.uniform(0.5, 1.5) * pause)

    threads = [threading.Thread(target=go_on, args=(kind, *does)) for kind, does in paces.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def kill_and_watch(server: Server, seconds: float) -> dict[str, Any]:
    """Kill what runs at its times, and look at the memory; what was killed, and when it was back."""
    began = time.monotonic()
    lives: list[list[int]] = [[]]
    back: list[float] = []
    # servers early, so that the last one lives long; processes of jobs all the time
    servers = [seconds * share for share in ((1 / 12, 1 / 6, 1 / 3) if seconds >= 600 else (1 / 2,))]
    every = max(8.0, seconds / 24)
    workers, next_worker = 0, every / 2
    while (now := time.monotonic() - began) < seconds:
        if servers and now >= servers[0]:
            servers.pop(0)
            back.append(round(server.kill(), 2))
            lives.append([])
        if now >= next_worker and (worker := server.worker()) is not None:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                workers += 1
            next_worker = now + every
        lives[-1].append(server.memory())
        time.sleep(0.25)
    return {"servers": len(back), "back_after_seconds": back, "workers": workers, "memory": lives}


def remembered(lives: list[list[int]]) -> dict[str, Any]:
    """The memory of the server that lived longest, in MiB, and how much it has grown."""
    life = max(lives, key=len)
    tenth = max(1, len(life) // 10)
    at = {
        "start": life[tenth : 2 * tenth] or life,
        "middle": life[len(life) // 2 :][:tenth],
        "end": life[-tenth:],
    }
    mib = {name: round(statistics.median(part) / (1 << 20), 1) for name, part in at.items()}
    return {**mib, "most": round(max(life) / (1 << 20), 1), "grown": round(mib["end"] / mib["start"], 3)}


def lost(mixed: Mixed, client: Client) -> list[str]:
    """What was acknowledged and is not there."""
    missing = []
    there = {video["path"] for video in client.pages("/v1/videos", 500)}
    missing += [f"video {path}: not in the API" for path in mixed.added if path not in there]
    said: dict[tuple[int, int], str] = {}
    for each in client.pages("/v1/judgements", 500):
        pair = sorted((each["a"]["id"], each["b"]["id"]))
        said.setdefault((pair[0], pair[1]), each["judgement"])  # the latest comes first
    for pair in mixed.holds.keys() | said.keys():
        if mixed.holds.get(pair) != said.get(pair):
            missing.append(f"judgement {pair}: {mixed.holds.get(pair)}, but the API says {said.get(pair)}")
    mixed.server.process.send_signal(signal.SIGTERM)
    if (code := mixed.server.process.wait(60)) != 0:
        missing.append(f"the server ended with {code}")
    with Library(mixed.server.folder / "library", create=False) as library:
        digests = {entry.id: entry.digest for entry in library}
        paths = {entry.path for entry in library}
        missing += [f"video {path}: not in the library" for path in mixed.added if path not in paths]
        # a library keeps what is no match; all else may be one
        apart = {pair for pair, word in mixed.holds.items() if word == "not a match"}
        wanted = {tuple(sorted((digests[a], digests[b]))) for a, b in apart}
        kept = {(one.a, one.b) for one in library.judgements()}
        missing += [f"judgement: {len(wanted ^ kept)} differ in the library"] if wanted != kept else []
        missing += [f"{problem.path}: {problem.message}" for problem in library.verify()]
    return missing


def run(seconds: float, folder: Path) -> dict[str, Any]:
    """Mixed traffic for so long on a library in a folder; what came of it."""
    videos = folder / "videos"
    videos.mkdir()
    for number in range(3 * len(SAMPLES)):
        shutil.move(other_copy(videos, number), videos / f"first clip {number}.mp4")
    with Library(folder / "library") as library:
        library.add([videos], segments=True)
    server, record, stop = Server(folder), Record(), threading.Event()
    try:
        mixed = Mixed(server, record)
        with clients(mixed, stop):
            killed = kill_and_watch(server, seconds)
        memory = remembered(killed.pop("memory"))
        missing = lost(mixed, Client(server, record, "end"))
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
    if seconds >= 600 and memory["grown"] > GROWN:
        record.fault(f"memory: {memory}")
    waits = {
        kind: {"p50": round(statistics.median(each), 4), "p99": round(float(np.percentile(each, 99)), 4)}
        for kind, each in record.seconds.items()
    }
    return {
        "seconds": seconds,
        "requests": sum(sum(each.values()) for each in record.statuses.values()),
        "statuses": record.statuses,
        "wait_seconds": waits,
        "problems": record.names,
        "unanswered_while_down": record.unanswered,
        "killed": {**killed, "jobs_begun_again": mixed.attempts},
        "jobs": mixed.jobs,
        "added": len(mixed.added),
        "judged": mixed.judged,
        "taken_back": mixed.undone,
        "judgements_that_hold": len(mixed.holds),
        "memory_mib": memory,
        "lost": missing,
        "faults": record.faults[:100],
    }


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--no-result", action="store_true", help="write no file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(given.seconds, Path(folder))
    print(json.dumps(found, indent=1))
    if not given.no_result:
        more = "" if given.seconds == 3600 else f" --seconds {given.seconds:g}"
        write_result(
            "serve_mixed", {"command": f"python -m benchmarks.robustness.serve_mixed{more}", **found}
        )
    bad = len(found["lost"]) + len(found["faults"])
    print("nothing lost, every error named" if not bad else f"{bad} FAILURES")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
