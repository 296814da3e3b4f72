"""Which video stream of a file is the video: one rule for every container.

Cover pictures and thumbnails are no candidates. A stream of one or two pictures (a still item, an
unmarked cover, the full-size shot of a motion photo) is taken only where no other has more. Of the
others the one that the file marks as default is taken; where several are, or none is, the longest.
Streams at least nine tenths as long as that count as equal, and the first of them is taken: the
programmes of a broadcast differ by their last frames only. The size of the picture says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import OptionError, UnsupportedVideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

STILL = 2
"""A stream of at most so many pictures is taken for a still, where another one has more."""
_PEEK = 4096  # packets after which a stream that has shown no third picture is taken for a still
_EQUAL = 0.9
_COUNTED = frozenset(("mov", "avi"))  # demuxers whose index has every picture


@dataclass(frozen=True)
class Choice:
    """The stream that was taken.

    Attributes:
        index: FFmpeg's number of it, over all streams.
        number: its place among the video streams, from 0; cover pictures are not counted.
        streams: how many video streams there are.
    """

    index: int
    number: int
    streams: int


def check_stream(stream: int | None) -> None:
    """Raise OptionError for what is no number of a stream."""
    if stream is not None and (isinstance(stream, bool) or not isinstance(stream, int) or stream < 0):
        raise OptionError(f"stream={stream!r}; allowed: 0 for the first video stream, 1 and so on, or None")


def choose_stream(
    container: InputContainer, name: str, wanted: int | None, reopen: Callable[[], InputContainer]
) -> Choice:
    """Take a stream, by its number or by the rule.

    Args:
        container: freshly opened.
        name: of the source, for messages.
        wanted: number of the stream; None: by the rule.
        reopen: opens the file once more, where its packets have to be counted.

    Raises:
        UnsupportedVideoError: there is no video stream, or none of that number.
    """
    streams = video_streams(container)
    if not streams:
        raise UnsupportedVideoError(
            f"{name} has no video stream, only {_contents(container)}; pass a file with video"
        )
    if wanted is not None:
        if wanted >= len(streams):
            last = "0" if len(streams) == 1 else f"0 to {len(streams) - 1}"
            raise UnsupportedVideoError(
                f"{name} has no video stream {wanted}; it has {last} (cover pictures are not counted)"
            )
        chosen = streams[wanted]
    else:
        known = [stream for stream in streams if stream.codec_context is not None] or streams[:1]
        chosen = known[0] if len(known) == 1 else _best(container, known, reopen)
    return Choice(chosen.index, streams.index(chosen), len(streams))


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams of a file that are no cover pictures or thumbnails."""
    from av.stream import Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & pictures]


def _best(
    container: InputContainer, streams: list[VideoStream], reopen: Callable[[], InputContainer]
) -> VideoStream:
    from av.stream import Disposition

    counts = _pictures(container, streams, reopen)
    most = max(counts.values())
    moving = [s for s in streams if counts[s.index] > min(STILL, most - 1)]
    among = [s for s in moving if s.disposition & Disposition.default] or moving
    lengths = [_seconds(stream) for stream in among]
    if None in lengths:
        return among[0]
    longest = max(length or 0.0 for length in lengths)
    return next(s for s, length in zip(among, lengths, strict=True) if (length or 0.0) >= _EQUAL * longest)


def _pictures(
    container: InputContainer, streams: list[VideoStream], reopen: Callable[[], InputContainer]
) -> dict[int, int]:
    """Pictures of each stream by its index: those that the header tells, else the first few, counted."""
    counts = {stream.index: stream.frames for stream in streams}
    if container.format.name.partition(",")[0] in _COUNTED:
        for stream in streams:
            counts[stream.index] = max(counts[stream.index], len(stream.index_entries))
    if all(counts.values()):
        return counts
    seen: Counter[int] = Counter()
    fresh = reopen()
    try:
        wanted = [s for s in fresh.streams.video if s.index in counts]
        for number, packet in enumerate(fresh.demux(wanted)):
            seen[packet.stream_index] += packet.size > 0
            if number >= _PEEK or all(seen[index] > STILL for index in counts):
                break
    except Exception:  # what cannot be read here is told by whoever reads it in earnest
        pass
    finally:
        fresh.close()
    return {index: max(count, seen[index]) for index, count in counts.items()}


def _seconds(stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * Fraction(stream.time_base.numerator, stream.time_base.denominator))
    tag = stream.metadata.get("DURATION", "")  # Matroska's, hours:minutes:seconds
    try:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def _contents(container: InputContainer) -> str:
    covers = {s.index for s in container.streams.video}
    kinds = {"cover picture" if s.index in covers else str(s.type) for s in container.streams}
    return ", ".join(sorted(kinds)) or "nothing"
