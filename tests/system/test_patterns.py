"""Patterns and folders end, however links lead in circles; an empty path is no path."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.fake_encoder import MAGIC
from vhash_sdk import Library
from vhash_sdk.cli.inputs import expand
from vhash_sdk.errors import OptionError
from vhash_sdk.scan import scan
from vhash_sdk.system.patterns import matches

PATTERNS = [
    "**/*.mp4", "**", "**/", "*", "*/", "d/**", "d/*/*", "d/**/x*", "**/d/**/*.mp4", "[ab].mp4", "?.mp4",
    ".*", "**/.h/*", "d/../d/*", "*/*/", "**/**/b.mp4", "no/*", "a.mp4/*", "**/b.mp4",
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.mp4", "d/x.mp4", "d/e/b.mp4", "d/e/f/x y", "d/.h/h.mp4", ".hidden.mp4", "z/[1]"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(MAGIC)
    return tmp_path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_find_what_glob_finds(tree: Path, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    for each in (pattern, str(tree / pattern)):
        assert matches(each) == sorted(set(glob.glob(each, recursive=True)))


def test_links_in_circles_end(tree: Path) -> None:
    for name in ("k", "l"):
        (tree / name).symlink_to(".")
        (tree / "d" / name).symlink_to("..")
    found = [tree / name for name in ("a.mp4", "b.mp4", "d/e/b.mp4", "d/x.mp4")]
    program = (
        "import sys; from vhash_sdk.cli.inputs import expand; from vhash_sdk.scan import scan\n"
        "print(*expand([sys.argv[1]]), sep='\\n')\n"
        "print(*(f.path for f in scan([sys.argv[1]]) if not f.skipped), sep='\\n')\n"
        "print(len([*scan([sys.argv[1]], follow_symlinks=True)]) < 200)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tree / "**" / "*.mp4"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == [*map(str, found), *map(str, found), "True"], done.stderr


def test_a_ladder_of_links_is_no_forest(tmp_path: Path) -> None:
    for step in range(25):  # two links to the next folder in each: 2 ** 25 paths
        folder = tmp_path / f"{step:02}"
        folder.mkdir()
        for name in "ab":
            (folder / name).symlink_to(tmp_path / f"{step + 1:02}")
    (tmp_path / "25").mkdir()
    (tmp_path / "25" / "x.mp4").write_bytes(MAGIC)
    found = [each.path for each in scan([tmp_path / "00"], follow_symlinks=True) if not each.skipped]
    assert found == [str(tmp_path / "00" / "/".join("a" * 25) / "x.mp4")]
    assert len(matches(f"{tmp_path}/00/**/*.mp4", follow=True)) == 1


def test_links_that_a_pattern_finds(tree: Path) -> None:
    (tree / "z" / "link").symlink_to(tree / "d")
    (tree / "z" / "file.mp4").symlink_to(tree / "a.mp4")

    def names(pattern: str, **options: bool) -> list[str]:
        return [
            os.path.relpath(f.path, tree / "z")
            for f in scan([tree / "z" / pattern], **options)
            if not f.skipped
        ]

    assert names("**/*.mp4") == ["file.mp4"]  # named by the pattern, as a path that is given itself
    assert names("**/*") == ["[1]", "file.mp4"]
    assert "link/x.mp4" in names("*")
    assert "link/x.mp4" in names("**/*.mp4", follow_symlinks=True)
    assert expand([str(tree / "z" / "**" / "*.mp4")]) == [str(tree / "z" / "file.mp4")]


def test_an_empty_path_is_not_the_current_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with pytest.raises(OptionError, match="empty path"):
        list(scan([""]))
    with pytest.raises(OptionError, match="empty path"):
        Library("")
    with Library("../lib") as library:
        for paths in ([""], "", ["a.mp4", ""]):
            with pytest.raises(OptionError, match="empty path"):
                library.add(paths)
        with pytest.raises(OptionError, match="empty path"):
            library.remove([""])
        assert len(library) == 0
    before = sorted(os.listdir())
    assert "empty path" in run("add", "new", "", code=3).stderr
    assert "empty path" in run("remove", "../lib", "", code=3).stderr
    for words in (("add", "", "a.mp4"), ("list", ""), ("search", "", "a.mp4"), ("dedup", "")):
        assert "empty path" in run(*words, code=2).stderr
    assert sorted(os.listdir()) == before
