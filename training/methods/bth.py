"""BTH: Li, Li, Lu, Zhou, *Self-Supervised Video Hashing via Bidirectional Transformers*, CVPR 2021.

Three tasks on a transformer's frame codes: a visual cloze (hidden frames from the codes of the others), the
reconstruction of a similarity between videos that an anchor graph gives (near, far, or not known), and the
assignment of each video to its cluster. We know the tasks by the abstract, the preparation (graph at 3, 4
and 5 anchors) by later published code of others. Ours: one block of one head, 256 wide; 15 % of the frames
hidden; anchors on the means of the frames, where the paper takes the features of a first stage; the
weights; Adam 1e-4 × .9 every 20 epochs, 350.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import option
from .base import Batch, Decay, Method, Schedule, Shape, sign
from .graphs import anchor_similarity, kmeans
from .masked import Attention, MaskedDecoder, TokenHash, masked, orders


@dataclass(frozen=True)
class Options(Schedule):
    """Of shapes and training."""

    epochs: int = option(350, "passes over the training videos")
    lr: float = option(1e-4, "learning rate")
    decay: Decay = option("step", "of the learning rate")  # noqa: RUF009
    width: int = option(256, "of a token")
    depth: int = option(1, "blocks")
    heads: int = option(1, "of the attention")
    mask: float = option(0.15, "share of the frames that are hidden")
    anchors: int = option(0, "of the graph; 0 = one for 20 videos, 20 at least")
    similarity: float = option(1.0, "weight of the similarity")
    assignment: float = option(0.1, "weight of the clusters")


class Teacher(nn.Module):
    """Cloze, similarity, clusters."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options, self.bits = options, shape.bits
        self.decoder = MaskedDecoder(shape, options.width, 1, partial(Attention, heads=options.heads))
        self.centres: nn.Parameter | None = None

    def prepare(self, seen: Tensor, labels: Tensor) -> None:
        """Make the anchors and the graph."""
        x = seen.mean(dim=1)
        anchors, self.cluster = kmeans(x, self.options.anchors or max(20, len(x) // 20), seed=0)
        self.near = anchor_similarity(x, anchors)
        self.centres = nn.Parameter(torch.randn(len(anchors), self.bits) / self.bits**0.5)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """The three losses."""
        o, frames = self.options, batch.v.shape[1]
        kept = frames - max(1, int(o.mask * frames))
        _, cloze = masked(encoder, self.decoder, batch.v, orders(len(batch.v), frames), kept)
        h = sign(encoder.frames(batch.v), True).mean(dim=1)
        near = self.near[batch.rows][:, batch.rows]
        error = (h @ h.T / self.bits - near).square()[near != 0]
        cluster = functional.cross_entropy(h @ self.centres.T, self.cluster[batch.rows])
        similarity = error.mean() if len(error) else cloze * 0
        return cloze + o.similarity * similarity + o.assignment * cluster


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    mixer = partial(Attention, heads=options.heads)
    return TokenHash(shape, options.width, options.depth, mixer), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="all weights and shapes; anchors on the mean of the frames",
    missing="the first stage, whose features the paper clusters",
    supervised=False,
    options=Options,
    make=make,
    narrow={"width": 64, "epochs": 30, "lr": 1e-3},
)
