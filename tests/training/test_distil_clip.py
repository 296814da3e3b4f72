"""Distillation of a clip network learns, and goes on where it stopped."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from training import distil_clip  # noqa: E402
from training.clip_data import VideoSet  # noqa: E402
from training.distil_clip import Distillation, altered, distil, plain  # noqa: E402


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Distillation, VideoSet, torch.Tensor]:
    """Twelve clips of six colours, a teacher that sees the mean colour, the smallest student."""

    class Colours(torch.nn.Module):
        width, mean, std = 3, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    networks = distil_clip.make_backbone
    monkeypatch.setattr(
        distil_clip,
        "make_backbone",
        lambda name, weights=None: Colours() if name == "i3d" else networks(name),
    )
    colours = np.random.default_rng(0).integers(0, 256, (6, 3)).repeat(2, axis=0)
    clips = torch.from_numpy(
        np.broadcast_to(colours[:, None, None, None], (12, 6, 24, 24, 3)).astype(np.uint8)
    )
    labels = np.array([f"{i % 2}" for i in range(12)])
    data = VideoSet("colours", tmp_path, [f"{i}" for i in range(12)], labels,
                    np.array([f"g{i}" for i in range(12)]), np.array(["train"] * 12))  # fmt: skip
    config = Distillation(
        student="r2plus1d_10", frames=4, stored=6, size=16, teacher_size=16, epochs=6, batch=5, lr=3e-3,
        output=tmp_path / "run", validation=0.3,
    )  # fmt: skip
    return config, data, clips


@pytest.mark.slow
def test_it_learns_and_goes_on_exactly_where_it_stopped(
    run: tuple[Distillation, VideoSet, torch.Tensor],
) -> None:
    config, data, clips = run
    student, curve = distil(config, data, clips)
    assert len(curve) == 6 and curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    assert student.features(plain(clips, 4)[:2, :, :16, :16]).shape == (2, 512)
    stopped = replace(config, output=config.output / "stopped", minutes=1e-9)
    parts = [len(distil(replace(stopped, resume=n > 0), data, clips)[1]) for n in range(6)]
    assert parts == [1, 2, 3, 4, 5, 6]
    again = distil(replace(stopped, resume=True), data, clips)[1]
    assert [p["loss"] for p in again] == pytest.approx([p["loss"] for p in curve], rel=1e-4)


def test_views_are_of_the_asked_size_and_decided_by_the_seed(
    run: tuple[Distillation, VideoSet, torch.Tensor],
) -> None:
    _, _, clips = run
    one, two, other = (altered(clips[:3], 4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == (3, 4, 24, 24, 3) and torch.equal(one, two) and not torch.equal(one, other)
    assert float(one.min()) >= 0 and float(one.max()) <= 255
