"""TensorRT's Python interface over ONNX Runtime on the CPU, for tests of the code that drives it.

"Engines" are the ONNX bytes that were parsed; a context runs them on the addresses that it was given,
through ``HostCudart``: at once, or recorded where the stream is being captured. What TensorRT is strict
about is an error here too: shapes outside the profile, missing addresses, allocating while capturing.
"""

from __future__ import annotations

import ctypes
import enum
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.host_cudart import HostCudart


class DataType(enum.Enum):
    UINT8, FLOAT = 1, 2


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = 1, 2


class BuilderFlag(enum.Enum):
    VERSION_COMPATIBLE = 1


class HardwareCompatibilityLevel(enum.Enum):
    AMPERE_PLUS = 1


class MemoryPoolType(enum.Enum):
    WORKSPACE = 1


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IProgressMonitor:
    pass


class Memory(bytes):
    def serialize(self) -> bytes:
        return bytes(self)


class DynamicShapesKernelSpecializationStrategy(enum.Enum):
    EAGER = 1


class RuntimeCache:
    content = b""

    def serialize(self) -> bytes:
        return self.content + b"kernels "

    def deserialize(self, content: bytes) -> bool:
        self.content = content
        return True


class RuntimeConfig:
    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> None:
        self.cache = cache


class Network:
    content = b""

    def get_input(self, index: int) -> Any:
        tensor = onnx.load_model_from_string(self.content).graph.input[index]
        shape = [side.dim_value or -1 for side in tensor.type.tensor_type.shape.dim]

        class Input:
            pass

        Input.name, Input.shape = tensor.name, tuple(shape)  # type: ignore[attr-defined]
        return Input


class OnnxParser:
    def __init__(self, network: Network, logger: ILogger):
        self.network, self.errors = network, [""]

    num_errors = 1

    def get_error(self, index: int) -> str:
        return self.errors[index]

    def parse(self, content: bytes) -> bool:
        types = {
            node.op_type for node in onnx.load_model_from_string(content).graph.node if "frames" in node.input
        }
        if types != {"Cast"}:  # as TensorRT: uint8 is an input, and cast at once
            self.errors = [f"first input has type UInt8 but must have type Float: {types}"]
            return False
        self.network.content = content
        return True


class Config:
    def __init__(self) -> None:
        self.flags: list[Any] = []
        self.cache = Memory()
        self.progress_monitor: Any = None

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.workspace = size

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.append(flag)

    def create_timing_cache(self, content: bytes) -> Memory:
        return Memory(content)

    def set_timing_cache(self, cache: Memory, ignore_mismatch: bool) -> None:
        self.cache = Memory(cache + b"timed ")

    def get_timing_cache(self) -> Memory:
        return self.cache

    def add_optimization_profile(self, profile: Any) -> int:
        return 0


class Profile:
    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        assert name == "frames" and low[1:] == usual[1:] == high[1:]


class Builder:
    built = 0

    def __init__(self, logger: Any):
        self.logger = logger

    def create_network(self, flags: int) -> Network:
        assert flags == 0
        return Network()

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> Memory | None:
        Builder.built += 1
        if monitor := config.progress_monitor:
            monitor.phase_start("Building", None, 2)
            for step in range(2):
                if not monitor.step_complete("Building", step):
                    return None
            monitor.phase_finish("Building")
        if getattr(config, "workspace", 1 << 40) < 1 << 20:
            self.logger.log(ILogger.ERROR, "OutOfMemory")
            return None
        return Memory(b"ENGINE" + network.content)


def module(host: HostCudart, version: str = "11.4.1") -> ModuleType:
    """A stand-in for the module ``tensorrt`` on this host."""

    class Context:
        def __init__(self, engine: Engine):
            self.engine, self.shape = engine, (0,)
            self.addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self.shape = shape
            return name == "frames"

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return address != 0

        def execute_async_v3(self, stream: int) -> bool:
            shape, addresses = self.shape, dict(self.addresses)

            def work() -> None:
                size = int(np.prod(shape))
                frames = np.frombuffer(ctypes.string_at(addresses["frames"], size), np.uint8).reshape(shape)
                names = [name for name in addresses if name != "frames"]
                for name, result in zip(
                    names, self.engine.session.run(names, {"frames": frames}), strict=True
                ):
                    ctypes.memmove(addresses[name], result.ctypes.data, result.nbytes)

            host.put(stream, work)
            return True

    class Engine:
        def __init__(self, content: bytes):
            self.session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
            self.tensors = {t.name: t for t in [*self.session.get_inputs(), *self.session.get_outputs()]}
            self.num_io_tensors = len(self.tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(self.tensors)[index]

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return TensorIOMode.INPUT if name == "frames" else TensorIOMode.OUTPUT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(side if isinstance(side, int) else -1 for side in self.tensors[name].shape)

        def get_tensor_dtype(self, name: str) -> DataType:
            return DataType.UINT8 if "uint8" in self.tensors[name].type else DataType.FLOAT

        def create_runtime_config(self) -> RuntimeConfig:
            return RuntimeConfig()

        def create_execution_context(self, config: RuntimeConfig | None = None) -> Context:
            return Context(self)

    class Runtime:
        def __init__(self, logger: Any):
            self.logger = logger

        def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
            if not content.startswith(b"ENGINE"):
                self.logger.log(ILogger.ERROR, "not an engine")
                return None
            return Engine(content[6:])

    made = ModuleType("tensorrt")
    contents = dict(globals()) | {"Runtime": Runtime, "__version__": version}
    for name in (
        "DataType", "TensorIOMode", "BuilderFlag", "HardwareCompatibilityLevel", "MemoryPoolType", "ILogger",
        "IProgressMonitor", "DynamicShapesKernelSpecializationStrategy", "OnnxParser", "Builder", "Runtime",
        "__version__",
    ):  # fmt: skip
        setattr(made, name, contents[name])
    return made
