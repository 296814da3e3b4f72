"""Which backend and device run a model: what ``auto`` comes to, and what an explicit request means.

On a CPU ``auto`` takes the backend that was measured to be faster for the kind of model
(``measured.json``, written by ``python -m benchmarks.speed.backends --prefer``), if it is installed and
saves at least a fifth of the CPU time; what was not measured runs on ONNX Runtime. A committed
table rather than a measurement at start: backends differ in a few bits of quantised models, and
codes must not depend on how busy a machine was when an encoder was first made.
"""

from __future__ import annotations

import functools
import logging
import os
import platform
import re
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..errors import BackendError, MissingDependencyError, ModelNotFoundError, OptionError
from ..gpu import probe
from ..models import zoo
from ..models.modelfile import ModelFile
from ..spec import ModelSpec
from ..system.checks import check_choice, shown
from ..system.extras import pip_install
from ..system.strict_json import parse_json
from . import Output, Runtime
from .onnx import OnnxRuntime, import_onnxruntime

Backend = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
Precision = Literal["auto", "int8", "fp16", "fp32"]

logger = logging.getLogger("vhash_sdk")

MEASURED = Path(__file__).with_name("measured.json")
_DEVICE = re.compile(r"auto|cpu|cuda:(0|[1-9][0-9]{0,3})", re.ASCII)
WORTH = 0.8  # of ONNX Runtime's time: less of a gain is not worth other bits


@dataclass(frozen=True)
class Choice:
    """What runs a model, and where.

    Attributes:
        model: the model file, or the engine that was made of it.
        backend: ``onnxruntime``, ``openvino`` or ``tensorrt``.
        device: ``cpu`` or ``cuda:N``.
        engine: an ``engine_files.EngineFile`` for TensorRT, else None.
    """

    model: ModelFile
    backend: str
    device: str
    engine: Any = None

    def start(self, threads: int) -> Runtime:
        """Load the model; ``threads`` of one run, on a CPU. Raises BackendError, ModelError."""
        if self.backend == "tensorrt":
            from .tensorrt import TensorRTRuntime

            return TensorRTRuntime(self.engine, device=self.device)
        if self.backend == "openvino":
            from .openvino import OpenVinoRuntime

            return OpenVinoRuntime(self.model, threads=threads)
        if self.device != "cpu":
            from .onnx_cuda import OnnxCudaRuntime

            return OnnxCudaRuntime(self.model, device=self.device)
        return OnnxRuntime(self.model, threads=threads)


def check_options(device: Any, backend: Any, precision: Any) -> None:
    """Raise OptionError for a value outside its set, or of another type."""
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise OptionError(f"device={shown(device)}; allowed: 'auto', 'cpu', 'cuda:0' and so on")
    check_choice("backend", backend, get_args(Backend))
    check_choice("precision", precision, get_args(Precision))


def choose(model: str | os.PathLike[str], *, device: str, backend: str, precision: str) -> Choice:
    """Find file, backend and device for what ``Encoder`` was asked for.

    Raises:
        OptionError: a combination that no machine has.
        ModelNotFoundError, ModelError: no such model, or not one that can be used.
        BackendError, MissingDependencyError: device or backend do not work here.
    """
    if os.fspath(model).endswith(".engine"):
        return _engine_choice(Path(model), device, backend, precision)
    if backend == "tensorrt":
        return _tensorrt_choice(model, device, precision)
    if backend == "openvino" and device.startswith("cuda"):
        raise OptionError(f"backend='openvino' runs on a CPU, not on {device!r}; use device='cpu'")
    automatic, device = device == "auto", "cpu" if backend == "openvino" else choose_device(device)
    if device == "cpu" and precision == "fp16":
        raise OptionError(
            "precision='fp16' is for GPUs, no backend for CPUs has it; use 'int8' or 'fp32', or 'auto'"
        )
    try:
        # the int8 file is quantised for CPUs; a GPU computes the canonical one
        file = zoo.load(model, "fp32" if device != "cpu" and precision == "auto" else precision)
    except ModelNotFoundError as error:
        if device == "cpu" or not automatic or precision != "auto":
            raise
        file, device = zoo.load(model), "cpu"
        logger.warning("using the CPU for %s, for a GPU takes its canonical file: %s", file.path.name, error)
    if precision == "fp16" and file.precision == "fp32":
        from .onnx_graph import half_precision

        file = half_precision(file, "fp16")
    _check_precision(file, precision, device)
    if device != "cpu":
        return Choice(file, "onnxruntime", device)
    if file.precision in ("fp16", "bf16"):
        raise OptionError(
            f"{file.path} computes in {file.precision}, which is for GPUs; use the canonical or the int8 "
            "file, or a CUDA device"
        )
    return Choice(file, preferred(file) if backend == "auto" else backend, device)


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda:N``: what ``auto`` comes to on this machine."""
    if device != "auto":
        return device
    if not probe.cuda_devices():
        return "cpu"
    from .onnx_cuda import check_provider

    try:
        check_provider(import_onnxruntime(), 0)
    except (BackendError, MissingDependencyError) as error:
        logger.warning("there is an NVIDIA GPU, but using the CPU: %s", error)
        return "cpu"
    return "cuda:0"


def preferred(model: ModelFile) -> str:
    """The backend that ``auto`` takes for a model on a CPU, among those that are installed."""
    installed = [name for name in ("onnxruntime", "openvino") if util.find_spec(name) is not None]
    if installed == ["openvino"]:
        return "openvino"
    for row in measured():
        if (row["family"], row["precision"]) == (model.spec.family, model.precision):
            seconds = {name: row["seconds"][name] for name in installed if name in row["seconds"]}
            fastest = min(seconds, key=lambda name: seconds[name], default="onnxruntime")
            if "onnxruntime" in seconds and seconds[fastest] <= WORTH * seconds["onnxruntime"]:
                return fastest
    return "onnxruntime"


@functools.cache
def measured() -> list[dict[str, Any]]:
    """The measurements that hold for this kind of CPU: family, precision, seconds by backend."""
    table = parse_json(MEASURED.read_bytes()) if MEASURED.is_file() else {"rows": []}
    return [row for row in table["rows"] if row["architecture"] == platform.machine()]


def run_frames(runtime: Runtime, spec: ModelSpec, frames: Any) -> Output:
    """Run a network on frames from anywhere, after checking them; see ``Encoder.encode_frames``."""
    from ..gpu.dlpack import from_device, on_device
    from .device import DeviceRuntime

    taken: Any
    if not on_device(frames):
        taken = np.ascontiguousarray(frames)
    elif isinstance(runtime, DeviceRuntime):
        taken = from_device(frames, runtime.stream)
    else:
        raise OptionError(
            f"frames are in GPU memory, but the encoder runs on {runtime.device}; copy them to the host, or "
            "make the encoder with device='cuda:0'"
        )
    if taken.dtype != np.uint8 or taken.shape[1:] != spec.input_shape or not taken.shape[0]:
        raise OptionError(
            f"frames {taken.dtype}{list(taken.shape)}: {spec.name} takes uint8 [batch ≥ 1, "
            f"{', '.join(map(str, spec.input_shape))}]; encode() samples and scales by itself"
        )
    return runtime.run(taken)


def _engine_choice(path: Path, device: str, backend: str, precision: str) -> Choice:
    from .engine_files import read_engine

    if backend not in ("auto", "tensorrt") or device == "cpu":
        raise OptionError(
            f"{path} is a TensorRT engine: backend={backend!r} and device={device!r} cannot run it; use "
            "'auto', or the model file"
        )
    engine = read_engine(path)
    device = "cuda:0" if device == "auto" else device
    _check_precision(engine.file, precision, device)
    return Choice(engine.file, "tensorrt", device, engine)


def _tensorrt_choice(model: str | os.PathLike[str], device: str, precision: str) -> Choice:
    from .engine_files import cached_engine
    from .tensorrt_build import BuildOptions

    if device == "cpu":
        raise OptionError("backend='tensorrt' runs on NVIDIA GPUs, not on device='cpu'; use 'cuda:0'")
    device = "cuda:0" if device == "auto" else device
    index = int(device.removeprefix("cuda:"))
    probe.require_cuda(index)
    wanted: Any = "fp16" if precision == "auto" else precision
    file = zoo.load(model, "int8" if wanted == "int8" else "fp32")
    engine = cached_engine(file, BuildOptions(installed_flavour(index), wanted, device=index))
    return Choice(engine.file, "tensorrt", device, engine)


def installed_flavour(device: int) -> Any:
    """The flavour of TensorRT that is installed and serves a GPU; ``tensorrt`` if both or none do."""
    from .tensorrt_build import RTX_CAPABILITIES

    capability = ".".join(map(str, probe.compute_capability(device)))
    only_rtx = util.find_spec("tensorrt") is None and util.find_spec("tensorrt_rtx") is not None
    if only_rtx and capability not in RTX_CAPABILITIES:
        raise BackendError(
            f"cuda:{device} has compute capability {capability}, which TensorRT for RTX does not serve; "
            f"{pip_install('trt')}, or use backend='onnxruntime'"
        )
    return "rtx" if only_rtx else "tensorrt"


def _check_precision(file: ModelFile, precision: str, device: str) -> None:
    if precision not in ("auto", file.precision):
        raise OptionError(
            f"precision={precision!r}: {file.path} computes in {file.precision} on {device}; use "
            "precision='auto' or a file of that precision"
        )
