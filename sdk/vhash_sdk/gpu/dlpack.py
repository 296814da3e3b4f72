"""Tensors of other libraries in device memory, without copying: DLPack, or the CUDA array interface.

Source: DLPack's ``dlpack.h`` (DLManagedTensor) and the Python specification of ``__dlpack__``.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..errors import OptionError
from .cuda import DeviceArray

_CUDA = 2  # kDLCUDA
_KINDS = {0: "i", 1: "u", 2: "f"}  # kDLInt, kDLUInt, kDLFloat


class _Tensor(ctypes.Structure):
    """DLTensor, the first member of DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def on_device(frames: object) -> bool:
    """Whether an object is a tensor in CUDA memory."""
    if isinstance(frames, DeviceArray) or hasattr(frames, "__cuda_array_interface__"):
        return True
    ask = getattr(frames, "__dlpack_device__", None)
    return ask is not None and int(ask()[0]) == _CUDA


def from_device(frames: Any, stream: int) -> DeviceArray:
    """A tensor in CUDA memory as a ``DeviceArray``; it stays as long as the array is kept.

    Args:
        frames: anything for which ``on_device`` holds.
        stream: the stream on which it will be read: its library makes that wait for what it still does.

    Raises:
        OptionError: it is not C-contiguous, or of a type that numpy does not have.
    """
    if isinstance(frames, DeviceArray):
        return frames
    if not hasattr(frames, "__dlpack__"):
        about = frames.__cuda_array_interface__
        array = DeviceArray(about["data"][0], tuple(about["shape"]), np.dtype(about["typestr"]), frames)
        strides = about.get("strides")
    else:
        capsule = frames.__dlpack__(stream=stream)
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        tensor = _Tensor.from_address(get(capsule, b"dltensor"))
        if tensor.code not in _KINDS or tensor.lanes != 1:
            raise OptionError(f"frames have DLPack type {tensor.code}; they are uint8")
        dtype = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
        shape = tuple(tensor.shape[: tensor.ndim])
        # the capsule frees the tensor when it goes, unless someone took it over
        array = DeviceArray((tensor.data or 0) + tensor.byte_offset, shape, dtype, capsule)
        strides = None
        if tensor.strides:
            strides = tuple(step * dtype.itemsize for step in tensor.strides[: tensor.ndim])
    if strides is not None and tuple(strides) != _contiguous(array):
        raise OptionError(f"frames {list(array.shape)} on the GPU have gaps; make them C-contiguous")
    return array


def _contiguous(array: DeviceArray) -> tuple[int, ...]:
    steps = [array.dtype.itemsize]
    for side in array.shape[:0:-1]:
        steps.append(steps[-1] * side)
    return tuple(reversed(steps))
