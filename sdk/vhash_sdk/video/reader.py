"""One door for every kind of source."""

from __future__ import annotations

from typing import Any

from .arrays import ArrayReader, is_array
from .decoder import Decoder, FileSource, Limits, Reader


def open_reader(source: FileSource | Any, decoder: Decoder, *, limits: Limits | None = None) -> Reader:
    """Open a path, bytes, a file object, a uint8 array ``[T, H, W, 3]`` or a DLPack object.

    Args:
        source: what to read.
        decoder: opens files; it has its own limits.
        limits: of arrays.

    Raises:
        VideoError: the source cannot be used; the message names it.

    >>> import numpy as np
    >>> from vhash_sdk.video import PyavDecoder
    >>> open_reader(np.zeros((2, 4, 4, 3), np.uint8), PyavDecoder()).info.frames
    2
    """
    return ArrayReader(source, limits=limits) if is_array(source) else decoder.open(source)
