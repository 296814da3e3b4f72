"""Frames that are already decoded: numpy arrays and everything that speaks DLPack."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, SourceError, UnsupportedVideoError
from ..spec import Resize, Sampling
from .box import Box, crop_rgb
from .decoder import Clip, Limits, VideoInfo
from .limits import check_pixels
from .resize import output_size, rgb_to_rgb
from .sampling import frame_ranks

_CPU_DEVICES = (1, 3)  # kDLCPU and kDLCUDAHost of DLPack, both readable by the CPU


def is_array(source: object) -> bool:
    """Whether a source is frames (numpy array or DLPack object) rather than a file.

    >>> is_array(np.zeros((1, 2, 2, 3), np.uint8)), is_array("a.mp4")
    (True, False)
    """
    return isinstance(source, np.ndarray) or hasattr(source, "__dlpack__")


class ArrayReader:
    """A ``Reader`` over RGB frames ``uint8[T, H, W, 3]``.

    The rate is unknown, so one frame counts as one second: the duration is T and times are
    frame numbers. Nothing is copied before the resize.

    Args:
        frames: numpy array, or an object with ``__dlpack__`` in CPU memory (torch, jax, cupy).
        limits: of pixels; a duration is not known.

    Raises:
        SourceError: wrong shape or type, or no frames.
        UnsupportedVideoError: the array is in the memory of a device.
        PixelLimitError: larger than the limit.

    >>> reader = ArrayReader(np.zeros((10, 48, 64, 3), np.uint8))
    >>> reader.sample(Sampling("uniform", 4), Resize("exact", 24, 32)).times.tolist()
    [1.0, 3.0, 6.0, 8.0]
    """

    def __init__(self, frames: Any, *, limits: Limits | None = None) -> None:
        name = f"<{type(frames).__name__}>"
        array = frames if isinstance(frames, np.ndarray) else _from_dlpack(frames, name)
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
            raise SourceError(
                f"{name} has shape {list(array.shape)} and dtype {array.dtype}; "
                "expected RGB frames uint8 [T, H, W, 3] with at least one frame"
            )
        self._frames: NDArray[np.uint8] = array
        count, height, width = array.shape[:3]
        check_pixels(width, height, limits or Limits(), name)
        self._info = VideoInfo(width, height, float(count), count, None, "array")

    @property
    def info(self) -> VideoInfo:
        """Size and number of frames; the codec is ``array``."""
        return self._info

    def sample(self, sampling: Sampling, resize: Resize, *, box: Box | None = None) -> Clip:
        """Frames by the sampling rule, or a box of each, scaled."""
        return self._clip(frame_ranks(sampling, len(self._frames)), resize, box)

    def frames_at(self, times: NDArray[np.float64], resize: Resize, *, box: Box | None = None) -> Clip:
        """For each time the last frame at or before it; frame i is at i seconds."""
        bounds = np.asarray(times, np.float64).reshape(-1)
        if not np.isfinite(bounds).all():
            raise OptionError(f"times={times!r}; allowed: finite seconds")
        ranks = np.clip(np.floor(bounds), 0, len(self._frames) - 1).astype(int)
        return self._clip(ranks.tolist(), resize, box)

    def _clip(self, ranks: list[int], resize: Resize, box: Box | None = None) -> Clip:
        found = [self._frames[rank] for rank in ranks]
        if box is not None:
            found = [crop_rgb(frame, box) for frame in found]
        out = np.empty((len(ranks), *output_size(resize, *found[0].shape[:2]), 3), np.uint8)
        for row, frame in enumerate(found):
            rgb_to_rgb(frame, resize, out=out[row])
        return Clip(out, np.array(ranks, np.float64), self._info)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _from_dlpack(frames: Any, name: str) -> NDArray[Any]:
    try:
        device = int(frames.__dlpack_device__()[0])
        if device not in _CPU_DEVICES:
            raise UnsupportedVideoError(
                f"{name} is in the memory of a device (DLPack type {device}); move it to the CPU first, "
                "e.g. tensor.cpu()"
            )
        return np.from_dlpack(frames)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise SourceError(
            f"{name} cannot be taken over by DLPack ({error}); pass a dense uint8 array [T, H, W, 3]"
        ) from error
