"""CUDA's runtime API over host memory: what runs on a GPU machine runs here too, one call after the other.

Put in place of ``cuda.bindings.runtime`` it lets the code that drives a device be tested without one:
addresses are real (of host memory), copies move bytes, a capture records what was put on the stream
instead of running it, and a use of freed memory or of a stream in the wrong state is an error.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from typing import Any


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorStreamCaptureUnsupported = 900


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class HostCudart:
    """The functions of ``cuda.bindings.runtime`` that vhash calls. ``calls`` counts them by name."""

    cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode = cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2

    def __init__(self, memory: int = 1 << 30) -> None:
        self.free_bytes = memory
        self.blocks: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], None]] | None] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.next_handle = 1000
        self.calls: dict[str, int] = {}

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("cuda") and callable(value := object.__getattribute__(self, name)):
            calls = object.__getattribute__(self, "calls")
            calls[name] = calls.get(name, 0) + 1
            return value
        return object.__getattribute__(self, name)

    def handle(self) -> int:
        self.next_handle += 1
        return self.next_handle

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Run at once, or record where the stream is being captured."""
        recording = self.streams[int(stream)]
        work() if recording is None else recording.append(work)

    def cudaSetDevice(self, device: int) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess,) if device == 0 else (cudaError_t.cudaErrorInvalidValue,)

    def cudaGetErrorString(self, error: cudaError_t) -> tuple[Any, bytes]:
        return cudaError_t.cudaSuccess, error.name.encode()

    def cudaMalloc(self, size: int) -> tuple[Any, Any]:
        if any(recording is not None for recording in self.streams.values()):
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        if size > self.free_bytes:
            return cudaError_t.cudaErrorMemoryAllocation, None
        self.free_bytes -= size
        block = (ctypes.c_uint8 * size)()
        self.blocks[ctypes.addressof(block)] = block
        return cudaError_t.cudaSuccess, ctypes.addressof(block)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, Any]:
        return self.cudaMalloc(size)

    def cudaFree(self, pointer: int) -> tuple[Any]:
        self.free_bytes += len(self.blocks.pop(pointer))
        return (cudaError_t.cudaSuccess,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: cudaMemcpyKind, stream: int
    ) -> tuple[Any]:
        self.put(stream, lambda: ctypes.memmove(target, source, size) and None)
        return (cudaError_t.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:
        stream = self.handle()
        self.streams[stream] = None
        return cudaError_t.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:
        del self.streams[stream]
        return (cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:
        ready = self.streams[int(stream)] is None
        return (cudaError_t.cudaSuccess if ready else cudaError_t.cudaErrorStreamCaptureUnsupported,)

    def cudaStreamBeginCapture(self, stream: int, mode: cudaStreamCaptureMode) -> tuple[Any]:
        self.streams[int(stream)] = []
        return (cudaError_t.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, int]:
        graph, recording = self.handle(), self.streams[int(stream)]
        assert recording is not None
        self.graphs[graph], self.streams[int(stream)] = recording, None
        return cudaError_t.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Any, int]:
        executable = self.handle()
        self.graphs[executable] = self.graphs[graph]
        return cudaError_t.cudaSuccess, executable

    def cudaGraphLaunch(self, executable: int, stream: int) -> tuple[Any]:
        for work in self.graphs[executable]:
            self.put(stream, work)
        return (cudaError_t.cudaSuccess,)

    def cudaGraphDestroy(self, graph: int) -> tuple[Any]:
        del self.graphs[graph]
        return (cudaError_t.cudaSuccess,)

    cudaGraphExecDestroy = cudaGraphDestroy

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Any, int]:
        return cudaError_t.cudaSuccess, self.handle()

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Any]:
        return (cudaError_t.cudaSuccess,)

    def cudaStreamWaitEvent(self, stream: int, event: int, flags: int) -> tuple[Any]:
        return (cudaError_t.cudaSuccess,)

    def cudaEventDestroy(self, event: int) -> tuple[Any]:
        return (cudaError_t.cudaSuccess,)
