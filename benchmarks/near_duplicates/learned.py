"""Learned codes as tools of the near-duplicate benchmark: what ITQ and neighbour-uvvh make of altered copies.

All code one feature, the embedding of the default model (EfficientNet-Lite0, mean over 25 frames),
and learn from the same clips, none of which is an original of the benchmark. So the rows differ by
the code alone: ``learned:uncoded``, ``learned:lsh-64``, ``learned:itq-64``, ``learned:neighbour-64``,
``learned:neighbour-copies-64``, and other lengths. Needs torch and the features of
``training.train_semantic``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA
from benchmarks.near_duplicates.tools import hamming
from training import baselines, train_semantic
from training.clips import read_frames
from training.frame_features import FeatureStore
from training.train_neighbour import codes, train

Floats = NDArray[np.float32]
SEED = 0


class Learned:
    """A code of the default model's embedding; ``KIND-BITS`` or ``uncoded``."""

    def __init__(self, what: str):
        from vhash_sdk import Encoder

        self.kind, _, bits = what.rpartition("-")
        self.bits = int(bits) if self.kind else 0
        self.name = f"Lite0, {what}" if self.kind else "Lite0, uncoded, centred cosine"
        self.encoder = Encoder("default", threads=1)
        self.version = f"embedding-{self.encoder.spec.fingerprint[:8]}"  # codes are made from it afterwards

    def encode(self, path: Path) -> Floats:
        spec = self.encoder.spec
        frames = read_frames(path, spec.sampling, spec.resize)
        return self.encoder.encode_frames(frames[None, None]).embeddings[0]

    def distances(self, queries: Sequence[Floats], database: Sequence[Floats]) -> Floats:
        sides = np.stack(queries), np.stack(database)
        if not self.kind:
            centre = baselines.unit_length(learned_from().features[:, 0]).mean(axis=0)
            q, d = (baselines.unit_length(baselines.unit_length(x) - centre) for x in sides)
            return 1 - q @ d.T
        code = fitted(self.kind, self.bits)
        return hamming(*(code(x) for x in sides))

    def size(self, fingerprint: Floats) -> int:
        return self.bits // 8 or int(fingerprint.nbytes)


@cache
def learned_from(copies: bool = False) -> train_semantic.Clips:
    """Features of the clips that may shape a model."""
    if copies:
        return train_semantic.with_copies(DATA)
    return train_semantic.plain(FeatureStore.open(CACHE / "real10" / "lite0_192"), DATA)


@cache
def fitted(kind: str, bits: int) -> Callable[[Floats], NDArray[np.uint8]]:
    """Embeddings ``[n, 1280]`` → packed codes."""
    if kind.startswith("neighbour"):
        mine = learned_from(copies=kind.endswith("copies"))
        model, _ = train(train_semantic.recipe(bits, SEED), mine.features, twins=mine.video)
        return lambda x: codes(model, x[:, None])
    make: Any = {"lsh": baselines.lsh, "itq": baselines.itq}[kind]
    hash_ = make(learned_from().features[:, 0], bits, seed=SEED)
    return hash_.code  # type: ignore[no-any-return]
