"""What becomes of frames: the network's outputs as codes, and as the logits of single frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode
from ..errors import OptionError
from ..matching.calibration import Calibration
from ..matching.frame_codes import frame_bits
from ..matching.sequence import Sequence, confidences
from ..models.modelfile import ModelFile
from ..runtime import Runtime
from ..spec import ModelSpec
from ..video import Clip
from ..video.crops import ten_crops
from .reliability import STILL, empty_thinned, thinned, unreliable_thinned

if TYPE_CHECKING:
    from .resident import Resident

Coded = tuple[VideoCode, Sequence | None]
"""The code of a clip, and the logits of its frames where the model has them."""


def codes_of(clips: list[Clip], runtime: Runtime, model: ModelFile, resident: Resident | None) -> list[Coded]:
    """Codes of some clips in one run of the network."""
    spec = model.spec
    if resident is not None:
        output, thin = resident.run(clips), [resident.thinned(clip) for clip in clips]
    else:
        output = runtime.run(np.stack([_crops(clip.frames, spec) for clip in clips]))
        thin = [thinned(clip.frames) for clip in clips]
    sure = confidences(output.logits, spec)
    found: list[Coded] = []
    for i, clip in enumerate(clips):
        seconds = _seconds(clip)
        code = VideoCode(
            output.codes[i], spec.bits, spec.fingerprint,
            confidence=float(sure[i]), duration=seconds,
            unreliable=STILL if clip.info.still else unreliable_thinned(thin[i], seconds),
        )  # fmt: skip
        if output.frame_logits is None:
            found.append((code, None))
            continue
        logits = without_empty(output.frame_logits[i], thin[i], spec)
        found.append((code, Sequence(logits, clip.times, seconds, spec, model.scales)))
    return found


def without_empty(
    logits: NDArray[np.float32], thin: NDArray[np.uint8], spec: ModelSpec
) -> NDArray[np.float32]:
    """Logits ``[T, bits]`` of frames, 0 where a frame shows nothing.

    A descriptor has the same length whatever it sees, so that black frames would be as sure of themselves as
    any others, and alike in every video that ends in black.

    Args:
        logits: of the frames.
        thin: the pixels that ``reliability`` looks at, ``uint8[T, h, w, 3]``.
        spec: of the model; those whose frames have no codes are left as they are.
    """
    if not frame_bits(spec):
        return logits
    return np.where(empty_thinned(thin)[:, None], np.float32(0), logits)


def sequence_of(
    read: Callable[[NDArray[np.float64]], Clip], runtime: Runtime, model: ModelFile, *, rate: float
) -> Sequence:
    """Logits of a video's frames on a uniform grid of times.

    Args:
        read: gives the frames at some times, in seconds.
        runtime, model: the network.
        rate: frames per second.

    Raises:
        OptionError: the model does not look at single frames.
    """
    chunk = model.spec.sampling.frames  # the graph takes so many frames at once
    found, start, total, duration = [], 0, 1, 1e9
    while start < total:
        times = (np.arange(start, start + (chunk if start == 0 else 8 * chunk)) + 0.5) / rate
        clip = read(times.clip(max=duration))
        duration = clip.info.duration
        total = max(1, round(duration * rate))
        few = clip.frames[: total - start]
        for at in range(0, len(few), chunk):
            frames = few[at : at + chunk]
            filled = np.concatenate([frames, np.repeat(frames[-1:], chunk - len(frames), axis=0)])
            part = _frame_logits(filled, runtime, model.spec)[: len(frames)]
            found.append(without_empty(part, thinned(frames), model.spec))
        start += len(few)
    logits = np.concatenate(found)
    grid = np.asarray((np.arange(len(logits)) + 0.5) / rate, np.float64)
    return Sequence(logits, grid, duration, model.spec, model.scales)


def _frame_logits(frames: NDArray[np.uint8], runtime: Runtime, spec: ModelSpec) -> NDArray[np.float32]:
    """[T, H, W, 3] → [T, bits]."""
    logits = runtime.run(_crops(frames, spec)[None]).frame_logits
    if logits is None:
        raise OptionError(f"{spec.name} codes whole clips only; use a model of the fused family")
    frame_logits: NDArray[np.float32] = logits[0]
    return frame_logits


def _crops(frames: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8]:
    return frames[None] if spec.crops == 1 else ten_crops(frames, spec.resize.output)


def _seconds(clip: Clip) -> float:
    # frames in memory have no rate: their "duration" is a number of frames
    return clip.info.duration if clip.info.codec != "array" else float("nan")


def calibration_of(given: Calibration | None, model: ModelFile) -> Calibration | None:
    """The table that was given, else the model's; raises ModelMismatchError for one of another model."""
    table = model.calibration if given is None else given
    if table is not None:
        table.check_model(model.spec.fingerprint)
    return table
