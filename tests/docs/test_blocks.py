"""Every fenced block of every page is run, or says why not; and what is not run is checked all the same."""

from __future__ import annotations

import ast
import builtins
import json
import re
from pathlib import Path

import pytest

import vhash_sdk
from benchmarks.common import ROOT

from .commands import check, commands_of
from .pages import BLOCKS, TUTORIALS, Block
from .session import PAGES_RUN

KINDS = {"sh", "python", "c", "json", "toml", "text", "console"}
ONCE = pytest.mark.parametrize("block", BLOCKS, ids=str)


def of(*languages: str) -> pytest.MarkDecorator:
    """All blocks in some languages."""
    return pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in languages], ids=str)


@ONCE
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    for named in re.findall(r"(?:tests|\.ci)/[\w/.]*\w", block.not_run):
        assert (ROOT / named).exists(), f"{block}: there is no {named}"
    assert block.language in KINDS, f"{block}: name its language, one of {', '.join(sorted(KINDS))}"
    checked = {
        "sh": block.page in (*TUTORIALS, *PAGES_RUN),
        "python": block.page in (*TUTORIALS, *PAGES_RUN),
        "c": True,  # an excerpt of a program that is built and run, see below
        "json": True,
        "toml": True,
    }
    assert checked.get(block.language) or block.made or block.not_run, (
        f"{block}: nothing runs it. Add its page to PAGES_RUN of tests/docs/session.py, or write above it "
        "<!-- not run: the reason -->"
    )


@of("sh")
def test_programs_take_the_arguments_that_are_shown(block: Block, tmp_path: Path) -> None:
    commands = list(commands_of(block.text))
    assert commands
    for words in commands:
        check(words)


@pytest.mark.parametrize(
    "line",
    [
        "vhash search library a.mp4 --nearest",
        "vhash search library a.mp4 -k many",
        "vhash look library a.mp4",
        "vhash dedup",
        "true && vhash bench look",
        "pip install 'vhash-sdk[gpus]'",
        "python -m benchmarks.NAME",
        "python 'export/to_onxx.py'",
        "python -m benchmarks.docs.tables --look",
        ".ci/installs dist/x.whl",
        "vh demo",
    ],
)
def test_what_is_wrong_is_seen(line: str) -> None:
    with pytest.raises(AssertionError):
        for words in commands_of(line):
            if words != ["true"]:
                check(words)


def test_commands_of_a_script() -> None:
    text = "A='-k 5'\ncat > file <<'END'\nvhash no\nEND\nvhash search $A x \\\n  > out | grep y  # no\nB=1 ls"
    assert list(commands_of(text)) == [["cat"], ["vhash", "search", "-k", "5", "x"], ["grep", "y"], ["ls"]]


@of("console")
def test_commands_with_their_answers_are_taken(block: Block) -> None:
    asked = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
    assert asked, f"{block}: a line that starts with '$ ' is the command"
    for line in asked:
        for words in commands_of(line):
            check(words)


@of("json")
def test_json_is_as_the_schema_says(block: Block) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(block.text)
    if isinstance(document, dict) and "schema" in document:
        schema = json.loads((Path(vhash_sdk.__file__).parent / "cli" / "schema.json").read_text("utf-8"))
        jsonschema.validate(document, schema)


@of("toml")
def test_toml_is_read(block: Block) -> None:
    import tomllib

    assert tomllib.loads(block.text)


@of("c")
def test_c_is_an_excerpt_of_a_program_that_is_tested(block: Block) -> None:
    for program in (ROOT / "csrc" / "examples").glob("*.c*"):
        lines = iter([line.strip() for line in program.read_text("utf-8").splitlines()])
        if all(line.strip() in lines for line in block.text.splitlines()):  # in this order
            return
    pytest.fail(f"{block}: no program in csrc/examples has these lines")


def given(text: str) -> set[str]:
    """The names that an example takes as given: used, but not made in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    made = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            made |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
    return {node.id for node in names} - made - set(dir(builtins))


@pytest.mark.slow
def test_python_fits_the_types_of_the_package(tmp_path: Path) -> None:
    mypy = pytest.importorskip("mypy.api")
    files = {}
    for number, block in enumerate(block for block in BLOCKS if block.language == "python"):
        head = "".join(f"{name}: Any\n" for name in sorted(given(block.text)))
        file = tmp_path / f"block_{number}.py"
        file.write_text(f"from typing import Any\n{head}{block.text}", "utf-8")
        files[file.name] = block
    said, failed, code = mypy.run(
        [
            *("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")),
            *("--no-error-summary", "--hide-error-context"),
            *(str(tmp_path / name) for name in files),
        ]
    )
    for name, block in files.items():
        said = said.replace(str(tmp_path / name), str(block)).replace(name, str(block))
    assert code == 0, said + failed
