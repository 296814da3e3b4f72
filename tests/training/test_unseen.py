"""The unseen-class protocol: who learns from what, who is asked for what."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.unseen import Code, Labelled, Rows, unseen_classes

LABELS = np.repeat(["a", "b", "c", "d"], 10)
DATA = Labelled(LABELS, np.array([f"{n}{i % 5}" for i, n in enumerate(LABELS)]), np.arange(40) % 5 == 0)


def test_only_other_classes_train_split_is_learned_from() -> None:
    learned: list[tuple[set[str], int]] = []

    def fit(rows: Rows, seed: int) -> Code:
        assert not DATA.test[rows].any()
        learned.append((set(LABELS[rows].tolist()), seed))
        return lambda asked: np.eye(4, dtype=np.float32)[np.unique(LABELS, return_inverse=True)[1][asked]]

    found = unseen_classes(DATA, fit, seeds=(0, 7))
    assert len(learned) == 12 and {seed for _, seed in learned} == {0, 7}
    assert all(len(classes) == 2 for classes, _ in learned)
    assert len({frozenset(classes) for classes, _ in learned}) == 6
    np.testing.assert_array_equal(found.ap, 1.0)  # one-hot of the class finds everything
    np.testing.assert_allclose(found.chance, [0.5, 0.25])
    np.testing.assert_array_equal(found.queries, np.flatnonzero(DATA.test))


def test_codes_and_features_are_compared_each_in_its_way() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 16)).astype(np.float32)
    packed = np.packbits(features >= 0, axis=1, bitorder="little")
    by_cosine = unseen_classes(DATA, lambda rows, seed: lambda asked: np.sign(features[asked]), seeds=(0,))
    by_bits = unseen_classes(DATA, lambda rows, seed: lambda asked: packed[asked], seeds=(0,))
    np.testing.assert_allclose(by_bits.ap, by_cosine.ap)  # cosine of signs orders as Hamming does
    assert by_bits.over(by_cosine)["mean"] == pytest.approx(0)
    summary = by_bits.summary()
    assert summary["left out"]["mAP"]["interval"][0] < summary["left out"]["mAP"]["mean"]
    assert set(summary) == {"left out", "whole"}
