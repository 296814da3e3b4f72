"""Write the README's figures from benchmarks/results/*.json, so that no figure is typed by hand.

python -m benchmarks.docs.tables            # rewrite the blocks between <!-- table: NAME --> and <!-- /table -->
python -m benchmarks.docs.tables --check    # exit 1 where the README does not say what the results say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from benchmarks.common import ROOT, command_line
from benchmarks.docs import accuracy, robustness, speed
from benchmarks.speed import scale_tables

README = ROOT / "README.md"
PAGES = (README, ROOT / "docs" / "scale.md")
_BLOCK = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


TABLES: dict[str, Callable[[], str]] = {
    "clip_models": speed.clip_models,
    "unseen": accuracy.unseen,
    "closed_sets": accuracy.closed_sets,
    "backends": speed.backends,
    "agreement": speed.agreement,
    "end_to_end": speed.end_to_end,
    "engines": speed.engines,
    "near_duplicates": accuracy.near_duplicates,
    "clip_in_video": accuracy.clip_in_video,
    "calibration": accuracy.calibration,
    "search": speed.search,
    "dedup": speed.dedup,
    "encode": speed.encode,
    "resize": speed.resize,
    "retrieval": accuracy.retrieval,
    "robustness": robustness.robustness,
    "scale": scale_tables.rates,
    "scale_join": scale_tables.self_join,
    "scale_kills": scale_tables.killed,
    "scale_capacity": scale_tables.capacity,
    "scale_encoding": scale_tables.encoding_cost,
}


def render(text: str) -> str:
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    stale = 0
    for page in PAGES:
        text = page.read_text()
        wanted = render(text)
        if not check:
            page.write_text(wanted)
        elif text != wanted:
            print(
                f"{page.name} does not say what benchmarks/results say; run: python -m benchmarks.docs.tables"
            )
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
