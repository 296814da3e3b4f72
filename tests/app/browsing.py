"""A server of its own process for tests of the app, and a browser that looks at it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VHASH = [sys.executable, "-c", "from vhash_sdk.cli import main; main()"]
COPIES = {"bunny": ("half size", "low quality"), "glass": ("logo",)}
NASTY = "<img src=x onerror=\"document.title='taken'\">.mp4"
"""Which clips have which copies, and the name of one that bites."""
SECONDS = 120  # that anything may take: the machine may be busy


class Server:
    """``vhash serve`` of a library; can be killed and started again at the same port."""

    def __init__(self, library: Path, *options: object, home: Path) -> None:
        self.library, self.options, self.home = library, [str(option) for option in options], home
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [*VHASH, "serve", str(self.library), "--port", str(self.port), "--quiet", *self.options]
        environment = {**os.environ, "XDG_DATA_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/#token=\S+", line):
                self.url, self.port = found[0], int(found[1])
                break
        else:
            raise AssertionError("".join(said))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()  # a full pipe would stop it

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, how: int = signal.SIGINT) -> None:
        self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def served(library: Path, *options: object, home: Path) -> Iterator[Server]:
    server = Server(library, *options, home=home)
    try:
        yield server
    finally:
        server.stop()


def installed() -> Any:
    """Playwright's module, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
    pytest.importorskip("fastapi", reason="needs the extra serve: pip install '.[serve]'")
    if CHROMIUM is None:
        pytest.skip("needs a Chromium on PATH")
    return playwright


class Tab:
    """A window of its own storage; what it asks for, what comes back and what it complains about is kept."""

    def __init__(self, browser: Any, server: Server, *, signed_in: Any = None, **options: Any) -> None:
        self.server = server
        size = {"width": 1280, "height": 860}
        self.context = browser.new_context(**{"viewport": size, "storage_state": signed_in, **options})
        self.context.set_default_timeout(1000 * SECONDS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.answers: list[tuple[int, str]] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", lambda answer: self.answers.append((answer.status, answer.url)))

    def open(self, view: str = "") -> Tab:
        self.page.goto(f"{self.server.origin}/#/{view}" if view else self.server.url)
        self.page.wait_for_selector("#main h1")
        return self

    def go(self, view: str) -> None:
        """To another view, as by its link."""
        self.page.evaluate(f"location.hash = '#/{view}'")
        self.page.wait_for_selector(f"#main[data-view={view}] h1")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def texts(self, selector: str) -> list[str]:
        return [str(text) for text in self.page.locator(selector).all_inner_texts()]

    def until(self, condition: str, *given: Any) -> Any:
        """What an expression says, once it says something; playwright's own way is against the policy."""
        return until(lambda: self.page.evaluate(condition, *given), condition)

    def drop(self, file: Path) -> None:
        """Drop a file on the page, as the desktop does."""
        self.page.set_input_files("#file", file)  # gets the file into the page, which looks at it
        self.page.evaluate(DROP)

    def close(self) -> None:
        self.context.close()


DROP = """() => {
  const data = new DataTransfer();
  data.items.add(document.getElementById("file").files[0]);
  for (const kind of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def until(asks: Callable[[], Any], what: str = "") -> Any:
    """What ``asks`` answers as soon as it is something."""
    end = time.monotonic() + SECONDS
    while not (found := asks()):
        assert time.monotonic() < end, f"not within {SECONDS} s: {what}"
        time.sleep(0.05)
    return found


def find(tab: Tab) -> None:
    """Have duplicates found, by the button."""
    tab.go("duplicates")
    tab.page.click("#main .view-head .main")
    tab.page.click("dialog .buttons .main")
    tab.page.wait_for_selector(".group .video")


def quiet(tab: Tab) -> list[str]:
    """What the browser complained about, but for pictures of what has none, and how a test reads pixels."""
    return [said for said in tab.complaints if not any(word in said for word in ("422", "410", "Canvas2D"))]
