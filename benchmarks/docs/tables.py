"""Write the figures of the README and of docs/ from benchmarks/results/, so that none is typed by hand.

    python -m benchmarks.docs.tables            # rewrite what stands between <!-- table: NAME --> and <!-- /table -->
    python -m benchmarks.docs.tables --check    # exit 1 where a page does not say what the results say
    python -m benchmarks.docs.tables --demo     # also run `vhash demo` and show what it prints, in the README

The table ``layers`` is made from the imports of ``sdk/vhash_sdk``, all others from result files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

from benchmarks.common import ROOT, command_line
from benchmarks.docs import accuracy, architecture, headline, parts, robustness, search, speed
from benchmarks.speed import scale_tables

README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
_DEMO = re.compile(r"(<!-- demo -->\n```text\n).*?(```\n<!-- /demo -->)", re.DOTALL)
_BLOCK = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


TABLES: dict[str, Callable[[], str]] = {
    "headline": headline.headline,
    "near_duplicates": accuracy.near_duplicates,
    "decisions": accuracy.decisions,
    "copy_descriptors": accuracy.copy_descriptors,
    "calibration": accuracy.calibration,
    "clip_in_video": accuracy.clip_in_video,
    "parts": parts.parts,
    "frames": parts.frames,
    "sound": accuracy.sound,
    "retrieval": accuracy.retrieval,
    "unseen": accuracy.unseen,
    "closed_sets": accuracy.closed_sets,
    "search": search.search,
    "search_sizes": search.sizes,
    "search_approximate": search.approximate,
    "pruning": search.pruning,
    "joins": search.joins,
    "billion": search.billion,
    "dedup": speed.dedup,
    "app": speed.app,
    "encode": speed.encode,
    "resize": speed.resize,
    "end_to_end": speed.end_to_end,
    "backends": speed.backends,
    "agreement": speed.agreement,
    "engines": speed.engines,
    "serve": speed.serve,
    "clip_models": speed.clip_models,
    "robustness": robustness.robustness,
    "fuzz": robustness.fuzz,
    "media": robustness.media,
    "scale": scale_tables.rates,
    "scale_join": scale_tables.self_join,
    "scale_kills": scale_tables.killed,
    "scale_capacity": scale_tables.capacity,
    "scale_encoding": scale_tables.encoding_cost,
    "layers": architecture.layers,
}


def render(text: str) -> str:
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def demo(text: str) -> str:
    """The page with what ``vhash demo`` prints here and now."""
    command = [sys.executable, "-c", "from vhash_sdk.cli import main; main()", "demo"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return _DEMO.sub(lambda match: f"{match[1]}{printed.strip()}\n{match[2]}", text)


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--demo", action="store_true", help="run `vhash demo` anew")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    options = parser.parse_args()
    if options.demo:
        README.write_text(demo(README.read_text()))
    stale = 0
    for page in PAGES:
        text = page.read_text()
        wanted = render(text)
        if not options.check:
            page.write_text(wanted)
        elif text != wanted:
            print(
                f"{page.name} does not say what benchmarks/results say; run: python -m benchmarks.docs.tables"
            )
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
