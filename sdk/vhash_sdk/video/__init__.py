"""From a source to the frames that a model sees: decode, sample, resize."""

from __future__ import annotations

from .arrays import ArrayReader
from .decoder import Clip, Decoder, Limits, Reader, VideoInfo
from .pyav import PyavDecoder
from .reader import Source, open_source
from .sources import describe

__all__ = [
    "ArrayReader",
    "Clip",
    "Decoder",
    "Limits",
    "PyavDecoder",
    "Reader",
    "Source",
    "VideoInfo",
    "describe",
    "open_source",
]
