"""Graphs for TensorRT, and real engines: TensorRT for RTX parses and builds without a GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from export import to_trt  # noqa: E402
from tests.tiny_model import save_tiny_model, tiny_model, tiny_spec  # noqa: E402
from vhash_sdk import Encoder  # noqa: E402
from vhash_sdk.errors import BackendError, MissingDependencyError, ModelError, OptionError  # noqa: E402
from vhash_sdk.gpu import probe  # noqa: E402
from vhash_sdk.models import zoo  # noqa: E402
from vhash_sdk.models.modelfile import ModelFile, read_model  # noqa: E402
from vhash_sdk.runtime import choice, onnx_graph, trt_library  # noqa: E402
from vhash_sdk.runtime.engine_files import read_engine  # noqa: E402
from vhash_sdk.runtime.tensorrt_build import BuildOptions, build_engine, prepare  # noqa: E402

RTX = BuildOptions("rtx", "fp16", compute_capabilities=("8.9",))


@pytest.fixture(scope="module")
def canonical() -> ModelFile:
    return zoo.load("default", "fp32")


def logits(content: bytes, frames: np.ndarray, *, optimise: bool = True) -> np.ndarray:
    options = ort.SessionOptions()
    if not optimise:  # of a graph in half precision: rounded to it after each node, computed in float32
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(content, options).run(["logits"], {"frames": frames})[0]


def samples(count: int) -> np.ndarray:
    with Encoder(device="cpu") as encoder:
        files = sorted((zoo.FOLDER.parent / "samples").glob("*.mp4"))[:count]
        return np.stack([encoder._decoding.clip(file).frames for file in files])[:, None]


def test_half_precision_keeps_weights_spec_and_bits(canonical: ModelFile) -> None:
    half = onnx_graph.half_precision(canonical, "fp16")
    assert half.spec == canonical.spec and half.precision == "fp16"
    frames = samples(2)
    exact, rounded = logits(canonical.content, frames), logits(half.content, frames, optimise=False)
    assert np.abs(exact - rounded).max() < 0.05 and ((exact >= 0) == (rounded >= 0)).mean() > 0.99
    graph = onnx_graph.parse(half).graph
    stored = {tensor.name: tensor for tensor in onnx_graph.parse(canonical).graph.initializer}
    types = onnx.TensorProto
    for node in graph.node:
        if node.op_type == "Conv":
            weights = next(tensor for tensor in graph.initializer if tensor.name == node.input[1])
            luma = weights.dims[0] == 1
            assert weights.data_type == (types.FLOAT if luma else types.FLOAT16)
            if not luma:
                original = stored.get(node.input[1].removesuffix("_half") + "_fp16")
                assert original is None or np.array_equal(
                    onnx.numpy_helper.to_array(weights), onnx.numpy_helper.to_array(original)
                )
    heads = [node for node in graph.node if node.op_type in ("Gemm", "TopK", "ReduceMean")]
    produced = {output: node for node in graph.node for output in node.output}
    assert heads and all(produced[node.input[0]].op_type != "Conv" for node in heads)


def test_frames_are_cast_first_and_nothing_else_changes(canonical: ModelFile) -> None:
    content = prepare(canonical, "fp32")
    graph = onnx.load_model_from_string(content).graph
    assert [node.op_type for node in graph.node if "frames" in node.input] == ["Cast"]
    frames = samples(1)
    assert np.array_equal(logits(content, frames), logits(canonical.content, frames))


def test_half_precision_of_what_is_not_canonical_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="canonical"):
        onnx_graph.half_precision(zoo.load("default", "int8"), "fp16")
    with pytest.raises(ModelError, match="use fp32"):
        onnx_graph.half_precision(read_model(save_tiny_model(tmp_path / "tiny.onnx")), "fp16")


def test_int8_engines_need_zero_point_0(canonical: ModelFile) -> None:
    with pytest.raises(ModelError, match=r"zero point other than 0.*--symmetric"):
        prepare(zoo.load("default", "int8"), "int8")
    with pytest.raises(ModelError, match=r"not quantised.*--symmetric"):
        prepare(canonical, "int8")
    with pytest.raises(ModelError, match="canonical file"):
        prepare(zoo.load("default", "int8"), "fp16")


def test_graphs_that_compute_with_bytes_are_refused() -> None:
    model = tiny_model(tiny_spec())
    model.graph.node[0].op_type = "Neg"
    with pytest.raises(ModelError, match="uint8 frames"):
        onnx_graph.cast_frames_first(model.graph, "x.onnx")


def test_without_onnx_the_extra_is_named(canonical: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[trt\]"):
        onnx_graph.half_precision(canonical, "fp16")


def symmetric_int8(path: Path) -> ModelFile:
    """The tiny model with its projection quantised, zero points 0; an int32 bias as ONNX Runtime has it."""
    model = tiny_model(tiny_spec(), metadata={"vhash.precision": "int8"})
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    whole = np.round(onnx.numpy_helper.to_array(bias) / 0.01).astype(np.int32)
    bias.CopyFrom(onnx.numpy_helper.from_array(whole, "whole_bias"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.01), "bias_scale"))
    model.graph.node.insert(
        0, onnx.helper.make_node("DequantizeLinear", ["whole_bias", "bias_scale"], ["bias"])
    )
    scale = [
        onnx.numpy_helper.from_array(np.float32(2.0), "scale"),
        onnx.numpy_helper.from_array(np.int8(0), "zero_point"),
    ]
    model.graph.initializer.extend(scale)
    node = onnx.helper.make_node
    model.graph.node[3].input[0] = "dequantised"
    model.graph.node.insert(3, node("QuantizeLinear", ["embedding", "scale", "zero_point"], ["quantised"]))
    model.graph.node.insert(
        4, node("DequantizeLinear", ["quantised", "scale", "zero_point"], ["dequantised"])
    )
    path.write_bytes(model.SerializeToString())
    return read_model(path)


def test_rtx_builds_the_default_model_without_a_gpu(canonical: ModelFile) -> None:
    pytest.importorskip("tensorrt_rtx")
    told: list[float] = []
    engine, timings = build_engine(canonical, RTX, progress=lambda phase, share: told.append(share) is None)
    assert len(engine) > 5e6 and timings == b"" and told[-1] == 1.0
    assert build_engine(canonical, BuildOptions("rtx", "bf16", compute_capabilities=("12.0",)), dry_run=True)


def test_rtx_builds_an_int8_engine(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    model = symmetric_int8(tmp_path / "int8.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 5, 16, 24, 3), dtype=np.uint8)
    assert np.array_equal(logits(prepare(model, "int8"), frames), logits(model.content, frames))
    engine, _ = build_engine(model, BuildOptions("rtx", "int8", compute_capabilities=("8.6", "8.9")))
    assert engine


def test_too_little_workspace_is_an_error_with_tensorrts_words(canonical: ModelFile) -> None:
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(BackendError, match=r"OutOfMemory.*workspace"):
        build_engine(canonical, BuildOptions("rtx", "fp32", (1, 1, 8), ("8.9",), workspace=0.001))


def test_to_trt_writes_an_engine_with_its_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx")
    model, output = save_tiny_model(tmp_path / "tiny.onnx"), tmp_path / "out" / "tiny.engine"
    arguments = [str(model), "--flavour", "rtx", "--compute-capability", "8.9", "--precision", "fp32"]
    monkeypatch.setattr(sys, "argv", ["to_trt.py", *arguments, "--dry-run"])
    assert to_trt.main() == 0 and "nothing was built" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["to_trt.py", *arguments, "--output", str(output)])
    assert to_trt.main() == 0
    engine = read_engine(output)
    assert engine.target.compute_capabilities == ("8.9",) and engine.spec.name == "tiny"
    if not probe.cuda_devices():  # the runtime would crash: the probe comes before it
        with pytest.raises(BackendError, match="no NVIDIA driver"):
            Encoder(output)
        monkeypatch.setattr(sys, "argv", ["to_trt.py", *arguments, "--output", str(output), "--verify"])
        assert to_trt.main() == 1 and "no NVIDIA driver" in capsys.readouterr().err


def test_flavour_tensorrt_without_tensorrt_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(sys, "argv", ["to_trt.py", "default", "--output", str(tmp_path / "x.engine")])
    assert to_trt.main() == 1
    said = capsys.readouterr().err
    assert "vhash-sdk[trt]" in said and "flavour rtx" in said
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[rtx\]"):
        trt_library.import_tensorrt("rtx")


def test_an_old_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    old = ModuleType("tensorrt")
    old.__version__ = "10.3.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", old)
    with pytest.raises(BackendError, match=r"10\.3\.0 is too old"):
        trt_library.import_tensorrt("tensorrt")


def test_without_a_gpu_the_target_must_be_named(
    monkeypatch: pytest.MonkeyPatch, canonical: ModelFile
) -> None:
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr(probe, "cuda_devices", lambda: 0)
    with pytest.raises(BackendError, match="--compute-capability"):
        build_engine(canonical, BuildOptions("rtx", "fp32"))
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        Encoder(backend="tensorrt")
    with pytest.raises(OptionError, match="NVIDIA GPUs"):
        Encoder(backend="tensorrt", device="cpu")


def test_rtx_alone_does_not_serve_an_h100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "compute_capability", lambda device=0: (9, 0))
    monkeypatch.setattr(choice.util, "find_spec", lambda name: None if name == "tensorrt" else object())
    with pytest.raises(BackendError, match=r"9\.0.*vhash-sdk\[trt\]"):
        choice.installed_flavour(0)
    monkeypatch.setattr(probe, "compute_capability", lambda device=0: (8, 9))
    assert choice.installed_flavour(0) == "rtx"
