"""The seam between vhash and the libraries that decode video.

A ``Decoder`` opens a source and gives a ``Reader``; a reader samples frames by presentation
time, the same on every decoder, and scales them with the one exact resize of ``csrc/frames``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..spec import Resize, Sampling
from ..system.checks import check_kind, shown
from .box import Box

FileSource = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes of a file, or a binary file object that can seek."""


@dataclass(frozen=True)
class Limits:
    """What a source may be and cost before it is refused; None lifts a limit.

    Attributes:
        pixels: width × height of a frame, up to 2^31 - 1, more than FFmpeg decodes.
        duration: seconds of video, up to 1e9.
        wall_time: seconds that decoding may take, up to 1e6 (11 days).
        memory: bytes that the decoding process may take, up to 2^50; enforced only with ``isolate=True``.
        stills: also take picture files (JPEG, PNG, WebP, BMP, TIFF, HEIC, AVIF), each as a video of one
            frame; else they are refused.

    Raises:
        OptionError: a limit is no number, or beyond what can be enforced; ``stills`` is no truth value.

    >>> Limits(duration=60.0).pixels
    134217728
    """

    pixels: int | None = 1 << 27  # 16384 × 8192
    duration: float | None = 24 * 3600.0
    wall_time: float | None = 300.0
    memory: int | None = 4 << 30
    stills: bool = False

    def __post_init__(self) -> None:
        check_kind("Limits.stills", self.stills, bool, "True or False")
        for label, whole, most in (
            ("pixels", True, 2**31 - 1),
            ("duration", False, 10**9),
            ("wall_time", False, 10**6),
            ("memory", True, 1 << 50),
        ):
            value: Any = getattr(self, label)
            if value is None:
                continue
            # compared as it is: nan is above nothing, and an integer of any size need not fit a float
            number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
            if not number or not 0 < value <= most:
                raise OptionError(
                    f"Limits({label}={shown(value)}); allowed: a {'whole ' * whole}number above 0 and up to "
                    f"{most:,}, or None for no limit"
                )
            object.__setattr__(self, label, int(value) if whole else float(value))  # numpy's numbers, too


@dataclass(frozen=True)
class VideoInfo:
    """What a container says about the video stream that was taken, checked where it matters.

    Attributes:
        width, height: of the frame as shown (after rotation), in pixels, with what the container may hide.
        duration: seconds from the first frame's time to the end of the last one.
        frames: number of frames, or None where only decoding everything would tell.
        rate: average frames per second, or None.
        codec: FFmpeg's name of the codec, e.g. ``h264``.
        rotation: degrees clockwise by which the stored picture is turned to be shown: 0, 90, 180 or 270.
        mirrored: whether left and right are exchanged after that.
        damaged: what of the file is missing, by what its container promises; None: nothing is known.
        stream: which video stream was taken, from 0, cover pictures not counted; the rule is in
            ``video.streams``.
        streams: how many there are.
        jumps: where the stream's times went back or leapt ahead; they are continued there, as a player does.
        repeated: sampled frames that stand for ones which cannot be decoded.
        still: it is a picture file, whose duration says nothing.
    """

    width: int
    height: int
    duration: float
    frames: int | None
    rate: float | None
    codec: str
    rotation: int = 0
    mirrored: bool = False
    damaged: str | None = None
    stream: int = 0
    streams: int = 1
    jumps: int = 0
    repeated: int = 0
    still: bool = False

    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the video was read; mostly nothing.

        >>> VideoInfo(4, 3, 2.5, None, None, "h264", streams=2).notes()
        ('stream 0 of 2 was taken; --stream N takes another one (from 0)',)
        """
        said = []
        if self.streams > 1:
            said.append(
                f"stream {self.stream} of {self.streams} was taken; --stream N takes another one (from 0)"
            )
        if self.jumps:
            often = "once" if self.jumps == 1 else f"{self.jumps} times"
            said.append(f"its times jump {often}; the pieces are taken one after the other")
        if self.repeated and not self.damaged:  # else that says it
            said.append(f"{self.repeated} of its sampled frames cannot be decoded; earlier ones stand in")
        return tuple(said)


@dataclass(frozen=True)
class BoxFrames:
    """A part of the picture of a video: its content box, or a pane of a split screen.

    Attributes:
        place: where it is.
        frames: ``uint8[T, H, W, 3]`` RGB, of the same times as the whole frames.
    """

    place: Box
    frames: NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """Sampled frames of one video.

    Attributes:
        frames: ``uint8[T, H, W, 3]`` RGB.
        times: ``float64[T]``, presentation time of each frame in seconds after the first frame.
        info: the video they come from.
        box: the content box, where it was looked for and is not the whole picture.
        panes: of a split screen, where they were looked for and there are any.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    info: VideoInfo
    box: BoxFrames | None = None
    panes: tuple[BoxFrames, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Clip(frames={list(self.frames.shape)}, duration={self.info.duration:.2f} s, {self.info.codec})"
        )


class Reader(Protocol):
    """One open video. Not for use by several threads at once."""

    @property
    def info(self) -> VideoInfo:
        """Size, duration, rate, codec."""

    def sample(self, sampling: Sampling, resize: Resize, *, box: Box | None = None) -> Clip:
        """Frames by the sampling rule of the model, or a box of each, scaled. Raises VideoError."""

    def frames_at(self, times: NDArray[np.float64], resize: Resize, *, box: Box | None = None) -> Clip:
        """For each time (seconds after the first frame, ascending) the last frame shown at or before it."""

    def close(self) -> None:
        """Free the decoder."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Decoder(Protocol):
    """Opens sources. May be shared by threads."""

    @property
    def name(self) -> str:
        """``pyav`` or ``nvdec``."""

    def open(self, source: FileSource, *, stream: int | None = None) -> Reader:
        """Open a source, or one of its video streams by number. Raises VideoError, naming the source."""
