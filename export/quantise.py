"""Quantise the convolutions of a float graph to int8 (Q/DQ), ranges measured on real clips."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Clips(CalibrationDataReader):
    def __init__(self, clips):
        self.it = iter(clips)
    def get_next(self):
        clip = next(self.it, None)
        return None if clip is None else {"frames": clip[None, None]}


def quantise(model: onnx.ModelProto, clips: list[NDArray[np.uint8]]) -> onnx.ModelProto:
    luma = [n for n in model.graph.node if n.op_type == "Conv" and len(n.output) and next(i for i in model.graph.initializer if i.name == n.input[1]).dims[0] == 1]
    nodes = [n.name for n in model.graph.node if n.op_type in ("Conv", "Add", "Clip") and n not in luma]
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        onnx.save(model, a)
        quantize_static(a, b, Clips(clips), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=nodes, op_types_to_quantize=["Conv", "Add", "Clip"])
        return onnx.load(b)
