"""From a decoded picture of FFmpeg to the model's RGB frame.

8-bit planar YUV (4:2:0, 4:2:2, 4:4:0, 4:4:4), NV12 and grey go to ``resize`` without a copy. Planar
YUV of 9 to 16 bits is first rounded to 8 bits, min((v + half) >> shift, 255), without dithering.
Everything else takes one exact step through swscale at the same size: RGB and palettes to rgb24,
other YUV (packed, 4:1:1, 4:1:0) to yuv444p, with accurate rounding and the bit-exact flag.
Interlaced pictures are taken as they are.

What the picture is depends on ``Resize.picture``:

* **1**: the stored picture, turned and mirrored. Alpha is ignored, and PQ and HLG are taken as SDR.
* **2**: the picture that is shown. What the container hides at its sides is cut off (``container``),
  PQ and HLG become SDR (``tone``), and alpha lies over black: x becomes
  (x · a + b · (255 − a) + 127) // 255, with b = 0 for RGB and full-range luma, 16 for luma of limited
  range, 128 for chroma, and a the alpha of 8 bits (straight; deeper ones are rounded as samples are),
  for subsampled chroma (the sum of the alphas of its n pixels + n // 2) // n. In this order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..spec import Resize
from .box import Box, crop_planes, crop_rgb, cut_planes
from .container import Crop
from .orientation import orientation_of, oriented
from .resize import Planes, planes_to_rgb, rgb_to_rgb
from .tone import hdr_of, tone_mapped

if TYPE_CHECKING:
    from av import VideoFrame

Pixels = NDArray[np.uint8]
_PLANAR = re.compile(r"yuv(a)?j?(420|422|440|444)p(9|10|12|14|16)?(le)?$")
_BT709, _BT2020, _BT601 = (1,), (9, 10), (4, 5, 6)  # FFmpeg's AVColorSpace
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG
_SD_HEIGHT = 576


def frame_planes(frame: VideoFrame, rule: int = 1) -> Planes | None:
    """Luma and chroma of 8 bits, without a copy where the format allows it; None for RGB."""
    name, colour = frame.format.name, colour_of(frame)
    if name == "nv12":
        return Planes(_plane(frame, 0), uv=_plane(frame, 1, samples=2), **colour)
    if name == "gray":
        grey = np.full(((frame.height + 1) // 2, (frame.width + 1) // 2), 128, np.uint8)
        return Planes(_plane(frame, 0), u=grey, v=grey, **colour)
    if frame.format.is_rgb or frame.format.has_palette:
        return None
    hdr = hdr_of(frame) if rule > 1 else None
    if not _PLANAR.match(name):
        alpha = rule > 1 and _has_alpha(frame)
        frame = _exact(frame, ("yuva444p" if alpha else "yuv444p") + ("" if hdr is None else "12le"))
    bits = frame.format.components[0].bits
    planes = [_plane(frame, i, "u1" if bits == 8 else "<u2") for i in range(len(frame.planes))]
    if hdr is not None:
        shown = tone_mapped(hdr, planes[:3], bits, colour)
    else:
        y, u, v = (_rounded(plane, bits) for plane in planes[:3])
        shown = Planes(y, u=u, v=v, **colour)
    return _over_black(shown, _rounded(planes[3], bits)) if rule > 1 and len(planes) > 3 else shown


def render(
    frame: VideoFrame, resize: Resize, out: Pixels, box: Box | None = None, crop: Crop | None = None
) -> None:
    """Write the frame, or a box of it, as the model sees it to ``out``, ``uint8[h, w, 3]``.

    Args:
        frame: as decoded.
        resize: what the picture is, and how it is scaled.
        out: where to write.
        box: the part of the picture as shown; None: all of it.
        crop: what the container hides; only where ``resize.picture`` is 2.
    """
    planes = frame_planes(frame, resize.picture)
    uncovered = None if crop is None else crop.pixels(frame.width, frame.height)
    if planes is not None:
        planes = planes if uncovered is None else cut_planes(planes, uncovered)
        planes_to_rgb(planes if box is None else crop_planes(planes, box), resize, out=out)
        return
    rgb = _rgb(frame, resize.picture)
    if uncovered is not None:
        left, top, right, bottom = uncovered
        rgb = rgb[top:bottom, left:right]
    shown = oriented(rgb, *orientation_of(frame))
    rgb_to_rgb(shown if box is None else crop_rgb(shown, box), resize, out=out)


def colour_of(frame: VideoFrame) -> dict[str, Any]:
    """Matrix, range, orientation; what is not stated is limited range, BT.709 above 576 lines, else BT.601.

    BT.2020 is taken as BT.709: no gamut mapping is done, but for PQ and HLG by rule 2.
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


def _rounded(plane: NDArray[Any], bits: int) -> Pixels:
    if bits == 8:
        return plane
    shift = bits - 8
    # 16-bit values would overflow when rounded up
    wide = plane.astype(np.uint32) if bits == 16 else plane
    rounded = (wide + wide.dtype.type(1 << (shift - 1))) >> wide.dtype.type(shift)
    narrow: Pixels = np.minimum(rounded, 255).astype(np.uint8)
    return narrow


def _rgb(frame: VideoFrame, rule: int) -> Pixels:
    """``uint8[H, W, 3]`` as stored."""
    if rule == 1 or not _has_alpha(frame):
        return _plane(_exact(frame, "rgb24"), 0, samples=3).reshape(frame.height, frame.width, 3)
    rgba = _plane(_exact(frame, "rgba"), 0, samples=4).reshape(frame.height, frame.width, 4)
    return blended(rgba[..., :3], rgba[..., 3:])


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def _over_black(planes: Planes, alpha: Pixels) -> Planes:
    """Planes of I420 and the like with their alpha, as large as luma, over black."""
    if alpha.min() == 255:
        return planes
    assert planes.u is not None and planes.v is not None
    rows, columns = (-(-full // part) for full, part in zip(alpha.shape, planes.u.shape, strict=True))
    height, width = planes.u.shape
    # the last cell of an odd side has fewer pixels; those repeated for it leave its mean as it is
    padding = ((0, rows * height - alpha.shape[0]), (0, columns * width - alpha.shape[1]))
    cells = np.pad(alpha, padding, "edge").reshape(height, rows, width, columns)
    coarse = ((cells.sum((1, 3), dtype=np.uint16) + rows * columns // 2) // (rows * columns)).astype(np.uint8)
    y = blended(planes.y, alpha, 0 if planes.full_range else 16)
    return Planes(
        y, u=blended(planes.u, coarse, 128), v=blended(planes.v, coarse, 128), matrix=planes.matrix,
        full_range=planes.full_range, rotation=planes.rotation, mirrored=planes.mirrored,
    )  # fmt: skip


def blended(samples: Pixels, alpha: Pixels, black: int = 0) -> Pixels:
    """Samples ``uint8`` over black, by their alpha of the same shape or one that broadcasts to it."""
    over = samples * alpha.astype(np.uint16) + np.uint16(black) * (255 - alpha).astype(np.uint16)
    blended: Pixels = ((over + np.uint16(127)) // np.uint16(255)).astype(np.uint8)
    return blended


def _exact(frame: VideoFrame, name: str) -> VideoFrame:
    from av.video.reformatter import Interpolation

    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    return frame.reformat(format=name, interpolation=exact, threads=1)
