"""Duplicates at size: a library of synthetic codes grouped, and a report of thousands of groups opened.

    python -m benchmarks.speed.dedup [--videos 100000] [--groups 5000] [--only library,report]

library: --videos rows with random codes, 4 of 10 of them copies (0 to 40 bits flipped) of one of the
         first half, in the library's own database; seconds of the whole ``Library.duplicates``: the first
         time, again, and after 1,000 more have been added. Checked: every member is within the threshold
         of its representative, and among the videos that are no members no two are near each other.
report:  --groups groups of three, real clips taken in turn, written as one page and opened in a headless
         Chromium (needs playwright and Chromium): bytes, seconds to the first paint, to the
         first picture, to the end of loading; seconds for a key press and for a jump to the end.

Writes the parts that ran into benchmarks/results/dedup.json.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, command_line, machine, write_result
from vhash_sdk import Index, Library
from vhash_sdk.codes import hamming_distance
from vhash_sdk.library.duplicates import Group, Member
from vhash_sdk.report import About, write_report

RADIUS, FLIPPED = 40, 40


def synthetic(videos: int, bits: int) -> NDArray[np.uint8]:
    """Codes of videos, copies anywhere among the others."""
    generator = np.random.default_rng(0)
    distinct = videos * 6 // 10
    origin = np.arange(videos)
    origin[distinct:] = generator.integers(0, distinct // 2, videos - distinct)
    codes = generator.integers(0, 256, (videos, bits // 8), dtype=np.uint8)[origin]
    for copy in range(distinct, videos):
        flipped = np.zeros(bits, bool)
        flipped[generator.permutation(bits)[: generator.integers(0, FLIPPED + 1)]] = True
        codes[copy] ^= np.packbits(flipped, bitorder="little")
    return generator.permutation(codes)


def insert(library: Library, codes: NDArray[np.uint8], first: int) -> None:
    """Videos of ten seconds each; what ``add`` would have written, without decoding anything."""
    with library._db.transaction(codes=True):
        for number, code in enumerate(codes, first):
            video = library._db.execute(
                "INSERT INTO video"
                " (path, size, mtime_ns, digest, duration, width, height, rate, codec, added)"
                " VALUES (?, ?, 0, ?, 10.0, 320, 240, 25.0, 'h264', 0.0)",
                (b"/videos/%07d.mp4" % number, 1_000_000 + number % 1000, secrets.token_bytes(32)),
            ).lastrowid
            library._db.execute(
                "INSERT INTO code (video, kind, t0, t1, confidence, code)"
                " VALUES (?, 'full', 0.0, NULL, 0.5, ?)",
                (video, code.tobytes()),
            )


def check(groups: list[Group], codes: NDArray[np.uint8]) -> dict[str, int]:
    """Every member is within the threshold of its representative; without the members nothing is near."""
    left = np.ones(len(codes), bool)
    for group in groups:
        best = codes[group.representative.id - 1]
        for member in group.members:
            place = member.entry.id - 1
            distance = int(hamming_distance(best, codes[place]))
            assert distance == member.distance <= RADIUS and left[place], member
            left[place] = False
    index = Index(codes.shape[1] * 8)
    index.add(codes[left])
    near = sum(map(len, index.pairs(RADIUS)))
    return {"groups": len(groups), "duplicates": int((~left).sum()), "near pairs without them": near}


def timed(library: Library) -> tuple[tuple[float, float], list[Group]]:
    """((seconds, processor seconds), groups)."""
    start, begun = time.perf_counter(), time.process_time()
    groups = library.duplicates(radius=RADIUS, ask_disk=False)  # there are no such files
    return (time.perf_counter() - start, time.process_time() - begun), groups


def library(videos: int, rounds: int) -> dict[str, Any]:
    more = 1000
    seconds: dict[str, list[tuple[float, float]]] = {"first": [], "again": [], "after 1,000 more": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, Library(folder) as lib:
            codes = synthetic(videos + more, lib.spec.bits)
            insert(lib, codes[:videos], 0)
            took, _ = timed(lib)
            seconds["first"].append(took)
            took, _ = timed(lib)
            seconds["again"].append(took)
            insert(lib, codes[videos:], videos)
            took, groups = timed(lib)
            seconds["after 1,000 more"].append(took)
            found = check(groups, codes)
            (Path(folder) / "pairs.npz").unlink()
            assert timed(lib)[1] == groups  # what was cached gives what comes without a cache
    return {
        "videos": videos,
        "bits": codes.shape[1] * 8,
        "radius": RADIUS,
        "niceness": os.nice(0),
        "seconds": {
            name: {
                "min": min(each)[0],
                "median": statistics.median(wall for wall, _ in each),
                "processor": min(work for _, work in each),
                "runs": len(each),
            }
            for name, each in seconds.items()
        },
        **found,
    }


def report(count: int, page: Path) -> dict[str, Any]:
    """Write the page, unless it is there from an earlier run, and open it."""
    if not page.exists():
        write_page(count, page)
    return {
        "groups": count,
        "videos": 3 * count,
        "bytes": page.stat().st_size,
        "browser": [opened(page) for _ in range(3)],
    }


def write_page(count: int, page: Path) -> None:
    clips = sorted((DATA / "videos" / "real10").glob("*/*.mp4"))
    if not clips:
        raise SystemExit(f"needs the real clips in {DATA}; set VHASH_DATA to their place")
    page.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder) / "lib") as lib:
        lib.add(clips[:60])
        entries = itertools.cycle(lib)
        groups = [
            Group(next(entries), (Member(next(entries), 8), Member(next(entries), 16))) for _ in range(count)
        ]
        about = About(lib.directory, lib.uuid, lib.spec.bits, RADIUS, "longest", f"{count} groups.")
        write_report(page, groups, about, workers=len(os.sched_getaffinity(0)))


def opened(page: Path) -> dict[str, float]:
    """Seconds that a fresh browser takes, from the start of the navigation."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1360, "height": 900})
        start = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit", timeout=120_000)
        wait(tab, "document.querySelector('main img')?.naturalWidth > 0")
        picture = time.perf_counter() - start
        tab.wait_for_load_state("load", timeout=120_000)
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1e3"
        seconds = {
            "first paint": tab.evaluate(paint),
            "first picture": picture,
            "loaded": tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1e3"),
        }
        for _ in range(20):
            tab.keyboard.press("j")
        key = "const t = performance.now(); step(1); document.body.offsetHeight; return performance.now() - t"
        seconds["one key"] = tab.evaluate(f"() => {{ {key} }}") / 1e3
        start = time.perf_counter()
        tab.evaluate("go(groups.at(-1).rows.at(-1))")
        wait(tab, "current.element.querySelector('img')?.naturalWidth > 0")
        seconds["jump to the end"] = time.perf_counter() - start
        seconds["megabytes of script memory"] = tab.evaluate("performance.memory.usedJSHeapSize / 1e6")
        browser.close()
    return seconds


def wait(tab: Any, condition: str) -> None:
    """Until a condition holds; the page's own policy forbids the evaluation that playwright's way takes."""
    while not tab.evaluate(condition):
        time.sleep(0.005)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="library,report")
    options = parser.parse_args()
    file = RESULTS / "dedup.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    result["command"] = "python -m benchmarks.speed.dedup"
    if "library" in options.only:
        result["library"] = {**library(options.videos, options.rounds), "machine": machine()}
    if "report" in options.only:
        page = CACHE / f"report-{options.groups}.html"
        result["report"] = {**report(options.groups, page), "machine": machine()}
    result.pop("machine", None)
    print(json.dumps(result, indent=1))
    write_result("dedup", result)


if __name__ == "__main__":
    main()
