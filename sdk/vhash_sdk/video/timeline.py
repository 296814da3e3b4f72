"""Where a video begins and ends, from its packets rather than from its header.

* **start** is the time of the first frame that comes out of a decoder begun at the first packet.
* **end** is the time of the last frame plus its duration; a packet without a duration lasts as
  long as the distance to the frame before it, or one frame at the average rate.
* **times** of all frames are the packets' presentation times in ascending order. Where a stream
  has none, or a decoder's frames come out in another order, frame k has the k-th decoding time,
  and without those k / rate ("counted").

Frames count that a player would show: hidden reference frames and those outside of an edit
list do not. The rules are about packets, so they hold for every decoder.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError
from .track import DECODER_ERRORS, Track, reason

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet
    from av.video.stream import VideoStream

MAX_REORDER = 17
"""No picture is shown after more than 16 that follow it in decoding order (H.264, H.265: at most 16)."""
_HEAD_PACKETS = 64
_TAIL_SECONDS = (0, 2, 8, 32)


@dataclass(frozen=True)
class Timeline:
    """Start and end in ticks; the time of every frame where all packets were read.

    Attributes:
        start, end: ticks.
        times: ``int64[D]`` ascending, or None where only head and tail were read.
        counted: frames have to be counted, since their own times cannot be used.
        jumps: where the stream's own times jump; these are continued there (see ``clock``).
    """

    start: int
    end: int
    times: NDArray[np.int64] | None = None
    counted: bool = False
    jumps: int = 0

    def until(self, end: int) -> Timeline:
        """Ended earlier."""
        times = None if self.times is None else self.times[self.times < end]
        return replace(self, end=end, times=times)


def first_frame(track: Track) -> tuple[VideoFrame, int | None]:
    """Decode the first frame; its time in ticks, or None where it has none.

    Leaves the track anywhere. Raises DecodeError where no frame comes out at all.
    """
    head: list[Packet[VideoStream]] = []
    while len(head) < _HEAD_PACKETS and (packet := track.read()) is not None:
        head.append(packet)
        if not _is_plain(track, head):
            break
        key = head[0]
        assert key.pts is not None
        if len(head) > MAX_REORDER or (packet.dts is not None and packet.dts >= key.pts):
            break
    if head and _is_plain(track, head):
        frames = [*_decode(track, head[0]), *_decode(track, None)]
        track.reset()
        if frames and frames[0].pts == head[0].pts:
            return frames[0], frames[0].pts
    error = ""
    for packet in _chain(head, track):
        try:
            frames = track.decode(packet)
        except DECODER_ERRORS as failure:
            error = reason(failure)
            continue
        if frames:
            return frames[0], frames[0].pts
    frames = _decode(track, None)
    if frames:
        return frames[0], frames[0].pts
    raise DecodeError(
        f"{track.name}: no frame can be decoded ({error or 'no packets'}); the file is damaged or cut off"
    )


def measure(track: Track, start: int | None) -> Timeline:
    """Start and end, read near the end of the file where that is enough, of all of it where times jump."""
    if track.joined:
        line = scan(track, start=start, counted=start is None)
        if track.jumps:
            return replace(line, jumps=track.jumps)
        track.joined = False
    if start is None or not track.bits.timed or track.timeless:
        return scan(track, counted=True)
    declared = track.declared_end()
    for seconds in _TAIL_SECONDS if declared is not None else ():
        assert declared is not None
        if declared - track.ticks(seconds) <= start or not track.seek(declared - track.ticks(seconds)):
            break
        count, complete = 0, False
        latest: list[int] = []  # times of the last two frames
        duration: int | None = None
        while (packet := track.read()) is not None:
            count += 1
            complete = complete or count > MAX_REORDER or (count == 1 and track.bits.restarts(bytes(packet)))
            if not is_shown(track, packet):
                continue
            if packet.pts is None:
                return scan(track, counted=True)
            latest = sorted({*latest, packet.pts})[-2:]
            if packet.pts == latest[-1]:
                duration = packet.duration
        if complete and latest and latest[-1] >= start and (duration or len(latest) == 2):
            return Timeline(start, latest[-1] + (duration or latest[-1] - latest[0]))
    return scan(track, start=start)


def scan(track: Track, *, start: int | None = None, counted: bool = False) -> Timeline:
    """Read every packet of the file: the times of all frames. See the module about ``counted``."""
    track.reopen()
    shown = []
    while (packet := track.read()) is not None:
        if is_shown(track, packet):
            shown.append((packet.pts, packet.dts, packet.duration))
    counted = counted or not track.bits.timed or any(pts is None for pts, _, _ in shown)
    if not shown:
        raise DecodeError(f"{track.name} has no video packets; the file is cut off")
    step = track.frame_ticks()
    if not counted:
        order = sorted(range(len(shown)), key=lambda i: shown[i][0] or 0)
        times = np.array([shown[i][0] for i in order], np.int64)
        if start is not None:
            times = times[times >= start]
        if not len(times):
            return scan(track, counted=True)
        last = shown[order[-1]][2] or (int(times[-1] - times[-2]) if len(times) > 1 else 0) or step
        return Timeline(int(times[0]), int(times[-1]) + last, times)
    if all(dts is not None for _, dts, _ in shown):
        times = np.sort(np.array([dts for _, dts, _ in shown], np.int64))
    else:
        times = np.arange(len(shown), dtype=np.int64) * step
    return Timeline(int(times[0]), int(times[-1]) + (shown[-1][2] or step), times, counted=True)


def middle_times(track: Track, timeline: Timeline, count: int) -> list[int] | None:
    """Times of ``count`` consecutive frames in the middle, read only there; None where that cannot be.

    Needs an index of all packets (MP4 and the like). The rank of a restart is its place in
    decoding order plus the number of its leading pictures.
    """
    entries = track.stream.index_entries
    total, first = len(entries), (len(entries) - count) // 2
    if timeline.counted or track.bits.hides or not count <= total == track.stream.frames:
        return None
    if any(entry.is_discard for entry in entries):
        return None
    # one step back may be needed, where the restart that the first seek finds is shown too late
    for entry in (first, max(0, first - MAX_REORDER)):
        if not track.seek(entries[entry].timestamp) or (key := track.read()) is None:
            return None
        place = entries.search_timestamp(key.dts) if key.dts is not None else -1
        if place < 0 or entries[place].timestamp != key.dts or not track.bits.restarts(bytes(key)):
            return None
        times = [key.pts]
        while len(times) < first - place + count + MAX_REORDER and (packet := track.read()) is not None:
            times.append(packet.pts)
        known = sorted({time for time in times if time is not None})
        if len(known) < len(times) or key.pts is None:
            return None
        # `place` packets were before the restart: that is the rank of the first picture shown after them
        if place + bisect_left(known, key.pts) <= first and len(known) >= first - place + count:
            return known[first - place :][:count]
    return None


def is_shown(track: Track, packet: Packet[VideoStream]) -> bool:
    """Whether a player would show what comes out for a packet."""
    return not packet.is_discard and (not track.bits.hides or track.bits.shown(bytes(packet)))


def _is_plain(track: Track, head: list[Packet[VideoStream]]) -> bool:
    """Whether the video begins with a picture that is also the first one shown."""
    key, last = head[0], head[-1]
    if len(head) == 1:
        return (
            key.is_keyframe and key.pts is not None and not key.is_discard and track.bits.restarts(bytes(key))
        )
    return last.pts is not None and key.pts is not None and (last.pts > key.pts or not is_shown(track, last))


def _decode(track: Track, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return track.decode(packet)
    except DECODER_ERRORS:
        return []


def _chain(head: list[Packet[VideoStream]], track: Track) -> Iterator[Packet[VideoStream]]:
    yield from head
    while (packet := track.read()) is not None:
        yield packet
