"""The one reader of JSON: what it gives can be computed with, stored and printed.

Python's own reader takes more than JSON: ``NaN``, numbers that become infinite, integers of any length, which
no float and no column of a database holds, a key that comes twice, half of a surrogate pair. Each
of them is an error here, instead of a surprise far from the file that it came from.
"""

from __future__ import annotations

import json
import math
from typing import Any

from ..errors import JsonError as JsonError

MAX_DEPTH = 64
"""Arrays and objects within each other; our own documents have at most 6."""
_WHOLE = 1 << 63


def parse_json(text: str | bytes | bytearray, *, surrogates: bool = False) -> Any:
    """Read one JSON document that nobody vouches for.

    Numbers are finite, integers fit 64 bits with a sign, keys come once, strings are valid Unicode.

    Args:
        text: bytes are UTF-8.
        surrogates: strings may hold surrogates, as names of files that are not UTF-8 do
            (``os.fsdecode``).

    Raises:
        JsonError: it is none (a ``ValueError``).

    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> parse_json("[1e999]")
    Traceback (most recent call last):
    ...
    vhash_sdk.errors.JsonError: 1e999 is beyond all floats
    """
    try:
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8")
        document = json.loads(
            text,
            parse_float=_float,
            parse_int=_integer,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except JsonError:
        raise
    except RecursionError as error:
        raise JsonError(f"more than {MAX_DEPTH} arrays and objects within each other") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are some
        raise JsonError(f"not JSON: {error}") from error
    _check(document, check_text=not surrogates and _may_have_surrogates(text))
    return document


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise JsonError(f"{digits[:40]} is beyond all floats")
    return value


def _integer(digits: str) -> int:
    # the length first: Python takes quadratic time for long ones, and refuses some with an error of its own
    if len(digits) > 20 or not -_WHOLE <= int(digits) < _WHOLE:
        raise JsonError(f"{digits[:40]}{'…' * (len(digits) > 40)} does not fit 64 bits")
    return int(digits)


def _constant(name: str) -> None:
    raise JsonError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonError(f"the key {twice[:40]!r} comes twice")
    return found


def _may_have_surrogates(text: str) -> bool:
    return "\\ud" in text or "\\uD" in text or not text.isascii()


def _check(document: Any, *, check_text: bool) -> None:
    """Depth and, if it must be looked at, text; in a loop, for the depth is not known yet."""
    level, depth = [document], 0
    while level:
        if depth > MAX_DEPTH:
            raise JsonError(f"more than {MAX_DEPTH} arrays and objects within each other")
        if check_text:
            _check_text(level)
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if check_text:
                    _check_text(list(value))
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        level, depth = inner, depth + 1


def _check_text(values: list[Any]) -> None:
    for value in values:
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise JsonError(f"{value[:40]!r} holds half of a surrogate pair") from None
