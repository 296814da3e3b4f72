"""DBH: Lin, Yang, Hsiao, Chen, *Deep Learning of Binary Hash Codes for Fast Image Retrieval*, CVPR
Workshops 2015.

A latent layer of sigmoids between the features and the classifier; softmax loss and nothing else; the bit
is sigmoid ≥ ½. The paper fine-tunes AlexNet; here the latent layer stands on the mean over frames, as it
stands on fc7 there, after dropout of ½. Ours: Adam.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ..config import option
from .base import Batch, Method, Pooled, Schedule, Shape


@dataclass(frozen=True)
class Options(Schedule):
    """Of the training."""

    epochs: int = option(60, "passes over the training videos")


class Teacher(nn.Module):
    """The classifier."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.classify = nn.Linear(shape.bits, shape.classes)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Softmax loss."""
        target = batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp_min(1)
        return functional.cross_entropy(self.classify(encoder(batch.v).sigmoid()), target)


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    return Pooled(nn.Sequential(nn.Dropout(0.5), nn.Linear(shape.features, shape.bits))), Teacher(shape)


METHOD = Method(
    __doc__,
    ours="Adam",
    missing="fine-tuning of AlexNet",
    supervised=True,
    options=Options,
    make=make,
    narrow={},
)
