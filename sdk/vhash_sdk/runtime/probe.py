"""What this machine can run, asked without loading anything that might crash."""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def cuda_devices() -> int:
    """Number of CUDA devices; 0 without a driver.

    Asks the driver library itself: TensorRT's runtimes crash, and PyNvVideoCodec cannot even be
    imported, where there is none.

    >>> cuda_devices() >= 0
    True
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
