"""Frame features as a trainer wants them: in memory, optionally reduced by PCA, with their scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .baselines import principal_components
from .data import FeatureSet, relevance
from .uvvh import feature_scale


@dataclass(frozen=True)
class Reduced:
    """Database (= training) and query features ``[n, T, F]``, and how they came from the stored ones.

    Attributes:
        database, queries: float16 or float32, not yet multiplied by ``scale``.
        scale: makes mean‖v‖² of the database F.
        raw_width: width of the stored features.
        centre, basis: of the PCA, fitted on the database's frames; None = full width.
        relevant: bool ``[queries, database]``, for measuring only.
    """

    database: Tensor
    queries: Tensor
    scale: float
    raw_width: int
    centre: Tensor | None
    basis: Tensor | None
    relevant: NDArray[np.bool_]


def reduce(database: FeatureSet, queries: FeatureSet, components: int) -> Reduced:
    """Reduce both sets to ``components`` principal components of the database's frames (0 = keep all)."""
    width = database.features.shape[2]
    relevant = relevance(queries, database)
    if not components:
        sets = [torch.from_numpy(np.ascontiguousarray(s.features)) for s in (database, queries)]
        return Reduced(sets[0], sets[1], feature_scale(sets[0]), width, None, None, relevant)
    frames = database.features.reshape(-1, width)
    # every second frame of long sets: neighbouring frames say the same, and the covariance fits in memory
    rows = frames[:: max(1, len(frames) // 40_000)].astype(np.float32)
    centre, basis = principal_components(rows, components)
    sets = [project(s.features, centre, basis) for s in (database, queries)]
    return Reduced(
        sets[0],
        sets[1],
        feature_scale(sets[0]),
        width,
        torch.from_numpy(centre),
        torch.from_numpy(basis),
        relevant,
    )


def project(
    features: NDArray[np.floating], centre: NDArray[np.float32], basis: NDArray[np.float32]
) -> Tensor:
    """(features − centre) · basis for ``[n, T, F]``, float32."""
    out = np.empty((*features.shape[:2], basis.shape[1]), np.float32)
    for start in range(0, len(features), 64):
        out[start : start + 64] = (features[start : start + 64].astype(np.float32) - centre) @ basis
    return torch.from_numpy(out)
