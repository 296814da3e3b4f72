"""One line of time over places where a stream's own times begin anew.

What was recorded in pieces and joined (``cat a.ts b.ts``, segments of a playlist, a receiver that lost
its signal) has times that go back, or leap by hours. A player shows the pieces one after the other; so
does this: the first picture after a jump is shown when the last one before it has ended.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

JUMPY = frozenset(("mpegts", "mpeg"))
"""Demuxers of streams that have no header, so that times may jump anywhere in them."""

_BACK, _AHEAD = Fraction(1, 10), Fraction(10)  # seconds, as FFmpeg takes them


class Jumped(Exception):
    """The times of a stream jump: all of it has to be read from the start, on one line of time."""


class Clock:
    """Watches the times of packets in decoding order, and continues them over jumps.

    Attributes:
        jumps: how many there were.
    """

    def __init__(self, tick: Fraction, *, watched: bool) -> None:
        self._tick, self._watched = tick, watched
        self.jumps = 0
        self.forget()
        self._offset: int | None = 0  # None: set by the next packet
        self._end: int | None = None

    def forget(self) -> None:
        """What comes next does not follow what came before."""
        self._last: int | None = None

    def breaks(self, packet: Packet[VideoStream]) -> bool:
        """Whether the times jump at this packet."""
        time = packet.dts
        if time is None or not self._watched:
            return False
        last, self._last = self._last, time
        if last is None:
            return False
        return time < last - _BACK / self._tick or time > last + _AHEAD / self._tick

    def begin(self) -> None:
        """The next packet begins a new piece."""
        if self._end is not None:
            self._offset = None
            self.jumps += 1

    def follow(self, packet: Packet[VideoStream], step: int) -> None:
        """Put the times of a packet, in this clock's ticks, on the line; ``step``: of one frame."""
        first = packet.dts if packet.pts is None else packet.pts
        if first is None:
            return
        if self._offset is None:
            self._offset = (self._end or 0) - first
        if packet.pts is not None:
            packet.pts += self._offset
        if packet.dts is not None:
            packet.dts += self._offset
        self._end = max(self._end or first, first + self._offset + (packet.duration or step))
