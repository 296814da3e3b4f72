"""Segments of a video: the windows whose codes a library keeps, and the tracks that alignment compares.

A library keeps a code for each half second of a video, of the second around it: two frames. The
query of ``find`` is looked at twice as closely, and keeps its logits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..codes import pack_bits, unpack_bits
from ..matching.sequence import Segments, Sequence, confidences, segment_spans
from ..matching.track import Track
from ..matching.windows import segments_of
from ..video import Source
from ..video.views import find_boxes

if TYPE_CHECKING:
    from ..video.isolation.pool import DecodePool
    from .encoder import Encoder

QUERY_RATE = 4.0
"""Frames per second of a query."""
WINDOW, HOP = 1.0, 0.5
"""Seconds of a window, and from one window's start to the next one's."""
_EMPTY, _FULL = 0.05, 0.15  # confidence below which a window shows nothing, and from which it counts wholly


def kept_segments(sequence: Sequence) -> Segments:
    """The segments that a library keeps of a video."""
    return segments_of(sequence, window=WINDOW, hop=HOP)


def query_tracks(encoder: Encoder, source: Source, decoders: DecodePool) -> Iterator[Track]:
    """The track of a query's whole picture, and those of its content box and its panes where it has any.

    Raises:
        VideoError: the source cannot be read.
    """
    spec = encoder.spec
    yield query_track(encoder.encode_sequence(source, rate=QUERY_RATE, decoders=decoders))
    if spec.resize.crop is not None:
        return
    box, split = find_boxes(decoders.decode(source, spec.sampling, spec.resize).frames)
    for part in (*(() if split is None else split.panes), *(() if box is None else (box,))):
        yield query_track(encoder.encode_sequence(source, rate=QUERY_RATE, box=part, decoders=decoders))


def query_track(sequence: Sequence) -> Track:
    """The track of a query: logits of the second around each of its frames."""
    duration = sequence.duration
    middles = segment_spans(duration, WINDOW, 1 / QUERY_RATE)
    logits = sequence.means(middles) * sequence.scales
    weights = window_weights(confidences(logits, sequence.spec))
    return Track(logits, middles.mean(axis=1), duration, weights, sequence.spec.family)


def kept_track(codes: NDArray[np.uint8], times: NDArray[np.float64], bits: int, duration: float) -> Track:
    """The track of codes that a library keeps; ``times`` are the middles of their windows."""
    values = unpack_bits(codes, bits).astype(np.float32) * 2 - 1
    return Track(values, times, duration, np.ones(len(codes), np.float32))


def codes_of(track: Track) -> NDArray[np.uint8]:
    """The codes of a track's windows, ``uint8[n, bytes]``."""
    return pack_bits(track.values >= 0)


def window_weights(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much windows of these confidences count: black and nearly constant pictures do not."""
    weights: NDArray[np.float32] = ((confidence - _EMPTY) / (_FULL - _EMPTY)).clip(0, 1)
    return weights
