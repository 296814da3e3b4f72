"""The picture of the app in the README and docs/app.md: the sample clips with some of their copies, as a browser shows it.

    python -m benchmarks.docs.app_picture

Needs playwright, Chromium, Pillow and the extra serve; writes benchmarks/results/app.webp.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from benchmarks.common import RESULTS, command_line
from tests.app.browsing import CHROMIUM, VHASH, Tab, served
from tests.library.test_related import joined
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS

SHOWN = {"bunny": ("half size", "trimmed"), "glass": ("letterbox", "logo")}
TOGETHER = (("glass", 0, 2.4), ("legs", 0, 3.4), ("bunny", 0, 5))
"""Which copies are there, and what is in a film that is a duplicate of none of them."""
QUALITY = 62  # of the picture: the same size in bytes as ever, for it is downloaded with the README


def main() -> None:
    command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name, short_folder() as short:
        folder = Path(name)
        videos, picture, library = short / "holidays", folder / "shot.png", folder / "holidays.vhash"
        videos.mkdir()
        variants = {variant.name: variant for variant in VARIANTS}
        for sample in sorted(SAMPLES.glob("*.mp4")):
            shutil.copy(sample, videos)
            for copy in SHOWN.get(sample.stem, ()):
                variants[copy].write(sample, videos / f"{sample.stem} {copy}.mp4")
        joined(videos / "one after the other.mp4", *TOGETHER)
        subprocess.run([*VHASH, "add", library, videos, "--segments"], check=True)
        with served(library, home=folder) as server:
            shoot(server, picture)
        write_webp(picture)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path a picture can show: /videos, or one with this name among the temporary ones."""
    for folder in (Path("/videos"), Path(tempfile.gettempdir()) / "videos"):
        with suppress(OSError):  # somebody has it already, or it is not for us to make
            folder.mkdir()
            break
    else:
        raise SystemExit(f"{folder}: cannot be made, or is there already; move it away")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def shoot(server: object, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = Tab(browser, server, viewport={"width": 1240, "height": 840}).open()  # type: ignore[arg-type]
        tab.go("duplicates")
        tab.page.click("#main .view-head .main")
        tab.page.click("dialog .buttons .main")
        tab.page.wait_for_selector(".group .video")
        tab.page.select_option("select[aria-label='Sort by']", "path")
        tab.page.wait_for_timeout(1000)
        for key in "jmxj":
            tab.page.keyboard.press(key)
            tab.page.wait_for_timeout(600)
        tab.page.evaluate("(document.activeElement.blur(), scrollTo(0, 0))")
        tab.until(
            "[...document.querySelectorAll('.group .strip img')].slice(0, 5).every((i) => i.naturalWidth)"
        )
        strip = tab.page.locator(".group .video:not(.kept) .strip").first.bounding_box()
        for step in (0.4, 0.42):
            tab.page.mouse.move(strip["x"] + step * strip["width"], strip["y"] + strip["height"] / 2)
        tab.until("document.querySelector('.strip video.on')?.currentTime > 0")
        tab.page.wait_for_timeout(400)
        tab.page.screenshot(path=picture)
        browser.close()


def write_webp(picture: Path) -> None:
    target = RESULTS / "app.webp"
    Image.open(picture).save(target, quality=QUALITY, method=6)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
