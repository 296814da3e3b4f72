"""The table of methods: name on the command line → its file's `Method`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from . import bth, conmh, csq, dbh, dh, dhwcm, dnnh, dvh, jtae, ksh, mfh, s5vh, srh, ssth, ssvh
from .base import Head, Method, Schedule, Shape

METHODS: dict[str, Method] = {
    module.__name__.rpartition(".")[2]: module.METHOD
    for module in (mfh, dh, ssth, jtae, ssvh, bth, conmh, s5vh, csq, dhwcm, ksh, srh, dvh, dnnh, dbh)
}


def method(name: str) -> Method:
    """The method of a name.

    >>> method("ssth").title
    'SSTH'
    """
    if name not in METHODS:
        raise ValueError(f"method {name!r}; allowed: {', '.join(METHODS)}")
    return METHODS[name]


@dataclass(frozen=True)
class HeadConfig:
    """All that it takes to build a head again; goes into checkpoints as JSON."""

    method: str
    shape: Shape
    options: Schedule

    @property
    def bits(self) -> int:
        """Length of the code."""
        return self.shape.bits

    @classmethod
    def of(cls, config: dict[str, Any]) -> HeadConfig:
        """From JSON.

        Raises:
            ValueError: a method or an option that the registry does not have.
        """
        kind = method(config["method"]).options
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in config["options"].items()}
        known = sorted(field.name for field in fields(kind))
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(f"options {unknown} of {config['method']}; allowed: {', '.join(known)}")
        return cls(config["method"], Shape(**config["shape"]), kind(**given))

    def head(self) -> Head:
        """The head, untrained."""
        return Head(self.shape, method(self.method).make(self.shape, self.options)[0])


def table() -> str:
    """The registry as a Markdown table."""
    lines = ["| name | method | learns from | ours | missing |", "|---|---|---|---|---|"]
    for name, m in METHODS.items():
        labels = "labels" if m.supervised else "no labels"
        lines.append(f"| `{name}` | {m.title}: {m.paper} | {labels} | {m.ours} | {m.missing or 'nothing'} |")
    return "\n".join(lines)
