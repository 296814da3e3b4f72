"""What decode workers run in test_isolation: a decoder that does its worst, by the name of the file."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from vhash_sdk.errors import DecodeError
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Clip, Limits, VideoInfo

_leak: list[Any] = []


def hostile(
    source: Any, sampling: Sampling, resize: Resize, limits: Limits, *, with_views: bool, stream: int | None
) -> Clip:
    shape = (sampling.frames, *resize.output, 3)
    deed = Path(source).stem.partition("-")[0] if isinstance(source, str) else "object"
    if deed == "hang":
        time.sleep(1000)
    elif deed == "stuck":  # in C, holding the interpreter's lock
        ctypes.PyDLL(None).sleep(1000)
    elif deed == "segfault":
        ctypes.string_at(0)
    elif deed == "abort":
        os.abort()
    elif deed == "exit":
        os._exit(7)
    elif deed == "bomb":
        _leak.append(np.ones(1 << 34, np.uint8))
    elif deed == "creep":
        _leak.append(np.ones(300 << 20, np.uint8))
    elif deed == "raise":
        raise DecodeError(f"{source}: as it says")
    elif deed == "surprise":
        raise RuntimeError("out of the blue")
    elif deed == "short":
        shape = (1, 2, 2, 3)
    value = source.read(1)[0] if deed == "object" else len(deed)
    info = VideoInfo(4, 3, 2.5, None, None, "fake")
    return Clip(np.full(shape, value, np.uint8), np.arange(shape[0], dtype=np.float64), info)
