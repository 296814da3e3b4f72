"""What a column of a library may hold.

SQLite keeps anything in any column. Each kind of value is described here once, with a test and with words for
people; ``rows`` puts the columns of a row together and checks what is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

_NONE = type(None)


@dataclass(frozen=True)
class Kind:
    """What a column may hold: values of some types that pass a test; ``says`` is for people."""

    says: str
    types: tuple[type, ...]
    test: Callable[[Any], bool] = lambda value: True
    bounds: tuple[float, float] | None = None  # of numbers: what ``test`` asks

    def fits(self, value: Any) -> bool:
        """Whether a value may be there."""
        return type(value) in self.types and (value is None or self.test(value))

    def all_fit(self, column: Sequence[Any]) -> bool:
        """``fits`` for all of a column, without a call for each where that can be had."""
        if not set(map(type, column)) <= set(self.types):
            return False
        known = [value for value in column if value is not None] if _NONE in self.types else column
        if self.bounds is not None:
            return not known or (self.bounds[0] <= min(known) and max(known) <= self.bounds[1])
        return all(map(self.test, known))


def _whole(least: int, most: int, *more: type) -> Kind:
    return Kind(
        f"a whole number from {least} to {most}", (int, *more), lambda n: least <= n <= most, (least, most)
    )


def _number(least: float, most: float, *more: type) -> Kind:
    return Kind(
        f"a number from {least:g} to {most:g}",
        (float, int, *more),
        lambda x: least <= x <= most,
        (least, most),
    )


def _bytes(count: int) -> Kind:
    return Kind(f"{count} bytes", (bytes,), lambda value: len(value) == count)


def _text(pattern: str, says: str, *more: type) -> Kind:
    return Kind(says, (str, *more), lambda value: re.fullmatch(pattern, value, re.DOTALL) is not None)


_INT64 = 1 << 63
_LONG = 1e9  # seconds; 31 years, longer than any video and short enough to count frames of
_FAR = 1e12  # seconds before or after 1970

Id = Annotated[int, _whole(1, _INT64 - 1)]
PathBytes = Annotated[
    bytes,
    Kind("the bytes of an absolute path", (bytes,), lambda p: p[:1] == b"/" and b"\0" not in p),
]
Place = Annotated[int, _whole(0, 14)]
Size = Annotated[int, _whole(0, _INT64 - 1)]
AnySize = Annotated[int, _whole(-1, _INT64 - 1)]  # of what could not be asked
Nanoseconds = Annotated[int, _whole(-_INT64, _INT64 - 1)]
Digest = Annotated[bytes, _bytes(32)]
Date = Annotated[float, _number(-_FAR, _FAR)]
Seconds = Annotated[float, _number(-_LONG, _LONG)]
End = Annotated[float | None, _number(-_LONG, _LONG, _NONE)]
Duration = Annotated[float | None, _number(0, _LONG, _NONE)]
Side = Annotated[int | None, _whole(0, (1 << 31) - 1, _NONE)]
FrameRate = Annotated[float | None, _number(0, 1e9, _NONE)]
FramesRule = Annotated[int | None, _whole(1, 1 << 30, _NONE)]
ShortText = Annotated[str | None, _text(".{0,1000}", "a text of at most 1000 characters", str, _NONE)]
Message = Annotated[str, Kind("a text", (str,))]
Confidence = Annotated[float | None, _number(-1e6, 1e6, _NONE)]
Blob = Annotated[bytes, Kind("bytes", (bytes,))]
Steps = Annotated[bytes | None, Kind("bytes", (bytes, _NONE))]
CodeKind = Annotated[str, _text("full|box|pane|segment", "full, box, pane or segment")]
ErrorKind = Annotated[str, _text("[A-Za-z]{1,100}", "the name of an error")]
Hexadecimal = Annotated[str, _text("[0-9a-f]{16}", "16 hexadecimal digits")]
# a bundled model, or a file that is opened when the model is needed, if it is a regular one then
Source = Annotated[
    str, _text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}|/[^\0]{1,4095}", "the name of a model, or an absolute path")
]
