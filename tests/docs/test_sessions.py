"""Whole pages, run from top to bottom as somebody would who reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common import ROOT

from .session import PAGES_RUN, read_through

SAID = {
    "README.md": ("[[1]]", "c.mp4"),
    "library.md": ("[[11 10]] [[1 2]]", "vh1:", "missing.mp4"),
    "finding.md": ("d.mp4", "e.mp4"),
    "cli.md": ("vh1:", "trash"),
    "scale.md": (),
}
"""Some of what each page prints."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    said = read_through(page, tmp_path)
    for words in SAID[page.name]:
        assert words in said, said
