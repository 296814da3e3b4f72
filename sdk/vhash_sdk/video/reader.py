"""One door for every kind of source."""

from __future__ import annotations

from typing import Any

from .arrays import ArrayReader, is_array
from .decoder import Decoder, FileSource, Limits, Reader
from .pyav import PyavDecoder

Source = FileSource | Any
"""A path, the bytes of a file, a binary file object, frames ``uint8[T, H, W, 3]`` or anything with DLPack."""


def open_source(
    source: Source,
    limits: Limits | None = None,
    *,
    decoder: Decoder | None = None,
    stream: int | None = None,
) -> Reader:
    """Open whatever holds a video.

    Args:
        source: what to read.
        limits: what it may cost; a ``decoder`` that is given has its own for files.
        decoder: opens files; None: PyAV.
        stream: which video stream of a file, from 0; None: by the rule of ``streams``.

    Raises:
        VideoError: the source cannot be used; the message names it.

    >>> import numpy as np
    >>> open_source(np.zeros((2, 4, 4, 3), np.uint8)).info.frames
    2
    """
    if is_array(source):
        return ArrayReader(source, limits=limits)
    return (decoder or PyavDecoder(limits=limits or Limits())).open(source, stream=stream)
