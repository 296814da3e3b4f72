from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxslim")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from export import clip, families, to_onnx  # noqa: E402
from training.clip_model import ClipConfig, ClipModel, load_model, save_model  # noqa: E402
from vhash_sdk import Encoder  # noqa: E402
from vhash_sdk.models.modelfile import read_model  # noqa: E402
from vhash_sdk.runtime.tensorrt_build import prepare  # noqa: E402


def tiny(*, crops: int = 1, bits: int = 20, pooling: str = "bert", head: str = "network") -> ClipModel:
    """R(2+1)D-10 with batch statistics and weights that make every layer matter."""
    torch.manual_seed(crops)
    config = ClipConfig(
        "tiny", backbone="r2plus1d_10", frames=8, height=36, width=40, crop=32, crops=crops, pooling=pooling,
        head=head, bits=bits, classes=3,
    )  # fmt: skip
    model = ClipModel(config)
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm3d, torch.nn.BatchNorm1d)):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def random_frames(model: ClipModel, batch: int) -> torch.Tensor:
    c = model.config
    shape = (batch, c.crops, c.frames, c.crop, c.crop, 3)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def test_padding_and_folding_change_nothing() -> None:
    model = tiny()
    ready = clip.prepared(model)
    widths = {m.out_channels for m in ready.backbone.modules() if isinstance(m, torch.nn.Conv3d)}
    assert {48, 240, 464, 928} <= widths and not widths & {45, 230, 460, 921}
    assert not any(isinstance(m, (torch.nn.BatchNorm3d, torch.nn.BatchNorm1d)) for m in ready.modules())
    frames = random_frames(model, 2)
    with torch.inference_mode():
        for expected, found in zip(model(frames)[1:], ready(frames)[1:], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert clip.specification(model).digest == clip.specification(tiny()).digest


def test_checkpoint_is_checked(tmp_path: Path) -> None:
    model, file = tiny(), tmp_path / "tiny.safetensors"
    save_model(model, {"made": 1}, file, backbone_file=None)
    again, card = load_model(file)
    assert card == {"made": 1}
    assert torch.equal(again(random_frames(model, 1))[1], model(random_frames(model, 1))[1])
    (tmp_path / "weights.pth").write_bytes(b"published")
    save_model(model, {}, file, backbone_file=tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"needs weights\.pth"):
        load_model(file)
    (tmp_path / "weights.pth").write_bytes(b"another")
    with pytest.raises(ValueError, match="is not the weights.pth that"):
        load_model(file, weights=tmp_path)


@pytest.mark.slow
def test_export_of_ten_crops_encodes_as_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = 10
    model, checkpoint, file = tiny(crops=crops), tmp_path / "tiny.safetensors", tmp_path / "tiny.onnx"
    save_model(model, {}, checkpoint, backbone_file=None)
    options = ["to_onnx.py", str(checkpoint), "--output", str(file), "--data", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", options)
    to_onnx.main()
    runner = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    frames = random_frames(model, 3)
    code, logits, embedding = runner.run(["code", "logits", "embedding"], {"frames": frames.numpy()})
    with torch.inference_mode():
        expected = model(frames)
    assert code.shape == (3, 3) and np.array_equal(code, np.packbits(logits >= 0, 1, bitorder="little"))
    # weights are rounded to fp16
    np.testing.assert_allclose(logits, expected[1], atol=2e-2)
    np.testing.assert_allclose(embedding, expected[2], atol=2e-2)
    # crops are as dynamic as the batch: one graph serves both of the paper's figures
    three = runner.run(["embedding"], {"frames": frames[:1, :3].numpy()})[0]
    with torch.inference_mode():
        np.testing.assert_allclose(three, model(frames[:1, :3])[2], atol=2e-2)
    engine_graph = onnx.load_model_from_string(prepare(read_model(file), "fp32"))
    assert engine_graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value == crops
    with Encoder(file) as encoder:
        assert (encoder.spec.family, encoder.spec.crops, encoder.spec.sampling.kind) == (
            "clip-bert",
            crops,
            "middle",
        )
        video = np.random.default_rng(1).integers(0, 256, (11, 48, 64, 3), dtype=np.uint8)
        assert encoder.encode(video).bits == 20


@pytest.mark.slow
def test_int8_agrees_and_symmetric_has_no_zero_points() -> None:
    model = tiny(pooling="mean", head="affine", bits=64)
    ready, spec = clip.prepared(model), clip.specification(model)
    graph = to_onnx.round_half(to_onnx.to_float_graph(ready, spec, families.OUTPUTS))
    clips = [frames.numpy() for frames in random_frames(model, 4)[:, 0]]
    expected = to_onnx.run_torch(model, clips)
    for symmetric in (False, True):
        quantised = clip.quantise(graph, clips, symmetric=symmetric)
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in quantised.graph.initializer}
        points = [node.input[2] for node in quantised.graph.node if node.op_type == "QuantizeLinear"]
        assert points and all(not constants[name].any() for name in points) == symmetric
        figures = to_onnx.compare(quantised, spec, expected, clips)
        assert figures["embedding: smallest cosine"] > 0.98 and figures["bits that agree"] > 0.85


def test_bundled_clip_model_finds_the_same_kind(data: Path) -> None:
    from training.clip_data import read_manifest

    videos = read_manifest(data / "videos" / "real10" / "manifest.csv")
    kinds = ("car_crash", "cctv_fight", "hugging")
    rows = np.concatenate([np.flatnonzero(videos.labels == kind)[::7][:3] for kind in kinds])
    with Encoder("semantic") as encoder:
        assert encoder.spec.family == "clip"
        codes = [encoder.encode(videos.root / videos.paths[row]) for row in rows]
    distances = np.array([[a - b if a is not b else 999 for b in codes] for a in codes])
    nearest = videos.labels[rows][distances.argmin(1)]
    assert (nearest == videos.labels[rows]).mean() > 0.7, "chance is a quarter"
