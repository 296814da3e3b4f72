"""The server of ``benchmarks.speed.serve`` with faiss in the place of our index: all else is the same."""

from __future__ import annotations

import faiss
import numpy as np

from vhash_sdk.cli import main
from vhash_sdk.index import Index
from vhash_sdk.index.matches import RangeMatches
from vhash_sdk.serve import lookup


class FaissIndex:
    """``IndexBinaryFlat`` as the server takes an index: exact, radius inclusive, ids from 0."""

    model = None

    def __init__(self, place: str) -> None:
        with Index.open(place, mode="r") as stored:
            self.bits = stored.bits
            self._index = faiss.IndexBinaryFlat(self.bits)
            for start in range(0, len(stored), 1 << 20):
                ids = np.arange(start, min(start + (1 << 20), len(stored)))
                self._index.add(stored.codes(ids))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def range_search(self, codes: np.ndarray, radius: int, *, limit: int | None = None) -> RangeMatches:
        splits, distances, places = self._index.range_search(codes, radius + 1)
        query = np.repeat(np.arange(len(codes)), np.diff(splits).astype(np.int64))
        order = np.lexsort((places, distances, query))
        return RangeMatches(
            places[order].astype(np.int64), distances[order].astype(np.uint16), splits.astype(np.int64)
        )


if __name__ == "__main__":
    lookup._opened = FaissIndex  # type: ignore[assignment]
    main()
