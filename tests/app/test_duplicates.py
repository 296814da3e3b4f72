"""Duplicates in the app, in a real browser: judged by keys, planned, carried out and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.browsing import Tab, until

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser


def test_judgements_by_keys_are_kept_and_undone(tab: Tab) -> None:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group .video")
    tab.keys("j", "n")
    until(lambda: tab.texts("#looked") == ["1 of 3"])
    assert tab.page.locator(".video.not").count() == 1
    tab.keys("m")
    until(lambda: tab.texts("#looked") == ["2 of 3"])
    until(lambda: judged(tab) == 2)
    tab.open("duplicates")
    until(lambda: tab.texts("#looked") == ["2 of 3"])
    tab.page.select_option("select[aria-label=Show]", "not")
    until(lambda: tab.page.locator(".group").count() == 1 and tab.page.locator(".video.not").count() == 1)
    tab.page.select_option("select[aria-label=Show]", "all")
    tab.keys("Escape", "u")
    until(lambda: judged(tab) == 1)
    tab.keys("u")
    until(lambda: judged(tab) == 0)
    until(lambda: tab.texts("#looked") == ["0 of 3"])
    tab.keys("u")
    until(lambda: "nothing to undo" in tab.page.inner_text("#said"))


def judged(tab: Tab) -> int:
    """How many pairs the server knows a judgement of."""
    return int(
        tab.page.evaluate("fetch('/v1/groups?limit=1').then((a) => a.json()).then((a) => a.run.judged)")
    )


def test_the_plan_is_tried_carried_out_and_taken_back(tab: Tab, place: Path) -> None:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group .video")
    tab.keys("j", "x")
    until(lambda: tab.texts("#badge-plan") == ["1"])
    going = tab.page.inner_text(".video.going .name")
    file = place / "videos" / going
    assert file.exists()
    tab.go("plan")
    tab.page.wait_for_selector("[data-view=plan] .virtual .video")
    assert tab.texts("[data-view=plan] .virtual .video .name") == [going]
    tab.page.select_option("select[aria-label=Action]", "move")
    tab.page.click("text=Try it")
    tab.page.wait_for_selector(".outcome .said")
    assert tab.texts(".outcome .said b") == ["1 could be done"] and file.exists()
    tab.page.click("#apply")
    tab.page.click("dialog .danger")
    until(lambda: not file.exists(), "the file goes")
    until(lambda: tab.texts(".outcome .said b") == ["1 done"])
    assert (place / "moved").exists()
    tab.page.click(".journal .undo")
    until(file.exists, "the file comes back")
    until(lambda: tab.texts(".outcome .said b") == ["1 taken back"])
    tab.page.wait_for_selector(".journal .tag")


def test_keep_rules_are_chosen_and_told(tab: Tab) -> None:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group")
    tab.page.click("#main .view-head .main")
    tab.page.select_option("dialog select", "largest")
    tab.page.click("dialog [aria-label='largest earlier']")
    assert [text.splitlines()[0] for text in tab.texts("dialog .rules li")] == ["largest", "longest"]
    tab.page.click("dialog .buttons .main")
    until(lambda: tab.page.locator(".what .rate", has_text="largest").count() > 0, "reasons by the new rules")
