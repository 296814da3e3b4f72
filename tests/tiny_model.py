"""A real but tiny vhash model, built in a moment: mean colours of each frame, projected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling


def tiny_spec(
    *,
    bits: int = 12,
    sampling: Sampling | None = None,
    resize: Resize | None = None,
    crops: int = 1,
    name: str = "tiny",
) -> ModelSpec:
    sampling = sampling or Sampling("uniform", 5)
    resize = resize or Resize("exact", 16, 24)
    return ModelSpec(name, 1, "test", bits, (Part("all", (0, bits)),), sampling, resize, crops, 3, "0" * 64)


def tiny_model(spec: ModelSpec, *, metadata: dict[str, str] | None = None) -> onnx.ModelProto:
    """frames → mean over crops, time, height, width → 3 numbers → spec.bits projections → packed code."""
    weights = np.random.default_rng(1).normal(size=(3, spec.bits)).astype(np.float32)
    bias = -128 * weights.sum(0)
    padding = -spec.bits % 8
    constants = {
        "weights": weights,
        "bias": bias.astype(np.float32),
        "zero": np.zeros((), np.float32),
        "axes": np.array([1, 2, 3, 4], np.int64),
        "pads": np.array([0, 0, 0, padding], np.int64),
        "bytes": np.array([0, (spec.bits + padding) // 8, 8], np.int64),
        "powers": (2.0 ** np.arange(8)).astype(np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        node("ReduceMean", ["floats", "axes"], ["embedding"], keepdims=0),
        node("MatMul", ["embedding", "weights"], ["projected"]),
        node("Add", ["projected", "bias"], ["logits"]),
        node("GreaterOrEqual", ["logits", "zero"], ["signs"]),
        node("Cast", ["signs"], ["ones"], to=TensorProto.FLOAT),
        node("Pad", ["ones", "pads"], ["padded"]),
        node("Reshape", ["padded", "bytes"], ["grouped"]),
        node("MatMul", ["grouped", "powers"], ["sums"]),
        node("Cast", ["sums"], ["code"], to=TensorProto.UINT8),
    ]
    frames = ["batch", spec.crops, spec.sampling.frames, *spec.resize.output, 3]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, frames)],
        [
            helper.make_tensor_value_info("code", TensorProto.UINT8, ["batch", (spec.bits + 7) // 8]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", spec.bits]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3]),
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"vhash.spec": spec.to_json(), **(metadata or {})})
    return model


def save_tiny_model(path: Path, **options: object) -> Path:
    path.write_bytes(tiny_model(tiny_spec(**options)).SerializeToString())  # type: ignore[arg-type]
    return path
