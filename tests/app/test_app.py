"""The app of ``vhash serve`` in a real browser: every flow that a person takes through it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsing import CHROMIUM, Server, Tab, installed, served, until
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS
from vhash_sdk.web import app_files

pytestmark = pytest.mark.timeout(900)  # the first of them waits for a library, a server and a browser
COPIES = {"bunny": ("half size", "low quality"), "glass": ("logo",)}
NASTY = "<img src=x onerror=\"document.title='taken'\">.mp4"
VIEWS = ("search", "duplicates", "parts", "library", "errors", "map", "distances", "jobs", "plan")


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


def find(tab: Tab) -> None:
    """Have duplicates found, by the button."""
    tab.go("duplicates")
    tab.page.click("#main .view-head .main")
    tab.page.click("dialog .buttons .main")
    tab.page.wait_for_selector(".group .video")


def quiet(tab: Tab) -> list[str]:
    """What the browser complained about, but for pictures of what has none, and how a test reads pixels."""
    return [said for said in tab.complaints if not any(word in said for word in ("422", "410", "Canvas2D"))]


def test_the_app_is_small_and_each_module_is_there() -> None:
    files = app_files()
    assert sum(len(file.content) for file in files.values()) < 190_000
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
    assert any(status == 206 and url.endswith("/file") for status, url in tab.answers)
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


def test_a_job_is_told_as_it_goes_on(tab: Tab, place: Path) -> None:
    new = place / "videos" / "new.mp4"
    shutil.copy(SAMPLES / "legs.mp4", new)
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


def test_names_are_shown_and_never_obeyed(tab: Tab) -> None:
    tab.open("library")
    tab.page.locator(".compact", has_text="onerror").wait_for()
    assert NASTY in tab.texts(".compact .name")
    tab.page.locator(".compact", has_text="onerror").locator(".name").click()
    tab.page.wait_for_selector("dialog .facts-list")
    assert tab.page.locator("main [src=x], dialog [src=x]").count() == 0
    assert tab.page.title().startswith("Library") and quiet(tab) == []


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


def test_keep_rules_are_chosen_and_told(tab: Tab) -> None:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group")
    tab.page.click("#main .view-head .main")
    tab.page.select_option("dialog select", "largest")
    tab.page.click("dialog [aria-label='largest earlier']")
    assert [text.splitlines()[0] for text in tab.texts("dialog .rules li")] == ["largest", "longest"]
    tab.page.click("dialog .buttons .main")
    until(lambda: tab.page.locator(".what .rate", has_text="largest").count() > 0, "reasons by the new rules")


AXE = """(options) => axe.run(document, options).then((found) => found.violations
  .filter((each) => ["serious", "critical"].includes(each.impact))
  .map((each) => [each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]))"""


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
