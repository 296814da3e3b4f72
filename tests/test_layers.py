"""The order of ``sdk/vhash_sdk``: imports only go down, never round in circles, and rooms stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import vhash_sdk

LAYERS = (
    ("errors", "names", "codes", "spec", "scan", "system"),
    ("gpu",),
    ("matching",),
    ("index",),
    ("video",),
    ("models",),
    ("runtime",),
    ("encoding",),
    ("engines",),
    ("library",),
    ("web",),
    ("report", "doctor", "exchange"),
    ("acting",),
    ("comparison",),
    ("serve",),
    ("cli",),
)
"""Modules and packages of ``vhash_sdk``, lowest first: each imports from its own layer and those below."""

TOP = {"__init__", "errors", "codes", "spec", "names", "scan", "comparison"}
"""The modules that lie in no package."""

OF_THE_FACE = {"_core", "_cuda", "__version__"}
"""What modules take from ``vhash_sdk`` itself; its other names are there for users."""

MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 350, 60, 8

ROOT = Path(vhash_sdk.__file__).parent
RANK = {name: number for number, names in enumerate(LAYERS) for name in names}
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def module_of(file: str) -> str:
    """``library.rows`` for ``library/rows.py``, ``library`` for ``library/__init__.py``, else empty."""
    parts = file.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file) for file in FILES}


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), file)


def imports(file: str) -> Iterator[tuple[int, str]]:
    """(line, module of this package) for each import, those in functions and those for types as well.

    A name that is taken from ``vhash_sdk`` itself comes with a dot before it.
    """
    package = file.split("/")[:-1]
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ImportFrom):
            words = [] if node.module is None else node.module.split(".")
            if node.level:
                words = [*package[: len(package) - node.level + 1], *words]
            elif words[0] == "vhash_sdk":
                words = words[1:]
            else:
                continue
            for name in (alias.name for alias in node.names):
                places = (".".join([*words, name]), ".".join(words))
                found = next((place for place in places if place and place in MODULES), None)
                yield node.lineno, found or "." + ".".join(words or [name])
        else:
            yield from ((node.lineno, name) for name in _named_in_full(node))


def _named_in_full(node: ast.AST) -> Iterator[str]:
    """Of ``import vhash_sdk.x`` and ``import_module("vhash_sdk.x")``."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        names = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
    for name in names:
        if name.startswith("vhash_sdk."):
            inner = name.removeprefix("vhash_sdk.")
            yield inner if inner in MODULES else f".{inner}"


def functions(file: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    rest = [each for each in (given.vararg, given.kwarg) if each is not None]
    return [each.arg for each in (*named, *rest) if each.arg not in ("self", "cls")]


def test_imports_in_functions_and_for_types_are_seen() -> None:
    assert "index.stored" in {name for _, name in imports("index/memory.py")}  # in Index.open
    assert "video.isolation.pool" in {name for _, name in imports("encoding/encoder.py")}  # for its type
    assert "._core" in {name for _, name in imports("index/memory.py")}
    assert "._cuda" in {name for _, name in imports("gpu/module.py")}  # by import_module


def test_only_these_modules_lie_in_no_package() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} <= TOP
    assert {module.split(".")[0] for module in MODULES} - {""} <= set(RANK)


def test_imports_only_go_down() -> None:
    wrong = []
    for file in FILES:
        own = module_of(file).split(".")[0]
        for line, name in imports(file) if own else ():
            if name.startswith("."):
                if name[1:] not in OF_THE_FACE:
                    wrong.append(f"{file}:{line} takes {name[1:]} from vhash_sdk; import it from its module")
            elif RANK[name.split(".")[0]] > RANK[own]:
                wrong.append(f"{file}:{line} imports {name}, which lies above")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    needs = {
        module_of(file): {name for _, name in imports(file) if not name.startswith(".")} - {module_of(file)}
        for file in FILES
        if file != "__init__.py"
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_files_and_functions_stay_small() -> None:
    large = []
    for file in FILES:
        lines = len((ROOT / file).read_text("utf-8").splitlines())
        if lines > MOST_LINES:
            large.append(f"{file} has {lines} lines, more than {MOST_LINES}")
        for node in functions(file):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                large.append(f"{file}: {node.name} has {lines} lines, more than {MOST_FUNCTION_LINES}")
            if len(parameters(node)) > MOST_PARAMETERS:
                given = len(parameters(node))
                large.append(f"{file}: {node.name} has {given} parameters, more than {MOST_PARAMETERS}")
    assert large == []
