"""Real clips for training, calibration and checks, decoded as the SDK decodes them."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from functools import partial
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vhash_sdk.spec import Resize, Sampling

def read_frames(path: Path, sampling: Sampling, resize: Resize) -> NDArray[np.uint8]:
    """Frames ``uint8[T, H, W, 3]`` of one clip. Raises VideoError."""
    import av
    with av.open(str(path), metadata_errors="ignore") as k:
        fs = list(k.decode(video=0))
    idx = [int((j + .5) * len(fs) / sampling.frames) for j in range(sampling.frames)]
    h, w = resize.output
    return np.stack([fs[i].reformat(width=w, height=h, format="rgb24", interpolation="AREA").to_ndarray() for i in idx])
