"""A third look at two videos, from their files: small grey frames, decoded in processes of their own."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from ..matching.alignment import Span
from ..matching.detail import TIMES, agreeing_detail
from ..matching.film import Film, exact, film_shape, film_times, part_times
from ..matching.second_look import View, nearest_views
from ..matching.third_look import third_look
from ..matching.third_look_result import ThirdLook
from ..matching.timelines import Timeline, timelines
from ..spec import Resize
from .decoder import Limits
from .isolation.pool import DecodePool
from .reader import Source

_KEPT = 16  # films, of up to 2 MB: a representative is compared with each of its group
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class Filmed:
    """A video as a third look takes it.

    Attributes:
        source: of its frames.
        width, height: as it is shown, in pixels.
        seconds: its duration.
        views: whole picture and content box.
    """

    source: Source
    width: int
    height: int
    seconds: float
    views: Sequence[View]


class Filming:
    """Takes third looks. Of one thread; its processes start when they are first needed.

    Args:
        limits: what one source may cost.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._decoders: DecodePool | None = None
        self._films: OrderedDict[tuple[object, ...], Film] = OrderedDict()

    def look(self, a: Filmed, b: Filmed) -> ThirdLook | None:
        """What the pixels of two videos say; None where they are too short, or one cannot be decoded."""
        if min(a.seconds, b.seconds) < _LEAST_SECONDS:
            return None
        _, i, j = nearest_views(a.views, b.views)
        one, two = a.views[i].frames, b.views[j].frames
        lines = [] if one is None or two is None else timelines(one, two)
        if not lines:
            return None
        seen = self._seen(a, b, film_times(a.seconds, b.seconds, lines), lines)
        if seen is not None and seen.frozen and not seen.same:
            seen = self._in_detail(a, b, seen)
        if seen is None or seen.same or exact(a.seconds, b.seconds):
            return seen
        return seen._replace(seconds=0.0)  # as good as nothing was compared

    def look_at_part(self, a: Filmed, b: Filmed, span: Span) -> ThirdLook | None:
        """The same of a part of ``a`` that may be in ``b``."""
        line = Timeline(span.speed, span.at(0.0))
        times = part_times((span.query_start, span.query_end), line, a.seconds, b.seconds)
        return self._seen(a, b, times, [line])

    def _in_detail(self, a: Filmed, b: Filmed, seen: ThirdLook) -> ThirdLook:
        """The same with what a larger picture of each says, from the middle of videos that show one only."""
        times = np.array([a.seconds / 2]), np.array([b.seconds / 2])
        films = self._films_of(a, b, times, enlarged=TIMES)
        if films is None or seen.placement is None:
            return seen
        return seen._replace(detail=agreeing_detail(films[0].values, films[1].values, seen.placement))

    def _seen(
        self, a: Filmed, b: Filmed, times: tuple[NDArray[np.float64], NDArray[np.float64]],
        lines: Sequence[Timeline],
    ) -> ThirdLook | None:  # fmt: skip
        if min(map(len, times)) < 2:
            return None
        films = self._films_of(a, b, times)
        return None if films is None else third_look(*films, lines)

    def _films_of(
        self, a: Filmed, b: Filmed, times: tuple[NDArray[np.float64], NDArray[np.float64]], enlarged: int = 1
    ) -> tuple[Film, Film] | None:
        if self._decoders is None:
            self._decoders = DecodePool(2, self._limits)
        try:
            with ThreadPoolExecutor(2) as both:
                film = partial(self._film, self._decoders, enlarged=enlarged)
                first, second = both.map(film, (a, b), times)
        except VideoError:  # its error is told where it is added or compared
            return None
        return first, second

    def _film(
        self, decoders: DecodePool, video: Filmed, times: NDArray[np.float64], *, enlarged: int
    ) -> Film:
        height, width = film_shape(video.width, video.height)
        shape = enlarged * height, enlarged * width
        key = _key(video.source, times, shape)
        if key is not None and (known := self._films.get(key)) is not None:
            return known
        resize = Resize("exact", *shape, picture=2)
        film = Film.of(decoders.frames_at(video.source, times, resize).frames, times)
        if key is not None:
            self._films[key] = film
            while len(self._films) > _KEPT:
                self._films.popitem(last=False)
        return film

    def close(self) -> None:
        """End the processes."""
        if self._decoders is not None:
            self._decoders.close()
            self._decoders = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _key(source: Source, times: NDArray[np.float64], shape: tuple[int, int]) -> tuple[object, ...] | None:
    """By what a film is known again: a file may be another one by then. None: it is not kept."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    try:
        status = os.stat(source)
    except OSError:
        return None
    return os.fspath(source), status.st_size, status.st_mtime_ns, times.tobytes(), shape
