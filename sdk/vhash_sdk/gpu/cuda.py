"""Memory, streams and graphs of a CUDA device, by cuda-bindings alone (no torch, no cupy).

Everything here belongs to the device's primary context, the one that TensorRT, ONNX Runtime,
PyNvVideoCodec and torch use too, so a pointer made by one is good for all of them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import BackendError, MissingDependencyError
from ..system.extras import pip_install
from .probe import require_cuda


@functools.cache
def cudart() -> Any:
    """The module ``cuda.bindings.runtime``. Raises MissingDependencyError."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingDependencyError(
            f"cuda-bindings cannot be imported ({error}); {pip_install('gpu')}, or "
            f"{pip_install('trt')}, or {pip_install('rtx')}"
        ) from error
    return runtime


def call(function: str, *arguments: object) -> Any:
    """Call a function of the CUDA runtime; what it gives beside its status (None, a value or a tuple).

    Raises:
        BackendError: it did not return cudaSuccess; the message has CUDA's own words.
    """
    runtime = cudart()
    status, *values = getattr(runtime, function)(*arguments)
    if status != runtime.cudaError_t.cudaSuccess:
        _, text = runtime.cudaGetErrorString(status)
        advice = (
            "free GPU memory or use a smaller batch"
            if status == runtime.cudaError_t.cudaErrorMemoryAllocation
            else "see `vhash doctor`, or use device='cpu'"
        )
        raise BackendError(f"CUDA: {function} failed with {int(status)} ({text.decode()}); {advice}")
    return values[0] if len(values) == 1 else tuple(values) or None


def device_index(device: str) -> int:
    """``cuda:N`` → N, after making sure that the device is there, and current for this thread.

    Raises:
        BackendError: no driver, or no such device.
    """
    index = int(device.removeprefix("cuda:"))
    require_cuda(index)
    call("cudaSetDevice", index)
    return index


@dataclass(frozen=True)
class DeviceArray:
    """A C-contiguous array in device memory. Owns nothing: keep its ``owner`` alive as long as you use it.

    Attributes:
        pointer: address of the first element.
        shape, dtype: as in numpy.
        owner: what frees the memory, e.g. a ``DeviceBuffer``.

    torch, cupy and numba take it as it is (``__cuda_array_interface__``).
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object = None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "strides": None,
            "version": 3,
        }

    def first(self, count: int) -> DeviceArray:
        """The first ``count`` rows, without copying."""
        return DeviceArray(self.pointer, (count, *self.shape[1:]), self.dtype, self.owner)


class DeviceBuffer:
    """Bytes in device memory, freed with the object."""

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self.pointer = int(call("cudaMalloc", max(nbytes, 1)))
        self._free = cudart().cudaFree  # kept: at the program's end modules go before objects

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """The buffer's beginning as an array."""
        array = DeviceArray(self.pointer, shape, np.dtype(dtype), self)
        if array.nbytes > self.nbytes:
            raise BackendError(
                f"a buffer of {self.nbytes} bytes cannot hold {array.dtype}{list(shape)}; make it larger"
            )
        return array

    def __del__(self) -> None:
        if pointer := getattr(self, "pointer", 0):
            self.pointer = 0
            self._free(pointer)  # nothing to do about a failure while the object goes


class PinnedArray:
    """A numpy array in page-locked host memory, which copies run from and to without the CPU.

    Attributes:
        array: the memory, valid as long as this object lives.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike):
        nbytes = max(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize, 1)
        self._pointer = int(call("cudaHostAlloc", nbytes, 0))
        self._free = cudart().cudaFreeHost
        memory = (ctypes.c_uint8 * nbytes).from_address(self._pointer)
        flat: NDArray[Any] = np.frombuffer(
            memoryview(memory), dtype, count=int(np.prod(shape, dtype=np.int64))
        )
        self.array: NDArray[Any] = flat.reshape(shape)

    def __del__(self) -> None:
        if pointer := getattr(self, "_pointer", 0):
            self._pointer = 0
            self._free(pointer)


class Stream:
    """A CUDA stream that does not wait for the default one."""

    def __init__(self) -> None:
        runtime = cudart()
        self._stream: Any = call("cudaStreamCreateWithFlags", runtime.cudaStreamNonBlocking)
        self._destroy = runtime.cudaStreamDestroy

    @property
    def handle(self) -> int:
        """The ``cudaStream_t`` as an integer."""
        return int(self._stream)

    def synchronize(self) -> None:
        """Wait until everything on the stream is done; errors of what ran there are raised here."""
        call("cudaStreamSynchronize", self._stream)

    def __del__(self) -> None:
        if stream := getattr(self, "_stream", None):
            self._stream = None
            self._destroy(stream)


class Event:
    """A mark on a stream that other streams can wait for."""

    def __init__(self) -> None:
        self._event: Any = call("cudaEventCreateWithFlags", cudart().cudaEventDisableTiming)
        self._destroy = cudart().cudaEventDestroy

    def record(self, stream: int) -> None:
        """Put the mark behind all that is on the stream by now."""
        call("cudaEventRecord", self._event, stream)

    def make_wait(self, stream: int) -> None:
        """Make what comes next on the stream wait for the mark; the CPU does not wait."""
        call("cudaStreamWaitEvent", stream, self._event, 0)

    def __del__(self) -> None:
        if event := getattr(self, "_event", None):
            self._event = None
            self._destroy(event)  # CUDA keeps it until all waits are over


def upload(target: DeviceArray, source: NDArray[Any], stream: int) -> None:
    """Copy host memory to the device, on the stream; from a ``PinnedArray`` the CPU does not wait."""
    if source.nbytes != target.nbytes or not source.flags.c_contiguous:
        raise BackendError(
            f"cannot copy {source.dtype}{list(source.shape)} into {target.dtype}{list(target.shape)} on the "
            "device: sizes differ, or the array is not C-contiguous"
        )
    kind = cudart().cudaMemcpyKind.cudaMemcpyHostToDevice
    call("cudaMemcpyAsync", target.pointer, source.ctypes.data, target.nbytes, kind, stream)


def download(target: NDArray[Any], source: DeviceArray, stream: int) -> None:
    """Copy device memory to the host, on the stream; it is there after ``Stream.synchronize``."""
    if source.nbytes != target.nbytes or not target.flags.c_contiguous:
        raise BackendError(
            f"cannot copy {source.dtype}{list(source.shape)} from the device into {target.dtype}"
            f"{list(target.shape)}: sizes differ, or the array is not C-contiguous"
        )
    kind = cudart().cudaMemcpyKind.cudaMemcpyDeviceToHost
    call("cudaMemcpyAsync", target.ctypes.data, source.pointer, source.nbytes, kind, stream)


class Graph:
    """What a function put on a stream, recorded once and launched again with one call.

    Addresses and shapes are recorded with it. The function must have run before, outside the
    recording, so that nothing is allocated or compiled while recording.
    """

    def __init__(self, stream: int, work: Callable[[], None]):
        runtime = cudart()
        with _capture(stream) as ended:
            work()
        graph = ended[0]
        try:
            self._executable: Any = call("cudaGraphInstantiate", graph, 0)
            self._destroy = runtime.cudaGraphExecDestroy
        finally:
            runtime.cudaGraphDestroy(graph)

    def launch(self, stream: int) -> None:
        """Run it on a stream."""
        call("cudaGraphLaunch", self._executable, stream)

    def __del__(self) -> None:
        if executable := getattr(self, "_executable", None):
            self._executable = None
            self._destroy(executable)


@contextmanager
def _capture(stream: int) -> Iterator[list[Any]]:
    runtime = cudart()
    # of this thread only: other threads may allocate and launch meanwhile
    mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    call("cudaStreamBeginCapture", stream, mode)
    graph: list[Any] = []
    try:
        yield graph
    except BaseException:
        _, broken = runtime.cudaStreamEndCapture(stream)  # else the stream stays in capture for ever
        if broken is not None:
            runtime.cudaGraphDestroy(broken)
        raise
    graph.append(cast(Any, call("cudaStreamEndCapture", stream)))
