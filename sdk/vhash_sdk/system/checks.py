"""Checks of arguments where they enter: each names the argument, the value and what is allowed.

``checked_…`` return the value in the form in which it is used; ``check_…`` only look at it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ..errors import OptionError

MAX_THREADS = 1024
"""Threads, workers and the like: no machine has use for more, and each takes memory at once."""


def shown(value: object) -> str:
    """A value for a message: not longer than a line."""
    try:
        text = repr(value)
    except (
        Exception
    ) as error:  # Python writes no integer of more than 4300 digits, and objects may do anything
        text = f"<{type(value).__name__}: {error}>"
    return text if len(text) <= 60 else f"{text[:57]}…"


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise OptionError unless it is one of these words."""
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(f"{name}={shown(value)}; allowed: {', '.join(map(repr, allowed))}")


def checked_count(
    name: str, value: Any, least: int, most: int | None = None, *, none: str | None = None
) -> int:
    """An integer of at least ``least`` and at most ``most``, which the C++ engine can take.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least, most: the bounds; a larger count than 2^31 - 1 means the same as that.
        none: what the caller takes None for, where it does, for the message.

    Raises:
        OptionError: it is something else.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        bounds = f"an integer of at least {least}" if most is None else f"{least} to {most}"
        other = "" if none is None else f", or None for {none}"
        raise OptionError(f"{name}={shown(value)}; allowed: {bounds}{other}")
    return min(int(value), 2**31 - 1)


def check_positive(name: str, value: Any, what: str, *, most: float) -> None:
    """Raise OptionError unless it is a finite number above 0 and at most ``most``."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value <= most:  # nan is above nothing
        raise OptionError(f"{name}={shown(value)}; allowed: positive {what} up to {most:g}")


def check_kind(name: str, value: Any, kind: type | tuple[type, ...], what: str) -> None:
    """Raise OptionError unless it is of a kind; ``what`` says which."""
    if not isinstance(value, kind):
        raise OptionError(f"{name}={shown(value)} is of type {type(value).__name__}; give {what}")


def checked_path(name: str, value: Any) -> Path:
    """A path as the system takes one, of any bytes but NUL. Raises OptionError, which calls it ``name``."""
    try:
        found = os.fsdecode(value)
        os.fsencode(found)
    except (TypeError, UnicodeEncodeError) as error:
        raise OptionError(
            f"{name}={shown(value)}; allowed: a path, as text, bytes or a Path ({error})"
        ) from None
    if not found:
        raise OptionError(f"{name}={found!r}: an empty path; give a file or folder, . for the current one")
    if "\0" in found:
        raise OptionError(
            f"{name}={shown(value)}; allowed: a path without NUL, which no name of a file can hold"
        )
    return Path(found)
