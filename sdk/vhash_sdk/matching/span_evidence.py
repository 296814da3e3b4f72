"""Evidence that a part of one video is the same part of another, by the family of their model.

Log-odds of a copy against other clips, many of the same scene: logistic regressions on the ``tune`` set of
``benchmarks/near_duplicates/clip_in_video.py``, shifted so that 3 lies in the middle between the two.
The clips of that set are whole queries; as a clip may be a part of one, ``whole`` was held at 4 for a
descriptor of copies, which the regression would have made 9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import OptionError

LEAST_SCORE = 3.0
"""The score from which on two parts count as copies."""
LEAST_OF_A_PAIR = 0.0
"""The same of two videos that somebody named: far more of such pairs have a common part."""


@dataclass(frozen=True)
class SpanEvidence:
    """Weights of what is known of two spans.

    Attributes:
        bias: before anything is known.
        similarity, correlation: for a span whose ``Span.similarity`` or ``Span.correlation`` is 1.
        whole: for a span that is all of the shorter video.
        speed_changed: for a speed other than 1.
        tail: (score, share, slope): of clips that are not there, such a share is found in an hour of video
            with at least such a score; from there on an exponential tail.
    """

    bias: float
    similarity: float
    correlation: float
    whole: float
    speed_changed: float
    tail: tuple[float, float, float]

    def score(self, similarity: float, correlation: float, whole: float, *, straight: bool) -> float:
        """The log-odds of a copy; ``whole`` is the share of the shorter video, 0 to 1."""
        known = self.similarity * similarity + self.correlation * correlation + self.whole * whole
        return self.bias + known + (0.0 if straight else self.speed_changed)

    def least(self, fmr: float | None) -> float:
        """The score from which on a part of one video counts as part of another.

        Args:
            fmr: of clips that are not there, this share is found in an hour of video. None: what is usual, a
                score of 3.

        Raises:
            OptionError: ``fmr`` is no rate.

        >>> span_evidence("copy").least(None) < span_evidence("copy").least(1e-4)
        True
        """
        if fmr is None:
            return LEAST_SCORE
        if not 0 < fmr <= 1:
            raise OptionError(f"fmr={fmr!r}: a false-match rate is above 0 and at most 1, e.g. 1e-2")
        score, share, slope = self.tail
        return score - math.log(fmr / share) / slope


_OF_COPIES = SpanEvidence(-17.5, 14.0, 16.8, 4.0, -3.9, tail=(-3.7, 0.2, 0.56))
_OF_OTHERS = SpanEvidence(-43.0, 16.0, 60.0, 20.0, -4.0, tail=(1.75, 2.5e-3, 0.3))


def span_evidence(family: str) -> SpanEvidence:
    """The weights for the models of a family, see ``ModelSpec.family``."""
    return _OF_COPIES if family == "copy" else _OF_OTHERS
