"""What is particular to clip models: channels that suit matrix units, and which nodes become int8.

The graph keeps three-dimensional convolutions. As two-dimensional ones over folded axes, which
compute the same, R(2+1)D-34 was no faster in ONNX Runtime and half as fast in OpenVINO.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.quantise import Clip, as_batch, prune, quantise_nodes
from training.clip_model import ClipModel, weights_digest
from training.hash_net import HashNetwork
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling

QUANTISED = ("Conv", "Relu", "MaxPool", "Concat", "Pad")
"""Operators of the backbone that run in int8; the residual sums (Add of two activations) too."""


def specification(model: ClipModel) -> ModelSpec:
    """What decides the code of this model."""
    c = model.config
    return ModelSpec(
        name=c.name,
        version=c.version,
        family="clip-bert" if c.pooling == "bert" else "clip",
        bits=c.bits,
        parts=(Part("clip", (0, c.bits)),),
        sampling=Sampling(c.sampling, c.frames),  # type: ignore[arg-type]
        resize=Resize(
            "exact", c.height, c.width, crop=(c.crop, c.crop) if c.crop else None, filter=c.filter  # type: ignore[arg-type]
        ),
        crops=c.crops,
        embedding=model.backbone.width,
        digest=weights_digest(model),
    )  # fmt: skip


def prepared(model: ClipModel, *, multiple: int = 16) -> ClipModel:
    """A copy for export: batch norm folded, R(2+1)D's odd mid planes padded with channels that stay zero.

    Args:
        model: in evaluation mode.
        multiple: of mid planes after padding (45, 230, 460, 921 → 48, 240, 464, 928); 1 = as they are.
    """
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if hasattr(module, "conv") and isinstance(getattr(module, "bn", None), nn.BatchNorm3d):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
        elif isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                convolution, norm = module[i], module[i + 1]
                if isinstance(norm, nn.BatchNorm3d):
                    last = convolution[-1] if isinstance(convolution, nn.Sequential) else convolution
                    fused = fuse_conv_bn_eval(last, norm)
                    if isinstance(convolution, nn.Sequential):
                        convolution[-1] = fused
                    else:
                        module[i] = fused
                    module[i + 1] = nn.Identity()
    for module in model.backbone.modules():
        if isinstance(module, nn.Sequential):
            convolutions = [part for part in module if isinstance(part, nn.Conv3d)]
            if len(convolutions) == 2:
                _pad_between(*convolutions, multiple)
    if isinstance(model.hash, HashNetwork):
        _fold_into_next(model.hash)
    return model


def _fold_into_next(network: HashNetwork) -> None:
    """Batch norm stands behind the ReLU there: it goes into the layer after it."""
    parts = [*network.hidden, network.hash]
    for norm, linear in pairwise(parts):
        if isinstance(norm, nn.BatchNorm1d) and isinstance(linear, nn.Linear):
            with torch.no_grad():
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                linear.bias += linear.weight @ (norm.bias - norm.running_mean * scale)
                linear.weight *= scale
    kept = [part for part in network.hidden if not isinstance(part, (nn.BatchNorm1d, nn.Dropout))]
    network.hidden = nn.Sequential(*kept)


def _pad_between(first: nn.Conv3d, second: nn.Conv3d, multiple: int) -> None:
    extra = -first.out_channels % multiple
    if not extra:
        return
    weight = torch.zeros(extra, *first.weight.shape[1:])
    first.weight = nn.Parameter(torch.cat([first.weight, weight]))
    assert first.bias is not None  # batch norm was folded into it
    first.bias = nn.Parameter(torch.cat([first.bias, torch.zeros(extra)]))
    columns = torch.zeros(second.out_channels, extra, *second.weight.shape[2:])
    second.weight = nn.Parameter(torch.cat([second.weight, columns], 1))
    first.out_channels = second.in_channels = first.out_channels + extra


def network_nodes(model: onnx.ModelProto, *, float_convolutions: int) -> list[str]:
    """Names of the backbone's nodes to quantise: all from the first convolution after the float ones."""
    constants = {tensor.name for tensor in model.graph.initializer}
    pooled = pooled_output(model)
    names, convolutions = [], 0
    for node in model.graph.node:
        if pooled in node.output:
            break
        convolutions += node.op_type == "Conv"
        sums = node.op_type == "Add" and not set(node.input) & constants
        if convolutions > float_convolutions and (node.op_type in QUANTISED or sums):
            names.append(node.name)
    return names


def pooled_output(model: onnx.ModelProto) -> str:
    """Name of the spatial mean of the feature map ``[n, C, T']``, where the backbone ends."""
    return str(next(node for node in model.graph.node if node.op_type == "ReduceMean").output[0])


def quantise(
    model: onnx.ModelProto, clips: Sequence[Clip], *, symmetric: bool = False, float_convolutions: int = 0
) -> onnx.ModelProto:
    """The int8 version of a clip model's float graph: the backbone quantised, the rest in float32.

    Args:
        model: made by ``to_onnx``.
        clips: real clips ``uint8[T, H, W, 3]`` (or ``[crops, T, H, W, 3]``), for ranges and mean shift.
        symmetric: int8 activations with zero point 0, which TensorRT asks for.
        float_convolutions: that many of the first convolutions stay in float32.
    """
    nodes = network_nodes(model, float_convolutions=float_convolutions)
    result = quantise_nodes(model, clips, nodes, symmetric=symmetric)
    pooled = pooled_output(model)
    shift = (tensor_mean(model, pooled, clips) - tensor_mean(result, pooled, clips))[:, None]
    for node in result.graph.node:
        for i, name in enumerate(node.input):
            if name == pooled:
                node.input[i] = "pooled_unshifted"
    result.graph.initializer.append(numpy_helper.from_array(shift, "pooled_shift"))
    add = helper.make_node("Add", [pooled, "pooled_shift"], ["pooled_unshifted"], name="pooled_shift")
    maker = next(node for node in result.graph.node if pooled in node.output)
    result.graph.node.insert(list(result.graph.node).index(maker) + 1, add)
    prune(result)
    return result


def tensor_mean(model: onnx.ModelProto, name: str, clips: Sequence[Clip]) -> NDArray[np.float32]:
    """Mean over clips, crops and time of an inner tensor ``[n, C, T']``: ``[C]``."""
    opened = copy.deepcopy(model)
    opened.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(opened.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [session.run([name], {"frames": as_batch(clip)})[0].mean((0, 2)) for clip in clips]
    return np.mean(found, axis=0).astype(np.float32)
