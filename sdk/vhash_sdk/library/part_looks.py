"""Third looks at parts that videos of a library may share: where a score leaves a doubt, the pixels decide.

The best scores are looked at first, so many in one run; the next run goes on with the rest. What was seen is
kept beside the spans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..matching.alignment import Span
from ..matching.parts import SharedSpan
from ..matching.span_evidence import LEAST_SCORE
from ..matching.third_look_result import ThirdLook
from .looks import Looks
from .part_cache import At, Key, Seen
from .records import Entry

DOUBT = 5.0
"""Nats from the threshold, up to which pixels decide."""
MOST_LOOKS = 500
"""New third looks in one run: some minutes."""
_CROWD = 32  # parts of a video that were found to be none, after which no more of its are looked at
_FAILED = 3  # looks at files that are there but failed, after which a video is not tried again in this run
_SAVED = 100  # new looks after which all are written, lest a killed run begins anew

Progress = Callable[[int, int], None]
"""How many pairs of videos are aligned, or parts looked at, and of how many."""


@dataclass(frozen=True)
class SharingPair:
    """Two videos, by their ids, and the spans that they may share.

    Attributes:
        a, b: ids; the first is the smaller one.
        key: by which the spans are kept.
        spans: those in doubt included; of ``places``.
        places: of the spans, among those that are kept.
    """

    a: int
    b: int
    key: Key
    spans: tuple[SharedSpan, ...]
    places: tuple[int, ...]

    def only(self, keep: Iterable[bool]) -> SharingPair:
        """The same with some of its spans."""
        kept = [i for i, good in enumerate(keep) if good]
        spans = tuple(self.spans[i] for i in kept)
        return replace(self, spans=spans, places=tuple(self.places[i] for i in kept))

    @property
    def at(self) -> list[At]:
        """By what the look at each of its spans is kept."""
        return [(self.key, place) for place in self.places]


@dataclass(frozen=True)
class Doubt:
    """A span whose score leaves a doubt; ``at``: by what a look at it is kept."""

    at: At
    a: int
    b: int
    span: SharedSpan


def in_doubt(span: SharedSpan) -> bool:
    """Whether pixels decide about a span, where somebody looks; what runs backwards is not looked at."""
    return not span.reversed and abs(span.score - LEAST_SCORE) <= DOUBT


def decided(pairs: Iterable[SharingPair], seen: Mapping[At, ThirdLook]) -> list[SharingPair]:
    """Pairs with the spans that are copies: by their pixels where these tell, else by their scores."""

    def good(at: At, span: SharedSpan) -> bool:
        look = seen.get(at)
        alike = None if look is None else look.alike
        return span.score >= LEAST_SCORE if alike is None else alike

    found = [pair.only(map(good, pair.at, pair.spans)) for pair in pairs]
    return [pair for pair in found if pair.spans]


@dataclass(frozen=True)
class PartLooks:
    """Takes third looks at parts.

    Attributes:
        looks: of the library.
        most: new ones in one run.
    """

    looks: Looks
    most: int = MOST_LOOKS

    def take(
        self, doubts: Sequence[Doubt], entries: Mapping[int, Entry], seen: Seen, save: Callable[[], None],
        progress: Progress | None,
    ) -> int:  # fmt: skip
        """Look at what is in doubt, the best scores first; returns how many parts are left for the next run.

        Args:
            doubts: which parts.
            entries: of their videos.
            seen: what was seen before; what is seen now comes to it.
            save: called now and then, and at the end if there is something new.
            progress: see ``Library.parts``.
        """
        strange: Counter[int] = Counter()
        failed: Counter[int] = Counter()
        for doubt in doubts:
            if doubt.at in seen:
                _note(strange, doubt, seen[doubt.at])
        videos = {video for doubt in doubts if doubt.at not in seen for video in (doubt.a, doubt.b)}
        there = {video for video in videos if self.looks.at_hand(entries[video])}
        new = (d for d in doubts if d.at not in seen and {d.a, d.b} <= there)
        waiting = sorted(new, key=lambda d: (-d.span.score, d.at))
        taken = left = 0
        for done, doubt in enumerate(waiting, 1):
            both = doubt.a, doubt.b
            if any(strange[video] >= _CROWD or failed[video] >= _FAILED for video in both):
                continue
            if taken >= self.most:
                left += 1
                continue
            look = self._look(doubt.span, entries[doubt.a], entries[doubt.b])
            if look is None:  # as where a file is gone: scores decide, until somebody looks again
                failed.update(both)
                continue
            seen[doubt.at] = look
            _note(strange, doubt, look)
            taken += 1
            if taken % _SAVED == 0:
                save()
            if progress is not None:
                progress(done, len(waiting))
        if taken % _SAVED:
            save()
        return left

    def _look(self, span: SharedSpan, a: Entry, b: Entry) -> ThirdLook | None:
        """The shorter video is looked for in the longer one, as it was aligned."""
        if (b.code.duration or 0.0) < (a.code.duration or 0.0):
            a, b, span = b, a, span.turned
        there = Span(span.a_start, span.a_end, span.b_start, span.b_end, span.score)
        return self.looks.of_shared(a, b, there)


def _note(strange: Counter[int], doubt: Doubt, look: ThirdLook) -> None:
    if look.alike is False:
        strange.update((doubt.a, doubt.b))
