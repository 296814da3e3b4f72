"""Exact Hamming search: in memory (``Index``), in a directory (``StoredIndex``), on a GPU (``CudaIndex``)."""

from __future__ import annotations

from .arguments import Codes
from .matches import Explanation, Matches, Pairs, PairShare, RangeMatches
from .memory import Index
from .simd import set_simd_level, simd_level, simd_levels
from .stored import StoredIndex, repair

__all__ = [
    "Codes", "Explanation", "Index", "Matches", "PairShare", "Pairs", "RangeMatches",
    "StoredIndex", "repair", "set_simd_level", "simd_level", "simd_levels",
]  # fmt: skip
