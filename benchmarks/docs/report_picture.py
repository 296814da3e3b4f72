"""The picture of a report in the README and docs/finding.md: the sample clips with some of their copies, as a browser shows it.

    python -m benchmarks.docs.report_picture

Needs playwright, Chromium and Pillow; writes benchmarks/results/report.webp.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.common import RESULTS, command_line
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS

SHOWN = {"glass": ("letterbox", "logo", "trimmed"), "bunny": ("low quality", "cropped", "grey")}
VHASH = [sys.executable, "-c", "from vhash_sdk.cli import main; main()"]


def main() -> None:
    command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos, page, picture = (Path(folder) / name for name in ("videos", "duplicates.html", "shot.png"))
        videos.mkdir()
        variants = {variant.name: variant for variant in VARIANTS}
        for sample in sorted(SAMPLES.glob("*.mp4")):
            shutil.copy(sample, videos)
            for name in SHOWN.get(sample.stem, ()):
                variants[name].write(sample, videos / f"{sample.stem} {name}.mp4")
        library = Path(folder) / "holidays.vhash"
        subprocess.run([*VHASH, "add", library, videos], check=True)
        subprocess.run([*VHASH, "dedup", library, "--report", page], check=True)
        shoot(page, picture)
        write_webp(picture, RESULTS / "report.webp")


def shoot(page: Path, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 800})
        tab.goto(page.as_uri())
        tab.wait_for_selector("main img")
        for key in "jmj":
            tab.keyboard.press(key)
        tab.evaluate("scrollTo(0, 0)")
        tab.wait_for_timeout(300)
        tab.screenshot(path=picture)
        browser.close()


def write_webp(picture: Path, target: Path) -> None:
    Image.open(picture).save(target, quality=82, method=6)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
