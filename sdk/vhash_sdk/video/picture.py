"""From a decoded picture of FFmpeg to the model's RGB frame.

8-bit planar YUV (4:2:0, 4:2:2, 4:4:0, 4:4:4, with or without alpha, which is ignored), NV12 and
grey go to ``resize`` without a copy. Planar YUV of 9 to 16 bits is first rounded to 8 bits,
min((v + half) >> shift, 255), without dithering. Everything else takes one exact step through
swscale at the same size: RGB and palettes to rgb24, other YUV (packed, 4:1:1, 4:1:0) to yuv444p,
with accurate rounding and the bit-exact flag. Interlaced pictures are taken as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..spec import Resize
from .orientation import orientation_of, oriented
from .region import Region, crop_planes, crop_rgb
from .resize import Planes, planes_to_rgb, rgb_to_rgb

if TYPE_CHECKING:
    from av import VideoFrame

Pixels = NDArray[np.uint8]
_PLANAR = re.compile(r"yuva?j?(420|422|440|444)p(9|10|12|14|16)?(le)?$")
_BT709, _BT2020, _BT601 = (1,), (9, 10), (4, 5, 6)  # FFmpeg's AVColorSpace
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG
_SD_HEIGHT = 576


def frame_planes(frame: VideoFrame) -> Planes | None:
    """Luma and chroma of 8 bits, without a copy where the format allows it; None for RGB."""
    name, colour = frame.format.name, colour_of(frame)
    if name == "nv12":
        return Planes(_plane(frame, 0), uv=_plane(frame, 1, samples=2), **colour)
    if name == "gray":
        grey = np.full(((frame.height + 1) // 2, (frame.width + 1) // 2), 128, np.uint8)
        return Planes(_plane(frame, 0), u=grey, v=grey, **colour)
    if frame.format.is_rgb or frame.format.has_palette:
        return None
    if not _PLANAR.match(name):
        frame = _exact(frame, "yuv444p")
    bits = frame.format.components[0].bits
    if bits == 8:
        y, u, v = (_plane(frame, i) for i in range(3))
    else:
        y, u, v = (_rounded(_plane(frame, i, "<u2"), bits) for i in range(3))
    return Planes(y, u=u, v=v, **colour)


def render(frame: VideoFrame, resize: Resize, out: Pixels, region: Region | None = None) -> None:
    """Write the frame, or a region of it, as the model sees it to ``out``, ``uint8[h, w, 3]``."""
    planes = frame_planes(frame)
    if planes is not None:
        planes_to_rgb(planes if region is None else crop_planes(planes, region), resize, out=out)
        return
    rgb = _plane(_exact(frame, "rgb24"), 0, samples=3).reshape(frame.height, frame.width, 3)
    shown = oriented(rgb, *orientation_of(frame))
    rgb_to_rgb(shown if region is None else crop_rgb(shown, region), resize, out=out)


def colour_of(frame: VideoFrame) -> dict[str, Any]:
    """Matrix, range, orientation; what is not stated is limited range, BT.709 above 576 lines, else BT.601.

    BT.2020 is taken as BT.709: no tone or gamut mapping is done.
    """
    matrix: Literal["bt601", "bt709"] = "bt709" if frame.height > _SD_HEIGHT else "bt601"
    if frame.colorspace in _BT601:
        matrix = "bt601"
    elif frame.colorspace in (*_BT709, *_BT2020):
        matrix = "bt709"
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    rotation, mirrored = orientation_of(frame)
    return {"matrix": matrix, "full_range": full, "rotation": rotation, "mirrored": mirrored}


def _plane(frame: VideoFrame, index: int, dtype: str = "u1", samples: int = 1) -> NDArray[Any]:
    """A view of one plane, ``[rows, columns · samples]``, without the padding of its rows."""
    plane = frame.planes[index]
    rows: NDArray[Any] = np.frombuffer(memoryview(plane), np.uint8)
    rows = rows.reshape(plane.height, abs(plane.line_size))
    if plane.line_size < 0:  # stored bottom up
        rows = rows[::-1]
    width = plane.width * samples * np.dtype(dtype).itemsize
    view: NDArray[Any] = rows[:, :width].view(dtype)
    return view


def _rounded(plane: NDArray[np.uint16], bits: int) -> Pixels:
    shift = bits - 8
    # 16-bit values would overflow when rounded up
    wide = plane.astype(np.uint32) if bits == 16 else plane
    rounded = (wide + wide.dtype.type(1 << (shift - 1))) >> wide.dtype.type(shift)
    narrow: Pixels = np.minimum(rounded, 255).astype(np.uint8)
    return narrow


def _exact(frame: VideoFrame, name: str) -> VideoFrame:
    from av.video.reformatter import Interpolation

    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    return frame.reformat(format=name, interpolation=exact, threads=1)
