"""One typed dataclass is the whole configuration: the command line, and what the checkpoint carries."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Sequence
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import Any, TypeVar

Config = TypeVar("Config")


def option(default: Any, help: str) -> Any:
    """A dataclass field with a default and a line of help."""
    return field(default=default, metadata={"help": help})


def from_command_line(
    cls: type[Config], argv: Sequence[str] | None = None, *, description: str | None = None
) -> Config:
    """An instance of the dataclass ``cls`` with values from ``--field value`` arguments.

    Handles str, int, float, bool (``--no-x`` switches off), Path, each of them or None, Literal and tuples of
    numbers (``--kernels 7 4 4``).
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    types = typing.get_type_hints(cls)
    for item in fields(cls):  # type: ignore[arg-type]
        name, kind = "--" + item.name.replace("_", "-"), types[item.name]
        kinds = set(typing.get_args(kind))
        if type(None) in kinds and len(kinds) == 2:  # or None, where it is not given
            (kind,) = kinds - {type(None)}
        text = f"{item.metadata.get('help', '')} (default: {item.default})".replace("%", "%%")
        common: dict[str, Any] = {"help": text, "default": item.default, "dest": item.name}
        if item.default is MISSING:
            common = {"help": item.metadata.get("help", ""), "required": True, "dest": item.name}
        if kind is bool:
            parser.add_argument(name, action=argparse.BooleanOptionalAction, **common)
        elif typing.get_origin(kind) is tuple:
            parser.add_argument(name, nargs="+", type=typing.get_args(kind)[0], **common)
        elif typing.get_origin(kind) is typing.Literal:
            parser.add_argument(name, choices=typing.get_args(kind), **common)
        else:
            parser.add_argument(name, type=kind if kind in (int, float, str, Path) else str, **common)
    values = vars(parser.parse_args(argv))
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
