"""From a source to the frames that a model sees: decode, sample, resize."""

from __future__ import annotations

from .arrays import ArrayReader
from .box import Box
from .box_finding import find_box, sample_with_box
from .decoder import BoxFrames, Clip, Decoder, Limits, Reader, VideoInfo
from .pyav import PyavDecoder
from .reader import Source, open_source
from .sources import describe

__all__ = [
    "ArrayReader",
    "Box",
    "BoxFrames",
    "Clip",
    "Decoder",
    "Limits",
    "PyavDecoder",
    "Reader",
    "Source",
    "VideoInfo",
    "describe",
    "find_box",
    "open_source",
    "sample_with_box",
]
