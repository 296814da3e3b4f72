"""The site: all pages are in its menu, and docstrings are read as they are meant."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from benchmarks.common import ROOT

from .pages import PAGES


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    pytest.importorskip("griffe")
    place = importlib.util.spec_from_file_location("docstrings", ROOT / "docs" / "docstrings.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_arguments_that_share_a_line_get_one_each(docstrings: ModuleType) -> None:
    text = "What.\n\nArgs:\n    a, b: seconds,\n        or less.\n    c: d.\n\nRaises:\n    A, B: never."
    assert docstrings.rewritten(text) == (
        "What.\n\nArgs:\n    a: seconds,\n        or less.\n    b: seconds,\n        or less.\n    c: d."
        "\n\nRaises:\n    A: never.\n    B: never."
    )


def test_examples_get_a_heading(docstrings: ModuleType) -> None:
    text = "What.\n\n>>> [1,\n...  2]\n[1, 2]\n\nMore."
    assert docstrings.rewritten(text) == ("What.\n\nExamples:\n    >>> [1,\n    ...  2]\n    [1, 2]\n\nMore.")


def test_every_page_is_in_the_menu() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    menu = set(re.findall(r"^ +- (?:[\w ]+: )?([\w/]+\.md)$", text, re.MULTILINE))
    shown = [*PAGES, *(path.with_suffix(".md") for path in (ROOT / "docs").rglob("*.ipynb"))]
    pages = {path.relative_to(ROOT).as_posix() for path in shown}
    assert menu == pages - {"benchmarks/README.md"}
