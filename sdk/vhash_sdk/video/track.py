"""The video stream of an open container: packets in decoding order, and the decoder for them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from numbers import Rational
from typing import TYPE_CHECKING

from ..errors import DecodeError, SourceError, UnsupportedVideoError, VideoError
from .bare import TIMELESS
from .bitstream import Bitstream, bitstream
from .clock import JUMPY, Clock, Jumped
from .container import Said, read_matroska, read_mov
from .decoder import Limits
from .encryption import encryption
from .limits import Deadline, check_pixels
from .skeletons import boxes, parts
from .sources import EXACT_SEEKS, INDEXED, Media
from .streams import Choice, check_stream, choose_stream
from .ts import jumps, takeovers

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

_BORROWED = (errno.EPERM, errno.EIO, errno.EINVAL, errno.ENOENT, errno.ERANGE, errno.EACCES)


class Undecodable(ValueError):
    """A packet gave no picture; the text says why."""


class Track:
    """Reads one video stream, also of files that were appended to each other. Owns its container.

    Attributes:
        name: of the source, for messages.
        media: where it comes from.
        tick: seconds per unit of pts and dts.
        stream: FFmpeg's, of the part that is read.
        rate: average frames per second, or None. codec: FFmpeg's name.
        bits: what the packets say about themselves.
        deadline: checked at each packet; set it anew for each call of the user.
        last: the packet that was read last.
        blank: packets read that hold zeros, which no encoder writes: that part of the file is missing.
        choice: the stream that was taken.
        timeless: the container has no times.
        joined: the stream's times jump: it is only read from the start, and its times are continued.

    Raises:
        DecodeError: the container is damaged beyond reading.
        UnsupportedVideoError: no video stream, no decoder for it, or it is encrypted.
        PixelLimitError: frames larger than allowed.
    """

    def __init__(self, media: Media, limits: Limits, threads: int, stream: int | None = None) -> None:
        check_stream(stream)
        check_pixels(*media.size or (0, 0), limits, media.name)  # before FFmpeg decodes to know
        self.name = media.name
        self.media, self._limits, self._threads, self._wanted = media, limits, threads, stream
        self.deadline = Deadline(limits, media.name)
        self._container: InputContainer | None = None
        self.last: Packet[VideoStream] | None = None
        self.blank = 0
        # a net under our own check, which is exact: FFmpeg counts padding as well
        pixels = limits.pixels
        self._options = (
            {} if pixels is None else {"max_pixels": str(min(2 * pixels + (1 << 20), _MOST_PIXELS))}
        )
        self.timeless = media.demuxer in TIMELESS
        self.choice: Choice | None = None
        with media.raw() as file:
            self._parts = parts(file, media.demuxer)
            if media.demuxer == "mpegts" and (places := takeovers(file)):
                self._parts = list(zip([0, *places], [*places, self._parts[0][1]], strict=True))
        self.joined = len(self._parts) > 1
        self.reopen()
        if not self.joined and media.demuxer == "mpegts":
            with media.raw() as file:
                self.joined = jumps(file, self.stream.id)

    @property
    def jumps(self) -> int:
        """Where times went back or leapt ahead, in what was read since the start."""
        return self._clock.jumps

    def reopen(self) -> None:
        """Go back to the very first packet with a fresh decoder. Raises as the class does."""
        self._part = 0
        self._enter(self._parts[0] if len(self._parts) > 1 else None)
        self.tick = fraction(self.stream.time_base) or Fraction(1, 1_000_000)
        self.rate, self.codec = fraction(self.stream.average_rate), self.stream.codec.canonical_name
        rate = self.rate or fraction(self.stream.base_rate) or DEFAULT_RATE
        self._step = max(1, round(1 / (rate * self.tick)))
        self._clock = Clock(self.tick, watched=self.media.demuxer in JUMPY)
        self._decoding, self.context = self.stream, self.stream.codec_context

    def _enter(self, part: tuple[int, int] | None) -> None:
        """Open the file, or a part of it, and choose the stream."""
        self.close()
        try:
            self._container = self.media.open(self._options, part)
        except Exception as error:
            self._raise_if_unreadable(error)
            raise self._unopened(error) from error
        try:
            stream = self._choose(self._container)
        except VideoError:
            self.close()
            raise
        context = stream.codec_context
        context.options = self._options
        context.thread_count = self._threads
        context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        self.bits: Bitstream = bitstream(stream.codec.canonical_name, context.extradata, context.field_order)
        self.stream, self._coded = stream, stream.codec.canonical_name in _NEVER_BLANK
        packets = self._container.demux(stream)  # what follows a picture in its file is no part of it
        self._packets: Iterator[Packet[VideoStream]] = islice(packets, 1 if self.media.still else None)

    def _unopened(self, error: Exception) -> VideoError:
        if self.media.demuxer == "mov":
            with self.media.raw() as file:
                kinds = {kind for kind, _, _ in boxes(file)}
            if kinds & {b"moof", b"sidx", b"styp"} and b"moov" not in kinds:
                return UnsupportedVideoError(
                    f"{self.name} is a segment of a fragmented MP4 without its initialisation segment, which "
                    "says what is in it; join them first: cat init.mp4 segment.m4s > video.mp4"
                )
        return DecodeError(
            f"{self.name} looks like {self.media.demuxer} but cannot be read ({reason(error)}); "
            "the file is damaged or cut off"
        )

    def _choose(self, container: InputContainer) -> VideoStream:
        from av.stream import Discard

        first = self.choice is None
        choice = self.choice
        if choice is None or len(self._parts) > 1:  # parts may differ in their streams
            part = self._parts[self._part] if len(self._parts) > 1 else None
            choice = choose_stream(
                container, self.name, self._wanted, lambda: self.media.open(self._options, part)
            )
            self.choice = self.choice or choice  # what is told is that of the first part
        chosen = next(s for s in container.streams.video if s.index == choice.index)
        if first:
            with self.media.raw() as file:
                how = encryption(file, self.media.demuxer, chosen, choice.number)
            if how is not None:
                raise UnsupportedVideoError(
                    f"{self.name} is encrypted ({how}), so it has no picture without its key; "
                    "decrypt it with the program that has the right to"
                )
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

    def said(self) -> Said:
        """What the container says of this picture beside what FFmpeg passes on."""
        assert self._container is not None
        with self.media.raw() as file:
            if self.media.demuxer == "mov":
                return read_mov(file, self.stream.id)
            if self.media.demuxer == "matroska":
                indexes = [stream.index for stream in self._container.streams.video]
                return read_matroska(file, indexes.index(self.stream.index))
        return Said()

    def ticks(self, seconds: Fraction | float) -> int:
        """Seconds in units of the time base, rounded down."""
        return int(seconds / self.tick)

    def frame_ticks(self) -> int:
        """The usual distance of two frames."""
        return self._step

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

        Raises SourceError where the disk, or the user's file object, fails, and Jumped where the times
        jump for the first time: begin anew then, with ``joined`` set.
        """
        while True:
            self.deadline.check()
            packet = self._following()
            if packet is not None:
                break
            if self._part + 1 >= len(self._parts):
                return None
            self._part += 1
            try:
                self._enter(self._parts[self._part])
            except (DecodeError, UnsupportedVideoError):  # this part has no video
                self._packets = iter(())
            self._clock.begin()
            self._clock.forget()
        if self._clock.breaks(packet):
            if not self.joined:
                self.joined = True
                raise Jumped
            self._clock.begin()
        if self.joined:
            self._rescale(packet)
            self._clock.follow(packet, self.frame_ticks())
        return packet

    def _following(self) -> Packet[VideoStream] | None:
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
        if (failure := self.media.lost()) is not None:
            raise SourceError(f"{self.name} cannot be read: {reason(failure)}") from failure
        return None

    def _rescale(self, packet: Packet[VideoStream]) -> None:
        """Times of a part in ticks of the first one."""
        ratio = (fraction(self.stream.time_base) or self.tick) / self.tick
        if ratio != 1:
            packet.pts = None if packet.pts is None else round(packet.pts * ratio)
            packet.dts = None if packet.dts is None else round(packet.dts * ratio)
            packet.duration = round((packet.duration or 0) * ratio)

    def _raise_if_unreadable(self, error: Exception) -> None:
        """Tell a failing disk, or whatever a file object raises, from a malformed file."""
        failure = self.media.lost()
        if failure is None and isinstance(error, OSError):
            failure = self.media.failure(self.deadline.check)
        if failure is not None:
            raise SourceError(f"{self.name} cannot be read: {reason(failure)}") from error

    def seek(self, time: int) -> bool:
        """Move to a key frame at or before ``time``, as far as the container knows; resets the decoder.

        False where that failed, which leaves the track anywhere, or where times are not kept.
        """
        from av.error import FFmpegError

        if self._container is None or self.joined or self.media.demuxer not in EXACT_SEEKS:
            return False
        self._clock.forget()
        try:
            self._container.seek(time, stream=self.stream)
        except (FFmpegError, OverflowError):
            return False
        self._packets = self._container.demux(self.stream)
        return True

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that come out for a packet; None drains the decoder.

        Raises one of DECODER_ERRORS where nothing comes out, MemoryError where memory ran out.
        """
        from av.error import FFmpegError

        frames: list[VideoFrame] = []
        before = self.context
        try:
            if packet is not None and packet.stream is not self._decoding:  # the next part has begun
                self._decoding, self.context = packet.stream, packet.stream.codec_context
                frames = before.decode(None)
            return frames + self.context.decode(packet)
        except DECODER_ERRORS:
            raise
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            raise Undecodable(reason(error)) from error

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
    """What went wrong, in short: FFmpeg's text without file names, where it tells something.

    FFmpeg's parsers borrow the system's error numbers: a broken GIF is "Operation not permitted".

    >>> reason(FileNotFoundError(2, "No such file or directory", "a.mp4"))
    'No such file or directory'
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if type(error).__module__.startswith("av."):
        kind, number = type(error).__name__, getattr(error, "errno", None)
        if kind in ("PatchWelcomeError", "ExperimentalError", "NotImplementedError"):
            return "a feature of the format that FFmpeg does not decode"
        if kind in ("UnknownError", "UndefinedError", "ExternalError", "BugError"):
            return f"the decoder fails without saying why ({kind})"
        if number in _BORROWED:
            return "malformed data"
    return text
