"""Which time of one video is which of another: the lines that a third look follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .frame_codes import FrameCodes
from .frame_lines import alignments, along, duration_ratio
from .trajectory import Trajectory

_EACH = 2  # of the likeliest lines in either direction
_LEAST = 2  # frames that two videos must share
_SLOWEST = 1e-3  # speed of a line that means anything


class Timeline(NamedTuple):
    """A straight line from the seconds of one video to those of another.

    Attributes:
        speed: 2 where the second video takes two seconds for one of the first; negative: it is reversed.
        offset: seconds of the second video when the first one begins.

    >>> Timeline(-1.0, 8.0).at(3.0)
    5.0
    """

    speed: float
    offset: float

    def at(self, seconds: float) -> float:
        """The time in the second video."""
        return self.speed * seconds + self.offset

    @property
    def inverse(self) -> Timeline:
        """The same line from the second video to the first."""
        return Timeline(1 / self.speed, -self.offset / self.speed)


def timelines(a: FrameCodes | Trajectory, b: FrameCodes | Trajectory) -> list[Timeline]:
    """The likeliest lines between two videos of known duration, the best first.

    By the codes of their frames. Of trajectories, which say little about single frames, those that people's
    copies mostly have: all of it, at whatever speed, and the same beginning or the same end at one speed.
    """
    if not (a.duration > 0 and b.duration > 0):
        return []
    if isinstance(a, FrameCodes) and isinstance(b, FrameCodes):
        if a.duration > b.duration:  # of a short part few of the longer one's frames are left
            return [line.inverse for line in timelines(b, a)]
        return [line for _, line in sorted(_scored(a, b), key=lambda found: -found[0])]
    ratio, rest = b.duration / a.duration, b.duration - a.duration
    usual = (Timeline(ratio, 0.0), Timeline(1.0, 0.0), Timeline(1.0, rest), Timeline(-ratio, b.duration))
    return list(dict.fromkeys(usual))


def _scored(a: FrameCodes, b: FrameCodes) -> Iterator[tuple[float, Timeline]]:
    lines = alignments(len(a.codes), len(b.codes), duration_ratio(a.duration, b.duration))
    for backwards in (False, True):
        step = -1 if backwards else 1
        there, shown = np.ascontiguousarray(b.signs[::step]), np.ascontiguousarray(b.shows[::step])
        both = along(a.shows, shown, lines).product
        agreement = along(a.signs, there, lines).product / np.maximum(both, 1e-6)
        score = np.where(both * lines.shared.sum(1) >= _LEAST, agreement, -np.inf)
        for line in np.argsort(-score, kind="stable")[:_EACH].tolist():
            taken = np.flatnonzero(lines.shared[line])
            if len(taken) < _LEAST or not np.isfinite(score[line]):
                continue
            ends = taken[[0, -1]]
            times = (ends + 0.5) / len(a.codes) * a.duration
            place = lines.low[line, ends] + lines.part[line, ends]
            others = (place + 0.5) / len(b.codes) * b.duration
            if backwards:
                others = b.duration - others
            speed = float((others[1] - others[0]) / (times[1] - times[0]))
            if abs(speed) >= _SLOWEST:
                yield float(score[line]), Timeline(speed, float(others[0] - speed * times[0]))
