"""What is installed: one version everywhere, extras that exist, and what a wheel says of itself."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest

import vhash_sdk
from benchmarks.common import ROOT
from vhash_sdk.system import commit as told
from vhash_sdk.system.extras import Extra

SDK = Path(vhash_sdk.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]
    assert f"\nversion: {vhash_sdk.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## [{vhash_sdk.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert metadata.version("vhash-sdk") == vhash_sdk.__version__


def test_a_command_has_the_name_of_the_package() -> None:
    assert PROJECT["scripts"][PROJECT["name"]] == PROJECT["scripts"]["vhash"]


def test_pages_name_extras_that_exist() -> None:
    extras, named = set(PROJECT["optional-dependencies"]), set()
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        for found in re.findall(r"vhash-sdk\[([\w,]+)\]", path.read_text("utf-8")):
            named |= set(found.split(","))
    assert {"cpu", "gpu"} <= named <= extras | {"EXTRA"}


def test_messages_can_name_every_extra_that_users_need_and_no_other() -> None:
    of_developers = {"train", "export", "bench", "test", "docs", "dev"}
    assert set(get_args(Extra)) == set(PROJECT["optional-dependencies"]) - of_developers


def called(node: ast.AST) -> set[str]:
    """The names of all functions that are called in a piece of code."""
    calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_messages_about_what_is_missing_have_the_whole_command() -> None:
    without = {
        "gpu/module.py": "CUDA kernels are no package: they are compiled",
        "video/sources.py": "av is no extra: it comes with vhash-sdk itself",
        "video/sound.py": "two packages with one name: which is to go is said",
        "runtime/trt_library.py": "made by pip_install, in a table",
    }
    for path in sorted(SDK.rglob("*.py")):
        file, tree = path.relative_to(SDK).as_posix(), ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc and "MissingDependencyError" in called(node.exc):
                assert "pip_install" in called(node) or file in without, f"{file}:{node.lineno}: no command"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                wrong = re.search(r"vhash-sdk\[|(?i:install) the extra|needs the extra `\w", node.value)
                assert wrong is None or file == "system/extras.py", (
                    f"{file}:{node.lineno}: {node.value!r}: say it by pip_install()"
                )


def test_the_commit_of_a_wheel_and_of_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_PACKAGE", tmp_path / "site-packages" / "vhash_sdk")
    assert told.commit() is None
    told._PACKAGE.mkdir(parents=True)
    for text, shown in (("0123456789abcdef" * 2, "0123456789ab"), ("0123456789abcdef+", "0123456789ab+")):
        (told._PACKAGE / "commit.txt").write_text(f"{text} 1796026544\n")
        assert told.commit() == shown
    (told._PACKAGE / "commit.txt").write_text("")
    assert told.commit() is None


def test_the_commit_of_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "sdk" / "vhash_sdk"
    package.mkdir(parents=True)
    (tmp_path / "setup.py").write_text("")
    monkeypatch.setattr(told, "_PACKAGE", package)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    said = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert told.commit() == said[:12]
    (tmp_path / "setup.py").write_text("changed")
    assert told.commit() == said[:12] + "+"


def test_a_wheel_lists_what_is_in_it() -> None:
    files = metadata.distribution("vhash-sdk").files or []
    bills = [file for file in files if file.name == "vhash-sdk.cdx.json"]
    if not bills:
        pytest.skip("installed from a clone, not from a wheel")
    bill = json.loads(bills[0].read_text())
    assert (
        bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["version"] == vhash_sdk.__version__
    )
    named = {part["name"] for part in bill["components"]}
    carried = [*SDK.glob("models/*.onnx"), *SDK.glob("samples/*.mp4")]
    assert named == {"pybind11"} | {path.relative_to(SDK.parent).as_posix() for path in carried}
    assert all(part["licenses"] for part in bill["components"])


@pytest.mark.slow
def test_two_archives_are_equal(tmp_path: Path) -> None:
    if not (ROOT / "sdk").is_dir():
        pytest.skip("needs the sources")
    made, folders = [], ("csrc", "sdk")
    for place in ("one", "another/with/a/longer/name"):
        clone = tmp_path / place
        ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "commit.txt")
        clone.mkdir(parents=True)
        files = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "NOTICE")
        for name in (*folders, *files):
            if name in folders:
                shutil.copytree(ROOT / name, clone / name, ignore=ignore)
            else:
                shutil.copy2(ROOT / name, clone / name)
        command = [sys.executable, "setup.py", "-q", "sdist"]
        subprocess.run(command, cwd=clone, check=True, capture_output=True)
        (archive,) = (clone / "dist").glob("*.tar.gz")
        made.append(archive.read_bytes())
    assert made[0] == made[1]
