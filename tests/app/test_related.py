"""What videos are to each other, in the app: parts and takes are told, and never offered as duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsing import Server, Tab, installed, quiet, served, until
from tests.app.test_app import AXE
from tests.library.test_related import joined
from vhash_sdk import Encoder, Library

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory, remembered: None) -> Path:
    """A clip and a part of it; two clips with one beginning; a film of three others."""
    folder = tmp_path_factory.mktemp("related")
    videos = folder / "videos"
    videos.mkdir()
    joined(videos / "bunny.mp4", ("bunny", 0, 5))
    joined(videos / "middle.mp4", ("bunny", 1.0, 3.4))
    joined(videos / "legs.mp4", ("legs", 0, 3.4))
    joined(videos / "one.mp4", ("backrest", 0, 3), ("chair", 0, 2.4))
    joined(videos / "other.mp4", ("backrest", 0, 3), ("glass", 0, 2.4))
    joined(videos / "all.mp4", ("glass", 0, 2.4), ("legs", 0, 3.4), ("bunny", 0, 5))
    with Encoder("copy", threads=1) as encoder, Library(folder / "library", encoder=encoder) as library:
        library.add([videos], workers=1)
    return folder


@pytest.fixture(scope="module")
def server(pieces: Path) -> Iterator[Server]:
    installed()
    with served(pieces / "library", home=pieces / "home") as running:
        yield running


def test_groups_say_which_one_is_a_part(tab: Tab) -> None:
    tab.open("duplicates")
    row = tab.page.locator(".group .video:not(.kept)", has_text="middle.mp4")
    row.wait_for()
    assert row.locator(".relation").inner_text() == "is part of the kept one"
    assert str(row.get_attribute("aria-label")).endswith("is part of the kept one")
    assert not {"all.mp4", "one.mp4", "other.mp4"} & set(tab.texts(".group .name"))


def test_what_is_only_related_has_a_place_of_its_own(tab: Tab) -> None:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group .video")
    tab.page.click(".tab-link >> nth=1")
    tab.page.wait_for_selector("[data-pair]")
    assert tab.texts("h1") == ["Related, but not duplicates"]
    assert "none is offered for removal" in tab.texts(".view-head .facts")[0]
    said = {(name, words) for name, words in (pair_of(text) for text in tab.texts("[data-pair]"))}
    assert ("all.mp4", "One contains the other, beside others") in said
    assert ({"one.mp4", "other.mp4"} & {name for name, _ in said}) and "They share a part" in str(said)
    assert tab.page.locator("[data-says], [data-toss]").count() == 0
    assert tab.texts("#n-related") == [str(tab.page.locator("[data-pair]").count())]
    tab.page.select_option("select[aria-label=Show]", "shares a part")
    until(lambda: tab.page.locator("[data-pair]").count() == 1)
    assert tab.texts("[data-pair] .relation") == ["shares a part with the other"] * 2
    tab.page.fill("main input[type=search]", "no such name")
    until(lambda: "No pair is left" in tab.page.inner_text("main .empty"))
    tab.page.fill("main input[type=search]", "")
    tab.page.select_option("select[aria-label=Show]", "")
    until(lambda: tab.page.locator("[data-pair]").count() > 2)
    assert quiet(tab) == []


def pair_of(text: str) -> tuple[str, str]:
    """The first name of a pair, and what stands over it."""
    words, _, name, *_ = text.splitlines()
    return name, words


def test_related_pairs_by_keyboard(tab: Tab) -> None:
    tab.open("related")
    tab.page.wait_for_selector("[data-pair]")
    tab.keys("j", "j", "k")
    assert tab.page.evaluate("document.activeElement.dataset.pair") == "0"
    label = str(tab.page.locator("[data-pair][aria-current=true]").get_attribute("aria-label"))
    assert label.startswith("No duplicates: ") and (" contains " in label or " shares a part with " in label)
    tab.keys("m", "n", "x", "X")  # nothing is judged or planned here
    tab.keys("Enter")
    tab.page.wait_for_selector(".compare")
    assert tab.page.locator(".compare .verdict").count() == 0
    tab.keys("Escape")
    until(lambda: tab.page.locator(".compare").count() == 0)
    assert tab.page.evaluate("fetch('/v1/basket').then((a) => a.json()).then((a) => a.items.length)") == 0
    assert tab.page.evaluate("fetch('/v1/judgements').then((a) => a.json()).then((a) => a.total)") == 0


def test_hits_say_what_they_are_to_what_was_searched_for(tab: Tab, pieces: Path) -> None:
    tab.open("search")
    tab.drop(pieces / "videos" / "middle.mp4")
    whole = tab.page.locator(".hits .video[data-kind=copy]", has_text="bunny.mp4")
    whole.wait_for()
    assert whole.locator(".relation").inner_text() == "contains middle.mp4"
    same = tab.page.locator(".hits .video[data-kind=copy]", has_text="middle.mp4").first
    assert (
        same.locator(".verdict-tag").inner_text() == "same video" and same.locator(".relation").count() == 0
    )
    tab.drop(pieces / "videos" / "one.mp4")
    shared = tab.page.locator(".hits .video[data-kind=shares]", has_text="other.mp4")
    shared.wait_for()
    assert shared.locator(".relation").inner_text() == "shares a part with one.mp4"
    assert "no copies" in tab.page.inner_text(".hits:has([data-kind=shares])")
    assert quiet(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(server: Server, browser: Any, signed_in: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe: pip install '.[dev]'")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8")
    size = {"width": 360, "height": 740}
    tab = Tab(
        browser, server, signed_in=signed_in, color_scheme=scheme, viewport=size, reduced_motion="reduce"
    )
    for view in ("related", "duplicates"):
        tab.open(view)
        tab.page.wait_for_selector(".group .video")
        tab.keys("j")
        tab.page.evaluate(script)
        assert tab.page.evaluate(AXE, {"resultTypes": ["violations"]}) == []
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    tab.close()


def test_a_code_says_that_only_codes_were_compared(tab: Tab) -> None:
    tab.open("search")
    code = tab.page.evaluate("fetch('/v1/videos?limit=1').then((a) => a.json()).then((a) => a.items[0].code)")
    tab.page.fill("#code", code)
    tab.keys("Tab")
    tab.page.wait_for_selector(".hits .video[data-kind=copy]")
    assert tab.page.inner_text(".only-codes").startswith("Only codes were compared")
    said = tab.page.inner_text(".results")
    assert "pictures and how they change agree" not in said and "same video" not in said
    assert "near by its code" in said
    assert quiet(tab) == []


def test_what_is_near_a_video_of_the_library_is_looked_at_as_an_upload_is(tab: Tab) -> None:
    tab.open("library")
    tab.page.locator(".compact", has_text="middle.mp4").get_by_text("Near").click()
    whole = tab.page.locator("dialog .video[data-kind=copy]", has_text="bunny.mp4")
    whole.wait_for()
    assert whole.locator(".relation").inner_text() == "contains middle.mp4"
