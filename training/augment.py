"""What happens to copies of a video, done to frames in memory: the variation that a projection should ignore.

Close to, but not the same as, the transformations of ``benchmarks/near_duplicates/run.py``: the
parameters are drawn at random from ranges, the overlays are other shapes, and there is no
video encoder. So the projection learns kinds of change, not the benchmark's pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Augmentation = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""(frames float ``[n, 3, H, W]`` in 0 to 255, frames of another clip, generator) → frames, same shape."""


def _between(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _scale(frames: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(frames, (max(4, height), max(4, width)), mode="bilinear", antialias=True)


def _paste(canvas: Tensor, frames: Tensor, top: int, left: int) -> Tensor:
    out = canvas.clone()
    out[:, :, top : top + frames.shape[2], left : left + frames.shape[3]] = frames
    return out


def _within(
    canvas: Tensor, frames: Tensor, height: float, width: float, generator: torch.Generator, off: float
) -> Tensor:
    """Frames scaled to a share of the canvas, near its centre (``off`` = 0) or anywhere (1)."""
    _, _, h, w = canvas.shape
    small = _scale(frames, round(h * height), round(w * width))
    room_y, room_x = h - small.shape[2], w - small.shape[3]
    top = round(room_y * (0.5 + off * _between(generator, -0.5, 0.5)))
    left = round(room_x * (0.5 + off * _between(generator, -0.5, 0.5)))
    return _paste(canvas, small, top, left)


def borders(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """Black bars on two opposite sides."""
    share = _between(g, 0.5, 0.85)
    tall = torch.rand((), generator=g) < 0.5
    return _within(torch.zeros_like(frames), frames, 1.0 if tall else share, share if tall else 1.0, g, 0.1)


def crop(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """A window of 70 to 95 % of each side."""
    _, _, h, w = frames.shape
    ch, cw = round(h * _between(g, 0.7, 0.95)), round(w * _between(g, 0.7, 0.95))
    top, left = round((h - ch) * _between(g, 0.2, 0.8)), round((w - cw) * _between(g, 0.2, 0.8))
    return _scale(frames[:, :, top : top + ch, left : left + cw], h, w)


def mirror(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """Left and right swapped."""
    return frames.flip(3)


def light(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """Brightness, contrast and colour, down to grey."""
    grey = (frames * frames.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    colour = _between(g, 0.0, 1.2)
    frames = grey + (frames - grey) * colour
    return ((frames - 127) * _between(g, 0.7, 1.4) + 127 + _between(g, -40, 40)).clamp(0, 255)


def coarse(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """Loss of detail: scaled down and up again, quantised in 8 × 8 blocks."""
    _, _, h, w = frames.shape
    factor = _between(g, 1.5, 4.0)
    frames = _scale(_scale(frames, round(h / factor), round(w / factor)), h, w)
    means = F.interpolate(F.avg_pool2d(frames, 8), (h, w))
    return means + (frames - means) * _between(g, 0.4, 0.9)


def overlay(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """A coloured box in a corner, and a dark band with bright strokes along the lower edge."""
    out = frames.clone()
    _, _, h, w = out.shape
    bh, bw = round(h * _between(g, 0.1, 0.28)), round(w * _between(g, 0.1, 0.28))
    top, left = (
        int(torch.randint(0, 2, (), generator=g)) * (h - bh),
        int(torch.randint(0, 2, (), generator=g)) * (w - bw),
    )
    out[:, :, top : top + bh, left : left + bw] = 255 * torch.rand(3, generator=g).to(out)[:, None, None]
    band = round(h * _between(g, 0.08, 0.2))
    out[:, :, h - band :] *= _between(g, 0.1, 0.7)
    strokes = (torch.rand(w // 4, generator=g).repeat_interleave(4) < 0.5).to(out.device)
    rows = slice(h - round(band * 0.7), h - round(band * 0.3))
    columns = slice(w // 5, w - w // 5)
    out[:, :, rows, columns] = torch.where(strokes[:w][columns], 255.0, out[:, :, rows, columns])
    return out


def blurred_borders(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """The clip in the middle third of a canvas filled with a blurred, enlarged copy of itself."""
    _, _, h, w = frames.shape
    share = _between(g, 0.28, 0.5)
    upright = torch.rand((), generator=g) < 0.8
    # the canvas covers a window of the clip: its long side is all that remains of it
    window = frames[:, :, :, round(w * (1 - share) / 2) : round(w * (1 + share) / 2)] if upright else (
        frames[:, :, round(h * (1 - share) / 2) : round(h * (1 + share) / 2)]
    )  # fmt: skip
    blurred = _scale(_scale(window, h // 10, w // 10), h, w)
    return _within(blurred, frames, share if upright else 1.0, 1.0 if upright else share, g, 0.1)


def inset(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """The clip at a part of its size over another one."""
    share = _between(g, 0.5, 0.8)
    return _within(other, frames, share, share, g, 0.5)


def several(frames: Tensor, other: Tensor, g: torch.Generator) -> Tensor:
    """Coarse, cropped, with borders and overlay: what a copy of a copy looks like."""
    for step in (coarse, crop, borders, overlay):
        frames = step(frames, other, g)
    return frames


AUGMENTATIONS: dict[str, Augmentation] = {
    f.__name__: f for f in (borders, crop, mirror, light, coarse, overlay, blurred_borders, inset, several)
}
