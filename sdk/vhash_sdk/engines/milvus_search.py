"""Exact, ordered answers from Milvus, which cuts ties as it likes and gives 16,384 results at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.matches import Matches, RangeMatches

MOST = 16_384  # results of one query, by Milvus's own limit
_SLACK = 64  # results beyond k that show whether the cut goes through a tie
_BATCH_RESULTS = 1 << 19  # queries times results of one call: the answer stays far below gRPC's 64 MB
_BATCH_QUERIES = 4096
_LOWEST, _HIGHEST = -(2**63) + 1, 2**63 - 1

Found = tuple[NDArray[np.int64], NDArray[np.uint16]]  # ids, distances; of one query


class Searcher:
    """Turns what one collection answers into what an index of vhash promises.

    Args:
        read: ``read("search", data=…, limit=…, search_params=…, filter=…)``.
        bits: width of the codes.
        params: search parameters of the kind of index; none for an exact one.
    """

    def __init__(self, read: Callable[..., Any], bits: int, params: dict[str, Any]) -> None:
        self._read = read
        self._bits = bits
        self._params = params

    def nearest(self, queries: NDArray[np.uint8], k: int, among: list[str] | None, where: str) -> Matches:
        """The k nearest of each query; ``among``: filters, each of some of the eligible ids."""
        found = self._all(queries, self._bits, k, among, where)
        least = min((len(ids) for ids, _ in found), default=0)  # all equal where the index is exact
        shape = (len(queries), least if found else k)
        if not found:
            return Matches(np.empty(shape, np.int64), np.empty(shape, np.uint16))
        return Matches(
            np.stack([ids[:least] for ids, _ in found]), np.stack([near[:least] for _, near in found])
        )

    def within(
        self,
        queries: NDArray[np.uint8],
        radius: int,
        limit: int | None,
        among: list[str] | None,
        where: str,
    ) -> RangeMatches:
        """All within the radius, or the nearest ``limit`` of them."""
        found = self._all(queries, radius, limit, among, where)
        splits = np.cumsum([0, *(len(ids) for ids, _ in found)], dtype=np.int64)
        ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        return RangeMatches(
            ids, np.concatenate([np.empty(0, np.uint16), *(near for _, near in found)]), splits
        )

    def _all(
        self,
        queries: NDArray[np.uint8],
        radius: int,
        limit: int | None,
        among: list[str] | None,
        where: str,
    ) -> list[Found]:
        filters = [_both(where, part) for part in among] if among is not None else [where]
        if limit == 0 or not filters:
            return [_none() for _ in queries]
        parts = [self._filtered(queries, radius, limit, each) for each in filters]
        return [_cut(_joined(list(of_one)), limit) for of_one in zip(*parts, strict=True)]

    def _filtered(
        self, queries: NDArray[np.uint8], radius: int, limit: int | None, where: str
    ) -> list[Found]:
        ask = MOST if limit is None else min(limit + _SLACK, MOST)
        step = max(1, min(_BATCH_QUERIES, _BATCH_RESULTS // ask))
        results: list[Found] = []
        for start in range(0, len(queries), step):
            batch = queries[start : start + step]
            for query, found in zip(batch, self._ask(batch, 0, radius, ask, where), strict=True):
                results.append(self._complete(query, found, radius, limit, ask, where))
        return results

    def _complete(
        self,
        query: NDArray[np.uint8],
        found: Found,
        radius: int,
        limit: int | None,
        ask: int,
        where: str,
    ) -> Found:
        """What the first answer left out: ties at the cut, or all beyond Milvus's limit."""
        near = found[1]
        if len(near) < ask or self._params:  # an approximate index has no exact answer to complete
            return _cut(found, limit)
        if limit is None or limit > ask:
            return _cut(self._everything(query, 0, radius, where, None), limit)
        last = int(near[limit - 1])
        if last < near[-1]:
            return _cut(found, limit)
        sure = near < last
        inside: Found = (found[0][sure], near[sure])
        ties = self._everything(query, last, last, where, limit - int(sure.sum()))
        return _joined([inside, ties])

    def _everything(
        self, query: NDArray[np.uint8], least: int, radius: int, where: str, limit: int | None
    ) -> Found:
        """All at distances from ``least`` to ``radius``; the ``limit`` lowest ids of them where it is given.

        Where there are more than Milvus gives at once, the ids are halved until there are not.
        """
        parts: list[Found] = []
        spans = [(_LOWEST, _HIGHEST)]
        count = 0
        while spans and (limit is None or count < limit):
            low, high = spans.pop()
            span = "" if (low, high) == (_LOWEST, _HIGHEST) else f"id >= {low} and id < {high}"
            (found,) = self._ask(query[None], least, radius, MOST, _both(where, span))
            if len(found[0]) < MOST:
                parts.append(found)
                count += len(found[0])
                continue
            middle = int(np.partition(found[0], MOST // 2)[MOST // 2])
            spans += [(middle, high), (low, middle)]  # the lower ids first
        if limit is None:
            return _joined(parts)
        ids, near = (np.concatenate(column) for column in zip(_none(), *parts, strict=True))
        order = np.argsort(ids)[:limit]
        return ids[order], near[order]

    def _ask(
        self, queries: NDArray[np.uint8], least: int, radius: int, limit: int, where: str
    ) -> list[Found]:
        """One call: those at distances from ``least`` to ``radius``, ``limit`` of the nearest, ordered."""
        params = dict(self._params)
        if radius < self._bits or least:
            params["radius"] = radius + 1  # Milvus leaves out the radius itself
            if least:
                params["range_filter"] = least
        answer = self._read(
            "search",
            data=[query.tobytes() for query in queries],
            anns_field="code",
            limit=limit,
            filter=where,
            search_params={"metric_type": "HAMMING", "params": params},
        )
        return [
            _ordered(np.array(hits.ids, np.int64), np.array(hits.distances, np.float32).astype(np.uint16))
            for hits in answer
        ]


def _none() -> Found:
    return np.empty(0, np.int64), np.empty(0, np.uint16)


def _ordered(ids: NDArray[np.int64], near: NDArray[np.uint16]) -> Found:
    order = np.lexsort((ids, near))
    return ids[order], near[order]


def _joined(parts: list[Found]) -> Found:
    if len(parts) == 1:
        return parts[0]
    ids, near = (np.concatenate(column) for column in zip(_none(), *parts, strict=True))
    return _ordered(ids, near)


def _cut(found: Found, limit: int | None) -> Found:
    return found if limit is None else (found[0][:limit], found[1][:limit])


def _both(one: str, other: str) -> str:
    return f"({one}) and ({other})" if one and other else one or other
