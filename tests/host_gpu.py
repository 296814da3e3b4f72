"""A pretended GPU: driver, CUDA runtime, TensorRT and onnxruntime-gpu over host memory, for one test.

What vhash does with a device is then run for real, byte for byte, except for the device. The same tests
run on a GPU where there is one.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests import host_tensorrt
from tests.host_cudart import HostCudart
from vhash_sdk.gpu import cuda, probe
from vhash_sdk.runtime import choice, engine_files, onnx_cuda, tensorrt_build

PROVIDER = "CUDAExecutionProvider"


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, flavour: str = "tensorrt") -> HostCudart:
    """Make vhash see one GPU (compute capability 8.9), TensorRT 11.4 and onnxruntime-gpu."""
    host = HostCudart()
    monkeypatch.setattr(cuda, "cudart", lambda: host)
    monkeypatch.setattr(probe, "cuda_devices", lambda: 1)
    monkeypatch.setattr(probe, "compute_capability", lambda device=0: (8, 9))
    monkeypatch.setattr(probe, "driver_version", lambda: 13000)
    monkeypatch.setenv("VHASH_CACHE", str(folder / "cache"))
    monkeypatch.setattr(choice, "installed_flavour", lambda device: flavour)
    trt = host_tensorrt.module(host, "1.7.1" if flavour == "rtx" else "11.4.1")
    for user in (engine_files, tensorrt_build):
        monkeypatch.setattr(user, "import_tensorrt", lambda flavour: trt)
    monkeypatch.setattr(onnx_cuda, "import_onnxruntime", lambda: pretended_onnxruntime(host))
    return host


def pretended_onnxruntime(host: HostCudart, *, starts: bool = True, graphs: bool = True) -> Any:
    """onnxruntime-gpu whose CUDA provider runs on the host; or does not start; or refuses graphs."""

    class Binding:
        def __init__(self) -> None:
            self.inputs: dict[str, Any] = {}
            self.outputs: dict[str, Any] = {}

        def bind_input(self, name: str, kind: str, index: int, dtype: Any, shape: Any, pointer: int) -> None:
            assert kind == "cuda" and index == 0
            self.inputs[name] = (np.dtype(dtype), tuple(shape), pointer)

        def bind_output(self, name: str, kind: str, index: int, dtype: Any, shape: Any, pointer: int) -> None:
            assert kind == "cuda" and index == 0
            self.outputs[name] = (np.dtype(dtype), tuple(shape), pointer)

    class Session:
        def __init__(self, content: bytes, options: Any, providers: list[Any]):
            (name, self.options), *_ = providers
            assert name == PROVIDER
            if not graphs and self.options.get("enable_cuda_graph") == "1":
                raise RuntimeError("nodes on the CPU: no CUDA graph")
            self.cpu = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            self.captured: dict[str, Any] = {}

        def get_providers(self) -> list[str]:
            return [PROVIDER, "CPUExecutionProvider"] if starts else ["CPUExecutionProvider"]

        def get_inputs(self) -> Any:
            return self.cpu.get_inputs()

        def get_outputs(self) -> Any:
            return self.cpu.get_outputs()

        def io_binding(self) -> Binding:
            return Binding()

        def run_with_iobinding(self, binding: Binding, run: Any) -> None:
            graph = (
                run.get_run_config_entry("gpu_graph_id") if self.options["enable_cuda_graph"] == "1" else "-1"
            )
            bound = (binding.inputs, binding.outputs)
            if graph != "-1":  # replayed with the addresses that it was recorded with, whatever is bound now
                bound = self.captured.setdefault(graph, bound)
            inputs, outputs = bound

            def work() -> None:
                (dtype, shape, pointer) = inputs["frames"]
                raw = ctypes.string_at(pointer, int(np.prod(shape)) * dtype.itemsize)
                results = self.cpu.run(list(outputs), {"frames": np.frombuffer(raw, dtype).reshape(shape)})
                for result, (to, room, target) in zip(results, outputs.values(), strict=True):
                    assert result.shape == room and result.dtype == to
                    ctypes.memmove(target, result.ctypes.data, result.nbytes)

            host.put(int(self.options["user_compute_stream"]), work)

    return SimpleNamespace(
        InferenceSession=Session,
        SessionOptions=ort.SessionOptions,
        RunOptions=ort.RunOptions,
        OrtValue=ort.OrtValue,
        get_available_providers=lambda: [PROVIDER, "CPUExecutionProvider"],
        preload_dlls=lambda: None,
        __version__=ort.__version__,
    )
