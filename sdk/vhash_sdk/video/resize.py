"""From a decoded picture to the frame that a model sees, in one pass and in integers only.

The arithmetic is written down in ``csrc/frames/frames.hpp`` and never changes, since stored codes
depend on it: every instruction set, and the CUDA kernel, gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..spec import Resize

Matrix = Literal["bt601", "bt709"]
Pixels = NDArray[np.uint8]
MAX_SOURCE_SIDE = 1 << 20
"""The longest side of a frame that can be scaled, in pixels."""
MAX_OUTPUT_SIDE = 1 << 16
"""The longest side of the result, in pixels."""


@dataclass(frozen=True, eq=False)
class Planes:
    """One decoded picture: 8-bit luma and chroma as stored, before it is turned.

    Chroma is either two planes ``u`` and ``v`` (I420) or one of interleaved pairs ``uv``
    (NV12). It has half of luma's size, rounded up (4:2:0); a side at full size (4:2:2, 4:4:4)
    is taken as well. Rows may lie any distance apart; nothing is copied unless the bytes
    of one row are not adjacent.

    Attributes:
        y: ``uint8[H, W]``.
        u, v: ``uint8[(H + 1) // 2, (W + 1) // 2]`` each, or None with ``uv``.
        uv: ``uint8[(H + 1) // 2, (W + 1) // 2, 2]``, or the same bytes as
            ``[(H + 1) // 2, 2 * ((W + 1) // 2)]``; None with ``u`` and ``v``.
        matrix: how luma and chroma were made from RGB.
        full_range: luma spans 0 to 255 rather than 16 to 235.
        rotation: degrees clockwise by which the picture is turned to be shown.
        mirrored: whether left and right are exchanged after that.

    Raises:
        OptionError: a plane of the wrong type or shape, or an option outside its set.

    >>> grey = np.full((4, 6), 126, np.uint8), np.full((2, 3), 128, np.uint8)
    >>> Planes(grey[0], u=grey[1], v=grey[1])
    Planes(6 × 4, i420, bt601, limited range, rotation 0)
    """

    y: Pixels
    u: Pixels | None = field(default=None, kw_only=True)
    v: Pixels | None = field(default=None, kw_only=True)
    uv: Pixels | None = field(default=None, kw_only=True)
    matrix: Matrix = field(default="bt601", kw_only=True)
    full_range: bool = field(default=False, kw_only=True)
    rotation: int = field(default=0, kw_only=True)
    mirrored: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_choice("matrix", self.matrix, get_args(Matrix))
        _check_choice("rotation", self.rotation, (0, 90, 180, 270))
        y = _rows("y", self.y, 2)
        object.__setattr__(self, "y", y)
        _check_side("y", *y.shape)
        if self.uv is not None and self.u is None and self.v is None:
            uv = np.asarray(self.uv)
            if uv.ndim == 3 and uv.shape[2:] == (2,):
                uv = _rows("uv", uv, 3).reshape(uv.shape[0], -1)
            uv = _rows("uv", uv, 2)
            self._check_chroma("uv", uv, (uv.shape[0], uv.shape[1] / 2))
            object.__setattr__(self, "uv", uv)
        elif self.u is not None and self.v is not None and self.uv is None:
            u, v = _rows("u", self.u, 2), _rows("v", self.v, 2)
            self._check_chroma("u", u, u.shape)
            if u.shape != v.shape:
                raise OptionError(f"u has shape {list(u.shape)} and v {list(v.shape)}: they must be equal")
            object.__setattr__(self, "u", u)
            object.__setattr__(self, "v", v)
        else:
            given = [name for name in ("u", "v", "uv") if getattr(self, name) is not None]
            raise OptionError(f"chroma planes given: {given}; pass u and v (planar), or uv alone (NV12)")

    @property
    def chroma(self) -> tuple[Pixels, Pixels | None]:
        """(u, v), or (interleaved pairs ``[rows, 2 * columns]``, None)."""
        if self.uv is not None:
            return self.uv, None
        assert self.u is not None  # __post_init__ saw to it
        return self.u, self.v

    def _check_chroma(self, name: str, plane: Pixels, size: tuple[int, float]) -> None:
        height, width = self.y.shape
        if size[0] not in (height, (height + 1) // 2) or size[1] not in (width, (width + 1) // 2):
            raise OptionError(
                f"{name} has shape {list(plane.shape)}: with luma {[height, width]}, 4:2:0 chroma has "
                f"{(height + 1) // 2} rows of {(width + 1) // 2} samples; "
                "convert other formats to yuv420p first"
            )

    def __repr__(self) -> str:
        layout = "nv12" if self.u is None else "i420"
        range_ = "full" if self.full_range else "limited"
        height, width = self.y.shape
        turned = f"rotation {self.rotation}{', mirrored' if self.mirrored else ''}"
        return f"Planes({width} × {height}, {layout}, {self.matrix}, {range_} range, {turned})"


def output_size(resize: Resize, height: int, width: int) -> tuple[int, int]:
    """(height, width) of what a frame of ``height`` × ``width``, as shown, becomes.

    That is ``resize.output``, except for rule ``short_side`` without a crop, which keeps the
    whole frame.

    Raises:
        OptionError: a side would be longer than MAX_OUTPUT_SIDE.

    >>> output_size(Resize("short_side", 128, 128), 240, 320)
    (128, 171)
    """
    size = resize.scaled(height, width) if resize.crop is None else resize.crop
    if max(size) > MAX_OUTPUT_SIDE:
        raise OptionError(
            f"a frame of {height} × {width} would become {size[0]} × {size[1]}: each side may have "
            f"{MAX_OUTPUT_SIDE} pixels; give resize a crop"
        )
    return size


def planes_to_rgb(planes: Planes, resize: Resize, *, out: Pixels | None = None) -> Pixels:
    """Scale, crop and turn a decoded picture into the RGB frame that a model sees.

    Args:
        planes: the picture as stored.
        resize: rule, filter and crop of the model.
        out: where to write, ``uint8[h, w, 3]``, e.g. one frame of ``uint8[T, h, w, 3]``; must
            not overlap the planes.

    Returns:
        ``out``, or a new ``uint8[h, w, 3]``, with (h, w) = ``output_size``.

    Raises:
        OptionError: ``out`` has another shape or type or cannot be written, or the result would
            be longer than MAX_OUTPUT_SIDE.

    >>> chroma = np.full((120, 160), 128, np.uint8)
    >>> planes = Planes(np.full((240, 320), 126, np.uint8), u=chroma, v=chroma)
    >>> frame = planes_to_rgb(planes, Resize("exact", 224, 224))
    >>> frame.shape, int(frame.min()), int(frame.max())
    ((224, 224, 3), 128, 128)
    """
    from .._core import frames_planes_to_rgb

    height, width = planes.y.shape
    if planes.rotation in (90, 270):
        height, width = width, height
    u, v = planes.chroma
    size = output_size(resize, height, width)
    result = _output(out, size, [plane for plane in (planes.y, u, v) if plane is not None])
    frames_planes_to_rgb(
        planes.y,
        u,
        v,
        bt709=planes.matrix == "bt709",
        full_range=bool(planes.full_range),
        rotation=planes.rotation,
        mirrored=bool(planes.mirrored),
        out=result,
        scaled=resize.scaled(height, width),
        crop=size,
        area=resize.filter == "area",
    )
    return result


def rgb_to_rgb(frames: Pixels, resize: Resize, *, out: Pixels | None = None) -> Pixels:
    """Scale and crop RGB frames to what a model sees.

    Args:
        frames: one frame ``uint8[H, W, 3]`` or several ``uint8[T, H, W, 3]``.
        resize: rule, filter and crop of the model.
        out: where to write, ``uint8[h, w, 3]`` or ``uint8[T, h, w, 3]``; must not overlap
            ``frames``.

    Returns:
        ``out``, or a new array of that shape, with (h, w) = ``output_size``.

    Raises:
        OptionError: frames or ``out`` have another shape or type, ``out`` cannot be written, or
            the result would be longer than MAX_OUTPUT_SIDE.

    >>> rgb_to_rgb(np.zeros((5, 48, 64, 3), np.uint8), Resize("exact", 24, 32)).shape
    (5, 24, 32, 3)
    """
    from .._core import frames_rgb_to_rgb

    array = np.asarray(frames)
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3:
        raise OptionError(
            f"frames have shape {list(array.shape)} and dtype {array.dtype}: "
            "expected uint8 [H, W, 3] or [T, H, W, 3], RGB"
        )
    height, width = array.shape[-3:-1]
    _check_side("frames", height, width)
    size = output_size(resize, height, width)
    result = _output(out, (*array.shape[:-3], *size), [array])
    many, results = (array, result) if array.ndim == 4 else (array[None], result[None])
    for source, target in zip(many, results, strict=True):
        frames_rgb_to_rgb(
            _rows("frames", source, 3),
            out=target,
            scaled=resize.scaled(height, width),
            crop=size,
            area=resize.filter == "area",
        )
    return result


def _output(out: Pixels | None, shape: tuple[int, ...], sources: list[Pixels]) -> Pixels:
    shape = (*shape, 3)
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != shape:
        found = f"{out.dtype} {list(out.shape)}" if isinstance(out, np.ndarray) else type(out).__name__
        raise OptionError(f"out is {found}: expected a numpy array, uint8 {list(shape)}")
    if not out.flags.writeable or (out.size and not _adjacent(out, 3)):
        raise OptionError(
            "out is read-only or its pixels are not adjacent in memory: "
            "pass a writable array that is C-contiguous in each row"
        )
    if any(np.may_share_memory(out, source) for source in sources):
        raise OptionError("out overlaps the source: pass another array, or None to get a new one")
    return out


def _adjacent(array: NDArray[Any], dimensions: int) -> bool:
    """Whether the bytes of one row follow each other; a frame has 2 or 3 dimensions, rows first."""
    adjacent = 1
    for axis in range(1, dimensions):
        if array.shape[-axis] > 1 and array.strides[-axis] != adjacent:
            return False
        adjacent *= array.shape[-axis]
    return True


def _rows(name: str, plane: Any, dimensions: int) -> Pixels:
    array = np.asarray(plane)
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise OptionError(
            f"{name} has shape {list(array.shape)} and dtype {array.dtype}: expected uint8 with "
            f"{dimensions} dimensions; convert deeper formats to 8 bits first"
        )
    return array if _adjacent(array, dimensions) else np.ascontiguousarray(array)


def _check_side(name: str, height: int, width: int) -> None:
    if not (1 <= height <= MAX_SOURCE_SIDE and 1 <= width <= MAX_SOURCE_SIDE):
        raise OptionError(
            f"{name} is {height} × {width} (height × width): each side must be 1 to {MAX_SOURCE_SIDE} pixels"
        )


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if isinstance(value, bool) or value not in allowed:
        raise OptionError(f"{name}={value!r}; allowed: {', '.join(map(repr, allowed))}")
