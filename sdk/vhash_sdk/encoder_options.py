"""The knobs of ``Encoder``: what may be asked for. ``runtime.choice`` says what ``auto`` comes to."""

from __future__ import annotations

from typing import Literal, get_args

from .errors import OptionError

Backend = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
Precision = Literal["auto", "int8", "fp16", "fp32"]


def check_options(device: str, backend: str, precision: str, threads: int | None) -> None:
    """Raise OptionError for a value outside its set."""
    if device not in ("auto", "cpu") and not (device.startswith("cuda:") and device[5:].isdecimal()):
        raise OptionError(f"device={device!r}; allowed: 'auto', 'cpu', 'cuda:0' and so on")
    for label, value, allowed in (
        ("backend", backend, get_args(Backend)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in allowed:
            raise OptionError(f"{label}={value!r}; allowed: {', '.join(map(repr, allowed))}")
    if threads is not None and threads < 1:
        raise OptionError(f"threads={threads}; allowed: 1 or more, or None for all cores")
