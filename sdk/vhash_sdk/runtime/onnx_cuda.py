"""ONNX Runtime on an NVIDIA GPU: the GPU path that needs no building.

Frames and codes are bound by address, copies run from page-locked memory, everything is on one
stream of ours, and each batch size has its CUDA graph. onnxruntime-gpu's TensorRT provider is left
alone: it links TensorRT 10.

Source: ONNX Runtime's documentation of the CUDA execution provider (I/O binding, ``user_compute_stream``,
``enable_cuda_graph`` with ``gpu_graph_id``).
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, ModelError
from ..gpu.cuda import DeviceArray, Event, Stream, device_index, download, upload
from ..models.modelfile import ModelFile
from ..system.exit import native_run
from ..system.extras import pip_install
from . import Output
from .device import DeviceOutput, Room, allocate_output, arrays_of, run_in_parts
from .onnx import check_signature, import_onnxruntime, make_session

logger = logging.getLogger("vhash_sdk")

PROVIDER = "CUDAExecutionProvider"
MAX_BATCH = 64
MAX_GRAPHS = 32

# y = x · x over four floats, opset 20: an ONNX file of 67 bytes
TINY_MODEL = bytes.fromhex(
    "08083a390a0e0a01780a017812017922034d756c120570726f62655a0f0a0178120a0a08080112040a02080462"
    "0f0a0179120a0a08080112040a02080442040a001014"
)


class OnnxCudaRuntime:
    """A model in an ONNX Runtime session on a GPU. Implements ``Runtime`` and ``DeviceRuntime``.

    Args:
        model: the canonical file, or one in fp16 from ``onnx_graph.half_precision``.
        device: ``cuda:N``; never falls back to another one.

    Raises:
        MissingDependencyError: onnxruntime or cuda-bindings is not installed.
        BackendError: no driver or no such device, the CPU build of onnxruntime, or libraries missing.
        ModelError: onnxruntime cannot load the graph, or its inputs and outputs are not vhash's.
    """

    backend = "onnxruntime"
    max_batch = MAX_BATCH

    def __init__(self, model: ModelFile, *, device: str = "cuda:0") -> None:
        self._ort = import_onnxruntime()
        self._index = check_provider(self._ort, int(device.removeprefix("cuda:")))
        self.device, self.precision, self._spec = device, model.precision, model.spec
        self._stream, self._done = Stream(), Event()
        self._done.record(self._stream.handle)
        self._session: Any = self._start(model)
        self._outputs = check_signature(self._session, model)
        self._lock = threading.Lock()
        self._graphs: dict[tuple[int, ...], int] = {}  # what is bound → number of its CUDA graph
        self._rooms: dict[int, Room] = {}  # by size of batch

    def _start(self, model: ModelFile) -> Any:
        """A session whose every node is on the GPU, with CUDA graphs where the graph allows them."""
        try:
            session = self._session_with(model, graphs=True)
            self._graphs_work = True
        except ModelError as error:
            session = self._session_with(model, graphs=False)
            self._graphs_work = False
            logger.warning("%s: no CUDA graphs for it, so launches cost more: %s", model.path, error)
        check_active(session, self._index)
        return session

    def _session_with(self, model: ModelFile, *, graphs: bool) -> Any:
        options = self._ort.SessionOptions()
        provider = {
            "device_id": self._index,
            "has_user_compute_stream": "1",
            "user_compute_stream": str(self._stream.handle),
            "enable_cuda_graph": str(int(graphs)),
            "use_tf32": "0",  # ten bits of mantissa flip bits of codes
        }
        return make_session(
            self._ort, model, options, [(PROVIDER, provider), *([] if graphs else ["CPUExecutionProvider"])]
        )

    @property
    def stream(self) -> int:
        """The stream that ``run`` uses."""
        return self._stream.handle

    def run(self, frames: NDArray[np.uint8] | DeviceArray) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB, on either side. Thread-safe."""
        return run_in_parts(frames, self._run_part, most=MAX_BATCH, stream=self.stream)

    def _run_part(self, frames: NDArray[np.uint8] | DeviceArray) -> list[NDArray[Any]]:
        with self._lock:
            self._check_open()
            device_index(self.device)  # each thread has a current device of its own
            room, stream = self._room(frames.shape[0]), self._stream.handle
            if isinstance(frames, np.ndarray):
                room.host_frames[:] = frames
                upload(room.frames, room.host_frames, stream)
                self._enqueue(room.frames.pointer, frames.shape[0], room.out)
            else:
                self._enqueue(frames.pointer, frames.shape[0], room.out)
            for target, source in zip(room.host_out, arrays_of(room.out), strict=True):
                download(target, source, stream)
            self._stream.synchronize()
            return [array.copy() for array in room.host_out]

    def allocate(self, batch: int) -> DeviceOutput:
        """Device memory for what ``run_device`` gives for up to ``batch`` videos."""
        device_index(self.device)
        return allocate_output(self._spec, batch, frame_logits=len(self._outputs) > 3)

    def run_device(self, frames: int, batch: int, stream: int, out: DeviceOutput) -> DeviceOutput:
        """Encode ``batch`` videos in device memory; see ``DeviceRuntime``."""
        room = out.codes.shape[0]
        if not 1 <= batch <= min(MAX_BATCH, room):
            raise BackendError(f"batch={batch}: allowed are 1 to {min(MAX_BATCH, room)} (the rows of `out`)")
        with self._lock:
            self._check_open()
            device_index(self.device)
            # the session has one stream, ours: it waits for the caller's, and the caller's for it
            self._done.record(stream)
            self._done.make_wait(self._stream.handle)
            self._enqueue(frames, batch, out.first(batch))
            self._done.record(self._stream.handle)
            self._done.make_wait(stream)
        return out.first(batch)

    def _enqueue(self, frames: int, batch: int, out: DeviceOutput) -> None:
        """Put one run on our stream, without waiting for it."""
        binding, index = self._session.io_binding(), self._index
        shape = [batch, *self._spec.input_shape]
        binding.bind_input("frames", "cuda", index, np.uint8, shape, frames)
        for name, array in zip(self._outputs, arrays_of(out), strict=True):
            binding.bind_output(name, "cuda", index, array.dtype.type, list(array.shape), array.pointer)
        options = self._ort.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        if self._graphs_work:
            options.add_run_config_entry("gpu_graph_id", str(self._graph_of(frames, batch, out)))
        try:
            with native_run():
                self._session.run_with_iobinding(binding, options)
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on frames {shape} on {self.device}: {error}") from error

    def _graph_of(self, frames: int, batch: int, out: DeviceOutput) -> int:
        """Number of the CUDA graph for these addresses; -1 (none) once there are too many."""
        key = (batch, frames, *(array.pointer for array in arrays_of(out)))
        if key not in self._graphs and len(self._graphs) < MAX_GRAPHS:
            self._graphs[key] = len(self._graphs) + 1
        return self._graphs.get(key, -1)

    def _room(self, batch: int) -> Room:
        if batch not in self._rooms:
            if len(self._rooms) >= 4:  # addresses may be used again: let graphs of the rest alone
                self._rooms.pop(next(iter(self._rooms)))
            self._rooms[batch] = Room(self._spec, self.allocate(batch))
        return self._rooms[batch]

    def _check_open(self) -> None:
        if self._session is None:
            raise BackendError("the encoder is closed; make a new one")

    def close(self) -> None:
        """Free session and memory; again does nothing."""
        with self._lock:
            self._session = None
            self._rooms.clear()


def check_provider(ort: Any, index: int) -> int:
    """Make sure that the CUDA provider really starts; the number of the device.

    Raises:
        BackendError: the CPU build, no driver or device, or CUDA's or cuDNN's libraries are missing.
        MissingDependencyError: cuda-bindings is not installed.
    """
    if PROVIDER not in ort.get_available_providers():
        raise BackendError(
            f"device 'cuda:{index}': this onnxruntime is the CPU build; pip uninstall -y onnxruntime, then "
            f"{pip_install('gpu', again=True)}, or use device='cpu'"
        )
    device_index(f"cuda:{index}")
    ort.preload_dlls()  # CUDA's and cuDNN's libraries from their wheels
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(TINY_MODEL, options, providers=[(PROVIDER, {"device_id": index})])
    except Exception as error:
        raise BackendError(f"device 'cuda:{index}': ONNX Runtime's CUDA provider fails: {error}") from error
    check_active(session, index)
    return index


def check_active(session: Any, index: int) -> None:
    """Raise BackendError where a session fell back: ONNX Runtime does so without a word."""
    if session.get_providers()[0] != PROVIDER:
        raise BackendError(
            f"device 'cuda:{index}': ONNX Runtime's CUDA provider did not start; check the driver with "
            f"`vhash doctor`, {pip_install('gpu')} (not beside the extra `cpu`), or use device='cpu'"
        )
