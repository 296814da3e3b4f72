"""The extension module with our own CUDA kernels, where this installation has one."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingDependencyError


def cuda_module() -> Any:
    """The extension module with the CUDA kernels; it loads without a driver.

    Raises:
        MissingDependencyError: it was not built.
    """
    try:
        return importlib.import_module("vhash_sdk._cuda")
    except ImportError as error:
        raise MissingDependencyError(
            f"this installation of vhash has no CUDA kernels ({error}); install it from source where nvcc is "
            "(CUDA toolkit 12 or newer), with VHASH_CUDA=1"
        ) from error
