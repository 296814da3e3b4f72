"""A video as a sequence of frames, each with its logits: what segments and the second look are made of.

A video's logits are the mean over its frames, so one pass of the network over the frames gives
the code of every span of the video, however much the spans overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..codes import pack_bits
from ..errors import OptionError
from ..spec import ModelSpec


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


@dataclass(frozen=True, eq=False)
class Sequence:
    """Frame logits of one video, in the order of time.

    Attributes:
        logits: ``float32[n, bits]``, before the median is taken off a part named ``phash``.
        times: ``float64[n]``, the time that each frame stands for, in seconds, ascending.
        duration: of the video, in seconds.
        spec: specification of the model.
        scales: ``float32[bits]``, what gives each logit unit deviation over ordinary videos.
    """

    logits: NDArray[np.float32]
    times: NDArray[np.float64]
    duration: float
    spec: ModelSpec
    scales: NDArray[np.float32]

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.spec.bits

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""
        return self.spec.fingerprint

    def codes(self) -> NDArray[np.uint8]:
        """The code of each frame, ``uint8[n, (bits + 7) // 8]``."""
        return pack_bits(centred(self.logits, self.spec) >= 0)

    def pooled(self, spans: ArrayLike) -> Segments:
        """Codes of spans of the video, each from the mean over the frames in ``[start, end)``.

        A span that holds no frame takes the last one before it.

        Args:
            spans: start and end in seconds, ``[m, 2]``.

        Raises:
            OptionError: a span ends before it starts, or the shape is another one.
        """
        spans = np.asarray(spans, np.float64)
        logits = self.means(spans)
        return Segments(
            pack_bits(logits >= 0),
            spans,
            self.bits,
            self.fingerprint,
            confidences(logits * self.scales, self.spec),
        )

    def means(self, spans: ArrayLike) -> NDArray[np.float32]:
        """The logits of spans, ``float32[m, bits]``; see ``pooled``."""
        spans = np.asarray(spans, np.float64)
        if spans.ndim != 2 or spans.shape[1] != 2 or not (spans[:, 0] <= spans[:, 1]).all():
            raise OptionError(f"spans of shape {list(spans.shape)}: expected [m, 2], each with start <= end")
        first = np.searchsorted(self.times, spans[:, 0], side="left")
        last = np.searchsorted(self.times, spans[:, 1], side="left")
        empty = first == last
        first = np.where(empty, np.maximum(first - 1, 0), first)
        last = np.where(empty, first + 1, last)
        total = np.cumsum(np.pad(self.logits.astype(np.float64), ((1, 0), (0, 0))), axis=0)
        mean = (total[last] - total[first]) / (last - first)[:, None]
        return centred(mean.astype(np.float32), self.spec)

    def __len__(self) -> int:
        return len(self.logits)

    def __repr__(self) -> str:
        return f"Sequence({len(self)} frames of {self.duration:.2f} s, {self.spec.name})"


def segment_spans(duration: float, window: float, hop: float) -> NDArray[np.float64]:
    """Start and end in seconds of each window, ``float64[n, 2]``, n ≥ 1; the last ends with the video.

    >>> segment_spans(12.0, window=5.0, hop=4.0).tolist()
    [[0.0, 5.0], [4.0, 9.0], [7.0, 12.0]]
    """
    starts = np.arange(0.0, max(duration - window, 0.0) + hop, hop)
    starts = np.unique(np.clip(starts, 0.0, max(duration - window, 0.0)))
    return np.stack([starts, np.minimum(starts + window, duration)], axis=1)


def centred(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    """Take the median off the part named ``phash``, whose bits say which coefficients are above it.

    Args:
        logits: ``float32[n, bits]``, of frames or means over frames.
    """
    logits = logits.copy()
    for part in spec.parts:
        if part.name == "phash":
            own = logits[:, slice(*part.bits)]
            own -= np.median(own, axis=1, keepdims=True)
    return logits


def confidences(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    """[n, bits] → [n]: mean of tanh(abs(logit)); the weakest part decides, for it is the first to flip."""
    margins = np.tanh(np.abs(logits))
    parts = [margins[:, slice(*part.bits)].mean(axis=1) for part in spec.parts]
    return np.asarray(np.min(parts, axis=0), dtype=np.float32)
