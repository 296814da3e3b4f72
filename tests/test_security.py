"""``docs/security.md`` names the tests that hold its promises: they exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tests_that_the_page_names_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    files = set(re.findall(r"tests/(?:\w+/)?test_\w+\.py", text))
    assert len(files) > 15
    source = "".join((ROOT / file).read_text("utf-8") for file in files)
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named and all(f"def {name}(" in source for name in named), named
    for module in re.findall(r"python -m (benchmarks[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
