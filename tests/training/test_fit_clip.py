"""The projection of the bundled clip model, and the split by which it was chosen."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.retrieval.i3d_projection import held_out
from training.clip_data import VideoSet
from training.fit_clip import class_axes


def test_what_differs_within_classes_is_shrunk_and_new_classes_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(12).repeat(30)
    x = rng.normal(0, 1, (12, 16))[labels] + rng.normal(0, 0.3, (360, 16))
    x[:, :8] += rng.normal(0, 5, (360, 8))  # in every class alike: says nothing about it
    seen = labels < 8
    mean, axes = class_axes(x[seen], labels[seen].astype(str), dimensions=12, ridge=0.1)
    assert mean.shape == (16,) and axes.shape == (16, 12)

    def right(features: np.ndarray) -> float:
        """Share of videos of the classes that were not seen whose nearest other video is of their class."""
        distances = np.linalg.norm(features[:, None] - features[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        return float(np.mean(labels[~seen][distances.argmin(1)] == labels[~seen]))

    assert right((x[~seen] - mean) @ axes) > right(x[~seen]) + 0.1


def test_groups_are_not_cut_apart_and_every_class_is_asked_for() -> None:
    labels = np.array([f"class {i % 5}" for i in range(200)])
    groups = np.array([f"{label} {i // 20}" for i, label in enumerate(labels)])
    videos = VideoSet("set", Path(), [str(i) for i in range(200)], labels, groups, np.full(200, "train"))
    asked = held_out(videos)
    assert not set(groups[asked]) & set(groups[~asked])
    assert set(labels[asked]) == set(labels[~asked]) == set(labels) and 0.2 < asked.mean() < 0.4
