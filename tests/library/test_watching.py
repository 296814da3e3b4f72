"""Watched folders: real files that come slowly, are renamed, go, come all at once; and kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("onnx")

from tests.cli.test_cli import VALIDATOR
from tests.fake_encoder import BAD, MAGIC, FakeEncoder
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.errors import MissingDependencyError, OptionError, SourceError, StoreError
from vhash_sdk.library import Library
from vhash_sdk.library.lock import writer_lock
from vhash_sdk.library.records import Added
from vhash_sdk.library.watching import Watch, Watcher

PATIENCE = 120.0
"""Seconds until something that has to happen has not happened."""
SETTLE = 0.6


class Scene:
    """A folder that is watched in this process, and what was told."""

    def __init__(self, root: Path, *, poll: float | None) -> None:
        self.folder, self.poll = root / "videos", poll
        self.folder.mkdir()
        self.library = Library(root / "lib", encoder=FakeEncoder())  # type: ignore[arg-type]
        self.start()

    def start(self, **options: Any) -> None:
        watch = Watch((str(self.folder),), settle=SETTLE, poll=self.poll, **options)
        self.results = Watcher(self.library, watch).run()
        self.told: list[tuple[str, str]] = []

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MAGIC + (content.encode() if isinstance(content, str) else content))
        return path

    def until(self, *told: tuple[str, str], during: Callable[[], None] = lambda: None) -> None:
        """Go on until these were told, the status and the name of each; in any order, and nothing else."""
        worker = threading.Thread(target=during)
        worker.start()
        alarm = signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            while not set(told) <= set(self.told):
                result = next(self.results)
                assert isinstance(result, Added), result
                self.told.append((result.status, os.path.relpath(result.path, self.folder)))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
            worker.join()
        assert sorted(self.told) == sorted(told)
        self.told.clear()


def _give_up(*_: object) -> None:
    raise AssertionError("it was not told in time")


@pytest.fixture(params=[None, 0.5], ids=["told by the system", "polling"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param is None:
        pytest.importorskip("watchfiles")
    scene = Scene(tmp_path, poll=request.param)
    yield scene
    scene.results.close()  # type: ignore[attr-defined]
    scene.library.close()


def test_what_is_there_and_what_comes(scene: Scene) -> None:
    scene.write("old", "old")
    os.utime(scene.folder / "old", (1e9, 1e9))
    scene.write("fresh", "fresh")
    scene.until(("added", "old"), ("added", "fresh"))
    scene.until(("added", "new"), ("added", "deep/new"), during=lambda: _each(scene, "new", "deep/new"))


def _each(scene: Scene, *names: str) -> None:
    for name in names:
        scene.write(name, f"content of {name}")


def test_a_file_that_comes_in_pieces_is_read_once_when_it_rests(scene: Scene) -> None:
    scene.write("other", "other")
    scene.until(("added", "other"))
    scene.library.encoder.encoded.clear()  # type: ignore[attr-defined]

    def copy() -> None:
        with open(scene.folder / "slow", "wb") as file:
            for piece in (MAGIC, b"one", b"two", b"three", b"four", b"five"):
                file.write(piece)
                file.flush()
                time.sleep(SETTLE / 2)

    scene.until(("added", "slow"), during=copy)
    assert scene.library.encoder.encoded == [str(scene.folder / "slow")]  # type: ignore[attr-defined]
    (entry,) = [entry for entry in scene.library if entry.path.endswith("slow")]
    assert entry.size == len(MAGIC) + 19


def test_renamed_into_place_moved_and_deleted(scene: Scene) -> None:
    scene.write("first", "first")
    scene.until(("added", "first"))

    def rename_into_place() -> None:
        part = scene.folder.parent / "part"
        part.write_bytes(MAGIC + b"whole")
        part.rename(scene.folder / "whole")

    scene.until(("added", "whole"), during=rename_into_place)
    scene.until(
        ("moved", "deep/first"),
        during=lambda: (
            (scene.folder / "deep").mkdir(),
            (scene.folder / "first").rename(scene.folder / "deep" / "first"),
            None,
        )[-1],
    )
    scene.until(("vanished", "whole"), during=lambda: (scene.folder / "whole").unlink())
    scene.until(("vanished", "deep/first"), during=lambda: shutil.rmtree(scene.folder / "deep"))
    assert len(scene.library) == 2  # they may come back: `vhash remove` takes them out


def test_a_folder_that_comes_with_its_files(scene: Scene) -> None:
    scene.write("first", "first")
    scene.until(("added", "first"))
    outside = scene.folder.parent / "outside"
    for name in ("a", "deeper/b"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_bytes(MAGIC + name.encode())
    scene.until(
        ("added", "in/a"),
        ("added", "in/deeper/b"),
        during=lambda: (outside.rename(scene.folder / "in"), None)[1],
    )


def test_many_files_at_once(scene: Scene) -> None:
    names = [f"{number % 7}/{number}" for number in range(400)]
    scene.write("first", "first")
    scene.until(("added", "first"))
    scene.until(*(("added", name) for name in names), during=lambda: _each(scene, *names))


def test_what_changes_and_what_is_no_video(scene: Scene) -> None:
    scene.write("a", "a")
    scene.write("bad", BAD.removeprefix(MAGIC))
    scene.until(("added", "a"), ("failed", "bad"))

    def change() -> None:
        (scene.folder / "note.txt").write_text("a text")
        scene.write("a", "another")
        scene.write("bad", "good now")

    scene.until(("changed", "a"), ("added", "bad"), ("skipped", "note.txt"), during=change)


def test_it_goes_on_where_it_was_stopped(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.write(name, name)
    scene.until(("added", "a"), ("added", "b"), ("added", "c"))
    scene.results.close()  # type: ignore[attr-defined]
    (scene.folder / "a").unlink()
    (scene.folder / "b").rename(scene.folder / "moved")
    scene.write("d", "d")
    scene.start()
    scene.until(("vanished", "a"), ("moved", "moved"), ("added", "d"))


def test_what_is_excluded_and_links(scene: Scene) -> None:
    scene.results.close()  # type: ignore[attr-defined]
    scene.start(exclude=("*.part", "thumbs"))

    def come() -> None:
        _each(scene, "a.part", "thumbs/b", "deep/thumbs/c", "d")
        (scene.folder / "link").symlink_to(scene.folder / "d")

    scene.write("first", "first")
    scene.until(("added", "first"))
    told = [("added", "d")]
    scene.until(*told, *([("skipped", "link")] if scene.poll else []), during=come)
    assert {Path(entry.path).name for entry in scene.library} == {"first", "d"}


def test_another_writer_is_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vhash_sdk.library.watching._AGAIN", 0.5)
    scene.write("a", "a")
    with writer_lock(scene.library.directory / "lock"):
        error = next(scene.results)
        assert isinstance(error, StoreError) and "is being written by" in str(error)
    told = next(scene.results)
    while isinstance(told, StoreError):
        told = next(scene.results)
    assert isinstance(told, Added) and told.status == "added"


def test_what_cannot_be_watched_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="no folder to watch"):
        Watch(())
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError):
            Watch((str(tmp_path),), settle=wrong)
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="is no folder"):
            Watcher(library, Watch((str(tmp_path / "missing"),)))
        monkeypatch.setitem(sys.modules, "watchfiles", None)
        with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[watch\].*--poll"):
            next(Watcher(library, Watch((str(tmp_path),))).run())


# The command, with real videos.


class Command:
    """``vhash watch --json`` in a process of its own."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, folder: Path, *options: str) -> None:
        program = "from vhash_sdk.cli import main; main()"
        words = [
            "watch",
            str(folder.parent / "lib"),
            str(folder),
            "--settle",
            "0.5",
            "--workers",
            "1",
            "--json",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.started.append(self.process)
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def wait(self, event: str, name: str) -> dict[str, Any]:
        """What was told of a file."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for each in list(self.events):
                if each["event"] == event and Path(each["path"]).name == name:
                    VALIDATOR.validate(each)
                    return each
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            time.sleep(0.05)
        raise AssertionError(f"{event} of {name} was not told; but {self.events}")

    def end(self, number: int) -> int:
        """Send it a signal; how it ended."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Path]:
    pytest.importorskip("watchfiles")
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "uploads"
    folder.mkdir()
    shutil.copy(SAMPLES / "chair.mp4", folder / "chair.mp4")
    yield folder
    for process in Command.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    Command.started.clear()


def copy_of(name: str, to: Path) -> None:
    """Other bytes, the same video: a copy that the verdict has to see."""
    to.write_bytes((SAMPLES / name).read_bytes() + b"\0\0\0\x0cfree" + bytes(4))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_copy_is_told_and_signals_end_it_well(uploads: Path, number: int) -> None:
    hook = uploads.parent / "hook.py"
    hook.write_text(
        "import sys, json\n"
        "open(sys.argv[1], 'a').write(json.dumps([sys.argv[2:], json.load(sys.stdin)]) + '\\n')"
    )
    said = uploads.parent / "said"
    command = Command(uploads, "--hook", f"'{sys.executable}' '{hook}' '{said}' {{path}} 'of {{match}}'")
    command.wait("added", "chair.mp4")
    name = "a 'b' $(touch x) {match}.mp4"
    copy_of("chair.mp4", uploads / name)
    told = command.wait("copy", name)
    assert told["match"]["distance"] == 0 and told["match"]["path"] == str(uploads / "chair.mp4")
    end = time.monotonic() + PATIENCE
    while not said.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    words, document = json.loads(said.read_text())
    assert words == [str(uploads / name), f"of {uploads / 'chair.mp4'}"] and document == told
    assert not (Path.cwd() / "x").exists()
    assert command.end(number) == 0


def test_killed_and_started_again(uploads: Path) -> None:
    hook = uploads.parent / "hook.py"
    hook.write_text("import sys\nopen(sys.argv[1], 'a').write(sys.argv[2] + '\\n')")
    said = uploads.parent / "said"
    options = ("--hook", f"'{sys.executable}' '{hook}' '{said}' {{path}}")
    first = Command(uploads, *options)
    first.wait("added", "chair.mp4")
    shutil.copy(SAMPLES / "glass.mp4", uploads / "glass.mp4")
    time.sleep(0.7)  # it rests by now, and may be in the decoder
    first.end(signal.SIGKILL)
    copy_of("chair.mp4", uploads / "again.mp4")
    second = Command(uploads, *options)
    second.wait("copy", "again.mp4")
    with Library(uploads.parent / "lib") as library:
        end = time.monotonic() + PATIENCE
        while len(library) < 3 and time.monotonic() < end:
            time.sleep(0.1)
        assert {Path(entry.path).name for entry in library} == {"chair.mp4", "glass.mp4", "again.mp4"}
        assert not [problem for problem in library.verify() if problem.kind != "index"]
    assert second.end(signal.SIGTERM) == 0
    assert said.read_text().split() == [str(uploads / "again.mp4")]


def test_a_copy_that_was_added_but_not_told_is_told_after_a_crash(uploads: Path) -> None:
    """The process died between the two: the file is in the library, and its hook has not run."""
    options = ("--hook", "false")
    first = Command(uploads, *options)
    first.wait("added", "chair.mp4")
    first.end(signal.SIGKILL)
    copy_of("chair.mp4", uploads / "again.mp4")
    with Library(uploads.parent / "lib") as library:
        library.add([uploads], workers=1)
    second = Command(uploads, *options)
    second.wait("copy", "again.mp4")
    assert second.end(signal.SIGTERM) == 0


def test_a_web_address_gets_each_copy(uploads: Path) -> None:
    got: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204 if len(got) < 2 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        command = Command(uploads, "--webhook", f"http://127.0.0.1:{server.server_port}/copies")
        command.wait("added", "chair.mp4")
        copy_of("chair.mp4", uploads / "again.mp4")
        told = command.wait("copy", "again.mp4")
        end = time.monotonic() + PATIENCE
        while not got and time.monotonic() < end:
            time.sleep(0.05)
        assert got[0] == told
        shutil.copy(SAMPLES / "chair.mp4", uploads / "third.mp4")  # a server that fails stops nothing
        command.wait("copy", "third.mp4")
        assert command.end(signal.SIGTERM) == 0
    finally:
        server.shutdown()
        server.server_close()
