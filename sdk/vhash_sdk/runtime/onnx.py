"""ONNX Runtime: the default backend, on CPU and on NVIDIA GPUs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, MissingDependencyError, ModelError
from ..modelfile import ModelFile
from . import FRAME_LOGITS, OUTPUTS, Output


class OnnxRuntime:
    """A model in an ONNX Runtime session. Implements the ``Runtime`` protocol.

    Args:
        model: the file, already checked by ``modelfile.read_model``.
        device: ``cpu`` or ``cuda:N``; never falls back to another one.
        threads: threads of one ``run``; None: all cores.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        BackendError: the device does not work.
        ModelError: onnxruntime cannot load the graph, or its inputs and outputs are not vhash's.
    """

    backend = "onnxruntime"

    def __init__(self, model: ModelFile, *, device: str = "cpu", threads: int | None = None) -> None:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # between two runs the cores belong to the decoder, not to threads that wait by spinning
        options.add_session_config_entry("session.force_spinning_stop", "1")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device != "cpu":
            if "CUDAExecutionProvider" not in ort.get_available_providers():
                raise BackendError(
                    f"device {device!r}: this onnxruntime is the CPU build; install the extra `gpu` "
                    "instead of `cpu`, or use device='cpu'"
                )
            ort.preload_dlls()
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(device.removeprefix("cuda:"))}))
        try:
            self._session: Any = ort.InferenceSession(model.content, options, providers=providers)
        except Exception as error:  # onnxruntime raises its own classes, none of them public
            raise ModelError(
                f"{model.path}: ONNX Runtime {ort.__version__} cannot load it: {error}"
            ) from error
        # it lists providers that cannot run, and falls back without a word
        if device != "cpu" and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise BackendError(
                f"device {device!r}: ONNX Runtime's CUDA provider did not start; check the driver with "
                "`vhash doctor`, install the extra `gpu` (not beside `cpu`), or use device='cpu'"
            )
        self.device = device
        self.precision = model.precision
        self._check_signature(model)

    def _check_signature(self, model: ModelFile) -> None:
        spec = model.spec
        shape = (spec.sampling.frames, *spec.resize.output, 3)
        inputs = {i.name: (i.type, tuple(i.shape[2:])) for i in self._session.get_inputs()}
        outputs = {o.name for o in self._session.get_outputs()}
        if inputs != {"frames": ("tensor(uint8)", shape)} or not outputs.issuperset(OUTPUTS):
            raise ModelError(
                f"{model.path}: inputs {inputs} and outputs {sorted(outputs)} are not those of a vhash model "
                f"(frames uint8 [batch, crops, {', '.join(map(str, shape))}] → code, logits, embedding); "
                "export it again"
            )
        self._outputs = [*OUTPUTS, FRAME_LOGITS] if FRAME_LOGITS in outputs else list(OUTPUTS)

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB. Thread-safe."""
        session = self._session
        if session is None:
            raise BackendError("the encoder is closed; make a new one")
        try:
            return Output(*session.run(self._outputs, {"frames": frames}))
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on frames {list(frames.shape)}: {error}") from error

    def close(self) -> None:
        """Free the session; again does nothing."""
        self._session = None


def import_onnxruntime() -> Any:
    """Import onnxruntime, or raise MissingDependencyError with the extra that brings it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime cannot be imported ({error}); pip install 'vhash-sdk[cpu]', or 'vhash-sdk[gpu]' "
            "on a machine with an NVIDIA driver"
        ) from error
    return onnxruntime


def usable_cores() -> int:
    """Cores that this process may use (its affinity, not the size of the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
