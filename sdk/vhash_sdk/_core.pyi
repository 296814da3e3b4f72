import numpy as np
from numpy.typing import NDArray

# ----- frames: csrc/bindings_frames.cpp

def frames_planes_to_rgb(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8] | None,
    *,
    bt709: bool,
    full_range: bool,
    out: NDArray[np.uint8],
    scaled: tuple[int, int],
    crop: tuple[int, int],
    area: bool,
    rotation: int,
    level: str | None = None,
) -> None: ...
def frames_rgb_to_rgb(
    rgb: NDArray[np.uint8],
    *,
    out: NDArray[np.uint8],
    scaled: tuple[int, int],
    crop: tuple[int, int],
    area: bool,
    level: str | None = None,
) -> None: ...
def frames_simd_level(level: str | None = None) -> str: ...
