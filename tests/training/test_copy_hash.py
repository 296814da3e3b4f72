"""The copy model's bits: learned from descriptors alone, nested, the same after saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import normalize  # noqa: E402

from training.copy_hash import CopyConfig, CopyHash, load_model, prefix, save_model  # noqa: E402
from training.copy_model import WIDTH, CopyNetwork  # noqa: E402
from training.efficientnet_lite import EfficientNetLite0  # noqa: E402
from training.train_copy_hash import (  # noqa: E402
    Described,
    HashTraining,
    bit_recalls,
    itq,
    learn,
    recalls,
    train,
    widths,
)


@pytest.fixture(scope="module")
def network() -> CopyNetwork:
    torch.manual_seed(0)
    return CopyNetwork(EfficientNetLite0()).eval()


def descriptors(count: int, *, noise: float, seed: int = 0) -> Described:
    """Pictures, and views of them in which the widest directions say nothing: there edits change most."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(0, -1, WIDTH)
    clean = normalize(torch.randn(count, WIDTH, generator=generator) * spread)
    edit = torch.randn(3, count, WIDTH, generator=generator) * clean.std(0)
    edit[..., WIDTH // 8 :] *= 0.2
    views = normalize(clean + noise * edit)
    return Described(clean, views, torch.arange(count))


def test_the_code_is_the_signs_of_the_logits_which_are_the_mean_over_frames(network: CopyNetwork) -> None:
    model = CopyHash(CopyConfig(size=32, frames=3), network).eval()
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 3, 32, 32, 3), np.uint8))
    with torch.inference_mode():
        code, logits, embedding, framewise = model(frames)
    assert code.shape == (2, 32) and embedding.shape == (2, WIDTH) and framewise.shape == (2, 3, 256)
    assert np.array_equal(code.numpy(), np.packbits(logits.numpy() >= 0, axis=1, bitorder="little"))
    assert torch.allclose(framewise.mean(1), logits, atol=1e-4)
    few = prefix(model, "copy-64", 64)
    with torch.inference_mode():
        assert torch.allclose(few(frames)[1], logits[:, :64], atol=1e-5)


def test_a_saved_model_is_the_same_but_for_its_halves(network: CopyNetwork, tmp_path: Path) -> None:
    model = CopyHash(CopyConfig(size=32, frames=2), network).eval()
    save_model(model, {"family": "copy"}, tmp_path / "m.safetensors")
    again, card = load_model(tmp_path / "m.safetensors")
    assert card == {"family": "copy"} and again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(
            tensor.half().float() if tensor.is_floating_point() else tensor, again.state_dict()[name]
        )


def test_itq_turns_principal_axes_and_centres() -> None:
    known = descriptors(400, noise=0.0)
    project = itq(known.clean, 128, seed=0)
    with torch.no_grad():
        logits = project(known.clean)
    assert torch.allclose(logits.mean(0), torch.zeros(128), atol=1e-4)
    balance = (logits >= 0).float().mean(0)
    assert balance.min() > 0.3 and balance.max() < 0.7


def test_training_finds_more_than_itq_with_every_width(network: CopyNetwork) -> None:
    known, asked = descriptors(600, noise=2.0), descriptors(200, noise=2.0, seed=1)
    config = HashTraining(steps=150, batch=128, bits=128, lr=5e-3)
    project = itq(known.clean, config.bits, config.seed)
    before = bit_recalls(project, asked)
    train(project, known, config)
    after = bit_recalls(project, asked)
    assert widths(128) == [64, 128] and set(after) == {"64", "128"}
    assert after["64"]["recall_1e-3"] > before["64"]["recall_1e-3"] + 0.02
    both = Described(
        torch.cat([known.clean, asked.clean]), torch.cat([known.views, asked.views], 1), torch.arange(800)
    )
    model, figures = learn(network, both, config, (np.arange(600), np.arange(600, 800)))
    assert set(figures) == {"descriptor", "itq", "learned"}
    with torch.no_grad():  # confidences rest on logits of unit deviation
        assert torch.allclose(model.project(known.clean).square().mean(0), torch.ones(128), atol=1e-3)


def test_recalls_count_what_is_nearer_than_any_stranger() -> None:
    clean = torch.eye(4)
    views = torch.stack([clean, clean.roll(1, 0)])
    assert recalls(clean, views)["recall"] == 0.0  # a copy of another one is as near as any can be
    assert recalls(clean, clean[None])["recall"] == 1.0
