"""The report, in a real browser: names that bite, keys, judgements, filters, pictures, contrast."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_cli import run
from vhash_sdk import Library, VideoCode
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import transcode
from vhash_sdk.errors import SourceError
from vhash_sdk.library.duplicates import Group, Groups, Member
from vhash_sdk.library.judgements import Judgement, read_judgements
from vhash_sdk.library.on_disk import LeftOut, SameFile
from vhash_sdk.library.records import Entry
from vhash_sdk.matching.calibration import Rate
from vhash_sdk.names import printable
from vhash_sdk.report import About, write_report
from vhash_sdk.report.facts import Facts
from vhash_sdk.spec import PICTURE_RULES, Resize, Sampling
from vhash_sdk.video.isolation.pool import DecodePool

pytestmark = pytest.mark.usefixtures("remembered")

NASTY = [
    "</script><script>document.title = 'taken over'</script>.mp4",
    '<img src=x onerror="document.title = 1">.mp4',
    'it\'s "quoted" & {{data}}.mp4',
    os.fsdecode(b"caf\xe9 \xff.mp4"),
    "\u202egnp.exe \u05d0\u05d1\u05d2.mp4",
    "two\nlines\x1b[2J.mp4",
    "javascript:alert(1)#?%41.mp4",
    "plain \u00e9\U0001f600.mp4",
]


def entry(number: int, path: str, *, size: int = 1000, seconds: float = 10.0) -> Entry:
    code = VideoCode(np.zeros(8, np.uint8), 64, "0" * 64, duration=seconds)
    digest = number.to_bytes(32, "big")
    return Entry(number, path, size, 0.0, 0.0, 320, 240, 25.0, "h264", code, digest)


def report(folder: Path, groups: list[Group]) -> Path:
    about = About(folder, "uuid-1", 256, 120, "longest", "Facts & <figures>.")
    write_report(folder / "report.html", groups, about)
    return folder / "report.html"


def group(first: int, paths: list[str], *, size: int = 1000) -> Group:
    best, *others = (entry(first + i, path, size=size) for i, path in enumerate(paths))
    return Group(best, tuple(Member(other, 2 * i) for i, other in enumerate(others)))


def test_the_page_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    file = report(tmp_path, [group(1, [f"/v/{name}" for name in NASTY])])
    text = file.read_text("utf-8")
    assert "default-src 'none'" in text and "src=" not in text.split("<script", 1)[0]
    data = text.split('id="data">')[1].split("</script>")[0]
    assert "<" not in data and "taken over" in data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        report(tmp_path, [group(1, ["/v/a", "/v/b"])])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("picture", PICTURE_RULES)
def test_pictures_are_taken_by_the_rule_of_the_model(
    tmp_path: Path, picture: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Resize] = []

    def decode(self: DecodePool, path: str, sampling: Sampling, resize: Resize) -> None:
        asked.append(resize)
        raise SourceError(f"{path}: is not there")

    monkeypatch.setattr(DecodePool, "decode", decode)
    about = About(tmp_path, "uuid-1", 256, 120, "longest", "Facts.", picture=picture)
    write_report(tmp_path / "report.html", [group(1, ["/v/a", "/v/b"])], about)
    assert [resize.picture for resize in asked] == [picture, picture]


def test_facts_say_what_is_chance_and_what_the_disk_says(tmp_path: Path) -> None:
    groups = Groups(
        [group(1, ["/v/a", "/v/b"], size=2_000_000)],
        left_out=[LeftOut("/v/c", "vanished", "gone"), LeftOut("/v/d", "vanished", "gone")],
        same_files=[SameFile("/v/a", ("/v/e",))],
        radius=40,
        rate=Rate(1e-9, 1e-8, 1e-7),
    )
    known = Facts(10_001, 256, groups)
    assert known.pairs == 50_005_000 and known.text() == (
        "10,001 videos: 1 group with 1 duplicate of 2.0 MB. Codes within 40 of 256 bits: a false-match rate "
        "of 1e-08 (95 %: at most 1e-07). Of the 50,005,000 pairs here about 1, at most 5, match by chance; a "
        "smaller --fmr leaves fewer. 1 name more of the same files is no copy. Left out: 2 near videos "
        "(2 vanished)."
    )
    few = replace(known, videos=3, groups=Groups(rate=Rate(1e-9, 1e-8, 1e-7)))
    assert "Of the 3 pairs here fewer than one match by chance." in few.text()
    assert few.text().startswith("3 videos: 0 groups with 0 duplicates of 0 bytes. ")
    assert "its false-match rate is not known." in replace(known, groups=Groups()).text()


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a library of a sample and a cut of it, without segments and with."""
    folder = tmp_path_factory.mktemp("cut")
    shutil.copy(SAMPLES / "bunny.mp4", folder)
    transcode(SAMPLES / "bunny.mp4", folder / "cut.mp4", span=(0.2, 0.9), crf=28, preset="ultrafast")
    for name, options in (("without", ()), ("with", ("--segments",))):
        run("add", folder / "library", folder / "bunny.mp4", folder / "cut.mp4", *options)
        run("dedup", folder / "library", "--radius", "60", "--report", folder / f"{name}.html")
    return folder


def members(file: Path) -> Any:
    data = json.loads(file.read_text("utf-8").split('id="data">')[1].split("</script>")[0])
    (only,) = data["groups"]
    return only["members"]


def test_the_parts_of_a_member_come_from_kept_segments(cut: Path) -> None:
    (member,) = members(cut / "without.html")
    assert member["spans"] == []
    (member,) = members(cut / "with.html")
    (span,) = member["spans"]
    assert span == pytest.approx([0.2 * 5.28, 0.9 * 5.28, 0.0, 0.7 * 5.28], abs=0.3)
    (cut / "cut.mp4").rename(cut / "moved.mp4")  # nothing is decoded for it
    try:
        with Library(cut / "library", create=False) as library:
            (found,) = library.duplicates(radius=60, ask_disk=False)
            assert len(library.common_spans(found.members[0].entry, found.representative)) == 1
    finally:
        (cut / "moved.mp4").rename(cut / "cut.mp4")


class Page:
    """A page of its own storage; what it asks for and complains about is kept."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.open(file)

    def open(self, file: Path) -> None:
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(".video")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def shows(self, selector: str, text: str) -> bool:
        """Whether the first of such elements comes to show a text, on a busy machine a little later."""
        said = "([of, text]) => document.querySelector(of)?.innerText.startsWith(text)"
        self.page.wait_for_function(said, arg=[selector, text], timeout=60_000)
        return True

    def texts(self, selector: str) -> list[str]:
        return [str(text) for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture
def nasty(tmp_path: Path, browser: Any) -> Iterator[Page]:
    page = Page(browser, report(tmp_path, [group(1, [f"/v/{name}" for name in NASTY])]))
    yield page
    page.context.close()


def test_names_are_shown_and_never_obeyed(nasty: Page) -> None:
    shown = map("".join, zip(nasty.texts(".folder"), nasty.texts(".name"), strict=True))
    assert list(shown) == [printable(f"/v/{name}") for name in NASTY]
    assert nasty.page.title().startswith("Duplicates in ")
    assert nasty.texts("#facts") == ["Facts & <figures>."]
    links = nasty.page.locator(".name").evaluate_all("all => all.map(a => a.href)")
    assert links == [Path(f"/v/{name}").as_uri() for name in NASTY]
    assert nasty.page.locator("main script, main img").count() == 0
    assert nasty.texts(".strip.none")[0].startswith("no picture")
    assert nasty.complaints == [] and len(nasty.requests) == 1


def judged_and_opened_again(page: Page, file: Path) -> bool:
    """Judge three pairs, the third taken back, then open the page anew: whether the browser kept them."""
    page.keys("j", "n", "m", "m", "u")  # the first no match, the second a match
    assert page.texts("#looked") == ["2 of 7"] and page.texts("#held") == ["6.0 KB"]
    assert page.page.locator(".video.not").count() == 1
    page.page.wait_for_timeout(1500)
    page.open(file)
    return page.texts("#looked") == ["2 of 7"]


def test_judging_by_keys_is_kept_and_exported_for_vhash(nasty: Page, tmp_path: Path) -> None:
    # On a busy machine Chromium itself loses, once in many times, what a page had just handed it.
    assert any(judged_and_opened_again(nasty, tmp_path / "report.html") for _ in range(8))
    with nasty.page.expect_download() as download:
        nasty.keys("e")
    file = tmp_path / "judgements.json"
    download.value.save_as(file)
    first, second, third = (n.to_bytes(32, "big") for n in (1, 2, 3))
    assert read_judgements(file) == [Judgement(first, second, False), Judgement(first, third, True)]
    assert "--not-a-match judgements.json" in nasty.texts("#command")[0]
    nasty.keys("Escape", "j", "n", "u", "u")
    assert nasty.texts("#looked") == ["2 of 7"]  # what was judged before the page was loaded is not undone
    nasty.page.locator(".video.not [data-says=n]").click()
    assert nasty.texts("#looked") == ["1 of 7"] and nasty.page.locator(".video.not").count() == 0


def test_keys_do_nothing_while_typing(nasty: Page) -> None:
    nasty.keys("/", "n", "m")
    assert nasty.texts("#looked") == ["0 of 7"] and nasty.page.locator("#text").input_value() == "nm"
    nasty.keys("Escape", "?")
    assert nasty.page.locator("#help").is_visible()


@pytest.fixture
def many(tmp_path: Path, browser: Any) -> Iterator[Page]:
    groups = [
        group(10 * n, [f"/v/{n:03d}-{i}.mp4" for i in range(2 + n % 3)], size=10**n) for n in range(1, 9)
    ]
    groups += [group(1000 + 10 * n, [f"/w/{n:03d}-{i}.mp4" for i in range(2)]) for n in range(300)]
    page = Page(browser, report(tmp_path, groups))
    yield page
    page.context.close()


def test_filters_and_order(many: Page) -> None:
    page = many.page
    assert many.texts("#count") == ["308"] and many.texts("#bits-out") == ["120 bits"]
    page.fill("#text", "/v/ 00")
    assert many.texts("#count") == ["8 of 308"]
    page.select_option("#size", "1e6")
    assert many.texts("#count") == ["3 of 308"]
    page.select_option("#sort", "path")
    assert many.shows(".group h2", "Group 6")
    assert [text.splitlines()[0] for text in many.texts(".group h2")] == ["Group 6", "Group 7", "Group 8"]
    page.select_option("#sort", "held")
    assert many.shows(".group h2", "Group 8")
    page.select_option("#size", "0")
    page.fill("#text", "")
    page.locator("#bits").fill("1")
    assert many.texts("#count") == ["308"] and many.texts("#bits-out") == ["1 bits"]
    page.fill("#text", "nothing has this name")
    assert page.locator("#none").is_visible()
    page.fill("#text", "")
    page.locator("#bits").fill("120")
    many.keys("Escape", "j", "n")
    page.select_option("#state", "not")
    assert many.texts("#count") == ["1 of 308"]
    page.select_option("#state", "open")
    assert many.texts("#count") == ["308"]


def test_only_what_is_near_the_window_is_built(many: Page) -> None:
    built = many.page.locator(".video").count()
    assert 0 < built < 150
    many.keys(*"j" * 320)  # there are 317 pairs
    many.page.wait_for_timeout(200)
    current = many.page.locator("[aria-current=true]")
    assert current.count() == 1 and current.locator(".name").inner_text() == "001-2.mp4"
    box, height = current.bounding_box(), many.page.viewport_size["height"]
    assert box["y"] >= 0 and box["y"] + box["height"] <= height
    assert many.page.locator(".video").count() < 200 and many.complaints == []


def test_pictures_are_there_and_large_on_demand(tmp_path: Path, browser: Any) -> None:
    paths = [str(SAMPLES / f"{name}.mp4") for name in ("chair", "glass")]
    page = Page(browser, report(tmp_path, [group(1, [*paths, str(tmp_path / "gone.mp4")])]))
    widths = page.page.locator("main img").evaluate_all(
        "all => all.map(i => i.naturalWidth / i.naturalHeight)"
    )
    assert widths == pytest.approx([6 * 320 / 240] * 2, rel=0.02)
    assert page.page.locator(".strip.none").count() == 1
    page.keys("j", "Enter")
    page.page.wait_for_selector("#large[open]")
    assert page.page.locator("#large img").count() == 2 and page.complaints == []
    page.context.close()


def test_the_time_line_shows_the_parts(cut: Path, browser: Any) -> None:
    page = Page(browser, cut / "with.html")
    line = page.page.locator("svg.line")
    assert line.count() == 1 and line.locator("rect.track").count() == line.locator("rect.span").count() == 2
    ends = line.locator("rect").evaluate_all("all => all.map(e => e.x.baseVal.value + e.width.baseVal.value)")
    assert ends == pytest.approx([1000, 700, 900, 700], abs=60)  # thousandths of the longer one
    assert "of the kept one is" in line.get_attribute("aria-label") and page.complaints == []
    page.context.close()
    page = Page(browser, cut / "without.html")
    assert page.page.locator("svg.line").count() == 0 and page.complaints == []
    page.context.close()


CONTRAST = """() => {
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((x) => {
    x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!c.endsWith(", 0)")) return c; } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("h1, h2, p, dt, dd, label, button, .what *, .side *")]
    .filter((e) => e.offsetParent && e.textContent.trim() && !e.closest(".not"))
    .map((e) => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]; });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820, 1400])
def test_readable_whatever_the_window(tmp_path: Path, browser: Any, scheme: str, width: int) -> None:
    file = report(tmp_path, [group(1, [f"/videos/{'long-' * 30}{i}.mp4" for i in range(3)])])
    page = Page(browser, file, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.keys("j", "m")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    contrast = page.page.evaluate(CONTRAST)
    assert len(contrast) > 20 and [found for found in contrast if found[0] < 4.5] == []
    unnamed = page.page.locator("button, input, select, a, section, [role=group]").evaluate_all(
        "all => all.filter(e => !e.textContent.trim() && !e.ariaLabel && !(e.labels && e.labels.length)"
        " && !e.querySelector('img[alt]')).map(e => e.outerHTML)"
    )
    assert unnamed == [] and page.complaints == []
    page.context.close()
