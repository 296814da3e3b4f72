"""How one picture lies on another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .pictures import Frames, scaled_shape

_ANOTHER_SCALE = 0.05  # as a logarithm
_ZOOMS = (1.5, 1 / 1.5, 2.0, 1 / 2.0)


class Placement(NamedTuple):
    """Where the second picture lies on the first.

    Attributes:
        scale: of the second picture; 2: it shows half of the first, twice as large.
        turn: of ``TURNS``, undoes that of the second picture.
        row, column: the middle of the first picture in the second one, both at the common scale.
        agreement: normalised cross-correlation where they lie on each other, -1 (inverted) to 1.
        pixels: how many lie on each other, at the common scale.
        tilt: radians.
        stretch: of height over width, as a logarithm; growth: correction of the scale, likewise.
    """

    scale: float
    turn: tuple[int, bool]
    row: float
    column: float
    agreement: float
    pixels: float
    tilt: float = 0.0
    stretch: float = 0.0
    growth: float = 0.0

    @property
    def enlarged(self) -> float:
        """How much larger one of them shows the same than the other one, whichever that is: 1 or more."""
        scale = self.scale * float(np.exp(self.growth))
        return max(scale, 1 / scale)

    @property
    def turned(self) -> int:
        """By how many degrees one is turned against the other, either way: 0, 90 or 180."""
        return (0, 90, 180, 90)[self.turn[0]]

    @property
    def significance(self) -> float:
        """How unlikely such an agreement is by chance: few pixels often agree (Fisher's transformation)."""
        return float(np.arctanh(min(abs(self.agreement), 0.999)) * np.sqrt(self.pixels))


def in_place(a: Frames, b: Frames) -> Placement:
    """The placement of a copy of the whole picture, whatever its aspect ratio."""
    (h, w), (height, width) = a.shape[1:], b.shape[1:]
    scale = float(np.sqrt(height * width / (h * w)))
    stretch = float(np.log(height * w / (width * h)))
    shown = scaled_shape((height, width), min(1.0, 1 / scale))
    return Placement(scale, (0, False), (shown[0] - 1) / 2, (shown[1] - 1) / 2, 0.0, 0.0, stretch=stretch)


def windows(a: Frames, b: Frames) -> list[Placement]:
    """The placements of a window in the middle, as high or as wide as the other picture.

    Without any where both have one aspect ratio: the window is the whole picture then.
    """
    whole, found = in_place(a, b), []
    for scale in (b.shape[1] / a.shape[1], b.shape[2] / a.shape[2]):
        if abs(np.log(scale / whole.scale)) > _ANOTHER_SCALE:
            height, width = scaled_shape(b.shape[1:], min(1.0, 1 / scale))
            middle = (height - 1) / 2, (width - 1) / 2
            found.append(whole._replace(scale=scale, row=middle[0], column=middle[1], stretch=0.0))
    return found


def zoomed(a: Frames, b: Frames) -> list[Placement]:
    """The placements of a cut out of the middle of one, enlarged to the whole picture of the other."""
    whole, found = in_place(a, b), []
    for zoom in _ZOOMS:
        height, width = scaled_shape(b.shape[1:], min(1.0, 1 / (whole.scale * zoom)))
        middle = (height - 1) / 2, (width - 1) / 2
        found.append(whole._replace(scale=whole.scale * zoom, row=middle[0], column=middle[1]))
    return found


def at_scale(place: Placement, scale: float, shape: tuple[int, ...]) -> Placement:
    """The same placement with another scale in its name, and the rest of it as growth.

    Args:
        place: of a second picture of (height, width) ``shape``.
        scale: the other one.
        shape: of the second picture.
    """
    before, after = (scaled_shape(shape, min(1.0, 1 / each)) for each in (place.scale, scale))
    if place.turn[0] % 2:
        before, after = before[::-1], after[::-1]
    row, column = (
        (at + 0.5) * new / old - 0.5
        for at, old, new in zip((place.row, place.column), before, after, strict=True)
    )
    return place._replace(
        scale=scale, row=row, column=column, growth=place.growth + float(np.log(place.scale / scale))
    )
