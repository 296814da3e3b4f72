"""From a source to the frames that a model sees: decode, sample, resize."""

from __future__ import annotations

from .arrays import ArrayReader
from .box import Region
from .box_finding import find_region, sample_content
from .decoder import Clip, Decoder, Inner, Limits, Reader, VideoInfo
from .pyav import PyavDecoder
from .reader import Source, open_source
from .sources import describe

__all__ = [
    "ArrayReader",
    "Clip",
    "Decoder",
    "Inner",
    "Limits",
    "PyavDecoder",
    "Reader",
    "Region",
    "Source",
    "VideoInfo",
    "describe",
    "find_region",
    "open_source",
    "sample_content",
]
