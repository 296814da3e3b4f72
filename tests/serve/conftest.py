"""A small library of real clips, made once for all processes, and real servers on it."""

from __future__ import annotations

import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest
from filelock import FileLock

from vhash_sdk.library import Library
from vhash_sdk.models import zoo

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

SAMPLES = zoo.FOLDER.parent / "samples"
TOKEN = secrets.token_urlsafe(32)


class Made(NamedTuple):
    """A folder of videos, and a library of them."""

    videos: Path
    library: Path


def smaller(source: Path, target: Path) -> None:
    """The same video, smaller."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 240, 180, "yuv420p"
        stream.options = {"x264-params": "no-asm=1"}  # the kernels for AVX-512 do not write the same twice
        for number, frame in enumerate(given.decode(video=0)):
            small = frame.reformat(240, 180, format="yuv420p")
            small.pts, small.time_base = number, Fraction(1, 25)
            made.mux(stream.encode(small))
        made.mux(stream.encode(None))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Made:
    """Four clips, one of them twice byte for byte and one smaller; with segments. Nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "served"
    with FileLock(str(folder) + ".lock"):
        found = Made(folder / "videos", folder / "library")
        if not (folder / "done").exists():
            found.videos.mkdir(parents=True)
            for name in ("bunny", "chair", "legs"):
                shutil.copy(SAMPLES / f"{name}.mp4", found.videos)
            shutil.copy(SAMPLES / "bunny.mp4", found.videos / "same.mp4")
            smaller(SAMPLES / "chair.mp4", found.videos / "small.mp4")
            (found.videos / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(300))
            with Library(found.library) as library:
                library.add([found.videos], segments=True)
            (folder / "done").touch()
    return found


@pytest.fixture
def own(made: Made, tmp_path: Path) -> Made:
    """The same for one test alone, which may change it."""
    found = Made(tmp_path / "videos", tmp_path / "library")
    shutil.copytree(made.videos, found.videos)
    shutil.copytree(made.library, found.library)
    with Library(found.library) as library:
        library.add([found.videos])  # nothing is decoded: the content is known
        library.remove([made.videos])
    return found


class Server:
    """``vhash serve`` in a process of its own."""

    def __init__(
        self, library: Path, *options: str, patch: str = "", trust: ssl.SSLContext | None = None
    ) -> None:
        self._library, self._options, self._patch, self._trust = library, options, patch, trust
        self.port, self.link = 0, ""
        self.start()

    def start(self) -> None:
        """Start it; again on the port that it had."""
        tokens = self._library.parent / f"tokens-{secrets.token_hex(4)}"
        tokens.write_text(TOKEN + "\n")
        given = ["serve", str(self._library), "--port", str(self.port), "--token-file", str(tokens)]
        code = f"{self._patch}\nfrom vhash_sdk.cli import main\nmain()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *given, *self._options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"https?://[\d.]+:(\d+)/#token=(\S+)", line)
        assert found is not None, line
        self.port, self.link = int(found[1]), found[2]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.client().get("/livez").status_code == 200:
                return
        raise AssertionError("the server does not answer")

    def client(self, *, token: bool = True, **options: Any) -> httpx.Client:
        """A client, by default one that may do everything."""
        headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
        given = {"headers": headers, "timeout": 120, "verify": self._trust or True, **options}
        scheme = "http" if self._trust is None else "https"
        return httpx.Client(base_url=f"{scheme}://127.0.0.1:{self.port}", **given)

    @property
    def token(self) -> str:
        """That scripts show."""
        return TOKEN

    def signed_link(self) -> str:
        """Another one-time token."""
        return str(self.client().post("/v1/session/links").json()["url"]).rpartition("=")[2]

    def signed_in(self) -> httpx.Client:
        """A client as the browser is one: with a cookie, and what it has to show beside."""
        client = self.client(token=False)
        answer = client.post("/v1/session", json={"token": self.link})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    def done(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job once it has ended."""
        end = time.monotonic() + 120
        while job["state"] in ("queued", "running"):
            assert time.monotonic() < end, job
            time.sleep(0.1)
            job = self.client().get(f"/v1/jobs/{job['id']}").json()
        return job

    def run(self, **given: Any) -> dict[str, Any]:
        """Begin a job, and wait for its end."""
        answer = self.client().post("/v1/jobs", json=given)
        assert answer.status_code == 202, answer.text
        return self.done(answer.json())

    def stop(self, kind: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(kind)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def served(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a copy of the library, for tests that change nothing which others see."""
    library = tmp_path_factory.mktemp("served") / "library"
    shutil.copytree(made.library, library)
    server = Server(library, "--root", str(made.videos), "--max-upload", "8")
    yield server
    assert server.stop() == 0


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, which end with the test."""
    servers: list[Server] = []

    def start(library: Path, *options: str, **how: Any) -> Server:
        servers.append(Server(library, *options, **how))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
