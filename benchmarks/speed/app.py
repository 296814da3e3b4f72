"""The app of ``vhash serve`` on a large library, in a headless Chromium.

    python -m benchmarks.speed.app [--videos 100000] [--groups 5000]

A library of --videos synthetic codes, so many of them in pairs that `dedup` finds --groups groups; a few
are real clips, with pictures. Their files exist, sparse. `vhash serve` runs in a process of its own.
Measured, each five times: the first paint and the first whole view of a fresh browser; then, from an event
to the second frame after its outcome is in the page: a key in the list of groups, a jump to its end, a filter
by path, a jump in the list of all videos, a step of the map, and its slowest frames while it is dragged.

Needs playwright, Chromium and the extra serve; writes benchmarks/results/app.json.
"""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import command_line, write_result
from tests.app.browsing import CHROMIUM, Tab, served, until
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES

ROUNDS, FLIPPED = 5, 8
SETTLED = """new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
GROUPS = "[...document.querySelectorAll('.virtual > .group')]"
AT_THE_END = f"{GROUPS}.some((each) => each.ariaPosInSet === each.ariaSetSize)"
IN_VIEW = "document.querySelector('.legend .count').textContent"
ROW = "document.querySelector('.virtual > .compact')"
FIELD = "document.querySelector('main input[type=search]')"
NAMES = "[...document.querySelectorAll('.compact .name')]"
TICKS = """window.times = []; window.on = true;
(function tick(t) { times.push(t); if (on) requestAnimationFrame(tick); })(performance.now());"""
WHEEL = """document.querySelector('.map canvas').dispatchEvent(
  new WheelEvent('wheel', { deltaY: %d, cancelable: true }))"""
VIDEO = """INSERT INTO video (path, size, mtime_ns, digest, duration, width, height, rate, codec, added)
  VALUES (?, ?, ?, ?, ?, 480, 270, 25.0, 'h264', ?)"""
CODE = "INSERT INTO code (video, kind, t0, t1, confidence, code) VALUES (?, 'full', 0.0, NULL, 0.5, ?)"


def library(folder: Path, videos: int, groups: int) -> Path:
    """Synthetic rows, of which the last are copies of the first; sparse files of their sizes."""
    generator = np.random.default_rng(0)
    place = folder / "library"
    (folder / "videos").mkdir()
    with Library(place) as made:
        codes = generator.integers(0, 256, (videos, made.spec.bits // 8), dtype=np.uint8)
        codes[videos - groups :] = codes[:groups]
        codes[videos - groups :, 0] ^= np.uint8(FLIPPED)
        samples = sorted(SAMPLES.glob("*.mp4"))
        with made._db.transaction(codes=True):
            for number, code in enumerate(codes):
                path = folder / "videos" / f"{number % 100:02d}" / f"video {number:07d}.mp4"
                path.parent.mkdir(exist_ok=True)
                write(path, number, samples)
                status = path.stat()
                facts = status.st_size, status.st_mtime_ns, secrets.token_bytes(32)
                row = (os.fsencode(path), *facts, 5.0 + number % 600, 1.7e9 + number)
                video = made._db.execute(VIDEO, row).lastrowid
                made._db.execute(CODE, (video, code.tobytes()))
    return place


def write(path: Path, number: int, samples: list[Path]) -> None:
    if number % 1000 < 2:
        shutil.copy(samples[number % len(samples)], path)
    else:
        with open(path, "wb") as stream:
            stream.truncate(1_000_000 + number)


def milliseconds(tab: Tab, does: str, shown: str) -> float:
    """From an event to the end of the frame in which an expression holds."""
    return float(
        tab.page.evaluate(
            f"""async () => {{
              const start = performance.now();
              {does};
              while (!({shown})) await new Promise((next) => requestAnimationFrame(next));
              return (await {SETTLED}) - start;
            }}"""
        )
    )


def key(name: str) -> str:
    return f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: {name!r}, bubbles: true }}))"


def repeated(case: Callable[[int], float]) -> dict[str, float]:
    found = [case(turn) for turn in range(ROUNDS)]
    return {
        "median": round(statistics.median(found), 1),
        "most": round(max(found), 1),
        "least": round(min(found), 1),
    }


def first_paint(browser: Any, server: Any, state: Any) -> dict[str, dict[str, float]]:
    paints, views = [], []
    for _ in range(ROUNDS):
        tab = Tab(browser, server, signed_in=state)
        start = time.perf_counter()
        tab.page.goto(f"{server.origin}/#/duplicates", wait_until="commit")
        until(lambda tab=tab: tab.page.locator(".group .video").count())  # type: ignore[misc]
        views.append(1e3 * (time.perf_counter() - start))
        paints.append(tab.until(PAINT))
        tab.close()
    return {"first paint": repeated(paints.__getitem__), "groups shown": repeated(views.__getitem__)}


def interactions(tab: Tab) -> dict[str, dict[str, float]]:
    tab.open("duplicates")
    tab.page.wait_for_selector(".group .video")
    tab.keys("j", "j")
    tab.page.wait_for_timeout(1000)
    at = "document.querySelector('.video[aria-current=true]')?.getAttribute('aria-label')"
    tab.page.evaluate(f"window.before = {at}")
    moved = f"{at} && {at} !== window.before && ((window.before = {at}), true)"

    def jump(turn: int) -> float:
        tab.page.evaluate("scrollTo(0, 0)")
        tab.page.wait_for_timeout(400)
        return milliseconds(tab, "scrollTo(0, document.documentElement.scrollHeight)", AT_THE_END)

    def far(turn: int) -> float:
        shown = f"{ROW} && Number({ROW}.dataset.place) > {10_000 * (turn + 1)}"
        return milliseconds(tab, f"scrollTo(0, {1.5e6 * (turn + 1)})", shown)

    def by_path(turn: int) -> float:
        name = f"video {turn:05d}"
        typed = f"{FIELD}.value = '{name}'; {FIELD}.dispatchEvent(new Event('input'))"
        return milliseconds(tab, typed, f"{NAMES}.some((e) => e.textContent.startsWith('{name}'))")

    found = {
        "a key in the groups": repeated(lambda turn: milliseconds(tab, key("j"), moved)),
        "a jump to the end of the groups": repeated(jump),
    }
    tab.go("library")
    tab.page.wait_for_selector(".compact")
    found["a jump in all videos"] = repeated(far)
    found["a filter by path, typed"] = repeated(by_path)
    return found | map_of(tab)


def map_of(tab: Tab) -> dict[str, dict[str, float]]:
    start = time.perf_counter()
    tab.go("map")
    tab.until(f"{IN_VIEW}.includes('in view')")
    loaded = 1e3 * (time.perf_counter() - start)
    box = tab.page.locator(".map canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def dragged(turn: int) -> float:
        tab.page.evaluate(TICKS)
        tab.page.mouse.move(x, y)
        tab.page.mouse.down()
        for step in range(30):
            tab.page.mouse.move(x + 4 * step, y + 3 * step)
        tab.page.mouse.up()
        gaps = tab.page.evaluate("(window.on = false, times.slice(2).map((t, i) => t - times[i + 1]))")
        tab.page.keyboard.press("0")
        return float(np.percentile(gaps, 95))

    return {
        "the map, from its link on": repeated(lambda turn: loaded),
        "a step of the map": repeated(
            lambda turn: milliseconds(tab, WHEEL % (-200 if turn % 2 == 0 else 200), "true")
        ),
        "frames of the map while dragged, 95 %": repeated(dragged),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=5000)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as p:
        folder = Path(name)
        place = library(folder, options.videos, options.groups)
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with served(place, home=folder) as server:
            tab = Tab(browser, server).open()
            state = tab.context.storage_state()
            start = time.perf_counter()
            tab.go("duplicates")
            tab.page.click("#main .view-head .main")
            tab.page.click("dialog .buttons .main")
            tab.page.wait_for_selector(".group .video")
            job = time.perf_counter() - start
            groups = tab.page.evaluate(
                "fetch('/v1/groups?limit=1').then((a) => a.json()).then((a) => a.total)"
            )
            result = {
                "command": "python -m benchmarks.speed.app",
                "videos": options.videos,
                "groups": groups,
                "load": os.getloadavg()[0],
                "seconds of the job that finds duplicates": round(job, 1),
                "milliseconds": {**first_paint(browser, server, state), **interactions(tab)},
            }
            tab.close()
        browser.close()
    print(result["milliseconds"])
    print(write_result("app", result))


if __name__ == "__main__":
    main()
