"""The layers of ``sdk/vhash_sdk`` for ``docs/architecture.md``, drawn from its imports.

A module or package stands one line above the highest of those that it imports, in functions and for
types as well; those that import each other in a circle share a line. What each is for is the first
sentence of its docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import ROOT, table

SDK = ROOT / "sdk" / "vhash_sdk"


def layers() -> str:
    """The drawing, highest layer first, and the table of what each part stands on."""
    imports = imported()
    height = heights(imports)
    lines: list[str] = []
    for level in sorted(set(height.values()), reverse=True):
        names = sorted(name for name in imports if height[name] == level)
        lines.append("  " + "   ".join(names))
    rows = [
        (f"`{name}`", purpose(name), ", ".join(f"`{one}`" for one in stands_on(imports, name)) or "nothing")
        for name in sorted(imports, key=lambda name: (-height[name], name))
    ]
    drawing = "\n    ↓\n".join(lines)
    return f"```text\n{drawing}\n```\n\n{table(('part', 'what it is', 'stands on'), rows)}"


def imported(sdk: Path = SDK) -> dict[str, set[str]]:
    """Each part of the package, a folder or a single module, with the other parts that it imports."""
    parts: dict[str, set[str]] = {}
    for file in sdk.rglob("*.py"):
        inside = file.relative_to(sdk).with_suffix("").parts
        if inside != ("__init__",):
            parts.setdefault(inside[0], set())
    for file in sdk.rglob("*.py"):
        inside = file.relative_to(sdk).with_suffix("").parts
        if inside != ("__init__",):
            found = {name for name in _names(file, inside) if name in parts}
            parts[inside[0]] |= found - {inside[0]}
    return parts


def _names(file: Path, inside: tuple[str, ...]) -> Iterator[str]:
    """The first name below the package of everything that a file imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names if alias.name.startswith("vhash_sdk.")]
            yield from (name.split(".")[1] for name in dotted)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                where = [*inside[: len(inside) - node.level], *module]
            elif module[:1] == ["vhash_sdk"]:
                where = module[1:]
            else:
                continue
            yield from where[:1] or (alias.name for alias in node.names)


def heights(imports: dict[str, set[str]]) -> dict[str, int]:
    """How many lines above the ground each part stands; parts of one circle stand on the same line."""
    reach = {name: _reached(imports, name) for name in imports}
    circles = {
        name: frozenset({name} | {one for one in reach[name] if name in reach[one]}) for name in imports
    }
    height: dict[str, int] = {}
    for name in sorted(imports, key=lambda name: len(reach[name] | {name})):  # what it reaches comes first
        below = [height[one] for one in reach[name] - circles[name]]
        height[name] = 1 + max(below, default=-1)
    return height


def stands_on(imports: dict[str, set[str]], name: str) -> list[str]:
    """The parts that a part imports, without those that another one of them imports already."""
    direct = imports[name]
    through = {one: _reached(imports, one) for one in direct}
    return sorted(
        one
        for one in direct
        if not any(one in through[other] and other not in through[one] for other in direct - {one})
    )


def _reached(imports: dict[str, set[str]], start: str) -> set[str]:
    """Everything that a part imports, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def purpose(name: str) -> str:
    """The first sentence of a part's docstring."""
    package = SDK / name / "__init__.py"
    file = package if package.exists() else SDK / f"{name}.py"
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return first.replace("``", "`").replace("|", "\\|")
