"""Projections of a feature onto bits: shrink what copies of a video change, keep what tells videos apart.

Within-class covariance normalisation (Hatch et al. 2006) with altered copies as the class,
then the principal axes of ordinary videos (so, a regularised linear discriminant), then a
random rotation that spreads them evenly over the bits, as in Gong & Lazebnik 2011 (ITQ, whose
learned rotation gained nothing here).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def within_covariance(differences: dict[str, Matrix]) -> Matrix:
    """Mean, over kinds of copies, of the second moment of (copy − original), each ``[n, D]``."""
    return np.mean([d.T @ d / len(d) for d in differences.values()], axis=0)


def discriminant_axes(
    clean: Matrix, within: Matrix, *, dimensions: int, ridge: float
) -> tuple[Matrix, Matrix]:
    """Mean ``[D]`` of ``clean`` and the axes ``[D, dimensions]`` on which to project what is centred on it.

    ``ridge`` times the mean eigenvalue of ``within`` is added to all of them, so that a direction
    in which no copy was seen to change is not trusted without limit.
    """
    mean = clean.mean(0)
    values, vectors = np.linalg.eigh(within)
    whiten = (vectors / np.sqrt(np.maximum(values, 0) + ridge * values.mean())) @ vectors.T
    _, _, axes = np.linalg.svd((clean - mean) @ whiten, full_matrices=False)
    if dimensions > len(axes):
        raise ValueError(f"dimensions={dimensions}: {len(clean)} clips give at most {len(axes)}")
    return mean, whiten @ axes[:dimensions].T


def random_rotation(dimensions: int, bits: int, seed: int) -> Matrix:
    """``[dimensions, bits]``: columns of as many random orthogonal matrices as it takes."""
    generator = np.random.default_rng(seed)
    blocks = [
        np.linalg.qr(generator.standard_normal((dimensions, dimensions)))[0]
        for _ in range(-(-bits // dimensions))
    ]
    return np.concatenate(blocks, axis=1)[:, :bits]
