"""One contract for all backends: the same frames give the same codes, from any thread, in any batch.

The GPU backends run over a pretended GPU (``tests/host_gpu.py``), and on a real one where there is one.
"""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from tests.host_cudart import HostCudart  # noqa: E402
from tests.host_gpu import pretend, pretended_onnxruntime  # noqa: E402
from tests.tiny_model import save_tiny_model, tiny_model, tiny_spec  # noqa: E402
from vhash_sdk import Encoder  # noqa: E402
from vhash_sdk.errors import BackendError, ModelError, OptionError  # noqa: E402
from vhash_sdk.gpu.cuda import DeviceBuffer, Stream, download, upload  # noqa: E402
from vhash_sdk.gpu.dlpack import _Tensor, from_device  # noqa: E402
from vhash_sdk.models.modelfile import ModelFile, read_model  # noqa: E402
from vhash_sdk.runtime import Runtime, choice, onnx_cuda  # noqa: E402
from vhash_sdk.runtime.device import DeviceRuntime, arrays_of  # noqa: E402
from vhash_sdk.runtime.onnx import OnnxRuntime  # noqa: E402

GPU = ["tensorrt", "tensorrt-rtx", "onnxruntime-cuda"]
HERE = ["onnxruntime", "openvino", *GPU]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(params=[*HERE, *(pytest.param(f"{name} real", marks=pytest.mark.needs_cuda) for name in GPU)])
def start(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[Path], Runtime]]:
    """Starts a model on one backend; closes it afterwards."""
    name, _, real = request.param.partition(" ")
    backend = name.split("-")[0]
    if backend == "openvino":
        pytest.importorskip("openvino")
    if name in GPU and not real:
        pretend(monkeypatch, tmp_path, "rtx" if name.endswith("rtx") else "tensorrt")
    if name in GPU and real:
        pytest.importorskip({"onnxruntime-cuda": "onnxruntime"}.get(name, name.replace("-", "_")))
        monkeypatch.setenv("VHASH_CACHE", str(tmp_path))
    device = "cuda:0" if name in GPU else "cpu"
    started: list[Runtime] = []

    def make(path: Path, threads: int = 2) -> Runtime:
        precision = "fp32" if backend == "tensorrt" else "auto"
        made = choice.choose(path, device=device, backend=backend, precision=precision).start(threads)
        assert (made.backend, made.device, made.precision) == (backend, device, "fp32")
        started.append(made)
        return made

    yield make
    for runtime in started:
        runtime.close()
        runtime.close()  # again does nothing


def frames(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (batch, 1, 5, 16, 24, 3), dtype=np.uint8)


def expected(path: Path, batch: np.ndarray) -> list[np.ndarray]:
    reference = OnnxRuntime(read_model(path), threads=1)
    return list(reference.run(batch))


def test_codes_logits_and_embeddings_are_those_of_the_reference(
    start: Callable[[Path], Runtime], tiny: Path
) -> None:
    runtime = start(tiny)
    for batch in (1, 3, 8, 11, 2, 3):  # growing, shrinking, beyond a profile's largest, the same again
        given = frames(batch, seed=batch)
        output, wanted = runtime.run(given), expected(tiny, given)
        assert np.array_equal(output.codes, wanted[0]) and output.codes.dtype == np.uint8
        assert np.allclose(output.logits, wanted[1], atol=1e-3) and output.logits.dtype == np.float32
        assert np.allclose(output.embeddings, wanted[2], atol=1e-3)
        assert output.frame_logits is None


def test_results_stay_when_the_runtime_runs_again(start: Callable[[Path], Runtime], tiny: Path) -> None:
    runtime = start(tiny)
    first = runtime.run(frames(2, seed=1))
    kept = first.codes.copy(), first.logits.copy()
    for seed in range(2, 5):
        runtime.run(frames(2, seed=seed))
    assert np.array_equal(first.codes, kept[0]) and np.array_equal(first.logits, kept[1])


def test_threads_share_a_runtime(start: Callable[[Path], Runtime], tiny: Path) -> None:
    runtime = start(tiny)
    batches = [frames(1 + seed % 4, seed) for seed in range(24)]
    wanted = [expected(tiny, batch)[0] for batch in batches]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda batch: runtime.run(batch).codes, batches))
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_frame_logits_come_where_a_model_has_them(
    start: Callable[[Path], Runtime], tiny: Path, tmp_path: Path
) -> None:
    model = tiny_model(tiny_spec())
    node = onnx.helper.make_node
    model.graph.initializer.extend([
        onnx.numpy_helper.from_array(np.array([1, 3, 4], np.int64), "space"),
    ])  # fmt: skip
    model.graph.node.extend([
        node("ReduceMean", ["floats", "space"], ["of_frames"], keepdims=0),
        node("MatMul", ["of_frames", "weights"], ["projected_frames"]),
        node("Add", ["projected_frames", "bias"], ["frame_logits"]),
    ])  # fmt: skip
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("frame_logits", onnx.TensorProto.FLOAT, ["batch", 5, 12])
    )
    path = tmp_path / "frames.onnx"
    path.write_bytes(model.SerializeToString())
    output = start(path).run(frames(2))
    assert output.frame_logits is not None and output.frame_logits.shape == (2, 5, 12)
    assert np.allclose(output.frame_logits.mean(1), output.logits, atol=1e-2)


def test_a_closed_runtime_says_so(start: Callable[[Path], Runtime], tiny: Path) -> None:
    runtime = start(tiny)
    runtime.close()
    with pytest.raises(BackendError, match="closed"):
        runtime.run(frames(1))


def test_a_graph_that_is_not_ours_is_refused(start: Callable[[Path], Runtime], tmp_path: Path) -> None:
    model = tiny_model(tiny_spec())
    model.graph.output[0].name = model.graph.node[-1].output[0] = "hash"
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"code, logits, embedding"):
        start(tmp_path / "other.onnx")


def test_frames_in_device_memory(start: Callable[[Path], Runtime], tiny: Path) -> None:
    runtime = start(tiny)
    assert isinstance(runtime, DeviceRuntime) == runtime.device.startswith("cuda")
    if not isinstance(runtime, DeviceRuntime):
        return
    streams, outs = [Stream(), Stream()], [runtime.allocate(4), runtime.allocate(4)]
    given = frames(4)
    inputs = [DeviceBuffer(given.nbytes).array(given.shape, np.uint8) for _ in outs]
    for round_ in range(6):  # two buffers in turn, as a double-buffered pipeline does
        batch, which = 1 + round_ % 4, round_ % 2
        given = frames(4, seed=round_)
        stream = streams[which].handle
        upload(inputs[which], given, stream)
        result = runtime.run_device(inputs[which].pointer, batch, stream, outs[which])
        host = [np.empty(array.shape, array.dtype) for array in arrays_of(result)]
        for target, source in zip(host, arrays_of(result), strict=True):
            download(target, source, stream)
        streams[which].synchronize()
        wanted = expected(tiny, given[:batch])
        assert np.array_equal(host[0], wanted[0]) and np.allclose(host[1], wanted[1], atol=1e-3)
    for batch in (0, 5, 1000):
        with pytest.raises(BackendError, match="allowed are"):
            runtime.run_device(inputs[0].pointer, batch, streams[0].handle, outs[0])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HostCudart:
    return pretend(monkeypatch, tmp_path)


@pytest.fixture
def model(tiny: Path) -> ModelFile:
    return read_model(tiny)


def test_a_cuda_graph_is_launched_from_the_second_run_on(gpu: HostCudart, tiny: Path) -> None:
    runtime = choice.choose(tiny, device="cuda:0", backend="tensorrt", precision="fp32").start(1)
    for _ in range(5):
        runtime.run(frames(2))
    assert gpu.calls["cudaGraphInstantiate"] == 1 and gpu.calls["cudaGraphLaunch"] == 4
    allocations = gpu.calls["cudaMalloc"] + gpu.calls["cudaHostAlloc"]
    runtime.run(frames(1))
    assert gpu.calls["cudaMalloc"] + gpu.calls["cudaHostAlloc"] == allocations  # buffers are kept
    runtime.close()


class Tensor:
    """Frames in device memory, as torch or cupy hand them out: by DLPack or by the CUDA array interface."""

    def __init__(self, frames: np.ndarray, how: str):
        frames = np.ascontiguousarray(frames)
        self.frames = DeviceBuffer(frames.nbytes).array(frames.shape, frames.dtype)
        stream = Stream()
        upload(self.frames, frames, stream.handle)
        stream.synchronize()
        if how == "cuda array interface":
            self.__cuda_array_interface__ = self.frames.__cuda_array_interface__
        else:
            self.__dlpack__, self.__dlpack_device__ = self._dlpack, lambda: (2, 0)

    def _dlpack(self, stream: int) -> object:
        frames = self.frames
        self.tensor = _Tensor(frames.pointer, 2, 0, len(frames.shape), 1, 8 * frames.dtype.itemsize, 1)
        self.tensor.shape = (ctypes.c_int64 * len(frames.shape))(*frames.shape)
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return make(ctypes.addressof(self.tensor), b"dltensor", None)


@pytest.mark.parametrize("how", ["cuda array interface", "dlpack"])
@pytest.mark.parametrize("backend", ["onnxruntime", "tensorrt"])
def test_frames_on_the_device_are_taken_in_place(gpu: HostCudart, tiny: Path, backend: str, how: str) -> None:
    given = frames(11)
    with Encoder(tiny, device="cuda:0", backend=backend, precision="fp32") as encoder:  # type: ignore[arg-type]
        tensor = Tensor(given, how)
        before = gpu.calls["cudaMemcpyAsync"]
        output = encoder.encode_frames(tensor)
        parts = 2 if backend == "tensorrt" else 1  # of at most 8, its profile's largest batch
        assert gpu.calls["cudaMemcpyAsync"] == before + 3 * parts  # only results were copied
        assert np.array_equal(output.codes, expected(tiny, given)[0])
        with pytest.raises(OptionError, match=r"takes uint8"):
            encoder.encode_frames(Tensor(given[:, :, :4], how))
        with pytest.raises(OptionError, match=r"takes uint8"):
            encoder.encode_frames(Tensor(given.astype(np.float32), "cuda array interface"))
    with Encoder(tiny, device="cpu") as encoder, pytest.raises(OptionError, match="device='cuda:0'"):
        encoder.encode_frames(Tensor(given, how))


def test_tensors_with_gaps_are_refused(gpu: HostCudart) -> None:
    tensor = Tensor(frames(2), "cuda array interface")
    tensor.__cuda_array_interface__["strides"] = (1, 2, 3, 4, 5, 6)
    with pytest.raises(OptionError, match="C-contiguous"):
        from_device(tensor, 1)


def test_a_provider_that_falls_back_in_silence_is_an_error(
    gpu: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_cuda, "import_onnxruntime", lambda: pretended_onnxruntime(gpu, starts=False))
    with pytest.raises(BackendError, match="did not start"):
        onnx_cuda.OnnxCudaRuntime(model)


def test_a_graph_that_cannot_be_captured_runs_without(
    gpu: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_cuda, "import_onnxruntime", lambda: pretended_onnxruntime(gpu, graphs=False))
    runtime = onnx_cuda.OnnxCudaRuntime(model)
    assert "no CUDA graphs" in caplog.text
    for seed in range(3):
        given = frames(2, seed)
        assert np.array_equal(runtime.run(given).codes, OnnxRuntime(model, threads=1).run(given).codes)


def test_the_cpu_build_of_onnxruntime_is_an_error_on_a_gpu(
    gpu: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnx_cuda, "import_onnxruntime", lambda: cpu)
    with pytest.raises(BackendError, match=r"--force-reinstall 'vhash-sdk\[gpu\]'"):
        onnx_cuda.OnnxCudaRuntime(model)


def test_auto_takes_the_gpu_that_works_and_else_the_cpu_with_one_warning(
    gpu: HostCudart,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def said() -> list[str]:
        return [text for text in caplog.messages if "using the CPU" in text]

    monkeypatch.setattr(choice, "import_onnxruntime", lambda: pretended_onnxruntime(gpu))
    with Encoder(tiny) as encoder:
        assert encoder.info()["device"] == "cuda:0" and not said()
    shutil.copy(choice.zoo.FOLDER / "lite0-phash-64.int8.onnx", tmp_path)  # the wheel has no canonical file
    monkeypatch.setattr(choice.zoo, "FOLDER", tmp_path)
    with Encoder("small") as encoder:
        assert encoder.info()["device"] == "cpu"
    assert len(said()) == 1 and "--bundled lite0-phash-64" in said()[0]
    with pytest.raises(ModelError, match="no fp32 file"):
        Encoder("small", device="cuda:0")
    monkeypatch.setattr(choice, "import_onnxruntime", lambda: pretended_onnxruntime(gpu, starts=False))
    with Encoder(tiny) as encoder:
        assert encoder.info()["device"] == "cpu"
    assert len(said()) == 2 and "did not start" in said()[1]
