"""What an index in memory and one in a directory have in common: changes, searches, pairs.

Results are ordered by (distance, id). Any number of threads may search one index while another
adds or removes; a search sees the index as it was when it began.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..codes import same_model
from ..errors import ModelMismatchError, VhashError
from ..system.checks import checked_count, checked_path
from ..system.forking import ForkedLock
from ..system.unpicklable import NotPickled
from .arguments import Codes, checked_codes, checked_ids, checked_range, checked_recall, eligible_ids
from .matches import Explanation, Matches, Pairs, PairShare, RangeMatches, reason


class BaseIndex(NotPickled):
    """The methods of ``Index`` and ``StoredIndex``, over one engine of the C++ module.

    Args:
        engine: holds the codes.
        threads: threads that one call may use, checked.
    """

    def __init__(self, engine: _core.HammingIndex, threads: int) -> None:
        self._engine = engine
        self._threads = threads
        self._changing = ForkedLock()  # one change at a time decides which model's codes these are

    @property
    def bits(self) -> int:
        """Width of the codes, in bits."""
        return self._engine.bits

    @property
    def model(self) -> str | None:
        """Fingerprint of the model whose codes these are, or None where it is not known."""
        return self._engine.model or None

    @property
    def threads(self) -> int:
        """Threads that one call may use."""
        return self._threads

    def __len__(self) -> int:
        return len(self._engine)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, (int, np.integer)) and -(2**63) <= int(id) < 2**63 and int(id) in self._engine

    def __repr__(self) -> str:
        model = f", model={self.model[:8]!r}" if self.model else ""
        return f"{type(self).__name__}({self.bits}{model}, codes={len(self)})"

    def add(self, codes: Codes, ids: ArrayLike | None = None) -> NDArray[np.int64]:
        """Add codes and return their ids, int64 ``[n]``.

        All are added or none. Without ``ids`` they get the next free ones: an id is never given
        out twice, also not after its code was removed.

        Raises:
            OptionError: an id exists already or comes twice (a ``ValueError``).
            CodeError: the codes are not of this index's width.
            ModelMismatchError: a ``VideoCode`` of another model.
        """
        with self._changing:
            array, model = self._codes(codes)
            wanted = None if ids is None else checked_ids(ids, len(array))
            with self._adopted(model):
                first = self._engine.add(array, wanted)
        return wanted if wanted is not None else np.arange(first, first + len(array), dtype=np.int64)

    def upsert(self, codes: Codes, ids: ArrayLike) -> None:
        """Add codes under ``ids``, replacing the codes of those that exist, in one step for readers.

        Raises:
            OptionError: an id comes twice.
        """
        with self._changing:
            array, model = self._codes(codes)
            wanted = checked_ids(ids, len(array))
            with self._adopted(model):
                self._engine.upsert(array, wanted)

    def remove(self, ids: ArrayLike) -> int:
        """Remove those of the ids that exist and return how many there were."""
        return self._engine.remove(checked_ids(ids, None))

    def codes(self, ids: ArrayLike) -> NDArray[np.uint8]:
        """Codes of ids, ``uint8[n, bytes]`` in their order.

        Raises:
            UnknownIdError: an id is not in the index (a ``LookupError``).
        """
        return self._engine.codes(checked_ids(ids, None))

    def search(
        self, codes: Codes, k: int = 10, *, among: ArrayLike | None = None, approximate: float | None = None
    ) -> Matches:
        """Find the k nearest codes of each query, by (distance, id).

        Fewer than k eligible codes give fewer results, never padding.

        Args:
            codes: the queries.
            k: how many neighbours of each.
            among: eligible ids, or a boolean mask with a place for each id from 0; None: all.
            approximate: a recall, as 0.99: each of the k nearest is found with at least that chance, if the
                bits in which it differs from the query lie anywhere; in place of one that is missed comes a
                farther one. It saves time where the substring tables (``build_multi_index``) lead to near
                codes among millions; elsewhere it is exact. None: all of them.

        Raises:
            OptionError: an argument is none that is allowed.
            CodeError, ModelMismatchError: the queries are no codes of this index.

        >>> from vhash_sdk import Index
        >>> index = Index(8)
        >>> _ = index.add([[0], [1], [255]])
        >>> index.search([[3]], k=2, approximate=0.99).ids.tolist()
        [[1, 0]]
        """
        array, _ = self._codes(codes)
        only, recall = eligible_ids(among), checked_recall(approximate)
        return Matches(*self._engine.search(array, checked_count("k", k, 0), self._threads, only, recall))

    def range_search(
        self,
        codes: Codes,
        radius: int,
        *,
        limit: int | None = None,
        among: ArrayLike | None = None,
        approximate: float | None = None,
    ) -> RangeMatches:
        """Find all codes within ``radius`` bits of each query, by (distance, id).

        The radius is inclusive (faiss's is not); with ``limit`` at most that many of the nearest
        are returned for each query. ``among`` and ``approximate`` are as for ``search``: each code within the
        radius is found with at least that chance.
        """
        array, _ = self._codes(codes)
        within, most = checked_range(radius, limit, self.bits)
        only, recall = eligible_ids(among), checked_recall(approximate)
        return RangeMatches(*self._engine.range_search(array, within, most, self._threads, only, recall))

    def explain(
        self,
        codes: Codes,
        k: int = 10,
        *,
        radius: int | None = None,
        among: ArrayLike | None = None,
        approximate: float | None = None,
    ) -> Explanation:
        """Run a search and tell which path answered it and why; by ``radius`` instead of k if given."""
        array, _ = self._codes(codes)
        within = None if radius is None else min(checked_count("radius", radius, 0), self.bits)
        only, recall = eligible_ids(among), checked_recall(approximate)
        facts = self._engine.explain(array, checked_count("k", k, 0), within, self._threads, only, recall)
        has_multi_index = facts.pop("multi_index")
        return Explanation(reason=reason(facts, has_multi_index), **facts)

    def build_multi_index(self) -> None:
        """Build the substring tables now that make searches for near duplicates fast.

        Searches build them by themselves once they would have saved more time than that takes
        (indexes of at least 200,000 codes). They take about 12 to 20 bytes a code at 64 bits.
        """
        self._engine.build_multi_index(self._threads)

    def pair_shares(self, radius: int, *, rows: int | None = None) -> list[PairShare]:
        """Divide the work of ``pairs(radius)`` for processes that each hold the same codes.

        Over all shares every pair comes once. The work of a share is about the same as that of any
        other, and their sum is that of ``pairs`` itself, as long as ``rows`` does not divide them further.

        Args:
            radius: as for ``pairs``.
            rows: codes that one share may sort at once, at about 32 bytes and twice the code for each;
                None: all.

        >>> from vhash_sdk import Index
        >>> Index(64).pair_shares(4)
        [PairShare(choice=0, part=0, parts=1)]
        """
        within = min(checked_count("radius", radius, 0), self.bits)
        parts = 1 if rows is None else -(-max(len(self), 1) // checked_count("rows", rows, 1))
        choices = self._engine.pairs(None, within, 1).choices
        return [PairShare(choice, part, parts) for choice in range(choices) for part in range(parts)]

    def pairs(
        self,
        radius: int,
        *,
        other: BaseIndex | None = None,
        batch: int = 1 << 20,
        share: PairShare | None = None,
    ) -> Iterator[Pairs]:
        """All pairs of codes within ``radius`` bits (inclusive), as a stream of batches.

        Each pair comes once, in no particular order. Memory stays bounded: a copy of the codes and
        a few batches. The pairs are those of the moment when the first is asked for.

        Args:
            radius: largest distance, in bits.
            other: pairs of one code here and one there; None: pairs within this index.
            batch: pairs to collect before they are handed out, at least.
            share: one of ``pair_shares(radius)``; None: all pairs.

        >>> from vhash_sdk import Index
        >>> index = Index(8)
        >>> _ = index.add([[0], [1], [255], [254]])
        >>> [pairs.ids.tolist() for pairs in index.pairs(1)]
        [[[0, 1], [2, 3]]]
        """
        if other is not None and (other.bits != self.bits or not same_model(self.model, other.model)):
            raise ModelMismatchError(
                f"{other!r} and {self!r} hold codes of different models; encode both with one"
            )
        within, wanted = min(checked_count("radius", radius, 0), self.bits), checked_count("batch", batch, 1)
        return self._pairs(within, other, wanted, share or ())

    def _pairs(
        self, radius: int, other: BaseIndex | None, batch: int, share: PairShare | tuple[()]
    ) -> Iterator[Pairs]:
        join = self._engine.pairs(None if other is None else other._engine, radius, self._threads, *share)
        while (found := join.next(batch)) is not None:
            yield Pairs(*found)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the index to one file: under a temporary name, flushed to the disk, then renamed.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        self._engine.save(os.fsencode(checked_path("file", file)))

    def _codes(self, codes: Codes) -> tuple[NDArray[np.uint8], str | None]:
        return checked_codes(codes, self.bits, self.model)

    @contextlib.contextmanager
    def _adopted(self, model: str | None) -> Iterator[None]:
        """Take over the model that codes name, unless adding them fails."""
        before = self._engine.model
        adopting = model is not None and len(model) > len(before)
        if adopting:  # before the codes, so that a store never holds codes of a model it does not know
            self._engine.model = model or ""
        try:
            yield
        except Exception:
            if adopting:
                with contextlib.suppress(VhashError):  # the disk fails: the first error says so
                    self._engine.model = before
            raise
