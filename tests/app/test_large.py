"""The app with 5,000 groups: what is not looked at is not built, any place of a list is reached at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.app import library
from tests.app.browsing import CHROMIUM, Tab, installed, served, until

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser
GROUPS = 5000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A tab that is signed in, on a library in which the duplicates have been found."""
    playwright = installed()
    folder = tmp_path_factory.mktemp("large")
    place = library(folder, 2 * GROUPS + 1000, GROUPS)
    with playwright.sync_playwright() as p, served(place, home=folder) as server:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = Tab(browser, server).open()
        tab.go("duplicates")
        tab.page.click("#main .view-head .main")
        tab.page.click("dialog .buttons .main")
        tab.page.wait_for_selector(".group .video")
        yield tab
        browser.close()


def built(tab: Tab) -> int:
    return int(tab.page.evaluate("document.querySelectorAll('main *').length"))


def test_only_what_is_near_the_window_is_built(large: Tab) -> None:
    large.page.evaluate("scrollTo(0, 0)")
    assert large.texts("#groups") == [f"{GROUPS:,}"]
    assert 0 < large.page.locator(".group").count() < 30 and built(large) < 2000
    large.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = ".virtual > .group[aria-posinset='5000']"
    until(lambda: large.page.locator(last).count() == 1, "the last group")
    assert large.page.locator(".group").count() < 30 and built(large) < 2000
    shown = large.page.locator(last).bounding_box()
    assert shown["y"] < large.page.viewport_size["height"]


def test_keys_go_on_from_page_to_page(large: Tab) -> None:
    large.page.evaluate("scrollTo(0, 0)")
    large.open("duplicates")
    large.page.wait_for_selector(".group .video")
    current = large.page.locator(".virtual > .group:has(.video[aria-current=true])")

    def next_group() -> bool:
        large.keys("j")
        large.page.wait_for_timeout(20)
        return bool(current.count()) and int(current.get_attribute("aria-posinset")) >= 60

    until(next_group, "the sixtieth group")  # a page has 50
    box, height = current.bounding_box(), large.page.viewport_size["height"]
    assert box["y"] > -50 and box["y"] < height


def test_a_filter_finds_one_of_all(large: Tab, tmp_path: Path) -> None:
    large.open("library")
    large.page.wait_for_selector(".compact")
    assert large.texts("#n-videos") == ["11,000"]
    large.page.fill("main input[type=search]", "video 0007777")
    until(lambda: large.texts(".compact .name") == ["video 0007777.mp4"])
    large.page.fill("main input[type=search]", "")
    until(lambda: large.page.locator(".compact").count() > 3)
    large.page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    until(lambda: any(5000 < int(name[6:13]) < 6000 for name in large.texts(".compact .name")))


def test_what_is_filtered_is_looked_at_from_its_beginning(large: Tab) -> None:
    large.open("library")
    large.page.wait_for_selector(".compact")

    def far_down() -> None:
        large.page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
        until(lambda: any(5000 < int(name[6:13]) < 6000 for name in large.texts(".compact .name")))
        large.answers.clear()

    def first_of(hundred: str) -> bool:
        rows = large.page.locator(".compact[aria-posinset='1'][aria-setsize='100']")
        return bool(rows.count()) and rows.locator(".name").inner_text().startswith(hundred)

    far_down()
    large.page.fill("main input[type=search]", "video 00033")
    until(lambda: first_of("video 0003300"))
    box = large.page.locator(".compact[aria-posinset='1']").bounding_box()
    assert 0 < box["y"] < large.page.viewport_size["height"] / 2
    assert not [url for _, url in large.answers if "cursor" in url]  # what nobody looks at is not asked for
    large.page.fill("main input[type=search]", "")
    until(lambda: large.page.locator(".compact[aria-setsize='11000']").count() > 3)
    far_down()
    large.page.click("main .bar button")  # the other way round
    until(lambda: large.texts(".compact[aria-posinset='1'] .name") == ["video 0010999.mp4"])
    large.page.click("main .bar button")


def test_the_map_of_all_is_drawn(large: Tab) -> None:
    large.open("map")
    until(lambda: large.texts(".legend .count") == ["11,000 of 11,000 in view"])
    drawn = (
        "(() => { const c = document.querySelector('.map canvas'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
        " for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
    )
    assert large.page.evaluate(drawn) > 5000
    large.page.focus(".map canvas")
    large.keys("+", "+", "+", "+", "+")
    until(lambda: large.texts(".legend .count") != ["11,000 of 11,000 in view"])
