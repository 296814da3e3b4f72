"""What the documentation is made of: layers drawn from the imports, tables of results that may be missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import common
from benchmarks.docs import architecture, headline, robustness, tables

FOLDERS = ("speed", "near_duplicates", "retrieval", "robustness", "gpu", "docs")
BENCHMARKS = common.ROOT / "benchmarks"


def package(folder: Path, files: dict[str, str]) -> dict[str, set[str]]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return architecture.imported(folder)


def test_imports_of_every_spelling_are_seen(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from .high import a",  # the package's own face counts for nothing
        "errors.py": "import json\n",
        "low/__init__.py": "from ..errors import E\n",
        "low/deep/part.py": "from ...codes import C\nfrom .. import other\n",
        "codes.py": "def f():\n    from . import errors\n",
        "high.py": "if TYPE_CHECKING:\n    from vhash_sdk.low.deep import part\nimport vhash_sdk.codes\n",
        "face.py": "from vhash_sdk import Encoder, low\nfrom . import __version__\n",
    }
    assert package(tmp_path, files) == {
        "errors": set(), "low": {"errors", "codes"}, "codes": {"errors"}, "high": {"low", "codes"},
        "face": {"low"},
    }  # fmt: skip


def test_a_part_stands_above_all_that_it_imports() -> None:
    imports = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"c"}, "e": {"a"}}
    assert architecture.heights(imports) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 1}
    assert architecture.stands_on(imports, "c") == ["b"]  # and through it on a


def test_parts_that_import_each_other_stand_on_one_line() -> None:
    imports = {"a": set(), "x": {"y"}, "y": {"z"}, "z": {"x", "a"}, "top": {"y"}, "roof": {"top", "z"}}
    assert architecture.heights(imports) == {"a": 0, "x": 1, "y": 1, "z": 1, "top": 2, "roof": 3}
    assert architecture.stands_on(imports, "z") == ["x"]
    assert architecture.stands_on(imports, "roof") == ["top"]


@pytest.mark.skipif(
    not (common.ROOT / "sdk").is_dir(), reason="the sources are not beside an installed wheel"
)
def test_the_layers_of_the_sdk_are_drawn_from_top_to_bottom() -> None:
    drawn = architecture.layers()
    lines = re.findall(r"^  (\w.*)$", drawn.split("```")[1], re.MULTILINE)
    assert lines[0] == "cli" and "errors" in lines[-1].split() and len(lines) > 5
    place = {name: number for number, line in enumerate(lines) for name in line.split()}
    for name, below in architecture.imported().items():
        assert all(place[one] >= place[name] for one in below), name


def test_results_that_are_not_there_have_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("durability", "hostile", "library", "fuzz"):
        (tmp_path / f"{name}.json").write_text((common.RESULTS / f"{name}.json").read_text("utf-8"))
    for module in (common, robustness):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    without = robustness.robustness()
    assert "processes add" not in without and "cost nothing" not in without
    processes = {"seconds": 180.0, "files": 2000, "done": {"a write": 900, "a search": 4000}, "wrong": ["x"]}
    (tmp_path / "library_processes.json").write_text(json.dumps(processes))
    steps = {
        "add": {"seconds": 61.2, "gave": {}, "peak_mib": 300},
        "add_again": {"seconds": 9.6, "gave": {}, "peak_mib": 310},
        "search_from_cache": {"seconds": 0.31, "gave": 10, "peak_mib": 305},
        "verify": {"seconds": 20.0, "gave": 0, "peak_mib": 309},
    }
    (tmp_path / "library_many.json").write_text(
        json.dumps({"command": "python -m it --files 100000", "videos": 100_000, "steps": steps})
    )
    found = robustness.robustness()
    assert "| 3 minutes, 4,900 calls | 1 wrong |" in found
    assert "library: 100,000 files" in found and "added in 61 s, again in 10 s" in found
    assert "memory 310 MiB at most; `verify` finds 0 wrong" in found
    assert "`python -m it --files 100000`" in found
    assert "`python -m benchmarks.robustness.library_processes`" in found


def test_fuzzing_is_told_by_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    machine = {"cpu": "a CPU", "cores": 2, "date": "2026-11-29"}
    targets = {"code": {"runs": 1234, "findings": ["a: hang"]}, "later": {"runs": 1, "findings": []}}
    result = {"machine": machine, "command": "python -m tests.fuzz --seconds 90 --seed 1", "targets": targets}
    (tmp_path / "fuzz.json").write_text(json.dumps(result))
    told = robustness.fuzz()
    assert "| code | a code as text (`vh1:…`) | 1,234 | 1 |" in told and "| later |  | 1 | 0 |" in told
    assert "90 seconds each" in told


def test_the_headline_has_what_vhash_does_worse() -> None:
    rows = [line.split("|")[2:4] for line in headline.headline().splitlines()[2:8]]
    assert len(rows) == 6
    first = [tuple(float(re.findall(r"\d\.\d+", cell)[0]) for cell in row) for row in rows[:3]]
    assert first[0][0] > first[0][1] and first[2][0] < first[2][1]


def test_a_stale_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: resize -->\nold\n<!-- /table -->\nafter\n")
    monkeypatch.setattr(tables, "PAGES", (page,))
    monkeypatch.setattr("sys.argv", ["tables", "--check"])
    assert tables.main() == 1 and "page.md" in capsys.readouterr().out
    assert "old" in page.read_text()
    monkeypatch.setattr("sys.argv", ["tables"])
    assert tables.main() == 0
    assert page.read_text().startswith("before\n<!-- table: resize -->\n| frame kernel")
    monkeypatch.setattr("sys.argv", ["tables", "--check"])
    assert tables.main() == 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_benchmark_has_its_question(folder: str) -> None:
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    section = re.search(rf"^## {folder}:? .*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert section is not None
    cells = [line.split("|")[1] for line in section[0].splitlines() if line.startswith("| ")]
    named = {name: f"*`{name}`*" in cell for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    modules = {path.stem: path for path in (BENCHMARKS / folder).glob("[!_]*.py")}
    assert set(named) == set(modules)
    for name, path in modules.items():  # in italics: what does not start by itself
        assert named[name] == ("__main__" not in path.read_text("utf-8")), name


def test_no_benchmark_needs_to_be_found_by_the_path_of_a_script() -> None:
    """All start by ``python -m``; only that of the GPU finds an SDK which nobody has installed."""
    changes = {path.name for path in BENCHMARKS.rglob("*.py") if "sys.path" in path.read_text("utf-8")}
    assert changes == {"run.py"}
