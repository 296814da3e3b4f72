"""Build a TensorRT engine from a model file.

Precision is in the graph (TensorRT 11 is strongly typed): ``fp32`` takes the canonical file as it is,
``fp16`` and ``bf16`` its network in half precision (``onnx_graph.half_precision``), ``int8`` a file
quantised with zero point 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import BackendError, MissingDependencyError, ModelError, OptionError
from ..gpu import probe
from ..models.modelfile import ModelFile
from ..system.checks import check_choice
from . import onnx_graph
from .trt_library import Flavour, import_tensorrt, make_logger

EnginePrecision = Literal["fp32", "fp16", "bf16", "int8"]
Progress = Callable[[str, float], bool]
"""Called with the phase and the share that is done (0 to 1); False stops the build."""

RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")


@dataclass(frozen=True)
class BuildOptions:
    """How to build. Part of an engine's key in the cache.

    Attributes:
        flavour: ``tensorrt`` or ``rtx``.
        precision: what the network computes in.
        batches: smallest, usual and largest batch (the optimisation profile).
        compute_capabilities: of the GPUs to build for, e.g. ``("8.9",)``, with the flavour rtx;
            empty: that of ``device``.
        device: number of the CUDA device to build on, where one is needed.
        workspace: GiB of GPU memory that a layer may use; None: all, or 4 where there is no GPU.
        version_compatible: let later TensorRT versions of the same major one run it.
        hardware_compatible: let GPUs of later architectures run it, from Ampere on.
        effort: TensorRT's optimisation level, 0 (quick) to 5; None: its default.

    Raises:
        OptionError: a value outside what is allowed, or options that the flavour does not have.
    """

    flavour: Flavour = "tensorrt"
    precision: EnginePrecision = "fp16"
    batches: tuple[int, int, int] = (1, 1, 8)
    compute_capabilities: tuple[str, ...] = ()
    device: int = 0
    workspace: float | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False
    effort: int | None = None

    def __post_init__(self) -> None:
        check_choice("flavour", self.flavour, get_args(Flavour))
        check_choice("precision", self.precision, get_args(EnginePrecision))
        low, usual, high = self.batches
        if not 1 <= low <= usual <= high:
            raise OptionError(f"batches={self.batches}; allowed: 1 ≤ smallest ≤ usual ≤ largest")
        if self.effort is not None and not 0 <= self.effort <= 5:
            raise OptionError(f"effort={self.effort}; allowed: 0 to 5, or None for TensorRT's default")
        if self.workspace is not None and self.workspace <= 0:
            raise OptionError(f"workspace={self.workspace}; allowed: GiB above 0, or None")
        if self.flavour == "tensorrt" and self.compute_capabilities:
            raise OptionError(
                f"compute_capabilities={self.compute_capabilities}: flavour='tensorrt' builds for the GPU it "
                "runs on; build there, or use flavour='rtx'"
            )
        for capability in self.compute_capabilities:
            if capability not in RTX_CAPABILITIES:
                raise OptionError(
                    f"compute_capabilities: {capability!r} is none that TensorRT for RTX builds for "
                    f"({', '.join(RTX_CAPABILITIES)}); data-centre GPUs such as the H100 (9.0) need "
                    "flavour='tensorrt'"
                )
        if self.flavour == "rtx" and (self.version_compatible or self.hardware_compatible):
            raise OptionError(
                "flavour='rtx' has neither version_compatible nor hardware_compatible: give several "
                "compute capabilities instead, and build again with each release"
            )


def prepare(model: ModelFile, precision: EnginePrecision) -> bytes:
    """The graph that TensorRT parses: of the right precision, frames cast first.

    Raises:
        ModelError: the file cannot give that precision; the message says which one can.
        MissingDependencyError: onnx is not installed.
    """
    if precision in ("fp16", "bf16") and model.precision == "fp32":
        model = onnx_graph.half_precision(model, precision)
    elif precision != model.precision and precision != "int8":
        raise ModelError(
            f"{model.path} computes in {model.precision}: {precision} engines come from the canonical file; "
            "`python export/to_onnx.py --bundled NAME` makes that of a bundled model"
        )
    proto = onnx_graph.parse(model)
    if precision == "int8":
        onnx_graph.check_zero_points(proto.graph, str(model.path))
        onnx_graph.float_biases(proto.graph)
    onnx_graph.cast_frames_first(proto.graph, str(model.path))
    # clip models leave the number of crops open; an engine has one profile, and the specification one number
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = model.spec.crops
    return bytes(proto.SerializeToString())


def check_target(options: BuildOptions) -> Any:
    """The TensorRT module, after making sure that it can build for what is asked.

    Raises:
        MissingDependencyError: TensorRT is not installed.
        BackendError: a GPU is needed, and there is none.
    """
    trt = import_tensorrt(options.flavour)
    if options.flavour == "tensorrt":
        probe.require_cuda(options.device)  # it times kernels on the GPU, and crashes without one
    elif not options.compute_capabilities and not probe.cuda_devices():
        raise BackendError(
            "there is no NVIDIA GPU to build for; name one: --compute-capability 8.9 (or "
            f"compute_capabilities), of {', '.join(RTX_CAPABILITIES)}"
        )
    return trt


def build_engine(
    model: ModelFile,
    options: BuildOptions,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
    dry_run: bool = False,
) -> tuple[bytes, bytes]:
    """Build the engine of a model; with ``dry_run`` only parse the graph and check the profile.

    Args:
        model: the canonical file, or for int8 one that was quantised with zero point 0.
        options: how to build.
        timing_cache: what an earlier build gave; it makes this one faster and steadier.
        progress: is told how far it is, and may stop it.

    Returns:
        engine and timing cache; both empty for a dry run, the latter always with rtx, which has none.

    Raises:
        MissingDependencyError: TensorRT or onnx is not installed.
        ModelError: the file does not give that precision, or TensorRT does not understand its graph.
        BackendError: no GPU where one is needed, or the build failed; TensorRT's words are in the message.
    """
    trt = check_target(options)
    content = prepare(model, options.precision)
    if options.flavour == "tensorrt":
        from ..gpu.cuda import call

        try:
            call("cudaSetDevice", options.device)  # it builds for the current device
        except MissingDependencyError:
            if options.device:
                raise
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = _network(trt, builder, logger, content, model)
    config = _configure(trt, builder, options)
    _add_profile(builder, network, config, options.batches)
    if dry_run:
        return b"", b""
    if options.flavour == "tensorrt":  # rtx times nothing: it compiles on the user's GPU
        cache = config.create_timing_cache(timing_cache)
        config.set_timing_cache(cache, False)
    monitor = _monitor(trt, progress) if progress else None
    if monitor is not None:
        config.progress_monitor = monitor
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        if monitor is not None and monitor.stopped:
            raise BackendError("the build was stopped")
        raise BackendError(
            f"TensorRT {trt.__version__} could not build {model.path}: "
            f"{_one_line('; '.join(logger.errors)) or 'no reason given'}; where it ran out of memory, "
            "give it more workspace or a smaller largest batch"
        )
    timings = bytes(config.get_timing_cache().serialize()) if options.flavour == "tensorrt" else b""
    return bytes(engine), timings


def _network(trt: Any, builder: Any, logger: Any, content: bytes, model: ModelFile) -> Any:
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ModelError(
            f"{model.path}: TensorRT {trt.__version__} does not understand its graph: {_one_line(errors)}"
        )
    return network


def _configure(trt: Any, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    workspace = options.workspace
    if workspace is None and options.compute_capabilities:
        workspace = 4.0  # without a GPU to ask, its default is none at all
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(workspace * 2**30))
    if options.effort is not None:
        config.builder_optimization_level = options.effort
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.compute_capabilities:
        config.num_compute_capabilities = len(options.compute_capabilities)
        for i, capability in enumerate(options.compute_capabilities):
            target = getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}")
            if not config.set_compute_capability(target, i):
                raise BackendError(
                    f"TensorRT {trt.__version__} does not build for {capability}; leave it out"
                )
    return config


def _add_profile(builder: Any, network: Any, config: Any, batches: tuple[int, int, int]) -> None:
    frames = network.get_input(0)
    profile = builder.create_optimization_profile()
    profile.set_shape(frames.name, *((batch, *tuple(frames.shape)[1:]) for batch in batches))
    if config.add_optimization_profile(profile) < 0:
        raise BackendError(f"TensorRT refuses batches {batches} for frames {list(frames.shape)}")


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # a class of a library without stubs
        """Phases are nested: the outermost one tells how far the whole build is."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.outermost: str | None = None
            self.done, self.stopped = 0.0, False

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.steps[phase] = steps
            if parent is None:
                self.outermost = phase
            self._tell(phase)

        def step_complete(self, phase: str, step: int) -> bool:
            if phase == self.outermost:
                self.done = (step + 1) / max(self.steps[phase], 1)
            return self._tell(phase)

        def phase_finish(self, phase: str) -> None:
            if phase == self.outermost:
                self.done = 1.0
                self._tell(phase)

        def _tell(self, phase: str) -> bool:
            self.stopped = self.stopped or not progress(phase, self.done)
            return not self.stopped

    return Monitor()


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:600]
