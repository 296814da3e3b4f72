"""Which videos have too little in them to be told apart: they stay out of automatic matches.

A black screen, a title card or a fraction of a second is close to every other of its kind, at
any threshold. Their codes are kept and can be searched for; but nothing is concluded from them. Nor is it
from pictures: in them nothing moves, and what their distances mean has not been measured. Where there is
texture, though, a third look at the pixels may still find that two of them are copies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TEXTURE = 6.0  # grey levels: standard deviation over the picture, of the frame that has most
MOTION = 0.1  # grey levels: mean change from one sampled frame to the next
SECONDS = 1.0
STRIDE = 4  # of the pixels looked at
BARE = "hardly any texture"
"""Why not even the pixels of a video say anything."""
STILL = "a single picture"
"""Why the code of a picture says little: what a second look compares is how videos change."""


def unreliable(frames: NDArray[np.uint8], seconds: float) -> str | None:
    """Why the code of a video says little, or None where it can be relied on.

    Args:
        frames: ``uint8[T, H, W, 3]``, sampled over the whole video.
        seconds: duration; ``nan`` where it is not known.

    >>> unreliable(np.zeros((25, 96, 96, 3), np.uint8), 10.0)
    'hardly any texture'
    """
    return unreliable_thinned(thinned(frames), seconds)


def pixels_tell(reason: str | None) -> bool:
    """Whether a third look may say something of a video, given why its code says little.

    >>> pixels_tell(None), pixels_tell("nothing moves"), pixels_tell(BARE), pixels_tell(STILL)
    (True, True, False, False)
    """
    return reason not in (BARE, STILL)


def thinned(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels that are looked at: every fourth of every fourth row of ``uint8[T, H, W, 3]``."""
    return frames[:, ::STRIDE, ::STRIDE]


def empty_thinned(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which frames show nothing, ``bool[T]``, given the pixels that are looked at.

    >>> empty_thinned(np.zeros((2, 24, 24, 3), np.uint8))
    array([ True,  True])
    """
    texture: NDArray[np.float32] = frames.mean(3, dtype=np.float32).std(axis=(1, 2))
    return texture < TEXTURE


def unreliable_thinned(frames: NDArray[np.uint8], seconds: float) -> str | None:
    """The same, given the pixels that are looked at."""
    if seconds < SECONDS:
        return f"shorter than {SECONDS:g} s"
    grey = frames.mean(3, dtype=np.float32)
    if empty_thinned(frames).all():
        return BARE
    if len(grey) > 1 and np.abs(np.diff(grey, axis=0)).mean() < MOTION:
        return "nothing moves"
    return None
