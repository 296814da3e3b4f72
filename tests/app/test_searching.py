"""Searching in the app, in a real browser: a dropped video, its copies played beside it, the map."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsing import Server, Tab, find, installed, quiet, served, until
from tests.library.test_looks import enlarged
from vhash_sdk import Encoder, Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser


def test_a_dropped_video_finds_its_copies(tab: Tab, place: Path, tmp_path: Path) -> None:
    given = tmp_path / "mine.mp4"
    next(v for v in VARIANTS if v.name == "grey").write(SAMPLES / "bunny.mp4", given)
    tab.open("search")
    tab.drop(given)
    tab.page.wait_for_selector(".hits [data-kind=copy]")
    names = tab.texts(".hits .video[data-kind=copy] .name")
    assert set(names) >= {"bunny.mp4", "bunny half size.mp4"}
    assert "legs.mp4" not in names
    tab.page.wait_for_selector(".places .place")  # segments say where it is
    tab.go("library")
    tab.go("search")  # what was found is still there
    assert set(tab.texts(".hits .video[data-kind=copy] .name")) == set(names)
    assert quiet(tab) == []


def test_a_dropped_picture_and_what_is_no_video(tab: Tab, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    picture, nothing = tmp_path / "grey.png", tmp_path / "nothing.mp4"
    Image.new("RGB", (320, 180), "grey").save(picture)
    nothing.write_bytes(b"no video at all")
    tab.open("search")
    tab.drop(nothing)
    tab.page.wait_for_selector(".drop-status .problem")
    assert len(tab.page.inner_text(".drop-status .problem")) > 20
    tab.drop(picture)
    tab.page.wait_for_selector(".query")
    assert tab.page.locator("[data-kind=copy]").count() == 0


def test_two_videos_play_together(tab: Tab, place: Path) -> None:
    tab.open("search")
    tab.drop(place / "videos" / "bunny low quality.mp4")
    tab.page.locator(".hits .video", has_text="bunny.mp4").first.locator(".strip").click()
    tab.page.wait_for_selector(".compare")
    tab.until("[...document.querySelectorAll('.stage video')].every((v) => v.readyState >= 2)")
    tab.keys(" ")
    tab.until("document.querySelectorAll('.stage video')[0].currentTime > 1")
    a, b = tab.page.locator(".stage video").evaluate_all("all => all.map((v) => v.currentTime)")
    assert abs(a - b) < 0.5
    tab.keys("2")
    assert tab.page.locator(".stage.wipe .edge").count() == 1
    clip = "getComputedStyle(document.querySelectorAll('.stage figure')[1]).clipPath"
    assert "50%" in tab.page.evaluate(clip)
    tab.page.locator(".extra input").fill("20")
    assert "20%" in tab.page.evaluate(clip)
    tab.keys("3")
    tab.until(
        "(() => { const c = document.querySelector('.stage canvas'); if (!c || !c.width) return 0;"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let sum = 0;"
        " for (let i = 0; i < d.length; i += 4) sum += d[i]; return sum > 0 && sum / d.length < 60; })()"
    )  # nearly black: the same footage
    tab.keys("1", "Escape")
    until(lambda: tab.page.locator(".compare").count() == 0)
    assert quiet(tab) == []


def test_a_film_strip_plays_where_the_pointer_is(tab: Tab) -> None:
    tab.open("duplicates")
    strip = tab.page.locator(".group .strip").first
    tab.until("document.querySelector('.group .strip img.there')?.naturalWidth > 0")
    box = strip.bounding_box()
    tab.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    tab.page.mouse.move(box["x"] + 0.71 * box["width"], box["y"] + 0.5 * box["height"])
    tab.until("document.querySelector('.strip video:not([paused])')?.currentTime > 0")
    assert tab.page.locator(".strip video").evaluate("v => v.style.left") == f"{400 / 6:.4f}%"
    # the place to play from is set before anything has come, and answers are heard of by asking the page

    def original() -> bool:
        tab.page.evaluate("true")
        return any(status == 206 and url.endswith("/file") for status, url in tab.answers)

    until(original)
    tab.page.mouse.move(5, 5)
    until(lambda: tab.page.locator(".strip video").count() == 0)


def test_a_browser_without_the_codec_plays_a_preview(server: Server, browser: Any, signed_in: Any) -> None:
    tab = Tab(browser, server, signed_in=signed_in)
    tab.context.add_init_script("HTMLMediaElement.prototype.canPlayType = () => ''")
    tab.open("duplicates")
    tab.until("document.querySelector('.group .strip img.there')?.naturalWidth > 0")
    tab.keys("j", "p")
    tab.until("document.querySelector('.strip video')?.currentTime > 0")
    assert any("/preview?" in url for _, url in tab.answers) and not any(
        url.endswith("/file") for _, url in tab.answers
    )
    tab.close()


def test_the_map_tells_its_points(tab: Tab) -> None:
    tab.open("map")
    tab.until("document.querySelector('.legend .count').textContent.includes('in view')")
    tab.until("document.querySelectorAll('.map-stills img.there').length > 3")  # few: as pictures
    tab.page.focus(".map canvas")
    tab.keys("+", "Enter")
    tab.page.wait_for_selector(".map-card .strip")
    first = tab.page.inner_text(".map-card b")
    tab.keys("n")
    until(lambda: tab.page.inner_text(".map-card b") != first)
    tab.keys("Escape")
    until(lambda: not tab.page.locator(".map-card").is_visible())


def test_what_a_distance_means(tab: Tab) -> None:
    tab.open("distances")
    tab.page.wait_for_selector(".plot .curve")
    tab.page.locator(".plot-range").fill("20")
    assert "20 bits" in tab.page.inner_text(".meaning h2")
    few = tab.page.inner_text(".tile >> nth=2")
    tab.page.locator(".plot-range").fill("80")
    assert tab.page.inner_text(".tile >> nth=2") != few


def test_what_pixels_say_is_told(browser: Any, tmp_path: Path) -> None:
    installed()
    folder = tmp_path / "videos"
    folder.mkdir()
    bunny = Path(shutil.copy(SAMPLES / "bunny.mp4", folder))
    enlarged(bunny, folder / "middle.mp4", 0.45)
    with Encoder("copy", threads=1) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        library.add([folder])
    with served(tmp_path / "lib", "--root", folder, home=tmp_path / "home") as running:
        tab = Tab(browser, running).open()
        find(tab)
        said = r"their pixels: the same movement, one is a part of the other, enlarged 2\.\d times"
        assert re.search(said, tab.page.inner_text(".group .video:not(.kept)"))
        tab.keys("j", "Enter")
        tab.page.wait_for_selector(".compare")
        assert re.search(said, tab.page.inner_text(".compare .pixels"))
        tab.keys("Escape")
        tab.go("search")
        tab.drop(folder / "middle.mp4")
        tab.page.wait_for_selector(".hits .video .pixels")
        assert re.search(said, tab.page.inner_text(".hits .video:has-text('bunny')"))
        assert quiet(tab) == []
        tab.close()
