"""The README's figures are those of the result files, and its five lines run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.docs.tables import PAGES, README, TABLES, render

TEXT = README.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_figure_comes_from_a_result_file(page: Path) -> None:
    assert render(page.read_text()) == page.read_text(), "run: python -m benchmarks.docs.tables"


def test_every_table_is_shown() -> None:
    shown = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"<!-- table: ([\w-]+) -->", shown)) == set(TABLES)


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    import vhash_sdk

    samples = Path(vhash_sdk.__file__).parent / "samples"
    for name, sample in (("a", "bunny"), ("b", "chair"), ("query", "chair")):
        (tmp_path / f"{name}.mp4").write_bytes((samples / f"{sample}.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    exec(example[1], {})
    assert capsys.readouterr().out == "[[1]]\n"
