"""What a person looks at to decide about duplicates: a page with pictures, and a plan of what could go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page import About, write_report

__all__ = ["About", "write_report"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # loaded when it is asked for: it brings the decoder
        from . import page

        return getattr(page, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
