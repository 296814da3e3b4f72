"""Pairs in the report that are related, but no duplicates: shown, never to be judged or removed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.report.test_report import CONTRAST, NASTY, Page, entry, group
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.library.duplicates import Group, Groups, Member, Related
from vhash_sdk.matching.relation import VideoRelation
from vhash_sdk.report import About, write_report
from vhash_sdk.report import related as module
from vhash_sdk.report.related import report_entries

AXE = """() => axe.run(document, { resultTypes: ["violations"] })
  .then((found) => found.violations.filter((each) => ["serious", "critical"].includes(each.impact))
  .map((each) => [each.id, each.nodes[0].html]))"""


def related(paths: list[str], *, groups: list[Group]) -> Groups:
    """A chain of videos of which each is related to the next one, in every way."""
    ways = (VideoRelation.CONTAINS, VideoRelation.SHARES, VideoRelation.TAKE)
    videos = [entry(100 + i, path) for i, path in enumerate(paths)]
    pairs = [Related(a, b, ways[i % 3], 10 + i) for i, (a, b) in enumerate(pairwise(videos))]
    return Groups(groups, related=pairs)


def written(folder: Path, groups: Groups) -> Path:
    write_report(folder / "report.html", groups, About(folder, "uuid-1", 256, 120, "longest", "Facts."))
    return folder / "report.html"


@pytest.fixture
def page(tmp_path: Path, browser: Any) -> Iterator[Page]:
    """A group of which one is a part of the kept one; four videos with real pictures that are related."""
    kept, part = entry(1, str(SAMPLES / "glass.mp4")), entry(2, "/v/part.mp4")
    grouped = Group(kept, (Member(part, 4, relation=VideoRelation.PART),))
    paths = [str(SAMPLES / f"{name}.mp4") for name in ("bunny", "chair", "legs")]
    found = Page(browser, written(tmp_path, related([*paths, f"/v/{NASTY[1]}"], groups=[grouped])))
    yield found
    found.context.close()


def test_what_videos_are_to_each_other_is_told(page: Page) -> None:
    assert page.texts("#groups .relation") == ["is part of the kept one"]
    rows = page.page.locator("#groups .video")
    assert str(rows.nth(1).get_attribute("aria-label")).endswith("is part of the kept one")
    assert page.texts("#to-related") == ["3 pairs are related, but not duplicates"]
    page.page.click("#to-related a")
    page.page.wait_for_selector("#related .video")
    said = page.page.inner_text("#related")
    assert said.startswith("Related, but not duplicates") and "These are no duplicates" in said
    page.page.locator("#related article").last.scroll_into_view_if_needed()
    page.page.wait_for_function("document.querySelectorAll('#related .video').length === 6", timeout=60_000)
    assert page.texts("#related .relation") == [
        "contains the other", "is part of the other", "shares a part with the other",
        "shares a part with the other", *["is another take of the scene of the other"] * 2,
    ]  # fmt: skip
    labels = page.page.locator("#related article").evaluate_all("all => all.map((each) => each.ariaLabel)")
    assert all(label.startswith("No duplicates: ") for label in labels) and "contains" in labels[0]
    assert NASTY[1] in page.texts("#related .name") and page.page.title().startswith("Duplicates in ")
    assert page.complaints == [] and len(page.requests) == 1


def test_nothing_is_judged_or_removed_there(page: Page, tmp_path: Path) -> None:
    page.page.click("#to-related a")
    page.page.wait_for_selector("#related .video")
    assert page.page.locator("#related [data-says], #related .keep").count() == 0
    assert page.texts("#looked") == ["0 of 1"] and page.texts("#count") == ["1"]
    page.page.locator("#related .strip").first.focus()
    page.keys("Enter")
    page.page.wait_for_selector("#large[open] img")
    assert page.texts("#large figcaption b") == ["first: ", "10 bits away: "]
    page.keys("Escape", "j", "m")
    with page.page.expect_download() as download:
        page.keys("e")
    download.value.save_as(tmp_path / "judgements.json")
    assert (tmp_path / "judgements.json").read_text("utf-8").count('"judgement"') == 1


def test_a_library_without_duplicates_says_so(tmp_path: Path, browser: Any) -> None:
    page = Page(browser, written(tmp_path, related(["/v/a", "/v/b"], groups=[])))
    assert page.texts("#none") == ["No video of this library is a copy of another one."]
    assert page.page.locator("#related .video").count() == 2 and page.complaints == []
    page.context.close()


def test_most_are_shown_and_the_rest_is_counted(
    tmp_path: Path, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_SHOWN", 2)
    groups = related([f"/v/{i}" for i in range(6)], groups=[group(1, ["/v/x", "/v/y"])])
    assert [one.path for one in report_entries(groups)] == ["/v/x", "/v/y", "/v/0", "/v/1", "/v/2"]
    page = Page(browser, written(tmp_path, groups))
    assert page.page.locator("#related article").count() == 2
    assert page.texts("#to-related") == ["5 pairs are related, but not duplicates"]
    assert "and 3 more" in page.texts("#related > p")[-1]
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_by_everybody(tmp_path: Path, browser: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe: pip install '.[dev]'")
    names = [f"/videos/{'long-' * 30}{i}.mp4" for i in range(4)]
    file = written(tmp_path, related(names, groups=[group(1, ["/v/x", str(SAMPLES / "glass.mp4")])]))
    for width in (360, 1400):
        page = Page(browser, file, color_scheme=scheme, viewport={"width": width, "height": 800})
        page.page.click("#to-related a")
        page.page.wait_for_selector("#related .video")
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        assert [found for found in page.page.evaluate(CONTRAST) if found[0] < 4.5] == []
        page.page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8"))
        assert page.page.evaluate(AXE) == []
        page.context.close()
