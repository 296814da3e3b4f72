"""The knobs of ``Encoder``: what may be asked for, and what ``auto`` comes to."""

from __future__ import annotations

import logging
from typing import Literal, get_args

from .errors import OptionError

logger = logging.getLogger("vhash_sdk")

Backend = Literal["auto", "onnxruntime"]
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


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda:N``: what ``auto`` comes to on this machine."""
    if device != "auto":
        return device
    from .runtime.probe import cuda_devices

    if not cuda_devices():
        return "cpu"
    from .runtime.onnx import import_onnxruntime

    if "CUDAExecutionProvider" in import_onnxruntime().get_available_providers():
        return "cuda:0"
    logger.warning(
        "there is an NVIDIA GPU, but this onnxruntime is the CPU build: using the CPU; see `vhash doctor`"
    )
    return "cpu"


def file_precision(precision: str, device: str) -> str:
    """The precision of the model file to load."""
    # the int8 file is quantised for CPUs; a GPU computes the canonical one
    return "fp32" if device != "cpu" and precision == "auto" else precision
