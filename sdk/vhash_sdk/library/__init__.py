"""A library of videos that survives crashes: ``Library``, and what it hands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .library import Library

__all__ = ["Library"]


def __getattr__(name: str) -> Any:
    if name == "Library":  # loaded when it is asked for: it brings sqlite3 and the encoder
        from .library import Library

        return Library
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
