"""The pages of the repository, and the fenced blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ROOT

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
]

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w+-]*)(?P<rest>.*)")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_MADE = re.compile(r"<!-- (table: [\w-]+|demo|tests) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page, line: where it begins.
        language: as it is written; empty: none.
        text: what is in it.
        not_run: why it is not run, from the comment above it.
        made: the mark above it, of what another test compares with what it comes from.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str
    made: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, also those in lists and quotations."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    start, above, body = 0, "", list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.fullmatch(line.removeprefix("> "))
        if opened is None and fence is not None:
            opened, start, body = fence, number, []
        elif opened is not None and fence is not None and fence["fence"].startswith(opened["fence"]):
            not_run, made = _NOT_RUN.fullmatch(above), _MADE.fullmatch(above)
            text = "".join(f"{row.removeprefix(opened['indent'])}\n" for row in body)
            reason, mark = not_run[1] if not_run else "", made[1] if made else ""
            found.append(Block(page, start, opened["language"], text, reason, mark))
            opened, above = None, ""
        elif opened is not None:
            body.append(line.removeprefix("> "))
        elif line.strip():
            above = line.strip()
    assert opened is None, f"{page}:{start}: the block does not end"
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
