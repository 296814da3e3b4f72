"""Whether two pictures are one in detail: where nothing moves, only the picture itself can tell.

Two pages of one template agree at the 64 pixels of a film as a copy does. At 256 what is written on them does
not: of re-encoded stills no more than a hundredth of the detail differs, of other pages a fifth and more.
"""

from __future__ import annotations

import numpy as np

from .pictures import Frames
from .placement import Placement
from .registration import overlaid, refined

TIMES = 4
"""Pixels of a picture for each pixel of a film, in both directions."""
_AGREES = 0.5  # correlation of a tile that shows the same
_SHOWS = 9.0  # mean square of a tile's detail, in grey levels, that is more than an encoder's noise
_LEAST = 24  # pixels of a tile, which may be cut off at a side


def agreeing_detail(a: Frames, b: Frames, place: Placement) -> float:
    """The share of the detail in two pictures that is the same, 0 to 1, where they lie on each other.

    Args:
        a, b: ``float32[1, height, width]``, grey, ``TIMES`` as large as the films that were laid on each
            other.
        place: how those lie.
    """
    row, column = ((at + 0.5) * TIMES - 0.5 for at in (place.row, place.column))
    exact = refined(a, b, place._replace(row=row, column=column, pixels=place.pixels * TIMES**2))
    both = overlaid(a, b, exact)
    if not both.a.size:
        return 0.0
    x, y = both.a[0], both.b[0] * np.float32(np.sign(exact.agreement))
    pixels = np.bincount(both.tiles)
    product, first, second = (np.bincount(both.tiles, each) for each in (x * y, x * x, y * y))
    shows = (np.maximum(first, second) >= _SHOWS * pixels) & (pixels >= _LEAST)
    same = shows & (product >= _AGREES * np.sqrt(first * second))
    return float(pixels[same].sum() / max(1, pixels[shows].sum()))
