"""The trials of the doctor: each backend runs a tiny network, in a process of its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..gpu import probe
from ..runtime.onnx_cuda import TINY_MODEL
from ..system.child import child_command, child_environment
from ..system.strict_json import parse_json


def in_process(what: str, argument: str) -> str:
    """Answer of one of the ``TRIALS`` in a process of its own, which may crash or hang."""
    needs = ("numpy", "av", "onnxruntime")
    command = child_command("vhash_sdk.doctor.trials", what, argument, needs=needs)
    try:
        result = subprocess.run(
            command, capture_output=True, timeout=60, env=child_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no answer: {error}"
    if result.returncode:
        return f"the process that tried it ended with {result.returncode}"
    return str(parse_json(result.stdout.splitlines()[-1]))


def _try_provider(provider: str) -> str:
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        if hasattr(ort, "preload_dlls") and probe.cuda_devices():
            ort.preload_dlls()
    try:
        session = ort.InferenceSession(TINY_MODEL, options, providers=[provider])
    except Exception as error:
        if "assigned to the default CPU EP" in str(error):
            return "all of it would run on the CPU"
        raise
    if session.get_providers()[0] != provider:
        return f"fell back to {session.get_providers()[0]}"
    (y,) = session.run(None, {"x": np.arange(4, dtype=np.float32)})
    return "ok" if y.tolist() == [0, 1, 4, 9] else f"wrong result {y.tolist()}"


def _try_openvino(_: str) -> str:
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    working = []
    for device in core.available_devices:
        compiled = core.compile_model(core.read_model(TINY_MODEL), device)
        if compiled({"x": np.arange(4, dtype=np.float32)})["y"].tolist() == [0, 1, 4, 9]:
            working.append(device)
    return f"runs on {', '.join(working)}" if working else "no device runs"


def _try_tensorrt(flavour: str) -> str:
    """Build y = x · x; on a GPU run it too. Without a driver nothing but rtx's builder is touched."""
    from ..runtime.trt_library import import_tensorrt, make_logger

    trt = import_tensorrt("rtx" if flavour == "rtx" else "tensorrt")
    devices = probe.cuda_devices()
    if flavour == "tensorrt" and not devices:
        return f"{trt.__version__} is installed"
    builder = trt.Builder(logger := make_logger(trt))
    network, config = builder.create_network(0), builder.create_builder_config()
    if not trt.OnnxParser(network, logger).parse(TINY_MODEL):
        return f"{trt.__version__} does not parse a graph: {logger.errors}"
    if not devices:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        return f"{trt.__version__} does not build an engine: {logger.errors}"
    return _run_tensorrt(trt, bytes(engine), logger) if devices else f"{trt.__version__} builds engines"


def _run_tensorrt(trt: Any, engine: bytes, logger: Any) -> str:
    from ..gpu import cuda

    cuda.device_index("cuda:0")
    context = trt.Runtime(logger).deserialize_cuda_engine(engine).create_execution_context()
    x, y, stream = np.arange(4, dtype=np.float32), np.empty(4, np.float32), cuda.Stream()
    arrays = [cuda.DeviceBuffer(16).array((4,), np.float32) for _ in range(2)]
    for name, array in zip("xy", arrays, strict=True):
        context.set_tensor_address(name, array.pointer)
    cuda.upload(arrays[0], x, stream.handle)
    context.execute_async_v3(stream.handle)
    cuda.download(y, arrays[1], stream.handle)
    stream.synchronize()
    return f"runs ({trt.__version__})" if y.tolist() == [0, 1, 4, 9] else f"wrong result {y.tolist()}"


def _try_nvdec(_: str) -> str:
    codecs = probe.nvdec_codecs()
    return f"decodes {', '.join(codecs)}" if codecs else "no codec"


TRIALS: dict[str, Callable[[str], str]] = {
    "provider": _try_provider,
    "openvino": _try_openvino,
    "tensorrt": _try_tensorrt,
    "nvdec": _try_nvdec,
}


def main() -> None:
    """Print the answer of one trial as JSON."""
    what, argument = sys.argv[1:]
    try:
        answer = TRIALS[what](argument)
    except Exception as error:  # whatever the library raises is the answer
        answer = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    print(json.dumps(answer))
