"""Decoding on the CPU by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError, MemoryLimitError, OptionError, UnsupportedVideoError
from ..spec import Resize, Sampling
from ..system.checks import checked_count
from .box import Box
from .clock import Jumped
from .completeness import blanks, damage
from .container import Crop, Said
from .decoder import Clip, FileSource, Limits, VideoInfo
from .limits import Deadline, check_duration, check_pixels
from .picture import colour_of, render
from .recognise import WEBP
from .resize import output_size
from .sampling import frame_ranks, uniform_times
from .select import Disordered, Shortened, select
from .sources import open_media
from .stills import FRAME_SECONDS
from .timeline import Timeline, first_frame, measure, middle_times, scan
from .tone import hdr_of
from .track import Track
from .webp import WebpReader

if TYPE_CHECKING:
    from av import VideoFrame

Bounds = Callable[[Timeline], list[int]]


class PyavDecoder:
    """Opens video files with PyAV, one decoder thread each: run several videos side by side.

    Frames are the same, pixel by pixel, as those of decoding the whole file.

    Args:
        limits: what a source may cost; ``memory`` holds only in a worker process.
        threads: decoder threads per video; more than 1 helps a single large video.

    Raises:
        OptionError: ``threads`` is no number from 1 to 64.

    >>> PyavDecoder().name
    'pyav'
    """

    def __init__(self, *, limits: Limits | None = None, threads: int = 1) -> None:
        self.limits, self.threads = limits or Limits(), checked_count("threads", threads, 1, 64)

    @property
    def name(self) -> str:
        """``pyav``."""
        return "pyav"

    def open(self, source: FileSource, *, stream: int | None = None) -> PyavReader | WebpReader:
        """Open a path, bytes or a file object; ``stream``: which of its video streams, None: by the rule.

        Raises:
            VideoError: the subclass says what is wrong; the message names the source.
            MissingDependencyError: PyAV is not installed, or Pillow for an animated WebP.
        """
        media = open_media(source, stills=self.limits.stills)
        if media.demuxer == WEBP:
            return WebpReader(media, self.limits, stream)
        return PyavReader(Track(media, self.limits, self.threads, stream), self.limits)


class PyavReader:
    """One open video; see ``Reader``."""

    def __init__(self, track: Track, limits: Limits) -> None:
        self._track, self._limits = track, limits
        self._repeated = 0
        self._said: Said | None = None  # read where a rule wants it
        try:
            try:
                self._begin()
            except Jumped:
                self._begin()
        except BaseException:
            track.close()
            raise

    def _begin(self) -> None:
        track = self._track
        if track.joined:
            track.reopen()
        frame, start = first_frame(track)
        check_pixels(frame.width, frame.height, self._limits, track.name)
        self._timeline = self._checked(measure(track, start))
        self._damage = damage(track, self._timeline.end)
        self._hdr = hdr_of(frame)
        self._pixels, self._colour = frame.format.name, colour_of(frame)
        self._size, self._hdr = (frame.width, frame.height), hdr_of(frame)

    @property
    def info(self) -> VideoInfo:
        """Size as shown, duration in seconds, frames (once all packets were read), rate, codec."""
        track, line, choice = self._track, self._timeline, self._track.choice
        assert choice is not None
        (width, height), still = self._shown_size(None), track.media.still
        return VideoInfo(
            width=width,
            height=height,
            duration=FRAME_SECONDS if still else float((line.end - line.start) * self._track.tick),
            frames=1 if still else None if line.times is None else len(line.times),
            rate=float(track.rate) if track.rate and not still else None,
            codec=track.codec,
            rotation=self._colour["rotation"],
            mirrored=self._colour["mirrored"],
            damaged=self._damage or blanks(track),
            stream=choice.number,
            streams=1 if still else choice.streams,  # others are its alpha and its thumbnails
            jumps=line.jumps,
            repeated=self._repeated,
            still=still,
        )

    def sample(self, sampling: Sampling, resize: Resize, *, box: Box | None = None) -> Clip:
        """Frames by the sampling rule, or a box of each, scaled. Raises VideoError.

        ``uniform`` reads only around the frames that it takes. ``middle`` counts frames, so it
        reads all packets of the file, unless that has an index of all of them (MP4).
        """

        self._track.deadline = Deadline(self._limits, self._track.name)
        middle = None
        if sampling.kind == "middle" and self._timeline.times is None:
            middle = middle_times(self._track, self._timeline, sampling.frames)
            if middle is None:
                self._timeline = self._checked(scan(self._track, start=self._timeline.start))

        def bounds(line: Timeline) -> list[int]:
            if sampling.kind == "uniform":
                return uniform_times(line.start, line.end, sampling.frames)
            if line.times is None:
                assert middle is not None
                return middle
            return [int(line.times[rank]) for rank in frame_ranks(sampling, len(line.times))]

        return self._collect(bounds, resize, box)

    def frames_at(self, times: NDArray[np.float64], resize: Resize, *, box: Box | None = None) -> Clip:
        """For each time (seconds after the first frame) the last frame shown at or before it.

        Times before the first frame give the first one. Raises VideoError, or OptionError for
        times that are not finite.
        """
        seconds = np.asarray(times, np.float64).reshape(-1)
        if not np.isfinite(seconds).all():
            raise OptionError(f"times={times!r}; allowed: finite seconds after the first frame")
        # a thousandth of a tick: Clip.times, given back, must name the same frames
        ticks = np.floor(np.clip(seconds, 0, 1e9) / float(self._track.tick) + 1e-3).astype(np.int64)
        self._track.deadline = Deadline(self._limits, self._track.name)
        return self._collect(lambda line: [line.start + int(tick) for tick in ticks], resize, box)

    def _collect(self, bounds_of: Bounds, resize: Resize, box: Box | None = None) -> Clip:
        width, height = self._shown_size(self._crop(resize))
        if box is not None:
            left, top, right, bottom = box.pixels(width, height)
            width, height = right - left, bottom - top
        size = output_size(resize, height, width)
        frames = np.zeros((len(bounds_of(self._timeline)), *size, 3), np.uint8)
        try:
            seconds = self._settled(bounds_of, lambda bounds: self._render(bounds, frames, resize, box))
        except MemoryError as error:
            raise MemoryLimitError(
                f"{self._track.name}: decoding ran out of memory; free some, or leave the file out"
            ) from error
        return Clip(frames, seconds, self.info)

    def _settled(
        self, bounds_of: Bounds, render: Callable[[list[int]], dict[int, int]]
    ) -> NDArray[np.float64]:
        """Render frames, again for each thing about the timeline that only decoding shows.

        Gives the time of each frame in seconds after the first one of the video.
        """
        for last in (False, False, False, True):
            bounds = bounds_of(self._timeline)
            try:
                shown = render(bounds)
                break
            except Disordered:
                if last:
                    raise
                jumps = self._timeline.jumps
                self._timeline = self._checked(replace(scan(self._track, counted=True), jumps=jumps))
            except Shortened as short:
                if last:
                    raise
                self._timeline = self._timeline.until(short.end)
            except Jumped:
                if last:
                    raise
                self._begin()
        ticks = np.array([shown[bound] for bound in bounds], np.float64) - self._timeline.start
        seconds: NDArray[np.float64] = ticks * float(self._track.tick)
        return seconds

    def _render(
        self, bounds: list[int], out: NDArray[np.uint8], resize: Resize, box: Box | None
    ) -> dict[int, int]:
        """Fill the rows of ``out``; gives the time of the frame for each bound."""
        rows: dict[int, list[int]] = {}
        for row, bound in enumerate(bounds):
            rows.setdefault(bound, []).append(row)
        shown: dict[int, int] = {}
        crop = self._crop(resize)

        def emit(found: list[int], frame: VideoFrame, time: int) -> None:
            check_pixels(frame.width, frame.height, self._limits, self._track.name)
            first, *others = [row for bound in found for row in rows[bound]]
            render(frame, resize, out[first], box, crop)
            if others:
                out[others] = out[first]
            shown.update(dict.fromkeys(found, time))

        if bounds:
            try:
                self._repeated = select(self._track, self._timeline, sorted(rows), emit)
            except MemoryError as error:
                raise DecodeError(f"{self._track.name}: not enough memory to decode its frames") from error
        return shown

    def _crop(self, resize: Resize) -> Crop | None:
        """What is hidden of the stored picture, by the rule of the model."""
        if resize.picture == 1:
            return None
        if self._said is None:
            self._said = self._track.said()
        if self._said.dolby_vision is not None:
            raise UnsupportedVideoError(
                f"{self._track.name} is Dolby Vision of profile {self._said.dolby_vision}, whose colours "
                "only its own decoders show; convert it to HDR10 or SDR"
            )
        return self._said.crop

    def _shown_size(self, crop: Crop | None) -> tuple[int, int]:
        """(width, height) of the picture as shown, less what is hidden."""
        width, height = self._size
        if crop is not None and (uncovered := crop.pixels(width, height)) is not None:
            left, top, right, bottom = uncovered
            width, height = right - left, bottom - top
        return (width, height) if self._colour["rotation"] % 180 == 0 else (height, width)

    def _checked(self, line: Timeline) -> Timeline:
        check_duration(float((line.end - line.start) * self._track.tick), self._limits, self._track.name)
        return line

    def close(self) -> None:
        """Free the decoder and the file."""
        self._track.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
