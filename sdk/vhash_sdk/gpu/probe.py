"""What this machine can run, asked without loading anything that might crash."""

from __future__ import annotations

import ctypes
import functools

from ..errors import BackendError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h


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


def require_cuda(device: int = 0) -> None:
    """Make sure that a CUDA device can be used, before a library is asked that would crash without one.

    Raises:
        BackendError: there is no NVIDIA driver, or no such device.
    """
    count = cuda_devices()
    if not count:
        raise BackendError(
            f"device 'cuda:{device}': there is no NVIDIA driver here (libcuda.so.1 with a device behind it); "
            "use device='cpu', or install the driver; in a container, start it with --gpus all"
        )
    if device >= count:
        raise BackendError(
            f"device 'cuda:{device}': this machine has {count} CUDA device(s), 'cuda:0' to 'cuda:{count - 1}'"
        )


def compute_capability(device: int = 0) -> tuple[int, int]:
    """(major, minor) of a CUDA device, e.g. (9, 0) for an H100. Raises BackendError."""
    require_cuda(device)
    driver, handle, found = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), []
    status = driver.cuDeviceGet(ctypes.byref(handle), device)
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        status = status or driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
        found.append(value.value)
    if status:
        raise BackendError(f"device 'cuda:{device}': the driver answers with error {status}; see nvidia-smi")
    return found[0], found[1]


def driver_version() -> int:
    """The CUDA version that the driver supports, e.g. 13000 for 13.0. Raises BackendError."""
    require_cuda()
    version = ctypes.c_int()
    if status := ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version)):
        raise BackendError(f"the NVIDIA driver does not tell its version (error {status}); see nvidia-smi")
    return version.value


class _DecodeCaps(ctypes.Structure):
    """CUVIDDECODECAPS of cuviddec.h (Video Codec SDK 12): three inputs, then what the hardware says."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma_format", ctypes.c_int),
        ("bit_depth_minus_8", ctypes.c_uint),
        ("reserved_1", ctypes.c_uint * 3),
        ("supported", ctypes.c_ubyte),
        ("decoders", ctypes.c_ubyte),
        ("output_formats", ctypes.c_ushort),
        ("max_width", ctypes.c_uint),
        ("max_height", ctypes.c_uint),
        ("max_macroblocks", ctypes.c_uint),
        ("min_width", ctypes.c_ushort),
        ("min_height", ctypes.c_ushort),
        ("rest", ctypes.c_uint * 16),
    )


_NVDEC_CODECS = {"mpeg2": 1, "mpeg4": 2, "vc1": 3, "h264": 4, "hevc": 8, "vp8": 9, "vp9": 10, "av1": 11}


def nvdec_codecs(device: int = 0) -> tuple[str, ...]:
    """Codecs whose 8-bit 4:2:0 video the decoder chip of a CUDA device takes; asks libnvcuvid itself.

    Raises:
        OSError: there is no NVIDIA driver, or it comes without its video library.
    """
    driver, decoder = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvcuvid.so.1")
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    for function, arguments in (
        (driver.cuInit, (0,)),
        (driver.cuDeviceGet, (ctypes.byref(handle), device)),
        (driver.cuDevicePrimaryCtxRetain, (ctypes.byref(context), handle)),
        (driver.cuCtxPushCurrent_v2, (context,)),
    ):
        if status := function(*arguments):
            raise OSError(f"CUDA device {device}: the driver answers {function.__name__} with error {status}")
    found = []
    try:
        for name, number in _NVDEC_CODECS.items():
            caps = _DecodeCaps(codec=number, chroma_format=1, bit_depth_minus_8=0)
            if decoder.cuvidGetDecoderCaps(ctypes.byref(caps)) == 0 and caps.supported:
                found.append(name)
    finally:
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(handle)
    return tuple(found)
