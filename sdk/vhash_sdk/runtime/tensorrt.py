"""TensorRT: the fastest backend on an NVIDIA GPU. Driven by cuda-bindings alone.

Memory, transfers and launches are ours: persistent device buffers, page-locked host buffers, one
stream, and for each batch size a CUDA graph of copy, network and copy back, launched with one call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, ModelError
from ..gpu.cuda import DeviceArray, DeviceBuffer, Event, Graph, Stream, device_index, download, upload
from ..system.files import write_private
from . import FRAME_LOGITS, OUTPUTS, Output
from .device import DeviceOutput, Room, arrays_of, run_in_parts
from .engine_files import EngineFile, check_runs_here, read_timings
from .trt_library import make_logger

MAX_GRAPHS = 32
"""CUDA graphs kept for different batches and addresses; the one used least recently goes first."""


class TensorRTRuntime:
    """An engine on a GPU. Implements ``Runtime`` and ``DeviceRuntime``.

    Args:
        engine: from ``engine_files.cached_engine`` or ``read_engine``.
        device: ``cuda:N``.

    Raises:
        MissingDependencyError: TensorRT or cuda-bindings is not installed.
        BackendError: there is no driver or no such device, or it has too little memory.
        ModelError: the engine was not built for this machine, or is not vhash's.
    """

    backend = "tensorrt"

    def __init__(self, engine: EngineFile, *, device: str = "cuda:0") -> None:
        # before anything of TensorRT's runtime: without a driver it crashes rather than raises
        self._trt = check_runs_here(engine, int(device.removeprefix("cuda:")))
        self._index = device_index(device)
        self.device, self.precision, self.flavour = device, engine.file.precision, engine.target.flavour
        self._file, self._spec = engine, engine.spec
        self._log = make_logger(self._trt)
        runtime = self._trt.Runtime(self._log)
        runtime.engine_host_code_allowed = engine.options.version_compatible
        self._runtime = runtime
        self._engine = runtime.deserialize_cuda_engine(engine.file.content)
        if self._engine is None:
            raise ModelError(
                f"{engine.path}: TensorRT {self._trt.__version__} cannot load it ({self._errors()}); build "
                "it again: python export/to_trt.py MODEL --output FILE"
            )
        self._names = self._check_signature()
        self._context = self._make_context()
        self._lock = threading.Lock()
        self._stream, self._done = Stream(), Event()
        self._done.record(self._stream.handle)
        self._graphs: OrderedDict[tuple[int, ...], Graph] = OrderedDict()
        self._room: Room | None = None

    @property
    def max_batch(self) -> int:
        """The largest batch of the engine's profile."""
        return self._file.options.batches[2]

    def _check_signature(self) -> list[str]:
        engine, trt = self._engine, self._trt
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        shape = self._spec.input_shape
        if (
            inputs != ["frames"]
            or not set(OUTPUTS) <= set(names)
            or tuple(engine.get_tensor_shape("frames"))[1:] != shape
            or engine.get_tensor_dtype("frames") != trt.DataType.UINT8
        ):
            raise ModelError(
                f"{self._file.path}: tensors {names} are not those of a vhash model (frames uint8 [batch, "
                f"{', '.join(map(str, shape))}] → {', '.join(OUTPUTS)}); build it again"
            )
        return [*OUTPUTS, FRAME_LOGITS] if FRAME_LOGITS in names else list(OUTPUTS)

    def _make_context(self) -> Any:
        if self.flavour != "rtx":
            context = self._engine.create_execution_context()
        else:
            # rtx compiles kernels on this GPU: keep what it compiled, and have all of it before a graph is
            # recorded, which would hold on to the slow stand-ins that it uses until then
            config = self._engine.create_runtime_config()
            config.dynamic_shapes_kernel_specialization_strategy = (
                self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
            )
            self._kernels = config.create_runtime_cache()
            if kept := read_timings(self._kernels_path):
                self._kernels.deserialize(kept)  # one of another driver is ignored
            config.set_runtime_cache(self._kernels)
            context = self._engine.create_execution_context(config)
        if context is None:
            raise BackendError(
                f"TensorRT could not prepare {self._file.path} ({self._errors()}); free GPU memory, or build "
                "it for smaller batches"
            )
        return context

    @property
    def _kernels_path(self) -> Any:
        return self._file.path.with_name(self._file.path.name + ".kernels")

    @property
    def stream(self) -> int:
        """The stream that ``run`` uses."""
        return self._stream.handle

    def run(self, frames: NDArray[np.uint8] | DeviceArray) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB, on either side. Thread-safe."""
        return run_in_parts(frames, self._run_part, most=self.max_batch, stream=self.stream)

    def _run_part(self, frames: NDArray[np.uint8] | DeviceArray) -> list[NDArray[Any]]:
        if isinstance(frames, DeviceArray):
            return self._run_in_place(frames)
        wanted = len(frames)
        batch = max(wanted, self._file.options.batches[0])  # a profile may begin above 1
        with self._lock:
            self._check_open()
            device_index(self.device)  # each thread has a current device of its own
            room, stream = self._room_for(batch), self._stream.handle
            room.host_frames[:wanted] = frames

            def work() -> None:
                upload(room.frames.first(batch), room.host_frames[:batch], stream)
                self._enqueue(room.frames.pointer, batch, stream, room.out)
                for host, device in zip(room.host_out, arrays_of(room.out), strict=True):
                    download(host[:batch], device.first(batch), stream)

            self._done.make_wait(stream)
            self._launch((batch,), stream, work)
            self._done.record(stream)
            self._stream.synchronize()
            return [host[:wanted].copy() for host in room.host_out]

    def _run_in_place(self, frames: DeviceArray) -> list[NDArray[Any]]:
        """Of frames in device memory, which fill the profile's smallest batch at least."""
        batch, stream = frames.shape[0], self._stream
        out = self.run_device(frames.pointer, batch, stream.handle, self.allocate(batch))
        found = [np.empty(array.shape, array.dtype) for array in arrays_of(out)]
        for host, device in zip(found, arrays_of(out), strict=True):
            download(host, device, stream.handle)
        stream.synchronize()
        return found

    def allocate(self, batch: int) -> DeviceOutput:
        """Device memory for what ``run_device`` gives for up to ``batch`` videos."""
        device_index(self.device)
        return DeviceOutput(*(self._array(name, batch) for name in self._names))

    def run_device(self, frames: int, batch: int, stream: int, out: DeviceOutput) -> DeviceOutput:
        """Encode ``batch`` videos in device memory; see ``DeviceRuntime``."""
        low, room = self._file.options.batches[0], out.codes.shape[0]
        if not low <= batch <= min(self.max_batch, room):
            raise BackendError(
                f"batch={batch}: allowed are {low} to {self.max_batch} (the engine's profile), and at most "
                f"the {room} of `out`"
            )
        with self._lock:
            self._check_open()
            device_index(self.device)
            # the engine's scratch memory is one: never two launches at a time, whatever their streams
            self._done.make_wait(stream)
            key = (batch, frames, *(array.pointer for array in arrays_of(out)))
            self._launch(key, stream, lambda: self._enqueue(frames, batch, stream, out))
            self._done.record(stream)
        return out.first(batch)

    def _launch(self, key: tuple[int, ...], stream: int, work: Any) -> None:
        """Run, or launch what was recorded before: the second time with the same key on."""
        key = (*key, stream)
        graph = self._graphs.get(key)
        if graph is None:
            work()  # compiles and allocates what a recording may not
            if self._capturable(stream):
                self._graphs[key] = Graph(stream, work)
                if len(self._graphs) > MAX_GRAPHS:
                    self._graphs.popitem(last=False)
        else:
            self._graphs.move_to_end(key)
            graph.launch(stream)

    def _capturable(self, stream: int) -> bool:
        ask = getattr(self._context, "is_stream_capturable", None)  # rtx: it may copy to the host itself
        return ask is None or bool(ask(stream))

    def _enqueue(self, frames: int, batch: int, stream: int, out: DeviceOutput) -> None:
        context = self._context
        done = context.set_input_shape("frames", (batch, *self._spec.input_shape))
        done = done and context.set_tensor_address("frames", frames)
        for name, array in zip(self._names, arrays_of(out), strict=True):
            done = done and context.set_tensor_address(name, array.pointer)
        if not (done and context.execute_async_v3(stream)):
            raise BackendError(f"TensorRT failed on a batch of {batch}: {self._errors()}")

    def _room_for(self, batch: int) -> Room:
        if self._room is None or self._room.batch < batch:
            self._graphs.clear()  # they hold the old addresses
            self._room = None  # freed before the larger one is allocated
            self._room = Room(self._spec, self.allocate(batch))
        return self._room

    def _array(self, name: str, batch: int) -> DeviceArray:
        shape = (batch, *tuple(self._engine.get_tensor_shape(name))[1:])
        dtype = np.dtype(np.uint8 if name == "code" else np.float32)
        return DeviceBuffer(int(np.prod(shape)) * dtype.itemsize).array(shape, dtype)

    def _errors(self) -> str:
        return "; ".join(self._log.errors[-3:])[:300] or "no reason given"

    def _check_open(self) -> None:
        if self._context is None:
            raise BackendError("the encoder is closed; make a new one")

    def close(self) -> None:
        """Free engine and memory; again does nothing."""
        with self._lock:
            if self._context is None:
                return
            device_index(self.device)
            self._stream.synchronize()
            if self.flavour == "rtx":
                write_private(self._kernels_path, bytes(self._kernels.serialize()))
            self._graphs.clear()
            self._room = self._context = self._engine = None
