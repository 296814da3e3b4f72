"""ONNX Runtime on a CPU: the default backend. ``onnx_cuda`` is its GPU path."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, MissingDependencyError, ModelError
from ..models.modelfile import ModelFile
from ..system.exit import native_run
from ..system.extras import pip_install
from . import FRAME_LOGITS, OUTPUTS, Output


class OnnxRuntime:
    """A model in an ONNX Runtime session on the CPU. Implements the ``Runtime`` protocol.

    Args:
        model: the file, already checked by ``modelfile.read_model``.
        threads: threads of one ``run``; None: all cores.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        ModelError: onnxruntime cannot load the graph, or its inputs and outputs are not vhash's.
    """

    backend = "onnxruntime"
    device = "cpu"

    def __init__(self, model: ModelFile, *, threads: int | None = None) -> None:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        # between two runs the cores belong to the decoder, not to threads that wait by spinning
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session: Any = make_session(ort, model, options, ["CPUExecutionProvider"])
        self._outputs = check_signature(self._session, model)
        self.precision = model.precision

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB. Thread-safe."""
        session = self._session
        if session is None:
            raise BackendError("the encoder is closed; make a new one")
        try:
            with native_run():
                return Output(*session.run(self._outputs, {"frames": frames}))
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on frames {list(frames.shape)}: {error}") from error

    def close(self) -> None:
        """Free the session; again does nothing."""
        self._session = None


def make_session(ort: Any, model: ModelFile, options: Any, providers: list[Any]) -> Any:
    """A session of a model file, or ModelError."""
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model.content, options, providers=providers)
    except Exception as error:  # onnxruntime raises its own classes, none of them public
        raise ModelError(f"{model.path}: ONNX Runtime {ort.__version__} cannot load it: {error}") from error


def check_signature(session: Any, model: ModelFile) -> list[str]:
    """Names of the outputs, in the order of ``Output``; ModelError where the graph is not vhash's."""
    spec = model.spec
    shape = spec.input_shape[1:]
    inputs = {i.name: (i.type, tuple(i.shape[2:])) for i in session.get_inputs()}
    outputs = {o.name for o in session.get_outputs()}
    if inputs != {"frames": ("tensor(uint8)", shape)} or not outputs.issuperset(OUTPUTS):
        raise ModelError(
            f"{model.path}: inputs {inputs} and outputs {sorted(outputs)} are not those of a vhash model "
            f"(frames uint8 [batch, crops, {', '.join(map(str, shape))}] → {', '.join(OUTPUTS)}); "
            "export it again"
        )
    return [*OUTPUTS, FRAME_LOGITS] if FRAME_LOGITS in outputs else list(OUTPUTS)


def import_onnxruntime() -> Any:
    """Import onnxruntime, or raise MissingDependencyError with the extra that brings it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime cannot be imported ({error}); {pip_install('cpu')}, or "
            f"{pip_install('gpu')} on a machine with an NVIDIA driver"
        ) from error
    return onnxruntime


def usable_cores() -> int:
    """Cores that this process may use (its affinity, not the size of the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
