"""The parts that `vhash compare` finds in pairs, against the true ones: the segments of ``vhash eval``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from .output import Output
from .pairs import Pair

if TYPE_CHECKING:
    from ..encoding.encoder import Encoder
    from ..matching.alignment import Span
    from ..matching.evaluation import Figure
    from ..matching.sequence import Segments
    from ..matching.track import Track


class SpanTrial:
    """Aligns pairs whose parts are told, and pairs of others; nothing where no pair has any.

    Pairs of copies without true spans are left out: what is found there can be right or wrong.

    Attributes:
        failed: by path, why a video could not be decoded whole; its pairs are left out.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        told = any(pair.spans for pair in pairs)
        taken = [pair for pair in pairs if told and (pair.spans or not pair.copy)]
        # each video is decoded once as a query, whose track is large, and once as a reference
        self._pairs = sorted(taken, key=lambda pair: pair.a)
        self._found: list[tuple[Pair, list[Span]]] = []
        self.failed: dict[str, VideoError] = {}

    def run(self, encoder: Encoder, out: Output) -> None:
        """Align all pairs; failures are reported as they come."""
        from ..comparison import spans_in
        from ..encoding.tracks import kept_segments, query_tracks
        from ..matching.windows import RATE
        from ..video.isolation.pool import DecodePool

        if not self._pairs:
            return
        kept: dict[str, Segments] = {}
        query = ""
        tracks: list[Track] = []
        with DecodePool(1, encoder.limits) as decoders, out.progress("aligning", len(self._pairs)) as step:
            for pair in self._pairs:
                path = pair.a
                try:
                    if {pair.a, pair.b}.isdisjoint(self.failed):
                        if pair.a != query:
                            tracks = list(query_tracks(encoder, pair.a, decoders))
                            query = pair.a
                        path = pair.b
                        if path not in kept:
                            sequence = encoder.encode_sequence(path, rate=RATE, decoders=decoders)
                            kept[path] = kept_segments(sequence)
                        self._found.append((pair, spans_in(tracks, kept[path])))
                except VideoError as error:
                    self.failed[path] = error
                    out.problem(error)
                step()

    def figures(self) -> list[Figure]:
        """Segment AP; nothing where no true spans are told, or their pairs failed."""
        from ..matching.evaluation import evaluate_segments

        pairs = [pair for pair, _ in self._found]
        if not any(pair.spans for pair in pairs):
            return []
        found, true = [spans for _, spans in self._found], [pair.spans for pair in pairs]
        return [evaluate_segments(found, true, [pair.a for pair in pairs], [pair.b for pair in pairs])]

    def entry(self) -> dict[str, Any] | None:
        """What was counted, for JSON; None where no true spans are told."""
        from ..matching.evaluation import LEAST_OVERLAP

        if not self._pairs:
            return None
        return {
            "pairs": len(self._found),
            "spans": sum(len(pair.spans) for pair, _ in self._found),
            "found": sum(len(spans) for _, spans in self._found),
            "left_out": len(self._pairs) - len(self._found),
            "overlap": LEAST_OVERLAP,
        }

    def note(self, out: Output) -> None:
        """The same for people."""
        entry = self.entry()
        if entry is not None:
            out.note(
                f"vhash: {entry['pairs']:,} pairs: {entry['spans']:,} true parts, {entry['found']:,} found; "
                f"{entry['left_out']} pairs left out: {len(self.failed)} videos failed"
            )
