"""Looks at an installation and says what works and what does not."""

from __future__ import annotations

from .doctor import Check, diagnose

__all__ = ["Check", "diagnose"]
