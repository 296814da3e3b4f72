"""The videos of a library as points of a plane: the two directions in which their codes differ most."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..codes import unpack_bits
from ..library.library import Library

_ROWS = 8192
MAGIC = b"VHM1"


@dataclass(frozen=True, eq=False)
class Plane:
    """Points of n videos.

    Attributes:
        generation: of the library.
        ids: ``int64[n]``, rising.
        points: ``float32[n, 2]``, within -1 and 1.
        explained: the share of all differences that each direction shows.
    """

    generation: str
    ids: NDArray[np.int64]
    points: NDArray[np.float32]
    explained: tuple[float, float]

    def packed(self, kinds: NDArray[np.uint8]) -> bytes:
        """As ``/v1/map/points`` sends it: magic, count, ids, x, y, kinds, all little-endian."""
        x, y = np.ascontiguousarray(self.points.T, "<f4")
        head = MAGIC + struct.pack("<I", len(self.ids))
        body: bytes = head + self.ids.astype("<f8").tobytes() + x.tobytes() + y.tobytes() + kinds.tobytes()
        return body


def plane_of(library: Library) -> Plane:
    """The plane of a library as it is now (principal components of the bits of its codes)."""
    generation, index = library.generation, library.index()
    videos = np.array(library.ids(), np.int64)
    videos = videos[[int(video) in index for video in videos]]
    codes = index.codes(videos) if len(videos) else np.zeros((0, (index.bits + 7) // 8), np.uint8)
    points, explained = projected(codes, index.bits)
    return Plane(generation, videos, points, explained)


def projected(codes: NDArray[np.uint8], bits: int) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Codes ``uint8[n, bytes]`` in the plane, ``float32[n, 2]``; the share that each direction explains.

    >>> points, _ = projected(np.array([[0], [255], [1]], np.uint8), 8)
    >>> points.shape, bool(abs(points).max() <= 1)
    ((3, 2), True)
    """
    count = len(codes)
    if count < 2:
        return np.zeros((count, 2), np.float32), (0.0, 0.0)
    total, products = np.zeros(bits), np.zeros((bits, bits))
    for start in range(0, count, _ROWS):
        part = unpack_bits(codes[start : start + _ROWS], bits).astype(np.float32)
        total += part.sum(axis=0, dtype=np.float64)
        products += part.T @ part
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    axes = vectors[:, [-1, -2]] if bits > 1 else np.repeat(vectors[:, [-1]], 2, axis=1)
    axes = axes * np.where(np.abs(axes).max(axis=0) == axes.max(axis=0), 1.0, -1.0)  # the sign is arbitrary
    points = np.empty((count, 2), np.float32)
    for start in range(0, count, _ROWS):
        part = unpack_bits(codes[start : start + _ROWS], bits).astype(np.float32)
        points[start : start + _ROWS] = (part - mean.astype(np.float32)) @ axes.astype(np.float32)
    most = float(np.abs(points).max())
    whole = max(float(values.sum()), 1e-12)
    shares = (float(values[-1] / whole), float(values[-2] / whole) if bits > 1 else 0.0)
    return (points / most if most > 0 else points), shares
