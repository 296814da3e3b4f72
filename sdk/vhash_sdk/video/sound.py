"""The sound of a video, as sub-fingerprints of Chromaprint.

Chromaprint is a C library of the system (LGPL, ``libchromaprint``) that no wheel brings along; pyacoustid,
the extra ``sound``, binds it. FFmpeg decodes the sound and brings it to what Chromaprint hears: one channel,
11025 samples a second.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DecodeError, MissingDependencyError, UnsupportedVideoError, VideoError
from ..matching.sound import RATE, STEP, Prints, Sound
from ..system.extras import pip_install
from .decoder import FileSource, Limits
from .limits import Deadline, check_duration
from .recognise import WEBP
from .sources import Media, open_media
from .streams import choose_stream
from .track import DECODER_ERRORS

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_BLOCKS = 256  # of STEP samples that are looked at together: half a minute
_COVERED = 22  # blocks of STEP samples that a sub-fingerprint looks at
_QUIET = 10 ** (-60 / 20) * 32768  # root mean square, -60 dB of full scale: nobody hears that
_GAP = 0.05  # seconds without sound that a player would be silent for
_REORDERED = 24  # packets among which the first picture is
_LEAP = 60.0  # seconds from which on times are not believed


def check_sound() -> None:
    """Raise MissingDependencyError, which says what to install, where sound cannot be fingerprinted."""
    _chromaprint()


def sound_of(source: FileSource, limits: Limits) -> Sound:
    """The sound of a file, of its default stream or else the first; empty where it has none.

    Raises:
        VideoError: the file cannot be read, or there is sound in it and none can be decoded.
        MissingDependencyError: Chromaprint is not there.
    """
    binding = _chromaprint()
    media = open_media(source)
    if media.demuxer == WEBP:
        return Sound(np.zeros(0, np.uint32))
    try:
        container = media.open({})
    except DECODER_ERRORS as error:
        raise DecodeError(f"{media.name}: cannot be opened for its sound ({error})") from error
    try:
        stream = _stream(container)
        if stream is None:
            return Sound(np.zeros(0, np.uint32))
        if getattr(stream, "codec_context", None) is None:
            raise UnsupportedVideoError(f"{media.name}: this FFmpeg has no decoder for its sound")
        return _Listening(media, limits, binding).to(container, stream)
    finally:
        container.close()


class _Listening:
    """Feeds the sound of one file to Chromaprint, and measures where it is silent."""

    def __init__(self, media: Media, limits: Limits, binding: Any) -> None:
        self._media, self._name, self._limits, self._binding = media, media.name, limits, binding
        self._deadline = Deadline(limits, media.name)
        self._waiting = bytearray()
        self._power: list[Any] = []
        self._samples = 0
        self._printer = binding.Fingerprinter()
        self._printer.start(RATE, 1)

    def to(self, container: InputContainer, stream: AudioStream) -> Sound:
        """Listen to all of a stream."""
        began = _began(self._media)
        start: float | None = None
        for time, samples in _pieces(container, stream, self._deadline):
            if start is None:
                start = time - began if abs(time - began) < _LEAP else 0.0
            self._take(samples)
        if start is None:
            raise DecodeError(f"{self._name}: its sound cannot be decoded; the file is damaged")
        return Sound(self._prints(), start)

    def _take(self, samples: bytes) -> None:
        self._samples += len(samples) // 2
        check_duration(self._samples / RATE, self._limits, f"the sound of {self._name}")
        self._waiting += samples
        whole = len(self._waiting) // (2 * STEP * _BLOCKS) * (2 * STEP * _BLOCKS)
        if whole:
            self._hear(bytes(self._waiting[:whole]))
            del self._waiting[:whole]

    def _hear(self, samples: bytes) -> None:
        self._printer.feed(samples)
        values = np.frombuffer(samples, "<i2").astype(np.float64)
        values = np.pad(values, (0, -len(values) % STEP))
        self._power.append((values.reshape(-1, STEP) ** 2).mean(axis=1))

    def _prints(self) -> Prints:
        if self._waiting:
            self._hear(bytes(self._waiting))
        if self._samples < STEP * _COVERED:  # less than one sub-fingerprint looks at
            return np.zeros(0, np.uint32)
        found, _ = self._binding.decode_fingerprint(self._printer.finish())
        prints = np.array(found, np.uint32)
        power = np.concatenate(self._power)
        power = np.pad(power, (0, max(0, len(prints) + _COVERED - len(power))))
        total = np.concatenate([[0.0], np.cumsum(power)])
        mean = (total[_COVERED:] - total[:-_COVERED])[: len(prints)] / _COVERED
        prints[mean < _QUIET**2] = 0
        return prints


def _pieces(
    container: InputContainer, stream: AudioStream, deadline: Deadline
) -> Iterator[tuple[float, bytes]]:
    """(seconds, samples) of a stream, ``<i2``, one channel, with silence where it has none."""
    from av import AudioResampler

    form: object = None
    resampler: Any = None
    end: float | None = None
    for frame in _frames(container, stream, deadline):
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        time = end or 0.0 if frame.time is None else float(frame.time)
        if resampler is None or now != form:
            if resampler is not None:
                yield end or 0.0, _bytes(resampler, None)
            resampler, form = AudioResampler(format="s16", layout="mono", rate=RATE), now
        if end is not None and _GAP < time - end < _LEAP:
            yield end, bytes(2 * round((time - end) * RATE))
        yield time, _bytes(resampler, frame)
        end = time + frame.samples / max(frame.sample_rate, 1)
    if resampler is not None:
        yield end or 0.0, _bytes(resampler, None)


def _frames(container: InputContainer, stream: AudioStream, deadline: Deadline) -> Iterator[AudioFrame]:
    """What can be decoded of a stream; packets that are damaged are passed over, as a player does."""
    packets = container.demux(stream)
    while True:
        deadline.check()
        try:
            packet = next(packets)
        except StopIteration:
            return
        except DECODER_ERRORS:  # the rest of the file cannot be read
            return
        try:
            frames = packet.decode()
        except DECODER_ERRORS:
            continue
        yield from frames


def _bytes(resampler: Any, frame: AudioFrame | None) -> bytes:
    if frame is not None:
        frame.pts = None  # gaps are filled by us, and no other time is to stop it
    try:
        return b"".join(bytes(made.planes[0])[: 2 * made.samples] for made in resampler.resample(frame))
    except DECODER_ERRORS:  # samples that FFmpeg cannot bring to this rate
        return b""


def _stream(container: InputContainer) -> AudioStream | None:
    from av.stream import Disposition

    streams = list(container.streams.audio)
    main = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter(main or streams), None)


def _began(media: Media) -> float:
    """The time of the first picture, in seconds, by its packets: FFmpeg may give that of the sound."""

    def reopen() -> InputContainer:
        return media.open({})

    with contextlib.suppress(VideoError, *DECODER_ERRORS), reopen() as container:
        choice = choose_stream(container, media.name, None, reopen)
        stream = container.streams[choice.index]
        packets = itertools.islice(container.demux(stream), _REORDERED)
        times = [packet.pts for packet in packets if packet.pts is not None]
        if times and stream.time_base is not None:
            return float(min(times) * stream.time_base)
    return 0.0


def _chromaprint() -> Any:
    try:
        import chromaprint
    except ImportError as error:
        raise MissingDependencyError(
            f"sound needs Chromaprint ({error}): {pip_install('sound')}, and the system's library, "
            "e.g. apt install libchromaprint1"
        ) from error
    if not hasattr(chromaprint, "Fingerprinter"):
        raise MissingDependencyError(
            f"{chromaprint.__file__} is another package than pyacoustid's: pip uninstall chromaprint "
            "pychromaprint, then pip install --force-reinstall pyacoustid"
        )
    return chromaprint
