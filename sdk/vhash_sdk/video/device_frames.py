"""The frame kernel on planes in device memory: the bytes are those of ``resize.planes_to_rgb``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..errors import OptionError
from ..gpu.module import cuda_module
from ..spec import Resize
from .resize import MAX_SOURCE_SIDE, Matrix, output_size
from .tone import Tone


@dataclass(frozen=True)
class PlaneFormat:
    """What the pictures of a video have in common; see ``resize.Planes``.

    Attributes:
        height, width: of luma as stored, in pixels; chroma has half of it, rounded up (4:2:0).
    """

    height: int
    width: int
    matrix: Matrix
    full_range: bool
    rotation: int
    mirrored: bool = False

    def output(self, resize: Resize) -> tuple[int, int]:
        """(height, width) of what a model gets; see ``resize.output_size``."""
        return output_size(resize, *self.shown)

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) of the picture as shown."""
        return (self.height, self.width) if self.rotation % 180 == 0 else (self.width, self.height)


@dataclass(frozen=True)
class DevicePlanes:
    """Addresses of one picture in device memory: luma, then interleaved chroma (NV12), or two planes (I420).

    Attributes:
        y, u, v: addresses; v is 0 where u holds pairs.
        strides: bytes from one row to the next, of each plane.
    """

    y: int
    u: int
    v: int
    strides: tuple[int, int, int]


class DeviceScaler:
    """Scales pictures in the memory of one device.

    Args:
        device: number of the CUDA device.

    Raises:
        MissingDependencyError: this installation has no CUDA kernels.
        BackendError: the device does not work.
    """

    def __init__(self, device: int) -> None:
        self._scaler: Any = cuda_module().FrameScaler(device)

    def planes_to_rgb(
        self,
        pictures: Sequence[tuple[DevicePlanes, int]],
        format: PlaneFormat,
        resize: Resize,
        *,
        stream: int,
        direct: bool = False,
    ) -> None:
        """Scale pictures, without waiting for it: the work is done in the order of the stream.

        Args:
            pictures: planes, and the address where the RGB goes, ``uint8[h, w, 3]`` with
                (h, w) = ``format.output(resize)``.
            format: size, colour and orientation of them all.
            resize: rule, filter and crop of the model.
            stream: a ``cudaStream_t``, on which the planes are ready.
            direct: force the kernel for extreme scales; for tests.

        Raises:
            OptionError: a size is out of range.
            BackendError: CUDA refuses.
        """
        if not (1 <= format.height <= MAX_SOURCE_SIDE and 1 <= format.width <= MAX_SOURCE_SIDE):
            raise OptionError(
                f"pictures of {format.height} × {format.width} (height × width): each side must be 1 to "
                f"{MAX_SOURCE_SIDE} pixels"
            )
        size = format.output(resize)
        batch = [((p.y, p.u, p.v, out), p.strides) for p, out in pictures]
        self._scaler.planes_to_rgb(
            batch,
            size=(format.height, format.width),
            chroma=((format.height + 1) // 2, (format.width + 1) // 2),
            bt709=format.matrix == "bt709",
            full_range=format.full_range,
            scaled=resize.scaled(*format.shown),
            crop=size,
            area=resize.filter == "area",
            rotation=format.rotation,
            mirrored=format.mirrored,
            stride=3 * size[1],
            stream=stream,
            direct=direct,
        )

    def tone_map(
        self, planes: DevicePlanes, size: tuple[int, int], tone: Tone, bits: int, out: int, *, stream: int
    ) -> DevicePlanes:
        """HDR to SDR as ``tone.tone_mapped`` does it, without waiting for it.

        Args:
            planes: luma and pairs of chroma (4:2:0) of 16 bits, of which the upper ``bits`` are used (P016).
            size: (height, width) of luma.
            tone: the map.
            bits: 10 or 12.
            out: address of room for NV12 of that size, without padding.
            stream: a ``cudaStream_t``, on which the planes are ready.

        Returns:
            The NV12 picture at ``out``.
        """
        height, width = size
        chroma, row = out + height * width, 2 * ((width + 1) // 2)
        tables: list[NDArray[Any] | None] = [tone.linear, tone.display, tone.gain, tone.curve]
        self._scaler.tone_map(
            (planes.y, planes.u),
            strides=planes.strides[:2],
            size=size,
            shift=16 - bits,
            tables=[0 if table is None else table.ctypes.data for table in tables],
            numbers=tone.numbers.tolist(),
            out=(out, chroma),
            stream=stream,
        )
        return DevicePlanes(out, chroma, 0, (width, row, 0))

    def thin(
        self, frames: int, count: int, size: tuple[int, int], step: int, out: int, *, stream: int
    ) -> None:
        """Copy every ``step``-th pixel of every ``step``-th row of ``uint8[count, h, w, 3]`` to ``out``."""
        self._scaler.thin(frames, count, size, step, out, stream)
