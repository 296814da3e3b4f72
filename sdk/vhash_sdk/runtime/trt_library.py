"""TensorRT in its two flavours behind the same few lines.

``tensorrt`` (module ``tensorrt``, version 11 or newer) serves data-centre and other GPUs and builds on
the GPU that will run the engine. ``rtx`` (module ``tensorrt_rtx``) serves RTX cards (compute capability
7.5 to 12.1, not 9.0) and builds ahead of time on any machine. Their Python interfaces are nearly the same.

Source: NVIDIA TensorRT 11 and TensorRT for RTX 1.7 Python API.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any, Literal

from ..errors import BackendError, MissingDependencyError
from ..system.extras import pip_install

Flavour = Literal["tensorrt", "rtx"]

_MODULES = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
_OLDEST = {"tensorrt": 11, "rtx": 1}
_REMEDIES = {
    "tensorrt": f"{pip_install('trt')} on a machine with an NVIDIA GPU (its libraries come from "
    "NVIDIA's own package index); to build an engine for an RTX card without a GPU, use the flavour rtx",
    "rtx": pip_install("rtx"),
}

logger = logging.getLogger("vhash_sdk")


def import_tensorrt(flavour: Flavour) -> Any:
    """The module of a flavour.

    Importing it is harmless; without a driver its ``Runtime`` may crash, so ask
    ``probe.require_cuda`` before anything else than building with ``rtx``.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra.
        BackendError: it is older than what vhash is written for.
    """
    name = _MODULES[flavour]
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:  # its loader raises all of them
        raise MissingDependencyError(f"{name} cannot be imported ({error}); {_REMEDIES[flavour]}") from error
    if int(module.__version__.split(".")[0]) < _OLDEST[flavour]:
        raise BackendError(
            f"{name} {module.__version__} is too old: networks are strongly typed only from TensorRT "
            f"{_OLDEST[flavour]} on; {_REMEDIES[flavour]}"
        )
    return module


def make_logger(trt: Any) -> Any:
    """A TensorRT logger that hands its messages to Python's logging and keeps the errors in ``.errors``."""
    levels = {
        trt.ILogger.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.ERROR: logging.ERROR,
        trt.ILogger.WARNING: logging.INFO,  # it warns of matters that nobody can change
        trt.ILogger.INFO: logging.DEBUG,
        trt.ILogger.VERBOSE: logging.DEBUG,
    }

    class TensorRTLogger(trt.ILogger):  # type: ignore[misc] # a class of a library without stubs
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if levels[severity] == logging.ERROR:
                self.errors.append(message)
            # the caller raises with these errors: logged too, they would be said twice
            logger.log(min(levels[severity], logging.INFO), "TensorRT: %s", message)

    return TensorRTLogger()
