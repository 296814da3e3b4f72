"""Searching a library by the codes of whole pictures and content boxes; what it keeps for a second look."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from ..errors import CodeError, StoreError
from ..index.memory import Index
from ..index.protocol import CodeIndex
from ..matching.verification import Trajectory, View
from ..spec import ModelSpec
from .database import Database
from .rows import Seen, code_array


def box_index(database: Database, spec: ModelSpec) -> Index:
    """The codes of content boxes; ids are those of the videos."""
    ids, codes, _ = database.codes(spec.bits, "box")
    index = Index(spec.bits, model=spec.fingerprint)
    index.add(codes, ids)
    return index


def nearest(
    indexes: Sequence[CodeIndex], views: Sequence[View], *, radius: int, k: int | None
) -> list[tuple[int, int]]:
    """The k nearest videos (None: all) as (distance, id), in that order; the nearest views count."""
    best: dict[int, int] = {}
    for index in indexes:
        for view in views:
            matches = index.range_search(view.code, radius, limit=k)
            for video, distance in zip(matches.ids.tolist(), matches.distances.tolist(), strict=True):
                best[video] = min(distance, best.get(video, distance))
    return sorted((distance, video) for video, distance in best.items())[:k]


class StoredViews:
    """What a library keeps of its videos for a second look.

    Args:
        database: of the library.
        spec: of its model.
    """

    def __init__(self, database: Database, spec: ModelSpec) -> None:
        self._database, self._spec = database, spec
        self.of = lru_cache(maxsize=4096)(self._views)

    @cached_property
    def any(self) -> bool:
        """Whether one video at least can be looked at again."""
        return bool(self._database.rows("SELECT 1 FROM trajectory LIMIT 1"))

    @cached_property
    def all(self) -> bool:
        """Whether every video can be."""
        without = "SELECT 1 FROM video v WHERE v.id NOT IN (SELECT video FROM trajectory) LIMIT 1"
        return not self._database.rows(without)

    def _views(self, video: int) -> tuple[View, ...]:
        rows = self._database.read(
            Seen,
            "SELECT c.code, t.steps, v.duration FROM code c JOIN video v ON v.id = c.video"
            " LEFT JOIN trajectory t ON t.video = c.video AND t.kind = c.kind"
            " WHERE c.video = ? AND c.kind IN ('full', 'box') ORDER BY c.id",
            (video,),
        )
        codes = code_array(self._database.path, [row.code for row in rows], self._spec.bits)
        return tuple(View(code, self._trajectory(row)) for code, row in zip(codes, rows, strict=True))

    def _trajectory(self, row: Seen) -> Trajectory | None:
        if row.steps is None:
            return None
        try:
            return Trajectory.from_bytes(row.steps, self._spec, row.duration or np.nan)
        except CodeError as error:
            raise StoreError(
                f"{self._database.path}: holds a damaged row ({error}); run `vhash verify`"
            ) from error
