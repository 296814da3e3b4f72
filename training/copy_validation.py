"""How many edited pictures are found without one false match: the validation of the copy descriptor."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from . import copy_edits
from .copy_data import Pictures


@dataclass(frozen=True)
class Trial:
    """Pictures that were never trained on, each edited once by every kind.

    Attributes:
        clean: ``uint8[n, size, size, 3]``.
        edited: kind → ``uint8[n, size, size, 3]``, row by row the copies of ``clean``.
    """

    clean: NDArray[np.uint8]
    edited: dict[str, NDArray[np.uint8]]

    def measure(self, network: nn.Module, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Recall at no false match and at 1 in 1,000, over all kinds; ``kinds``: at no false match, each.

        A false match is a copy of one picture that is at least as like another one; the strictest of all
        pairs sets the threshold for every kind.
        """
        network.eval()
        clean = describe(network, self.clean, device)
        likeness = {kind: describe(network, views, device) @ clean.T for kind, views in self.edited.items()}
        stranger = ~torch.eye(len(clean), dtype=torch.bool)
        false = torch.cat([found[stranger] for found in likeness.values()])
        none, some = float(false.max()), float(false.kthvalue(len(false) - len(false) // 1000).values)
        own = {kind: found.diagonal() for kind, found in likeness.items()}
        every = torch.cat(list(own.values()))
        return {
            "recall": float((every > none).float().mean()),
            "recall_1e-3": float((every > some).float().mean()),
            "own": float(every.mean()),
            "strangers": float(false.mean()),
            "threshold": none,
            "kinds": {kind: round(float((found > some).float().mean()), 3) for kind, found in own.items()},
        }


def trial(pictures: Pictures, beside: Pictures, *, seed: int, size: int) -> Trial:
    """Edit every picture by every kind; ``several`` is what training sees.

    What is pasted beside or over them comes from ``beside``: another one of ``pictures`` would be no
    stranger to the result.
    """
    rng = random.Random(f"validation {seed}")
    shown = [Image.fromarray(pixels) for pixels in pictures.pixels]

    def others() -> Image.Image:
        return Image.fromarray(rng.choice(beside.pixels))

    kinds = {**copy_edits.KINDS, "several": copy_edits.edited}
    edited = {
        kind: np.stack([
            copy_edits.squashed(edit(picture, others, rng), size) for picture in shown
        ])
        for kind, edit in kinds.items()
    }  # fmt: skip
    return Trial(np.stack([copy_edits.squashed(picture, size) for picture in shown]), edited)


@torch.inference_mode()
def describe(network: nn.Module, pictures: NDArray[np.uint8], device: torch.device | str) -> Tensor:
    """Descriptors of pictures ``uint8[n, H, W, 3]``, on the CPU."""
    return torch.cat([network(part.to(device)).cpu() for part in torch.from_numpy(pictures).split(64)])
