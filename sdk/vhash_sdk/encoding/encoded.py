"""What encoding hands out: codes with their sources, and codes of the windows of one video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode
from ..errors import VhashError
from ..video import Region, VideoInfo

if TYPE_CHECKING:
    from ..matching.sequence import Sequence


@dataclass(frozen=True)
class Boxed:
    """The content box of a video, where it is not the whole picture.

    Attributes:
        region: where it is.
        code: the code of what is in it.
        sequence: as in ``Encoded``.
    """

    region: Region
    code: VideoCode
    sequence: Sequence | None = None


@dataclass(frozen=True)
class Encoded:
    """What became of one source of ``encode_many``: a code or an error, never both.

    Attributes:
        source: the source as it was given.
        index: its place in the input, from 0.
        code: its code, or None.
        error: why there is none, or None.
        info: size, duration, rate, codec; None beside an error.
        sequence: the sampled frames' logits, where ``frames=True`` asked for them.
        box: the content box, where ``box=True`` asked for it and it is not the whole picture.
    """

    source: Any
    index: int
    code: VideoCode | None = None
    error: VhashError | None = None
    info: VideoInfo | None = None
    sequence: Sequence | None = None
    box: Boxed | None = None


@dataclass(frozen=True)
class Segments:
    """Codes of overlapping windows of one video.

    Attributes:
        codes: ``uint8[n, (bits + 7) // 8]``.
        spans: ``float64[n, 2]``, start and end of each window in seconds.
        bits, fingerprint: as in ``VideoCode``.
        confidences: ``float32[n]``, as in ``VideoCode``.
    """

    codes: NDArray[np.uint8]
    spans: NDArray[np.float64]
    bits: int
    fingerprint: str
    confidences: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"Segments(codes={list(self.codes.shape)}, spans={list(self.spans.shape)}, bits={self.bits})"


def segment_spans(duration: float, window: float, hop: float) -> NDArray[np.float64]:
    """Start and end in seconds of each window, ``float64[n, 2]``, n ≥ 1; the last ends with the video.

    >>> segment_spans(12.0, window=5.0, hop=4.0).tolist()
    [[0.0, 5.0], [4.0, 9.0], [7.0, 12.0]]
    """
    starts = np.arange(0.0, max(duration - window, 0.0) + hop, hop)
    starts = np.unique(np.clip(starts, 0.0, max(duration - window, 0.0)))
    return np.stack([starts, np.minimum(starts + window, duration)], axis=1)
