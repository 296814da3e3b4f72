"""A model's graph made ready for a GPU: frames cast first, the network in half precision.

The canonical file is the source of every precision but int8: its large weights are *stored* in
fp16 and cast to float32, so the fp16 network has exactly the same weights. What decides single
bits stays in float32: normalisation, pooling, projections, pHash, sign.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..errors import MissingDependencyError, ModelError
from ..models.modelfile import ModelFile
from ..system.extras import pip_install

Half = Literal["fp16", "bf16"]

LARGE_MATRIX = 1 << 22
"""Matrices of this many weights (VGG-16's fc6 and fc7) are part of the network; smaller ones of the head."""

# moves data without computing: takes uint8 as well as float
_MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Gather", "Expand"}
# between two convolutions: what it gives is in half precision if all that it takes is
_BETWEEN = {
    "Add", "AveragePool", "Clip", "Concat", "Flatten", "HardSwish", "Identity", "LeakyRelu", "MaxPool", "Mul",
    "Pad", "Relu", "Reshape", "Sigmoid", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
}  # fmt: skip
# their second input is a shape, axes or widths, never data
_SHAPED = {"Pad", "Reshape", "Squeeze", "Unsqueeze"}


def import_onnx() -> Any:
    """Import onnx, or raise MissingDependencyError with the extra that brings it."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            f"onnx, which rewrites graphs for GPUs, cannot be imported ({error}); "
            f"{pip_install('gpu')}, or {pip_install('trt')}, or {pip_install('rtx')}"
        ) from error
    return onnx


def parse(model: ModelFile) -> Any:
    """The file as an ``onnx.ModelProto``."""
    return import_onnx().load_model_from_string(model.content)


def cast_frames_first(graph: Any, name: str) -> None:
    """Cast ``frames`` to float32 before anything moves them: TensorRT takes uint8 as an input, no further.

    On a CPU the other order is faster, for bytes are a quarter of the memory traffic.

    Raises:
        ModelError: something computes with the uint8 frames themselves.
    """
    onnx = import_onnx()
    kept, bytes_, renamed = [], {"frames"}, {"frames": "frames_float"}
    for node in graph.node:  # in topological order, as ONNX demands
        of_bytes = bytes_ & set(node.input)
        to_float = node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT
        if of_bytes and to_float:
            renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
            continue
        if of_bytes and node.op_type not in _MOVES | {"Cast", "Shape"}:
            raise ModelError(
                f"{name}: node {node.name!r} ({node.op_type}) computes with uint8 frames, which TensorRT "
                "cannot; start from the canonical file NAME.onnx, or for int8 from one made with --symmetric"
            )
        if of_bytes and node.op_type in _MOVES:
            bytes_.update(node.output)
        node.input[:] = [renamed.get(text, text) for text in node.input]
        kept.append(node)
    cast = onnx.helper.make_node(
        "Cast", ["frames"], ["frames_float"], "frames_float", to=onnx.TensorProto.FLOAT
    )
    _replace_nodes(graph, [cast, *kept])


def check_zero_points(graph: Any, name: str) -> None:
    """Make sure that a quantised graph has zero point 0 everywhere, the only one that TensorRT has.

    Raises:
        ModelError: it has others, or is not quantised at all.
    """
    onnx = import_onnx()
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    remedy = "make it with `python export/to_onnx.py CHECKPOINT --precision int8 --symmetric --output FILE`"
    if not nodes:
        raise ModelError(f"{name} is not quantised, so there is no int8 engine of it; {remedy}")
    for node in nodes:
        if len(node.input) > 2 and np.any(onnx.numpy_helper.to_array(constants[node.input[2]])):
            raise ModelError(
                f"{name}: node {node.name!r} has a zero point other than 0, as CPUs like it and TensorRT "
                f"cannot take; {remedy}"
            )


def float_biases(graph: Any) -> None:
    """Turn int32 biases with a DequantizeLinear, as ONNX Runtime's quantiser writes them, into float32.

    TensorRT dequantises int8 alone, and adds biases in float32 anyway.
    """
    helper = import_onnx().numpy_helper
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        bias = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if bias is None or bias.data_type != import_onnx().TensorProto.INT32:
            kept.append(node)
            continue
        scale = helper.to_array(constants[node.input[1]])  # one, or one for each channel; zero points are 0
        values = (helper.to_array(bias).astype(np.float64) * scale).astype(np.float32)
        graph.initializer.append(helper.from_array(values, node.output[0]))
    _replace_nodes(graph, kept)


def half_precision(model: ModelFile, precision: Half) -> ModelFile:
    """The same model with its convolutions and large matrices in half precision.

    Args:
        model: a canonical file; its spec and so its fingerprint stay.
        precision: ``fp16`` or ``bf16`` (less exact, wider range; for networks that overflow in fp16).

    Raises:
        ModelError: the file is not canonical, or has nothing to convert.
        MissingDependencyError: onnx is not installed.
    """
    if model.precision != "fp32":
        raise ModelError(
            f"{model.path} computes in {model.precision}; {precision} starts from the canonical NAME.onnx"
        )
    onnx = import_onnx()
    proto = parse(model)
    if precision == "bf16":  # opset 22 gave convolutions bfloat16, and changed nothing else that we use
        default = next(entry for entry in proto.opset_import if not entry.domain)
        default.version = max(default.version, 22)
    _Halving(proto.graph, onnx, precision).run(str(model.path))
    onnx.helper.set_model_props(proto, {**model.metadata, "vhash.precision": precision})
    onnx.checker.check_model(proto, full_check=True)
    return replace(
        model,
        content=proto.SerializeToString(),
        metadata={**model.metadata, "vhash.precision": precision},
    )


class _Halving:
    """Turns the network part of one graph to half precision, in place."""

    def __init__(self, graph: Any, onnx: Any, precision: Half):
        self.graph, self.onnx, self.helper = graph, onnx, onnx.numpy_helper
        self.type = onnx.TensorProto.FLOAT16 if precision == "fp16" else onnx.TensorProto.BFLOAT16
        self.dtype: Any = onnx.helper.tensor_dtype_to_np_dtype(self.type)
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        # a constant is an initializer, or the Cast of one (weights stored in fp16)
        self.constants = {name: name for name in self.tensors}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in self.tensors:
                self.constants[node.output[0]] = node.input[0]
        self.made: dict[str, str] = {}

    def run(self, name: str) -> None:
        region = self._region()
        if not region:
            raise ModelError(f"{name}: no convolution or large matrix to compute in half precision; use fp32")
        produced = {output for node in region for output in node.output}
        nodes: list[Any] = []
        inside = {id(node) for node in region}
        for node in self.graph.node:
            if id(node) in inside:
                nodes += self._enter(node, produced)
            nodes.append(node)
            if id(node) in inside:
                nodes += self._leave(node)
        _replace_nodes(self.graph, nodes)

    def _region(self) -> list[Any]:
        region, produced = [], set()
        for node in self.graph.node:
            data = [node.input[i] for i in self._data_inputs(node)]
            between = node.op_type in _BETWEEN and data and all(
                text in produced or text in self.constants for text in data
            )  # fmt: skip
            if self._is_heavy(node) or (between and any(text in produced for text in data)):
                region.append(node)
                produced.update(node.output)
        return region

    def _is_heavy(self, node: Any) -> bool:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
            return False
        weights = self.tensors.get(self.constants.get(node.input[1], ""))
        if weights is None:
            return False
        # a convolution to one channel is pHash's luma picture, whose DCT decides bits
        return bool(weights.dims[0] > 1 if node.op_type == "Conv" else np.prod(weights.dims) >= LARGE_MATRIX)

    def _data_inputs(self, node: Any) -> list[int]:
        """Places of the inputs whose precision is the node's own."""
        places = (0, 2) if node.op_type in _SHAPED else range(len(node.input))
        return [i for i in places if i < len(node.input) and node.input[i]]

    def _enter(self, node: Any, produced: set[str]) -> list[Any]:
        """Casts and constants in half precision for what the node takes; rewires its inputs."""
        casts = []
        for i in self._data_inputs(node):
            text = node.input[i]
            target = f"{text}_half"
            if text not in produced and text not in self.made:
                if text in self.constants:
                    self._add_constant(self.tensors[self.constants[text]], target)
                else:
                    casts.append(self.onnx.helper.make_node("Cast", [text], [target], target, to=self.type))
                self.made[text] = target
            node.input[i] = target
        return casts

    def _add_constant(self, tensor: Any, target: str) -> None:
        values = self.helper.to_array(tensor).astype(np.float32)
        if self.type == self.onnx.TensorProto.FLOAT16:  # e.g. the bound of a Clip that is none
            values = np.clip(values, np.finfo(np.float16).min, np.finfo(np.float16).max)
        self.graph.initializer.append(self.helper.from_array(values.astype(self.dtype), target))

    def _leave(self, node: Any) -> list[Any]:
        """Casts back to float32, under the old names; those that nobody takes are dropped later."""
        casts = []
        for i, text in enumerate(node.output):
            node.output[i] = f"{text}_half"
            casts.append(
                self.onnx.helper.make_node(
                    "Cast", [f"{text}_half"], [text], f"{text}_float", to=self.onnx.TensorProto.FLOAT
                )
            )
        return casts


def _replace_nodes(graph: Any, nodes: list[Any]) -> None:
    """Set the nodes; drop those and the constants that no output needs, and all notes about tensors."""
    needed, kept = {output.name for output in graph.output}, []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    copies = [type(node).FromString(node.SerializeToString()) for node in reversed(kept)]
    constants = [type(tensor).FromString(tensor.SerializeToString()) for tensor in constants]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.initializer.extend(constants)
