"""The app of ``vhash serve`` in a real browser: signing in, jobs, keys, names, what every view holds."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsing import NASTY, Server, Tab, quiet, until
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.web import app_files

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser
AXE = """(options) => axe.run(document, options).then((found) => found.violations
  .filter((each) => ["serious", "critical"].includes(each.impact))
  .map((each) => [each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]))"""
VIEWS = ("search", "duplicates", "related", "parts", "library", "errors", "map", "distances", "jobs", "plan")


def test_the_app_is_small_and_each_module_is_there() -> None:
    files = app_files()
    assert sum(len(file.content) for file in files.values()) < 205_000
    page = files["app/index.html"].content.decode()
    assert "style=" not in page and "<style" not in page and "onclick" not in page  # its policy forbids them
    for name, file in files.items():
        if name.endswith(".js"):
            for line in file.content.decode().splitlines():
                if line.startswith("import "):
                    target = line.rsplit('"', 2)[1]
                    found = os.path.normpath(os.path.join(os.path.dirname(name), target))
                    assert found in files, f"{name} imports {target}"


def test_a_link_signs_in_once(server: Server, browser: Any, signed_in: Any) -> None:
    stranger = Tab(browser, server)
    stranger.page.goto(server.url)  # used up by the fixture
    stranger.page.wait_for_selector(".sign-in")
    assert "used already" in stranger.page.inner_text(".problem")
    stranger.page.fill(".sign-in input", "no such token")
    stranger.page.click(".sign-in button")
    stranger.until("document.querySelector('.problem').textContent.length > 0")
    assert stranger.page.locator("nav").count() == 0
    stranger.close()
    known = Tab(browser, server, signed_in=signed_in).open()
    link = known.page.evaluate("import('/static/app/api.js').then((a) => a.post('/v1/session/links'))")["url"]
    known.close()
    other = Tab(browser, server)
    other.page.goto(link)
    other.page.wait_for_selector("#main h1")
    other.close()


def test_a_job_is_told_as_it_goes_on(tab: Tab, place: Path) -> None:
    new = place / "videos" / "new.mp4"
    shutil.copy(SAMPLES / "backrest.mp4", new)
    tab.open("jobs")
    tab.page.click(".adding .main")
    tab.page.wait_for_selector(".jobs .job:first-child [role=progressbar]")
    tab.page.wait_for_selector(".jobs .job.done:first-child .counts")
    assert "1 added" in tab.texts(".job .counts")[0]
    tab.go("library")
    until(lambda: tab.texts("#n-videos") == ["8"])
    assert "new.mp4" in tab.texts(".compact .name")
    tab.page.click(".tab-link >> nth=1")
    tab.page.wait_for_selector(".failure")
    assert "broken.mp4" in tab.page.inner_text(".failure")


def test_the_page_finds_a_server_that_was_killed_again(tab: Tab, server: Server) -> None:
    tab.open("jobs")
    server.stop(signal.SIGKILL)
    tab.until("!document.getElementById('banner').hidden")
    tab.page.evaluate("location.hash = '#/library'")  # asked while nobody answers: answered later
    server.start()
    tab.until("document.getElementById('banner').hidden")
    tab.page.wait_for_selector(".compact .name")
    tab.go("jobs")
    tab.page.click(".adding .main")
    tab.page.wait_for_selector(".jobs .job:first-child [role=progressbar]")  # events come again
    tab.page.wait_for_selector(".jobs .job.done:first-child")


def test_what_ends_while_the_page_hears_nothing_is_shown(tab: Tab, server: Server) -> None:
    tab.page.route("**/v1/jobs/events", lambda route: route.abort())
    held: list[Any] = []
    tab.open("library")
    tab.page.route("**/v1/jobs?limit=50", lambda route: route.continue_() if held else held.append(route))
    tab.go("jobs")
    tab.page.click(".adding .main")
    until(lambda: held and tab.texts(".jobs .job .count"))
    number = tab.page.get_attribute(".jobs .job:first-child", "data-id")
    early = held[0].fetch()  # as the list was, with a job that runs: answered late, as by a slow network
    tab.until(f"fetch('/v1/jobs/{number}').then((a) => a.json()).then((job) => job.state == 'done')")
    tab.page.unroute("**/v1/jobs/events")
    tab.page.wait_for_selector(f".jobs .job.done[data-id={number}]")
    held[0].fulfill(response=early)
    tab.page.wait_for_timeout(300)
    assert tab.texts(f".jobs .job.done[data-id={number}]"), "an old answer came over a newer one"


def test_names_are_shown_and_never_obeyed(tab: Tab) -> None:
    tab.open("library")
    tab.page.locator(".compact", has_text="onerror").wait_for()
    assert NASTY in tab.texts(".compact .name")
    tab.page.locator(".compact", has_text="onerror").locator(".name").click()
    tab.page.wait_for_selector("dialog .facts-list")
    assert tab.page.locator("main [src=x], dialog [src=x]").count() == 0
    assert tab.page.title().startswith("Library") and quiet(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(server: Server, browser: Any, signed_in: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe: pip install '.[dev]'")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8")
    tab = Tab(browser, server, signed_in=signed_in, color_scheme=scheme, reduced_motion="reduce")
    tab.open("search")
    tab.page.evaluate(script)
    found = {}
    for view in VIEWS:
        tab.page.evaluate(f"location.hash = '#/{view}'")
        tab.page.wait_for_timeout(700)
        if view == "duplicates":
            tab.page.wait_for_selector(".group .video")
            tab.keys("j")
        found[view] = tab.page.evaluate(AXE, {"resultTypes": ["violations"]})
    tab.go("duplicates")
    tab.page.wait_for_selector(".group .video")
    tab.keys("j", "Enter")
    tab.page.wait_for_selector(".compare")
    found["compare"] = tab.page.evaluate(AXE, {"resultTypes": ["violations"]})
    tab.keys("Escape", "?")
    found["keys"] = tab.page.evaluate(AXE, {"resultTypes": ["violations"]})
    assert {view: each for view, each in found.items() if each} == {}
    tab.close()


@pytest.mark.parametrize("width", [360, 820])
def test_nothing_is_wider_than_a_phone(server: Server, browser: Any, signed_in: Any, width: int) -> None:
    tab = Tab(browser, server, signed_in=signed_in, viewport={"width": width, "height": 740})
    tab.open("search")
    for view in VIEWS:
        tab.page.evaluate(f"location.hash = '#/{view}'")
        tab.page.wait_for_timeout(500)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, view
    if width == 360:
        tab.page.click("#more")
        tab.page.click(".sheet a[href='#/distances']")
        tab.page.wait_for_selector("#main[data-view=distances] .plot")
    tab.close()


def test_by_keyboard_alone(tab: Tab) -> None:
    tab.open("search")
    tab.keys("2")
    tab.page.wait_for_selector(".group .video")
    tab.keys("/")
    assert tab.page.evaluate("document.activeElement.type") == "search"
    tab.page.keyboard.type("glass")
    until(lambda: tab.page.locator(".group").count() == 1)
    tab.keys("Escape", "j", "Enter")
    tab.page.wait_for_selector(".compare")
    tab.keys("Escape")
    focused = tab.page.evaluate("document.activeElement.className")
    assert "video" in focused or "strip" in focused  # back where one was
    tab.keys("?")
    assert tab.page.locator("dialog kbd").count() > 20
    tab.keys("Escape", "8")
    tab.page.wait_for_selector("#main[data-view=plan]")
