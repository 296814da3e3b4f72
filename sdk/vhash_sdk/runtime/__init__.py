"""The seam between vhash and the engines that run a network.

Normalisation, the network, sign and packing are all inside the graph: a runtime only moves
uint8 frames in and codes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

OUTPUTS = ("code", "logits", "embedding")
"""What every model's graph gives, in the order of ``Output``."""

FRAME_LOGITS = "frame_logits"
"""The output that only models have which look at each frame by itself."""


@dataclass(frozen=True)
class Output:
    """What a model gives for a batch; unpacks as ``codes, logits, embeddings``.

    Attributes:
        codes: ``uint8[batch, (bits + 7) // 8]``.
        logits: ``float32[batch, bits]``; a bit is ``logit >= 0``.
        embeddings: ``float32[batch, D]``.
        frame_logits: ``float32[batch, T, bits]``, logits of single frames, before the median is taken
            off a part named ``phash``; None for a model that has no such output.
    """

    codes: NDArray[np.uint8]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    frame_logits: NDArray[np.float32] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.codes, self.logits, self.embeddings))


class Runtime(Protocol):
    """A model loaded into a backend. ``run`` may be called from several threads."""

    @property
    def backend(self) -> str:
        """``onnxruntime``, ``openvino`` or ``tensorrt``."""

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:N``: where it really runs."""

    @property
    def precision(self) -> str:
        """``int8``, ``fp16`` or ``fp32``: what it really computes in."""

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Encode frames ``uint8[batch, crops, T, H, W, 3]``, RGB. Raises BackendError."""

    def close(self) -> None:
        """Free the session."""
