"""Picks frames out of a stream: by the shortest way that gives the same pixels, or in full.

The short way reads packets ahead until it is known which frame is the last one at or before a
bound, drops everything before the last restart that this frame does not need, and lets the
decoder skip pictures that nobody refers to and nobody asked for. Wherever something does not
fit (a packet without times, times out of order, an error, a frame that does not come out) it
raises Unproven, and the stream is decoded in full instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DecodeError
from .timeline import MAX_REORDER, Timeline, is_shown
from .track import DECODER_ERRORS, Track, reason

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet
    from av.video.stream import VideoStream

Emit = Callable[[list[int], "VideoFrame", int], None]
"""Called with bounds, the frame for them and its time; the last call for a bound counts."""

_SEEK_SECONDS = 5  # a jump of less is read through: demuxing costs little
_BACK_SECONDS = (0, 1, 4, 16, 64)
_PENDING = 600  # packets held back in the hope of a restart
_LONG_AGO = -(1 << 62)


class Unproven(Exception):
    """The short way cannot promise the same pixels."""


class Disordered(Exception):
    """Frames do not come out in the order of their times."""


class Shortened(Exception):
    """What follows the last picture cannot be decoded: the video ends with that picture, at ``end`` ticks."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


class _SoughtInVain(Exception):
    """A seek brought us no further."""


class _Read(NamedTuple):
    packet: Packet[VideoStream]
    pts: int
    shown: bool
    restart: bool


def select(track: Track, timeline: Timeline, bounds: list[int], emit: Emit) -> int:
    """Emit for each of the ascending bounds the last frame at or before it (the first one where none is).

    Gives the number of bounds whose frame cannot be decoded, so that an earlier one stands for it.

    Raises:
        Disordered: frames have to be counted; measure again with ``scan(track, counted=True)``.
        Shortened: the video ends earlier than the timeline says; choose bounds anew.
        Jumped: its times jump; measure again.
        DecodeError: no frame came out.
    """
    if not timeline.counted and not timeline.jumps:
        try:
            try:
                _ShortWay(track, bounds, emit, start=timeline.start).run()
            except _SoughtInVain:
                _ShortWay(track, bounds, emit, start=timeline.start, seek=False).run()
            return 0
        except Unproven:
            pass
    return _in_full(track, timeline, bounds, emit)


def _in_full(track: Track, timeline: Timeline, bounds: list[int], emit: Emit) -> int:
    track.reopen()
    times = timeline.times if timeline.counted else None
    held: VideoFrame | None = None
    held_time, count, done, error = _LONG_AGO, 0, 0, ""
    due: list[int] = []  # times of the pictures that should come out
    repeated = 0
    packet: Packet[VideoStream] | None
    while done < len(bounds):
        packet = track.read()
        if packet is not None and times is None and packet.pts is not None and is_shown(track, packet):
            insort(due, packet.pts)
        try:
            frames = track.decode(packet)
        except DECODER_ERRORS as failure:  # what can be decoded after it still counts
            frames, error = [], reason(failure)
        for frame in frames:
            time = int(times[min(count, len(times) - 1)]) if times is not None else frame.pts
            if time is None or (times is None and time <= held_time):
                raise Disordered
            passed = bisect_left(bounds, time)
            if passed > done:
                emit(bounds[done:passed], held or frame, held_time if held else time)
                repeated += _missing(due, bounds[done:passed], held_time)
                done = passed
            held, held_time, count = frame, time, count + 1
        if packet is None:
            break
    if held is None:
        raise DecodeError(
            f"{track.name}: no frame can be decoded ({error or 'no packets'}); the file is damaged or cut off"
        )
    if done < len(bounds):
        last = max(due, default=held_time) if times is None else int(times[-1])
        step = track.frame_ticks()
        # a codec may end with pictures that it never shows; a second of them, or an error, is a loss
        if held_time + step < timeline.end and last - held_time > (2 * step if error else track.ticks(1)):
            raise Shortened(held_time + step)
        emit(bounds[done:], held, held_time)
        repeated += _missing(due, bounds[done:], held_time)
    return repeated


def _missing(due: list[int], bounds: list[int], shown: int) -> int:
    """For how many bounds a picture later than the one that is shown was due."""
    if shown == _LONG_AGO:
        return 0
    rank = bisect_right(due, shown)
    return sum(bisect_right(due, bound) > rank for bound in bounds)


class _ShortWay:
    """One pass over a stream for ascending bounds (ticks)."""

    def __init__(self, track: Track, bounds: list[int], emit: Emit, *, start: int, seek: bool = True) -> None:
        self._track, self._bounds, self._emit = track, bounds, emit
        self._start, self._seek = start, seek
        self._next = 0  # index of the first bound whose frame is not known
        self._resolved = _LONG_AGO  # the bound before that
        self._wanted: dict[int, list[int]] = {}  # pts -> bounds, for frames still to come out
        self._held: dict[int, VideoFrame] = {}  # frames that came out and may be wanted yet
        track.reset()
        self._skipping = False  # as the decoder is set
        self._forget()

    def run(self) -> None:
        """Emit a frame for each bound. Raises Unproven."""
        self._locate(self._bounds[0])
        for bound in self._bounds:
            if self._is_far(bound):
                self._jump(bound)
            self._drop_pending(bound)
            while not self._is_known(bound) and self._read(bound):
                pass
            rank = bisect_right(self._seen, bound) - 1
            if rank < 0:
                raise Unproven("no frame at or before a bound")
            self._resolved = bound
            self._want(self._seen[rank], bound)
        self._drain()
        if self._wanted:
            raise Unproven("a frame did not come out")

    def _forget(self) -> None:
        """Begin anew at another place of the stream."""
        self._pending: deque[_Read] = deque()  # packets not sent yet
        self._unsent: set[int] = set()  # their pts
        self._seen: list[int] = []  # pts of shown frames from the last restart on, ascending
        self._floor = self._last_dts = self._last_pts = _LONG_AGO
        self._gap = self._ended = False  # gap: the next packet does not follow the last one sent

    # Reading

    def _fetch(self) -> _Read | None:
        packet = self._track.read()
        if packet is None:
            self._ended = True
            return None
        pts, dts, bits = packet.pts, packet.dts, self._track.bits
        if pts is None or packet.is_corrupt or (dts is not None and (dts > pts or dts < self._last_dts)):
            raise Unproven("times are missing or out of order, or the packet is damaged")
        self._last_dts = self._last_dts if dts is None else dts
        self._last_pts = max(pts, self._last_pts)
        shown = not packet.is_discard and (not bits.hides or bits.shown(bytes(packet)))
        if not bits.timed:
            raise Disordered
        return _Read(packet, pts, shown, packet.is_keyframe and bits.restarts(bytes(packet)))

    def _read(self, bound: int) -> bool:
        """Take in the next packet; False at the end."""
        read = self._fetch()
        if read is None:
            return False
        if read.restart and read.pts <= bound:
            self._begin_at(read)
        self._pending.append(read)
        if read.shown and read.pts >= self._floor:  # below it: leading pictures, never wanted
            rank = bisect_left(self._seen, read.pts)
            if read.pts <= self._resolved or read.pts in self._seen[rank : rank + 1]:
                raise Unproven("a frame comes late or twice")
            insort(self._seen, read.pts)
            self._unsent.add(read.pts)
        if len(self._pending) > _PENDING:
            self._send()
        return True

    def _begin_at(self, restart: _Read) -> None:
        """All frames still to be found are shown at or after this restart: drop what is pending."""
        self._gap = self._gap or bool(self._pending)
        self._pending.clear()
        self._unsent.clear()
        self._seen.clear()
        self._floor = restart.pts

    def _drop_pending(self, bound: int) -> None:
        """The same for a restart that was read ahead of an earlier bound."""
        restarts = [i for i, read in enumerate(self._pending) if read.restart and read.pts <= bound]
        if not restarts or self._bounds[self._next - 1] >= self._pending[restarts[-1]].pts:
            return
        reads = list(self._pending)[restarts[-1] :]
        self._gap = self._gap or restarts[-1] > 0
        self._floor = reads[0].pts
        self._pending = deque(reads)
        self._unsent = {read.pts for read in reads if read.shown and read.pts >= self._floor}
        self._seen = [pts for pts in self._seen if pts >= self._floor]

    def _is_known(self, bound: int) -> bool:
        """Whether no packet to come can hold the frame for this bound."""
        return self._last_dts > bound or len(self._seen) - bisect_right(self._seen, bound) >= MAX_REORDER

    # Seeking

    def _is_far(self, bound: int) -> bool:
        if not self._seek or self._ended or bound - self._last_pts <= self._track.ticks(_SEEK_SECONDS):
            return False
        key = self._track.indexed_key(bound)
        return key is None or key > self._last_dts

    def _jump(self, bound: int) -> None:
        position = self._last_pts
        self._drain()
        self._locate(bound)
        if self._floor <= position:
            raise _SoughtInVain

    def _locate(self, bound: int) -> None:
        """Move to a restart at or before the bound, or to the very first packet."""
        for seconds in _BACK_SECONDS:
            self._forget()
            time = bound - self._track.ticks(seconds)
            if time < self._start or not self._track.seek(time):
                break
            if self._find_restart(bound):
                return
        if self._next:
            raise _SoughtInVain
        self._track.reopen()
        self._forget()

    def _find_restart(self, bound: int) -> bool:
        """Take in the first restart from here on, if it is at or before the bound."""
        try:
            while (read := self._fetch()) is not None and self._last_dts <= bound:
                if read.restart and read.pts <= bound:
                    self._floor = read.pts
                    self._pending.append(read)
                    if read.shown:
                        self._seen.append(read.pts)
                        self._unsent.add(read.pts)
                    return True
        except Unproven:  # after a seek some containers know the times only some packets later
            pass
        return False

    # Decoding

    def _want(self, pts: int, bound: int) -> None:
        if pts in self._held:
            self._emit([bound], self._held[pts], pts)
        else:
            self._wanted.setdefault(pts, []).append(bound)
        self._next += 1
        self._held = {time: frame for time, frame in self._held.items() if self._may_be_wanted(time)}
        while pts in self._unsent:
            self._send()

    def _may_be_wanted(self, pts: int) -> bool:
        """Whether the frame may be the one for a bound that is not resolved yet."""
        following = max(bisect_left(self._bounds, pts), self._next)
        if following == len(self._bounds):
            return False
        return bisect_right(self._seen, self._bounds[following]) <= bisect_right(self._seen, pts)

    def _send(self) -> None:
        if self._gap:
            self._drain()
        read = self._pending.popleft()
        self._unsent.discard(read.pts)
        needed = not self._track.bits.skippable or read.pts in self._wanted or self._may_be_wanted(read.pts)
        if needed is self._skipping:  # setting it is not free
            self._track.context.skip_frame = "DEFAULT" if needed else "NONREF"
            self._skipping = not needed
        self._decode(read.packet)

    def _drain(self) -> None:
        """Get everything out of the decoder and make it ready for a restart."""
        self._decode(None)
        self._track.reset()
        self._gap = self._skipping = False

    def _decode(self, packet: Packet[VideoStream] | None) -> None:
        try:
            frames = self._track.decode(packet)
        except DECODER_ERRORS as error:
            raise Unproven(reason(error)) from error
        for frame in frames:
            pts = frame.pts
            if pts is None:
                raise Unproven("a frame has no time")
            if frame.is_corrupt and pts >= self._floor:
                raise Unproven("a frame is damaged")  # how it is patched up depends on what was decoded
            bounds = self._wanted.pop(pts, None)
            if bounds:
                self._emit(bounds, frame, pts)
            if self._may_be_wanted(pts):
                self._held[pts] = frame
