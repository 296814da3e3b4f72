"""Decoding on the video engine of an NVIDIA GPU (NVDEC), by PyNvVideoCodec; frames stay on the device.

Only the decoder differs from ``pyav``: containers are read, frames are timed and chosen by the same
code, and the frame kernel gives the same bytes, so the same file gives the same frames. What the
chip cannot decode (its codec, size or format) is decoded by PyAV, with one warning for each reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np

from ..errors import BackendError, DecodeError
from ..gpu.cuda import DeviceBuffer, cudart
from ..gpu.probe import require_cuda
from ..spec import Resize
from .box import Box
from .decoder import Clip, FileSource, Limits
from .device_frames import DevicePlanes, DeviceScaler, PlaneFormat
from .limits import check_pixels
from .nvdec_session import CODECS, DeviceTrack, Session, Surface, import_nvcodec
from .pyav import Bounds, PyavReader
from .recognise import WEBP
from .select import select
from .sources import open_media
from .tone import Tone
from .tone import tone as tone_map
from .track import Track
from .webp import WebpReader

logger = logging.getLogger("vhash_sdk")

_FORMATS = ("yuv420p", "yuvj420p")
_HDR_FORMATS, _HDR_BITS = ("yuv420p10le",), 10
_ROOM = (2048, 1152)  # a decoder made for so much is reused for all smaller videos
_SPARE = 8  # decoders kept for the next videos


class NvdecDecoder:
    """Opens video files for decoding on a GPU. May be shared by threads; each open video has a decoder.

    Frames of its clips are ``DeviceArray`` of ``uint8[T, H, W, 3]``, or numpy arrays where PyAV decoded.

    Args:
        device: number of the CUDA device.
        limits: what a source may cost.

    Raises:
        BackendError: no driver, no such device, or a driver without its video library.
        MissingDependencyError: PyNvVideoCodec, cuda-bindings or our CUDA kernels are not installed.
    """

    def __init__(self, *, device: int = 0, limits: Limits | None = None) -> None:
        require_cuda(device)
        cudart()
        self.limits, self.device = limits or Limits(), device
        self.library = import_nvcodec()
        self.scaler = DeviceScaler(device)
        self._spare: list[Session] = []
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """``nvdec``."""
        return "nvdec"

    def open(self, source: FileSource, *, stream: int | None = None) -> NvdecReader | WebpReader:
        """Open a path, bytes or a file object. Raises VideoError, as PyAV does."""
        media = open_media(source, stills=self.limits.stills)
        if media.demuxer == WEBP:
            return WebpReader(media, self.limits, stream)
        return NvdecReader(Track(media, self.limits, 1, stream), self)

    def obstacle(self, codec: str, pixels: str, size: tuple[int, int], *, hdr: bool = False) -> str | None:
        """Why the chip cannot decode such a video, HDR that is mapped or any other; None if it can."""
        width, height = size
        if codec not in CODECS:
            return f"NVDEC is not used for {codec}"
        if pixels not in (_HDR_FORMATS if hdr else _FORMATS) or width % 2 or height % 2:
            wanted = "HDR of 10 bits" if hdr else "8-bit"
            return f"NVDEC is used for {wanted} 4:2:0 with even sides, not for {pixels} of {width} × {height}"
        library = self.library
        try:
            caps = library.GetDecoderCaps(
                gpuid=self.device,
                codec=getattr(library.cudaVideoCodec, CODECS[codec]),
                chromaformat=library.cudaVideoChromaFormat.__members__["420"],
                bitdepth=_HDR_BITS if hdr else 8,
            )
        except Exception as error:  # the library raises its own classes
            return f"the driver does not tell what NVDEC decodes ({error})"
        if not caps.get("num_decoder_engines"):
            return f"this GPU does not decode {codec}"
        low, high = (caps["width_min"], caps["height_min"]), (caps["width_max"], caps["height_max"])
        if not (low[0] <= width <= high[0] and low[1] <= height <= high[1]):
            return f"this GPU decodes {codec} from {low[0]} × {low[1]} to {high[0]} × {high[1]}"
        return None

    def warn(self, reason: str, name: str) -> None:
        """Say once for each reason that PyAV decodes instead."""
        with self._lock:
            known = reason in self._warned
            self._warned.add(reason)
        logger.log(logging.DEBUG if known else logging.WARNING, "%s: decoding on the CPU: %s", name, reason)

    @contextmanager
    def session(self, codec: str, width: int, height: int, *, hdr: bool = False) -> Iterator[Session]:
        """A decoder for such a video, from an earlier one where possible."""
        kind = f"{codec} in HDR" if hdr else codec  # a decoder stays with the depth it began with
        room = _ROOM if width <= _ROOM[0] and height <= _ROOM[1] else (width, height)
        with self._lock:
            fitting = [one for one in self._spare if (one.kind, one.room) == (kind, room)]
            if fitting:
                self._spare.remove(fitting[0])
        session = fitting[0] if fitting else Session(self.library, self.device, codec, kind, room)
        yield session  # after an error its state is not known: it is not kept
        with self._lock:
            self._spare = [*self._spare, session][-_SPARE:]


class NvdecReader(PyavReader):
    """One open video; see ``Reader``. Boxes of the picture are decoded by PyAV."""

    def __init__(self, track: Track, decoder: NvdecDecoder) -> None:
        super().__init__(track, decoder.limits)
        self._decoder = decoder

    def _collect(self, bounds_of: Bounds, resize: Resize, box: Box | None = None) -> Clip:
        if box is not None:
            return super()._collect(bounds_of, resize, box)
        hdr = resize.picture > 1 and self._hdr is not None
        reason = self._decoder.obstacle(self.info.codec, self._pixels, self._size, hdr=hdr)
        if self._timeline.jumps:
            reason = "its times jump, so that it may be several streams"
        if reason is None:
            try:
                return self._on_device(bounds_of, resize)
            except (DecodeError, BackendError, RuntimeError) as error:
                reason = f"NVDEC failed ({error})"
        self._decoder.warn(reason, self._track.name)
        return super()._collect(bounds_of, resize)

    def _on_device(self, bounds_of: Bounds, resize: Resize) -> Clip:
        width, height = self._size
        crop = self._crop(resize)
        left, top, right, bottom = (crop and crop.pixels(width, height)) or (0, 0, width, height)
        colour, tone = self._colour, None
        if resize.picture > 1 and self._hdr is not None:
            tone = tone_map(*self._hdr, _HDR_BITS, colour["full_range"])
            colour = colour | {"matrix": "bt709", "full_range": True}
        view = _View(PlaneFormat(bottom - top, right - left, **colour), (left, top), tone)
        size = view.format.output(resize)
        with self._decoder.session(self.info.codec, width, height, hdr=tone is not None) as session:
            count = len(bounds_of(self._timeline))
            frames = DeviceBuffer(count * size[0] * size[1] * 3).array((count, *size, 3), np.uint8)
            seconds = self._settled(
                bounds_of, lambda bounds: self._scale(session, bounds, frames.pointer, view, resize)
            )
            session.stream.synchronize()
        return Clip(cast(Any, frames), seconds, self.info)

    def _scale(
        self, session: Session, bounds: list[int], out: int, view: _View, resize: Resize
    ) -> dict[int, int]:
        """Fill the frames at ``out``; gives the time of the frame for each bound."""
        rows: dict[int, list[int]] = {}
        for row, bound in enumerate(bounds):
            rows.setdefault(bound, []).append(row)
        shown: dict[int, int] = {}
        step = int(np.prod(view.format.output(resize))) * 3

        def emit(found: list[int], surface: Any, time: int) -> None:
            check_pixels(surface.width, surface.height, self._limits, self._track.name)
            if (surface.width, surface.height) != self._size:
                raise DecodeError(f"{self._track.name}: the size of the picture changes")
            planes = view.shown(surface, self._decoder.scaler, session)
            pictures = [(planes, out + row * step) for bound in found for row in rows[bound]]
            self._decoder.scaler.planes_to_rgb(pictures, view.format, resize, stream=session.stream.handle)
            shown.update(dict.fromkeys(found, time))

        if bounds:
            track = cast(Any, DeviceTrack(self._track, session))
            self._repeated = select(track, self._timeline, sorted(rows), emit)
        return shown


class _View(NamedTuple):
    """What of a surface is shown: its upper left corner (x, y), both even, its size, and the map from HDR."""

    format: PlaneFormat
    corner: tuple[int, int]
    tone: Tone | None

    def shown(self, surface: Surface, scaler: DeviceScaler, session: Session) -> DevicePlanes:
        """The part of a picture, in SDR."""
        planes, (x, y) = surface.planes, self.corner
        if surface.bits != (8 if self.tone is None else 16):
            raise DecodeError(f"NVDEC gives samples of {surface.bits} bits")
        if self.tone is not None:
            size = (surface.height, surface.width)
            room = session.room_for(3 * size[0] * size[1] // 2)
            planes = scaler.tone_map(planes, size, self.tone, _HDR_BITS, room, stream=session.stream.handle)
        luma, chroma, _ = planes.strides
        return DevicePlanes(planes.y + y * luma + x, planes.u + y // 2 * chroma + x, 0, planes.strides)
