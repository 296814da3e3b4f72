"""Models of the UVVH family: checkpoint and exported graph give what PyTorch gives."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
ort = pytest.importorskip("onnxruntime")

from export.families import semantic_specification  # noqa: E402
from export.to_onnx import run_onnx, run_torch, to_float_graph  # noqa: E402
from training.methods.base import Shape  # noqa: E402
from training.methods.registry import METHODS, HeadConfig  # noqa: E402
from training.neighbour import NeighbourConfig  # noqa: E402
from training.semantic import SemanticConfig, SemanticModel, load_model, save_model  # noqa: E402
from training.uvvh import UVVHConfig  # noqa: E402


def head_config(name: str) -> HeadConfig:
    """A small head of the registry: its features, 9 frames of 16, reduced from 1280."""
    small = {"width": 16, "depth": 1, "heads": 2, "hidden": 16, "anchors": 12}
    kind = METHODS[name].options
    known = {field.name for field in fields(kind)}
    options = kind(**{k: v for k, v in small.items() if k in known})
    return HeadConfig(name, Shape(1280, 16, 16, 9, 3), options)


NETWORKS = {
    "neighbour-uvvh": NeighbourConfig(1280, 16, 24, hidden=32, frames=9),
    "uvvh": UVVHConfig(
        16, 16, frames=9, kernels=(3, 2, 2), widths=(16, 16, 8), projection=32, hidden=8, raw_features=1280
    ),
} | {name: head_config(name) for name in ("ssth", "conmh", "s5vh", "dhwcm", "ksh")}


def trained_looking(family: str) -> SemanticModel:
    """Weights and statistics that no layer ignores."""
    torch.manual_seed(0)
    backbone = torch.nn.Conv2d(3, 1280, 32, stride=32)  # feature maps of the right shape, quickly traced
    config = SemanticConfig("tiny", 1, family, NETWORKS[family], size=64, frames=9)  # type: ignore[arg-type]
    model = SemanticModel(config, backbone=backbone)  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    model.encoder.centre.normal_(0, 0.01)
    model.encoder.basis.normal_(0, 1)
    return model.eval()


@pytest.mark.parametrize("family", NETWORKS)
def test_graph_gives_what_torch_gives(family: str) -> None:
    model = trained_looking(family)
    spec = semantic_specification(model)
    assert (spec.family, spec.bits, spec.embedding) == (family, model.config.network.bits, 1280)
    graph = to_float_graph(model, spec, ("code", "logits", "embedding"))
    clips = list(np.random.default_rng(0).integers(0, 256, (5, 9, 64, 64, 3), dtype=np.uint8))
    code, logits, embedding = run_onnx(graph, clips)
    expected = run_torch(model, clips)
    np.testing.assert_allclose(logits, expected[0], rtol=1e-4, atol=1e-4 * np.abs(expected[0]).max())
    np.testing.assert_allclose(embedding, expected[1], rtol=1e-4, atol=1e-5)
    sure = np.abs(expected[0]) > 1e-3 * np.abs(expected[0]).max()
    bits = np.unpackbits(code, axis=1, bitorder="little")
    np.testing.assert_array_equal(bits[sure], (expected[0] >= 0)[sure])


@pytest.mark.parametrize("family", NETWORKS)
def test_checkpoint_holds_what_a_code_needs_and_no_more(family: str, tmp_path: Path) -> None:
    model, file = trained_looking(family), tmp_path / "m.safetensors"
    save_model(model, {"clips": {}}, file)
    again, card = load_model(file, backbone=model.backbone)
    frames = torch.randint(0, 256, (2, 1, 9, 64, 64, 3), dtype=torch.uint8)
    for ours, theirs in zip(again(frames), model(frames), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert card == {"clips": {}} and file.stat().st_size < 200_000
    with pytest.raises(ValueError, match="was saved with weights"):
        load_model(file, backbone=torch.nn.Conv2d(3, 1280, 32, stride=32))  # type: ignore[arg-type]
