"""The video stream of an open container: packets in decoding order, and the decoder for them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from fractions import Fraction
from numbers import Rational
from typing import TYPE_CHECKING

from ..errors import DecodeError, SourceError, UnsupportedVideoError, VideoError
from .bitstream import Bitstream, bitstream
from .decoder import Limits
from .limits import Deadline, check_pixels
from .sources import EXACT_SEEKS, INDEXED, Media

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

DEFAULT_RATE = Fraction(25)
_MOST_PIXELS = (1 << 31) - 1  # that FFmpeg can be told
_START = 32  # bytes of a packet that are looked at
_NEVER_BLANK = frozenset(
    ("h264", "hevc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "prores")
)
"""Codecs whose packets begin with something else than so many zeros."""
# not MemoryError: going on after it would give a code of the few frames that still fitted
DECODER_ERRORS = (ValueError, OSError, RuntimeError, NotImplementedError, LookupError)
"""What FFmpeg's errors are, beside being ``av.FFmpegError`` (which needs an import of av)."""


class Track:
    """Reads one video stream. Owns its container.

    Attributes:
        name: of the source, for messages.
        media: where it comes from.
        tick: seconds per unit of pts and dts.
        bits: what the packets say about themselves.
        deadline: checked at each packet; set it anew for each call of the user.
        last: the packet that was read last.
        blank: packets read that hold zeros, which no encoder writes: that part of the file is missing.

    Raises:
        DecodeError: the container is damaged beyond reading.
        UnsupportedVideoError: no video stream, or no decoder for it.
        PixelLimitError: frames larger than allowed.
    """

    def __init__(self, media: Media, limits: Limits, threads: int) -> None:
        self.name = media.name
        self.media, self._limits, self._threads = media, limits, threads
        self.deadline = Deadline(limits, media.name)
        self._container: InputContainer | None = None
        self.last: Packet[VideoStream] | None = None
        self.blank = 0
        self.reopen()

    def reopen(self) -> None:
        """Go back to the very first packet with a fresh decoder."""
        self.close()
        # a net under our own check, which is exact: FFmpeg counts padding as well
        pixels = self._limits.pixels
        options = {} if pixels is None else {"max_pixels": str(min(2 * pixels + (1 << 20), _MOST_PIXELS))}
        try:
            self._container = self.media.open(options)
        except Exception as error:
            self._raise_if_unreadable(error)
            raise DecodeError(
                f"{self.name} looks like {self.media.demuxer} but cannot be read ({reason(error)}); "
                "the file is damaged or cut off"
            ) from error
        try:
            self.stream = self._choose(self._container)
        except VideoError:
            self.close()
            raise
        self.context = self.stream.codec_context
        self.context.options = options
        self.context.thread_count = self._threads
        self.context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        self._coded = self.stream.codec.canonical_name in _NEVER_BLANK
        self.tick = fraction(self.stream.time_base) or Fraction(1, 1_000_000)
        self.bits: Bitstream = bitstream(
            self.stream.codec.canonical_name, self.context.extradata, self.context.field_order
        )
        self._packets: Iterator[Packet[VideoStream]] = self._container.demux(self.stream)

    def _choose(self, container: InputContainer) -> VideoStream:
        from av.stream import Discard, Disposition

        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        videos = [s for s in container.streams.video if not s.disposition & pictures]
        if not videos:
            found = sorted({str(s.type) for s in container.streams}) or ["nothing"]
            raise UnsupportedVideoError(
                f"{self.name} has no video stream, only {', '.join(found)}; pass a file with video"
            )
        chosen = videos[0]
        if chosen.codec_context is None:
            raise UnsupportedVideoError(
                f"{self.name}: FFmpeg has no decoder for its video stream; convert it, e.g. to H.264"
            )
        width, height = self.media.size or (chosen.width or 0, chosen.height or 0)
        check_pixels(width, height, self._limits, self.name)
        for stream in container.streams:
            if stream.index != chosen.index:
                stream.discard = Discard.all
        return chosen

    def ticks(self, seconds: Fraction | float) -> int:
        """Seconds in units of the time base, rounded down."""
        return int(seconds / self.tick)

    def frame_ticks(self) -> int:
        """The usual distance of two frames."""
        rate = fraction(self.stream.average_rate) or fraction(self.stream.base_rate) or DEFAULT_RATE
        return max(1, round(1 / (rate * self.tick)))

    def declared_end(self) -> int | None:
        """Where the header says that the stream ends, in ticks; it may lie."""
        if self.stream.duration is not None:
            return self.stream.duration + (self.stream.start_time or 0)
        container = self._container
        if container is None or container.duration is None:
            return None
        return self.ticks(Fraction(container.duration + (container.start_time or 0), 1_000_000))

    def indexed_key(self, time: int) -> int | None:
        """Time of the last indexed key frame at or before ``time``; None without an index."""
        if self.media.demuxer not in INDEXED:
            return None
        entries = self.stream.index_entries
        found = entries.search_timestamp(time) if len(entries) > 1 else -1
        return entries[found].timestamp if found >= 0 else None

    def read(self) -> Packet[VideoStream] | None:
        """The next packet, or None at the end, which is also where a container cannot be read on.

        Raises SourceError where the disk, or the user's file object, fails.
        """
        self.deadline.check()
        try:
            for packet in self._packets:
                if packet.size:
                    self.last = packet
                    self.blank += (
                        self._coded and packet.size >= _START and not any(memoryview(packet)[:_START])
                    )
                    return packet
        except Exception as error:
            self._raise_if_unreadable(error)
        return None

    def _raise_if_unreadable(self, error: Exception) -> None:
        """Tell a failing disk, or whatever a file object raises, from a damaged container."""
        from av.error import FFmpegError

        if not isinstance(error, FFmpegError) or error.errno == errno.EIO:
            raise SourceError(f"{self.name} cannot be read: {reason(error)}") from error

    def seek(self, time: int) -> bool:
        """Move to a key frame at or before ``time``, as far as the container knows; resets the decoder.

        False where that failed, which leaves the track anywhere, or where times are not kept.
        """
        from av.error import FFmpegError

        if self._container is None or self.media.demuxer not in EXACT_SEEKS:
            return False
        try:
            self._container.seek(time, stream=self.stream)
        except (FFmpegError, OverflowError):
            return False
        self._packets = self._container.demux(self.stream)
        return True

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that come out for a packet; None drains the decoder. Raises errors of ``av``."""
        return self.context.decode(packet)

    def reset(self) -> None:
        """Forget everything that was sent to the decoder."""
        self.context.skip_frame = "DEFAULT"
        self.context.flush_buffers()

    def close(self) -> None:
        """Free container and decoder."""
        if self._container is not None:
            self._container.close()
            self._container = None


def fraction(value: Rational | None) -> Fraction | None:
    """FFmpeg's rational number, of which av 19 makes a type of its own; None for none and zero."""
    return Fraction(int(value.numerator), int(value.denominator)) if value else None


def reason(error: BaseException) -> str:
    """What went wrong, in short: FFmpeg's text without file names."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
