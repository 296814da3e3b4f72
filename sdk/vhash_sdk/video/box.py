"""A part of the picture: where a copy was put between bars, over a blurred fill, or into another video."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import OptionError
from .resize import Pixels, Planes


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture as it is shown, in shares of its width and height.

    Attributes:
        left, top, right, bottom: 0 to 1, from the upper left corner.

    Raises:
        OptionError: outside the picture, or empty.

    >>> Box(0.25, 0.0, 0.75, 1.0).pixels(320, 240)
    (80, 0, 240, 240)
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            raise OptionError(
                f"box {self.left}, {self.top}, {self.right}, {self.bottom}: expected shares of the "
                "picture with 0 <= left < right <= 1 and 0 <= top < bottom <= 1"
            )

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels of a picture; even, so that chroma can be cut alike."""
        left, right = _even(self.left, self.right, width)
        top, bottom = _even(self.top, self.bottom, height)
        return left, top, right, bottom

    def stored(self, rotation: int, mirrored: bool = False) -> Box:
        """The same rectangle of a picture that is turned clockwise, then mirrored, to be shown.

        >>> Box(0.0, 0.0, 0.5, 0.25).stored(90)
        Box(left=0.0, top=0.5, right=0.25, bottom=1.0)
        >>> Box(0.0, 0.0, 0.25, 1.0).stored(0, mirrored=True)
        Box(left=0.75, top=0.0, right=1.0, bottom=1.0)
        """
        box = Box(1 - self.right, self.top, 1 - self.left, self.bottom) if mirrored else self
        for _ in range(rotation // 90 % 4):
            box = Box(box.top, 1 - box.right, box.bottom, 1 - box.left)
        return box


WHOLE = Box(0.0, 0.0, 1.0, 1.0)
"""All of a picture."""


def _even(start: float, stop: float, length: int) -> tuple[int, int]:
    first = min(2 * round(start * length / 2), max(0, (length - 1) // 2 * 2))
    last = length if stop * length > length - 1 else 2 * round(stop * length / 2)
    return first, min(max(last, first + 2), length)


def crop_planes(planes: Planes, box: Box) -> Planes:
    """The part of a decoded picture that shows ``box``; a view, nothing is copied.

    >>> import numpy as np
    >>> chroma = np.full((120, 160), 128, np.uint8)
    >>> crop_planes(Planes(np.zeros((240, 320), np.uint8), u=chroma, v=chroma), Box(0, 0.25, 1, 0.75))
    Planes(320 × 120, i420, bt601, limited range, rotation 0)
    """
    height, width = planes.y.shape
    return cut_planes(planes, box.stored(planes.rotation, planes.mirrored).pixels(width, height))


def cut_planes(planes: Planes, pixels: tuple[int, int, int, int]) -> Planes:
    """Pixels (left, top, right, bottom) of a picture as stored; even, but for its own edges."""
    height, width = planes.y.shape
    left, top, right, bottom = pixels

    def cut(plane: Pixels, samples: int) -> Pixels:
        rows = slice(top, bottom) if plane.shape[0] == height else slice(top // 2, (bottom + 1) // 2)
        if plane.shape[1] == width * samples:
            return plane[rows, left * samples : right * samples]
        return plane[rows, left // 2 * samples : (right + 1) // 2 * samples]

    y = planes.y[top:bottom, left:right]
    if planes.uv is not None:
        return replace(planes, y=y, uv=cut(planes.uv, 2))
    assert planes.u is not None and planes.v is not None
    return replace(planes, y=y, u=cut(planes.u, 1), v=cut(planes.v, 1))


def crop_rgb(frame: Pixels, box: Box) -> Pixels:
    """The part of an RGB frame ``uint8[H, W, 3]``, as it is shown, that is ``box``."""
    left, top, right, bottom = box.pixels(frame.shape[1], frame.shape[0])
    return frame[top:bottom, left:right]
