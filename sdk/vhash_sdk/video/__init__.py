"""From a source to the frames that a model sees: decode, sample, resize."""

from __future__ import annotations

from .arrays import ArrayReader
from .box import Box
from .decoder import BoxFrames, Clip, Decoder, Limits, Reader, VideoInfo
from .pyav import PyavDecoder
from .reader import Source, open_source
from .sources import describe
from .views import sample_views

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
    "open_source",
    "sample_views",
]
