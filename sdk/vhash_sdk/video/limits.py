"""Checks of the limits that hold inside one process."""

from __future__ import annotations

import time

from ..errors import DurationLimitError, PixelLimitError, TimeLimitError
from .decoder import Limits


def check_pixels(width: int, height: int, limits: Limits, name: str) -> None:
    """Raise PixelLimitError where a frame has too many pixels."""
    if limits.pixels is not None and width * height > limits.pixels:
        raise PixelLimitError(
            f"{name} has frames of {width} × {height}; allowed: {limits.pixels} pixels; raise Limits.pixels"
        )


def check_duration(seconds: float, limits: Limits, name: str) -> None:
    """Raise DurationLimitError where a video is too long."""
    if limits.duration is not None and seconds > limits.duration:
        raise DurationLimitError(
            f"{name} lasts {seconds:.0f} s; allowed: {limits.duration:g} s; raise Limits.duration"
        )


class Deadline:
    """The end of the time that one call may take."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._limit, self._name = limits.wall_time, name
        self._end = None if limits.wall_time is None else time.monotonic() + limits.wall_time

    def check(self) -> None:
        """Raise TimeLimitError where it has passed."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeLimitError(
                f"{self._name} is still being decoded after {self._limit:g} s; raise Limits.wall_time"
            )
