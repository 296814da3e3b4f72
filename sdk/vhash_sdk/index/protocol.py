"""What every index offers, wherever it keeps its codes."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import Codes
from .matches import Matches, RangeMatches


@runtime_checkable
class CodeIndex(Protocol):
    """An index of codes by Hamming distance: ``Index``, ``StoredIndex`` and ``MilvusIndex`` are ones.

    Results come by (distance, id); the radius is inclusive; ids are int64. The methods are described
    at ``Index``; ``tests/engines/test_contract.py`` holds every index to this and lists the differences.
    """

    @property
    def bits(self) -> int:
        """Width of the codes, in bits."""
        ...

    @property
    def model(self) -> str | None:
        """Fingerprint of the model whose codes these are, or None where it is not known."""
        ...

    def __len__(self) -> int: ...

    def __contains__(self, id: object) -> bool: ...

    def add(self, codes: Codes, ids: ArrayLike | None = None) -> NDArray[np.int64]:
        """Add codes and return their ids; an id that exists raises OptionError."""
        ...

    def upsert(self, codes: Codes, ids: ArrayLike) -> None:
        """Add codes under ``ids``, replacing the codes of those that exist."""
        ...

    def remove(self, ids: ArrayLike) -> int:
        """Remove those of the ids that exist and return how many there were."""
        ...

    def codes(self, ids: ArrayLike) -> NDArray[np.uint8]:
        """Codes of ids; one that is not there raises UnknownIdError."""
        ...

    def search(self, codes: Codes, k: int = 10, *, among: ArrayLike | None = None) -> Matches:
        """Find the k nearest codes of each query."""
        ...

    def range_search(
        self, codes: Codes, radius: int, *, limit: int | None = None, among: ArrayLike | None = None
    ) -> RangeMatches:
        """Find all codes within ``radius`` bits of each query."""
        ...


class OpenIndex(CodeIndex, Protocol):
    """A ``CodeIndex`` that outlives the process: what ``open_index`` returns."""

    def close(self) -> None:
        """Let go of it; what was acknowledged stays."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
