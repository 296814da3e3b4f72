"""A real browser for reports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("needs a Chromium on PATH")
    with playwright.sync_playwright() as p:
        program = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield program
        program.close()
