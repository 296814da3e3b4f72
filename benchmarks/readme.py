"""Write the README's figures from benchmarks/results/*.json, so that no figure is typed by hand.

python -m benchmarks.readme            # rewrite the blocks between <!-- table: NAME --> and <!-- /table -->
python -m benchmarks.readme --check    # exit 1 where the README does not say what the results say
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.common import RESULTS, ROOT

README = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def source(name: str) -> str:
    result = load(name)
    where = result["machine"]
    return f"`{result['command']}`, {where['cpu']}, {where['cores']} cores, {where['date']}."


def encode() -> str:
    result = load("encode")
    rows = [
        (name, *(f"{1e3 * row[key]:.0f}" for key in ("min", "p50", "p95")))
        for name, row in result["seconds"].items()
    ]
    ratio = result["file_to_code_over_full_decode"]["p50"]
    return (
        table(("one 10 s 320×240 H.264 file", "min ms", "median ms", "p95 ms"), rows)
        + f"\n\nFile to code takes {ratio:.1f} times as long as merely decoding the whole file (medians). {source('encode')}"
    )


def resize() -> str:
    rows = []
    for case in load("resize")["cases"]:
        (h, w), (th, tw) = case["source"], case["target"]
        ours, theirs = case["seconds"]["vhash avx512"]["p50"], case["seconds"]["swscale"]["p50"]
        row = (
            f"{w}×{h} → {tw}×{th} {case['filter']}",
            f"{1e6 * ours:.0f}",
            f"{1e6 * theirs:.0f}",
            f"{theirs / ours:.1f}×",
        )
        rows.append(row)
    return (
        table(("frame kernel, one thread", "vhash µs", "swscale µs", "ratio"), rows)
        + f"\n\n{source('resize')}"
    )


TABLES: dict[str, Callable[[], str]] = {"encode": encode, "resize": resize}


def render(text: str) -> str:
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def main() -> int:
    text = README.read_text()
    wanted = render(text)
    if "--check" in sys.argv:
        if text != wanted:
            print("README.md does not say what benchmarks/results say; run: python -m benchmarks.readme")
        return int(text != wanted)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
