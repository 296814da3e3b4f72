"""From a source to the frames that a model sees: decode, sample, resize."""

from __future__ import annotations

from .decoder import Clip, Decoder, Limits, Reader, VideoInfo

__all__ = ["Clip", "Decoder", "Limits", "Reader", "VideoInfo"]
