"""PyNvVideoCodec's decoder interface over PyAV and host memory, so that what drives it can be tested.

As on a GPU, the surfaces of one ``Decode`` are overwritten by the next one; whoever still reads them
gets garbage. Names and arguments are those of PyNvVideoCodec 2.2.4.
"""

from __future__ import annotations

import ctypes
import enum
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

cudaVideoCodec = enum.IntEnum("cudaVideoCodec", {"H264": 4, "HEVC": 8, "VP9": 10, "AV1": 11})
cudaVideoChromaFormat = enum.IntEnum("cudaVideoChromaFormat", {"420": 1})
VideoPacketFlag = enum.IntEnum(
    "VideoPacketFlag",
    {"ENDOFSTREAM": 1, "TIMESTAMP": 2, "DISCONTINUITY": 4, "ENDOFPICTURE": 8, "NOTIFY_EOS": 16},
)


class PacketData:
    bsl = bsl_data = pts = dts = decode_flag = 0


class View:
    """CAIMemoryView."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "strides": array.strides,
            "typestr": "|u1" if array.itemsize == 1 else "<u2",
            "data": (array.ctypes.data, False),
            "version": 3,
        }


class DecodedFrame:
    def __init__(self, pts: int, luma: NDArray[Any], chroma: NDArray[Any]) -> None:
        self._pts, self._views = pts, [View(luma[..., None]), View(chroma)]

    def getPTS(self) -> int:
        return self._pts

    def cuda(self) -> list[View]:
        return self._views


class Decoder:
    """PyNvDecoder."""

    def __init__(self, codec: cudaVideoCodec, *, samples: bool) -> None:
        self.samples = samples  # whether strides count samples
        self.context = av.CodecContext.create(codec.name.lower(), "r")
        self.surfaces: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self.packets = 0

    def Decode(self, packet: PacketData) -> list[DecodedFrame]:
        for luma, chroma in self.surfaces:
            luma[:], chroma[:] = 0xEE, 0xEE
        if packet.bsl:
            assert packet.decode_flag & VideoPacketFlag.ENDOFPICTURE
            self.packets += 1
            coded = av.Packet(ctypes.string_at(packet.bsl_data, packet.bsl))
            coded.pts = packet.pts
            frames = self.context.decode(coded)
        else:
            assert packet.decode_flag == VideoPacketFlag.ENDOFSTREAM
            frames = self.context.decode(None)
            self.context.flush_buffers()
        return [self._frame(i, frame) for i, frame in enumerate(frames)]

    def _frame(self, place: int, frame: av.VideoFrame) -> DecodedFrame:
        height, width = frame.height, frame.width
        dtype, shift = (np.uint8, 0) if frame.format.name.endswith("p") else (np.uint16, 6)  # P016
        if place == len(self.surfaces) or self.surfaces[place][0].shape != (height, width):
            made = np.empty((height, width), dtype), np.empty((height // 2, width // 2, 2), dtype)
            self.surfaces[place : place + 1] = [made]
        luma, chroma = self.surfaces[place]
        planes = [np.frombuffer(plane, dtype).reshape(plane.height, -1) << shift for plane in frame.planes]
        luma[:] = planes[0][:, :width]
        chroma[..., 0], chroma[..., 1] = planes[1][:, : width // 2], planes[2][:, : width // 2]
        assert frame.pts is not None
        found = DecodedFrame(frame.pts, luma, chroma)
        for view in found.cuda() if self.samples else []:
            interface = view.__cuda_array_interface__
            interface["strides"] = tuple(stride // luma.itemsize for stride in interface["strides"])
        return found


def module(*, engines: int = 1, widest: int = 4096, samples: bool = False) -> Any:
    """The module, with what the pretended chip can do; ``made`` lists its decoders."""
    made: list[Decoder] = []

    def CreateDecoder(
        *, gpuid: int, codec: Any, cudacontext: int, cudastream: int, usedevicememory: bool,
        maxwidth: int, maxheight: int,
    ) -> Decoder:  # fmt: skip
        assert gpuid == 0 and cudacontext == 0 and cudastream and usedevicememory and maxwidth and maxheight
        made.append(Decoder(codec, samples=samples))
        return made[-1]

    def GetDecoderCaps(*, gpuid: int, codec: Any, chromaformat: Any, bitdepth: int) -> dict[str, int]:
        assert chromaformat == 1 and bitdepth in (8, 10)
        return {
            "num_decoder_engines": engines,
            "width_min": 48,
            "height_min": 16,
            "width_max": widest,
            "height_max": 4096,
        }

    return SimpleNamespace(
        CreateDecoder=CreateDecoder,
        GetDecoderCaps=GetDecoderCaps,
        PacketData=PacketData,
        VideoPacketFlag=VideoPacketFlag,
        cudaVideoCodec=cudaVideoCodec,
        cudaVideoChromaFormat=cudaVideoChromaFormat,
        made=made,
    )
