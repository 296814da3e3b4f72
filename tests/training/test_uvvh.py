"""UVVH: parameter counts, shapes, losses, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training import checkpoint, losses  # noqa: E402 (torch is optional)
from training.config import from_command_line  # noqa: E402
from training.train_uvvh import TrainConfig, main  # noqa: E402
from training.uvvh import UVVH, TimeConv, TimeDeconv, UVVHConfig, ablation  # noqa: E402

SMALL = UVVHConfig(features=24, bits=16, widths=(16, 16, 8), projection=32, hidden=8)


@pytest.mark.parametrize(
    ("features", "bits", "all_", "inference"),
    [(4096, 64, 40_436_864, 16_273_216), (2048, 64, 22_600_832, 8_933_184)],
)
def test_parameter_counts_of_the_paper(features: int, bits: int, all_: int, inference: int) -> None:
    with torch.device("meta"):
        model = UVVH(UVVHConfig(features, bits))
    assert (model.parameter_count(), model.inference_parameter_count()) == (all_, inference)


@pytest.mark.parametrize("name", ["uvvh", "nopro", "q", "bl1", "bl2", "bl3"])
def test_every_ablation_codes_reconstructs_and_learns(name: str) -> None:
    torch.manual_seed(0)
    model = UVVH(ablation(SMALL, name))
    v = torch.randn(6, 25, 24)
    coded = model.code(v, sample=True)
    out = model.reconstruct(coded)
    assert out.shape == v.shape
    assert set(coded.h.unique().tolist()) <= {-1.0, 1.0}
    loss = losses.reconstruction(out, v) + losses.kl_divergence(coded.mu, coded.log_sigma)
    if name == "q":
        loss = loss + losses.quantisation(coded.z, coded.h)
    loss.backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    # a bias before batch norm has no effect, hence no gradient
    assert not [n for n in idle if not n.endswith(("bias", "bias_ih", "bias_hh"))]
    assert model.eval().logits(v).shape == (6, 16)


@pytest.mark.parametrize(("kernel", "padding", "steps"), [(7, 0, 10), (4, 0, 4), (4, 1, 11), (6, 1, 6)])
def test_matrix_forms_equal_torchs_convolutions(kernel: int, padding: int, steps: int) -> None:
    torch.manual_seed(1)
    up, x = TimeDeconv(8, 5, kernel, steps=steps, output_padding=padding), torch.randn(3, steps, 8)
    plain = torch.nn.functional.conv_transpose1d(x.mT, up.weight, up.bias, 2, 0, padding).mT
    torch.testing.assert_close(up(x), plain)
    down, y = TimeConv(8, 5, kernel), torch.randn(3, 25, 8)
    torch.testing.assert_close(down(y), torch.nn.functional.conv1d(y.mT, down.weight, down.bias, 2).mT)


def test_lengths_and_output_padding() -> None:
    for frames, kernels in ((25, (7, 4, 4)), (30, (4, 4, 6)), (27, (7, 4, 4))):
        config = replace(SMALL, frames=frames, kernels=kernels)
        model, v = UVVH(config), torch.randn(2, frames, 24)
        assert model.reconstruct(model.code(v, sample=False)).shape == v.shape
    with pytest.raises(ValueError, match="the last must be 1"):
        UVVH(replace(SMALL, kernels=(4, 4, 4), frames=40))


def test_all_25_frames_reach_the_code() -> None:
    """With the paper's own kernels (4, 4, 4) the last three would not."""
    torch.manual_seed(0)
    v = torch.randn(1, 25, 24, requires_grad=True)
    UVVH(SMALL).eval().embed(v).sum().backward()
    assert bool((v.grad.abs().sum(dim=2) > 0).all())


def test_losses_by_their_definitions() -> None:
    mu, log_sigma = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.1, -0.3]])
    normal, unit = torch.distributions.Normal(mu, log_sigma.exp()), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, unit).sum()
    torch.testing.assert_close(losses.kl_divergence(mu, log_sigma), expected)
    assert losses.reconstruction(torch.zeros(2, 3, 4), torch.ones(2, 3, 4)).item() == 4
    torch.testing.assert_close(
        losses.quantisation(torch.tensor([[4.0, -2.0]]), torch.tensor([[1.0, -1.0]])).item(), 10**0.5
    )


def test_neighbour_contrast_prefers_neighbours_near() -> None:
    torch.manual_seed(0)
    near = torch.tensor([[1.0, 0], [1, 0.1], [-1, 0], [-1, 0.1]])
    pairs = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    wrong = pairs[[0, 2, 1, 3]][:, [0, 2, 1, 3]]
    assert losses.neighbour_contrast(near, pairs, temperature=0.3) < losses.neighbour_contrast(
        near, wrong, temperature=0.3
    )
    nobody = losses.neighbour_contrast(near.requires_grad_(), torch.eye(4), temperature=0.3)
    assert nobody.item() == 0


def test_bit_statistics() -> None:
    torch.manual_seed(0)
    independent, copies = 5 * torch.randn(4000, 8), 5 * torch.randn(4000, 1).repeat(1, 8)
    assert losses.bit_decorrelation(independent) < 0.01 < 0.9 < losses.bit_decorrelation(copies)
    assert losses.bit_balance(independent) < 0.01 < 0.9 < losses.bit_balance(independent.abs() + 1)


def test_training_resumes_exactly(tmp_path: Path) -> None:
    config = TrainConfig(
        output=tmp_path / "whole", pca=32, widths=(32, 32, 32), projection=64, hidden=32, bits=16,
        stage1=6, stage2=4, batch=64, measure_every=5, threads=1,
    )  # fmt: skip
    main(config)
    whole, saved = checkpoint.load(config.output / "model.safetensors")
    assert saved["bits"] == 16 and (config.output / "curve.png").stat().st_size > 1000

    main(replace(config, output=tmp_path / "half", stage2=0, variant="uvvh-2", stage1=5))
    main(replace(config, output=tmp_path / "half", resume=True))
    half, _ = checkpoint.load(tmp_path / "half" / "model.safetensors")
    for name, tensor in whole.items():
        torch.testing.assert_close(half[name], tensor, rtol=1e-4, atol=1e-5)


def test_configuration_becomes_the_command_line() -> None:
    config = from_command_line(
        TrainConfig, ["--kernels", "4", "4", "6", "--variant", "bl2", "--no-validation", "--lr", "0.01"]
    )
    assert (config.kernels, config.variant, config.validation, config.lr) == ((4, 4, 6), "bl2", False, 0.01)
    assert config.stages() == (50, 30)
    assert replace(config, variant="uvvh-1").stages() == (0, 80)
    with pytest.raises(SystemExit):
        from_command_line(TrainConfig, ["--variant", "nonsense"])


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="carries no config"):
        checkpoint.load(tmp_path / "x.safetensors")
