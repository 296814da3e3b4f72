"""OpenVINO: a second backend on CPUs, the faster one for some networks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, MissingDependencyError, ModelError
from ..models.modelfile import ModelFile
from ..system.exit import native_run
from ..system.extras import pip_install
from . import FRAME_LOGITS, OUTPUTS, Output
from .onnx import usable_cores


class OpenVinoRuntime:
    """A model compiled by OpenVINO. Implements the ``Runtime`` protocol.

    Args:
        model: the file, already checked by ``modelfile.read_model``.
        threads: threads of one ``run``; None: all cores. As many runs as fit the cores go on at a time.

    Raises:
        MissingDependencyError: openvino is not installed.
        ModelError: OpenVINO cannot load the graph, or its inputs and outputs are not vhash's.
    """

    backend = "openvino"
    device = "cpu"

    def __init__(self, model: ModelFile, *, threads: int | None = None) -> None:
        openvino = import_openvino()
        cores = usable_cores()
        threads = min(threads or cores, cores)
        options = {
            # else it computes in bfloat16 on CPUs that have it, which flips one bit in a hundred
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads * (cores // threads),
            "NUM_STREAMS": cores // threads,
            "ENABLE_CPU_PINNING": False,  # the decoder wants the cores too
        }
        try:
            core = openvino.Core()
            self._compiled: Any = core.compile_model(core.read_model(model.content), "CPU", options)
        except Exception as error:  # it raises RuntimeError for whatever is wrong
            raise ModelError(
                f"{model.path}: OpenVINO {openvino.__version__} cannot load it: {error}"
            ) from error
        self.precision = model.precision
        self._outputs = self._check_signature(model)
        self._free: list[Any] = []  # requests that nobody uses; each is for one thread at a time
        self._lock = threading.Lock()

    def _check_signature(self, model: ModelFile) -> list[str]:
        shape = list(model.spec.input_shape[1:])
        inputs = self._compiled.inputs
        names = {name for output in self._compiled.outputs for name in output.get_names()}
        good = [port.get_any_name() for port in inputs] == ["frames"] and names.issuperset(OUTPUTS)
        if good:
            partial = inputs[0].get_partial_shape()
            good = (
                inputs[0].get_element_type().get_type_name() == "u8"
                and [side.get_length() for side in list(partial)[2:] if side.is_static] == shape
            )
        if not good:
            raise ModelError(
                f"{model.path}: inputs {[str(port) for port in inputs]} and outputs {sorted(names)} are not "
                f"those of a vhash model (frames uint8 [batch, crops, {', '.join(map(str, shape))}] → "
                f"{', '.join(OUTPUTS)}); export it again"
            )
        return [*OUTPUTS, FRAME_LOGITS] if FRAME_LOGITS in names else list(OUTPUTS)

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB. Thread-safe."""
        with self._request() as request, native_run():
            try:
                request.infer({"frames": frames}, share_inputs=True)
                # copied: the request's memory is written again by its next run
                return Output(*(np.array(request.get_tensor(name).data) for name in self._outputs))
            except Exception as error:
                raise BackendError(f"OpenVINO failed on frames {list(frames.shape)}: {error}") from error

    @contextmanager
    def _request(self) -> Iterator[Any]:
        with self._lock:
            if self._compiled is None:
                raise BackendError("the encoder is closed; make a new one")
            request = self._free.pop() if self._free else self._compiled.create_infer_request()
        try:
            yield request
        finally:
            with self._lock:
                if self._compiled is not None:
                    self._free.append(request)

    def close(self) -> None:
        """Free the network; again does nothing."""
        with self._lock:
            self._free.clear()
            self._compiled = None


def import_openvino() -> Any:
    """Import openvino, or raise MissingDependencyError with the extra that brings it."""
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"OpenVINO cannot be imported ({error}); {pip_install('openvino')}, or use backend='onnxruntime'"
        ) from error
    return openvino
