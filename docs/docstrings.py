"""What docstrings here have that their reader does not know: bare examples, one line for two arguments."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

_SEVERAL = re.compile(r"( +)(\w+(?:, \w+)+)(: .*)")


def rewritten(text: str) -> str:
    """A docstring as Google's convention has it."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith(">>> "):
            paragraph = "Examples:\n" + textwrap.indent(paragraph, "    ")
        elif re.match(r"(Args|Attributes|Raises):\n", paragraph):
            paragraph = "\n".join(_each(paragraph.split("\n")))
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _each(lines: list[str]) -> list[str]:
    """The lines of a section, with a line of its own for each name that shares one, and what continues it."""
    told: list[str] = []
    for at, line in enumerate(lines):
        found = _SEVERAL.fullmatch(line)
        if found is None:
            told.append(line)
            continue
        indent, names, says = found.groups()
        more = []
        for following in lines[at + 1 :]:
            if not following.startswith(indent + " "):
                break
            more.append(following)
        *first, last = names.split(", ")
        for name in first:
            told += [f"{indent}{name}{says}", *more]
        told.append(f"{indent}{last}{says}")
    return told


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of an object of whatever kind."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)
