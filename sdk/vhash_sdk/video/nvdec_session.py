"""One decoder of the NVDEC engine: coded pictures in, pictures in device memory out."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import BackendError, MissingDependencyError
from ..gpu.cuda import DeviceBuffer, Stream, call, cudart
from ..system.extras import pip_install
from .device_frames import DevicePlanes
from .track import Track

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

CODECS = {"h264": "H264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1"}
"""FFmpeg's names of what NVDEC is used for, and the library's."""
_START_CODES = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}  # NVDEC takes no length prefixes


class Surface:
    """A decoded picture in device memory. ``frame`` is the decoder's; its memory is used again."""

    is_corrupt = False  # NVDEC does not tell

    def __init__(self, frame: Any) -> None:
        self.pts = int(frame.getPTS())
        luma, chroma = (view.__cuda_array_interface__ for view in frame.cuda())
        self.height, self.width = (int(side) for side in luma["shape"][:2])
        self.bits = 8 * int(luma["typestr"][2:])
        least = self.width * self.bits // 8
        # bytes by the protocol; a stride in samples would be too small for a row
        luma_row, chroma_row = (int(view["strides"][0]) for view in (luma, chroma))
        scale = self.bits // 8 if luma_row < least else 1
        strides = (luma_row * scale, chroma_row * scale, 0)
        self.planes = DevicePlanes(int(luma["data"][0]), int(chroma["data"][0]), 0, strides)
        self._frame: Any = frame
        self._buffer: DeviceBuffer | None = None

    def keep(self, stream: int) -> None:
        """Copy it, so that the decoder may go on."""
        if self._buffer is not None:
            return
        (luma, chroma, _), planes = self.planes.strides, self.planes
        sizes = (luma * self.height, chroma * (self.height // 2))
        self._buffer = DeviceBuffer(sum(sizes))
        targets = (self._buffer.pointer, self._buffer.pointer + sizes[0])
        kind = cudart().cudaMemcpyKind.cudaMemcpyDeviceToDevice
        for target, source, size in zip(targets, (planes.y, planes.u), sizes, strict=True):
            call("cudaMemcpyAsync", target, source, size, kind, stream)
        self.planes = DevicePlanes(*targets, 0, planes.strides)
        self._frame = None


class Session:
    """A decoder of the library and its stream; for one video at a time."""

    def __init__(self, library: Any, device: int, codec: str, kind: str, room: tuple[int, int]) -> None:
        call("cudaSetDevice", device)
        self.codec, self.kind, self.room, self.stream = codec, kind, room, Stream()
        self._toned: DeviceBuffer | None = None
        self._library = library
        self._decoder = library.CreateDecoder(
            gpuid=device,
            codec=getattr(library.cudaVideoCodec, CODECS[codec]),
            cudacontext=0,
            cudastream=self.stream.handle,  # else frames would race with what we do with them
            usedevicememory=True,
            maxwidth=room[0],
            maxheight=room[1],
        )
        self._out: list[weakref.ref[Surface]] = []
        self._first = True

    def room_for(self, size: int) -> int:
        """Address of so many bytes, which what is next on the stream may overwrite."""
        if self._toned is None or self._toned.nbytes < size:
            self.stream.synchronize()
            self._toned = DeviceBuffer(size)
        return self._toned.pointer

    def decode(self, data: bytes, pts: int | None) -> list[Surface]:
        """The pictures that come out for one coded picture; no data: all that are left."""
        for out in self._out:
            # someone holds on to a picture whose memory the decoder is about to use again
            if (surface := out()) is not None:
                surface.keep(self.stream.handle)
        flags, packet = self._library.VideoPacketFlag, self._library.PacketData()
        memory = ctypes.create_string_buffer(data, len(data)) if data else None
        packet.bsl, packet.bsl_data = len(data), ctypes.addressof(memory) if memory is not None else 0
        if data:
            packet.pts = pts
            packet.decode_flag = int(flags.ENDOFPICTURE) | (int(flags.DISCONTINUITY) if self._first else 0)
        else:
            packet.decode_flag = int(flags.ENDOFSTREAM)
        self._first = not data
        surfaces = [Surface(frame) for frame in self._decoder.Decode(packet)]
        self._out = [weakref.ref(surface) for surface in surfaces]
        return surfaces


class DeviceTrack:
    """What ``select`` needs of a ``Track``, with pictures from the chip."""

    def __init__(self, track: Track, session: Session) -> None:
        self._track, self._session = track, session
        self._filter: Any = None
        self.name, self.context, self.skip_frame = track.name, self, "DEFAULT"
        for method in ("read", "ticks", "frame_ticks", "indexed_key", "seek"):
            setattr(self, method, getattr(track, method))

    @property
    def bits(self) -> Any:
        """What reads the packets of its codec."""
        return self._track.bits

    def reopen(self) -> None:
        """Begin again, at the start of the file."""
        self._track.reopen()
        self.reset()

    def reset(self) -> None:
        """Forget what was sent."""
        self.skip_frame, self._filter = "DEFAULT", None
        self._session.decode(b"", None)

    def decode(self, packet: Packet[VideoStream] | None) -> list[Surface]:
        """The pictures that come out for a packet; None: all that are left."""
        if packet is None:
            return self._session.decode(b"", None)
        if self.skip_frame == "NONREF" and self._track.bits.disposable(bytes(packet)):
            return []
        surfaces = []
        for part in self._start_codes(packet):
            surfaces += self._session.decode(bytes(part), part.pts)
        return surfaces

    def _start_codes(self, packet: Packet[VideoStream]) -> list[Packet[VideoStream]]:
        name = _START_CODES.get(self._session.codec)
        if name is None:
            return [packet]
        if self._filter is None:
            from av.bitstream import BitStreamFilterContext

            self._filter = BitStreamFilterContext(name, self._track.stream)
        return list(self._filter.filter(packet))


def import_nvcodec() -> Any:
    """Import PyNvVideoCodec.

    Raises:
        MissingDependencyError: it is not installed.
        BackendError: the driver, or its video library, is missing; the import itself fails then.
    """
    try:
        import PyNvVideoCodec
    except ImportError as error:
        raise MissingDependencyError(
            f"PyNvVideoCodec cannot be imported ({error}); {pip_install('gpu')}"
        ) from error
    except Exception as error:  # RuntimeError with a page of advice, without a driver
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackendError(
            f"PyNvVideoCodec does not start: {reason}; in a container, NVIDIA_DRIVER_CAPABILITIES must "
            "contain video"
        ) from error
    return PyNvVideoCodec
