"""A library of real clips, a server of it, and tabs of a real browser that is signed in there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsing import CHROMIUM, COPIES, NASTY, Server, Tab, find, installed, served
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, remembered: None) -> Path:
    """A folder of clips with copies, a name that bites and a broken file; their library beside it."""
    folder = tmp_path_factory.mktemp("app")
    videos = folder / "videos"
    videos.mkdir()
    variants = {variant.name: variant for variant in VARIANTS}
    for name in ("bunny", "glass", "legs"):
        shutil.copy(SAMPLES / f"{name}.mp4", videos)
        for copy in COPIES.get(name, ()):
            variants[copy].write(SAMPLES / f"{name}.mp4", videos / f"{name} {copy}.mp4")
    shutil.copy(SAMPLES / "chair.mp4", videos / NASTY)
    (videos / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 500)
    with Library(folder / "library") as library:
        library.add([videos], segments=True)
        assert len(library) == 7
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    installed()
    with served(
        place / "library", "--root", place / "videos", "--move-to", place / "moved", home=place / "home"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with installed().sync_playwright() as p:
        program = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield program
        program.close()


@pytest.fixture(scope="module")
def signed_in(server: Server, browser: Any) -> Any:
    tab = Tab(browser, server).open()
    state = tab.context.storage_state()
    assert "token" not in tab.page.url  # it does not stay in the history
    if not tab.page.evaluate("fetch('/v1/groups?limit=1').then((a) => a.json()).then((a) => a.run)"):
        find(tab)
    tab.close()
    return state


@pytest.fixture
def tab(server: Server, browser: Any, signed_in: Any) -> Iterator[Tab]:
    one = Tab(browser, server, signed_in=signed_in)
    yield one
    elsewhere = [url for _, url in one.answers if not url.startswith((server.origin, "blob:", "data:"))]
    assert elsewhere == []  # nothing is loaded from anywhere else
    one.close()
