"""A library of videos that survives crashes: ``Library``, and what it hands out."""

from __future__ import annotations

from .library import Library

__all__ = ["Library"]
