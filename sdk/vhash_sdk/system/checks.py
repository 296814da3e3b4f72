"""The knobs of ``Encoder``: what may be asked for. ``runtime.choice`` says what ``auto`` comes to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Literal, get_args

from ..errors import OptionError

Backend = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
Precision = Literal["auto", "int8", "fp16", "fp32"]

MAX_THREADS = 1024
"""Of one encoder: no machine has use for more, and each takes memory before it does anything."""
_DEVICE = re.compile(r"auto|cpu|cuda:(0|[1-9][0-9]{0,3})", re.ASCII)


def shown(value: object) -> str:
    """A value for a message: not longer than a line."""
    try:
        text = repr(value)
    except (
        Exception
    ) as error:  # Python writes no integer of more than 4300 digits, and objects may do anything
        text = f"<{type(value).__name__}: {error}>"
    return text if len(text) <= 60 else f"{text[:57]}…"


def check_options(device: Any, backend: Any, precision: Any, threads: Any) -> None:
    """Raise OptionError for a value outside its set, or of another type."""
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise OptionError(f"device={shown(device)}; allowed: 'auto', 'cpu', 'cuda:0' and so on")
    for label, value, allowed in (
        ("backend", backend, get_args(Backend)),
        ("precision", precision, get_args(Precision)),
    ):
        if not isinstance(value, str) or value not in allowed:
            raise OptionError(f"{label}={shown(value)}; allowed: {', '.join(map(repr, allowed))}")
    if threads is not None:
        check_threads("threads", threads, none="all cores")


def check_threads(label: str, value: Any, *, most: int = MAX_THREADS, none: str | None) -> None:
    """Raise OptionError unless it is a count of threads, workers or the like; ``none``: what None means."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
        other = "" if none is None else f", or None for {none}"
        raise OptionError(f"{label}={shown(value)}; allowed: 1 to {most}{other}")


def check_kind(label: str, value: Any, kind: type, what: str, *, path: bool = False) -> None:
    """Raise OptionError unless it is None, of a kind or, with ``path``, a path."""
    if path and isinstance(value, (str, os.PathLike)):
        check_path(label, value, what)
    elif value is not None and not isinstance(value, kind):
        raise OptionError(f"{label}={shown(value)} is of type {type(value).__name__}; give {what}, or None")


def check_path(label: str, value: Any, what: str) -> None:
    """Raise OptionError unless it is text, or a path of text, that a file may have for its name."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise OptionError(f"{label}={shown(value)}; give {what}: text without NUL")


def check_sources(sources: Any) -> None:
    """Raise OptionError unless there may be many sources in it."""
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise OptionError(f"sources={shown(sources)}: many sources are a list; encode() takes a single one")
    if not isinstance(sources, Iterable):
        raise OptionError(
            f"sources={shown(sources)} is of type {type(sources).__name__}; give a list of sources"
        )


def check_positive(label: str, value: Any, what: str, *, most: float) -> None:
    """Raise OptionError unless it is a finite number above 0 and at most ``most``."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value <= most:  # nan is above nothing
        raise OptionError(f"{label}={shown(value)}; allowed: positive {what} up to {most:g}")
