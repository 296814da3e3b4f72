"""Hashes that need no network: LSH, PCA-sign and ITQ, each fitted on training features only.

Every one is an affine map followed by sign, so all are written as one `AffineHash`, which an
exporter can put into a graph as one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AffineHash:
    """bits = (x − centre) · projection ≥ 0, rows of x divided by their length first if ``unit``."""

    centre: Floats
    projection: Floats
    unit: bool

    def logits(self, features: Floats) -> Floats:
        """Features ``[n, F]`` → ``[n, bits]``."""
        x = unit_length(features) if self.unit else np.asarray(features, np.float32)
        return (x - self.centre) @ self.projection

    def code(self, features: Floats) -> NDArray[np.uint8]:
        """Packed codes ``uint8 [n, bytes]``, least significant bit first."""
        return pack(self.logits(features))


def pack(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Sign and packing as in the models: bit = logit ≥ 0, least significant bit first.

    >>> pack(np.array([[0.0, -1.0, 2.0, -1, -1, -1, -1, -1]]))
    array([[5]], dtype=uint8)
    """
    return np.packbits(logits >= 0, axis=1, bitorder="little")


def unit_length(features: Floats) -> Floats:
    """Each row divided by its length."""
    x = np.asarray(features, np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def lsh(features: Floats, bits: int, *, seed: int = 0, unit: bool = True) -> AffineHash:
    """Signs of random projections of the centred features (Charikar 2002)."""
    x = unit_length(features) if unit else np.asarray(features, np.float32)
    projection = np.random.default_rng(seed).normal(size=(x.shape[1], bits)).astype(np.float32)
    return AffineHash(x.mean(axis=0), projection, unit)


def pca_sign(features: Floats, bits: int, *, unit: bool = True) -> AffineHash:
    """Signs of the first principal components."""
    x = unit_length(features) if unit else np.asarray(features, np.float32)
    centre, basis = principal_components(x, bits)
    return AffineHash(centre, basis, unit)


def itq(features: Floats, bits: int, *, seed: int = 0, unit: bool = True, rounds: int = 50) -> AffineHash:
    """PCA, then the rotation that brings it nearest to its signs (Gong & Lazebnik, CVPR 2011)."""
    x = unit_length(features) if unit else np.asarray(features, np.float32)
    centre, basis = principal_components(x, bits)
    v = (x - centre) @ basis
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(bits, bits)))[0]
    for _ in range(rounds):
        u, _, wt = np.linalg.svd(np.where(v @ rotation >= 0, 1.0, -1.0).T @ v)
        rotation = wt.T @ u.T
    return AffineHash(centre, (basis @ rotation).astype(np.float32), unit)


def principal_components(features: Floats, count: int) -> tuple[Floats, Floats]:
    """(mean ``[F]``, basis ``[F, count]``) of rows ``[n, F]``, largest variance first.

    Raises:
        ValueError: fewer rows or columns than components.
    """
    n, width = features.shape
    if count > min(n - 1, width):
        raise ValueError(f"{count} components from {n} videos of width {width}; at most {min(n - 1, width)}")
    mean = features.mean(axis=0, dtype=np.float64)
    x = features - mean.astype(np.float32)
    if n < width:  # the small side decides the cost
        _, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
        top = vectors[:, ::-1][:, :count]
        basis = x.T @ top.astype(np.float32)
        basis /= np.maximum(np.linalg.norm(basis, axis=0), 1e-12)
    else:
        _, vectors = np.linalg.eigh((x.T @ x).astype(np.float64))
        basis = vectors[:, ::-1][:, :count]
    return mean.astype(np.float32), np.ascontiguousarray(basis, np.float32)
