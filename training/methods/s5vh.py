"""S5VH: Wang, Lian, Li, Wang, Feng, Chen, Zhang, Xia, *Efficient Self-Supervised Video Hashing with
Selective State Spaces*, AAAI 2025.

ConMH's masked autoencoder and contrast over bidirectional Mamba layers, and a third, global signal: the
training videos are clustered, each cluster gets a hash centre far from the others' and nearer where the
clusters are nearer, and codes are drawn to their cluster's centre by cross-entropy over code · centre / (k
τ). After a warm-up the cluster labels move slowly towards what the model predicts.

From the authors' published settings for UCF101: width 256, 6 layers, decoder 192 wide, 1 layer, mask .5,
temperature .5, prior .1, weight of the centres .1 and τ .5, warm-up 50 epochs, smoothing .01, AdamW 5e-4
along a cosine to 1e-5, batch 128, 350 epochs; 101 clusters for 9,537 videos, on 512 principal components of
the means. One layer scans both ways, as theirs does.

Ours: centres start from Hadamard rows, as theirs, and are then changed bit by bit to fit the clusters'
similarities, where they solve a box-constrained problem with a least distance; as many videos to a cluster
as theirs; drop path is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import option
from .base import Batch, Decay, Method, Optimiser, Schedule, Shape, sign
from .centres import hadamard_centres
from .graphs import kmeans
from .masked import Bidirectional, MaskedDecoder, TokenHash, debiased_contrast, masked, orders


@dataclass(frozen=True)
class Options(Schedule):
    """Of shapes and training."""

    epochs: int = option(350, "passes over the training videos")
    batch: int = option(128, "videos per step")
    lr: float = option(5e-4, "learning rate")
    weight_decay: float = option(0.01, "decoupled decay")
    optimiser: Optimiser = option("adamw", "which")  # noqa: RUF009
    decay: Decay = option("cosine", "of the learning rate")  # noqa: RUF009
    width: int = option(256, "of a token")
    depth: int = option(6, "layers of the encoder")
    decoder_width: int = option(192, "of a token in the decoder")
    decoder_depth: int = option(1, "layers of the decoder")
    mask: float = option(0.5, "share of the frames that are hidden")
    contrast: float = option(1.0, "weight of the contrastive loss")
    temperature: float = option(0.5, "of the contrastive loss")
    prior: float = option(0.1, "how probable a negative of the same kind is")
    clusters: int = option(0, "of the training videos; 0 = one for 94 videos")
    align: float = option(0.1, "weight of the alignment with the centres")
    align_temperature: float = option(0.5, "of the alignment")
    warm_up: int = option(50, "epochs with the clusters' own labels")
    smoothing: float = option(0.01, "step of the labels towards the prediction, after the warm-up")


class Teacher(nn.Module):
    """Decoder, centres, and the slowly moving labels."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options, self.bits = options, shape.bits
        self.decoder = MaskedDecoder(shape, options.decoder_width, options.decoder_depth, Bidirectional)
        self.register_buffer("centres", torch.empty(0))
        self.register_buffer("assigned", torch.empty(0))

    def prepare(self, seen: Tensor, labels: Tensor) -> None:
        """Cluster the videos, place the centres."""
        x = seen.mean(dim=1)
        count = self.options.clusters or max(2, round(len(x) / 94))
        semantic, nearest = kmeans(x, count, seed=0)
        self.assigned = functional.one_hot(nearest, count).float()
        self.centres = fitted_centres(semantic - x.mean(dim=0), self.bits)

    def predict(self, h: Tensor) -> Tensor:
        """Agreement with each centre, −k to k."""
        return h @ self.centres.T

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Self, local and global signal."""
        o, frames = self.options, batch.v.shape[1]
        order = orders(len(batch.v), frames)
        views = (order, order.flip(1))
        kept = frames - int(o.mask * frames)
        (one, first), (other, second) = (masked(encoder, self.decoder, batch.v, v, kept) for v in views)
        loss = first + second
        loss = loss + o.contrast * debiased_contrast(one, other, temperature=o.temperature, prior=o.prior)
        target = self.assigned[batch.rows]
        if batch.epoch >= o.warm_up:
            with torch.no_grad():
                whole = sign(encoder.frames(batch.v), False).mean(dim=1)
                target = (1 - o.smoothing) * target + o.smoothing * self.predict(whole).softmax(dim=1)
                self.assigned[batch.rows] = target
        aligned = [
            functional.cross_entropy(self.predict(h) / (self.bits * o.align_temperature), target)
            for h in (one, other)
        ]
        return loss + o.align * (aligned[0] + aligned[1]) / 2


def fitted_centres(semantic: Tensor, bits: int, rounds: int = 20) -> Tensor:
    """Hash centres ``[K, k]`` of ±1 whose agreements follow the clusters' cosines, spread evenly.

    >>> c = fitted_centres(torch.eye(4), 16)
    >>> (c @ c.T).fill_diagonal_(0).abs().max().item() <= 8
    True
    """
    count = len(semantic)
    unit = functional.normalize(semantic, dim=1)
    wanted = unit @ unit.T
    off = ~torch.eye(count, dtype=torch.bool)
    wanted = wanted - wanted[off].mean()
    wanted = bits * wanted / wanted[off].abs().max().clamp_min(1e-6) / 2
    centres = hadamard_centres(count, bits, seed=0)
    for _ in range(rounds):
        before = centres.clone()
        for i in range(count):
            others = off[i]
            for bit in range(bits):
                rest = (
                    centres[others] @ centres[i] - centres[others, bit] * centres[i, bit] - wanted[i, others]
                )
                centres[i, bit] = 1.0 if (rest * centres[others, bit]).sum() <= 0 else -1.0
        if torch.equal(before, centres):
            break
    return centres


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return TokenHash(shape, options.width, options.depth, Bidirectional), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="how the centres are fitted; one cluster for 94 videos, as theirs on UCF101",
    missing="the least distance between centres; drop path",
    supervised=False,
    options=Options,
    make=make,
    narrow={
        "width": 32,
        "depth": 1,
        "decoder_width": 32,
        "epochs": 20,
        "warm_up": 10,
        "lr": 2e-3,
    },
)
