"""ConMH: Wang, Wang, Chen, Zeng, Xia, *Contrastive Masked Autoencoders for Self-Supervised Video Hashing*,
AAAI 2023.

A transformer sees a quarter of the frames and codes each; a small one reconstructs the hidden frames from
these codes. Two views with no frame in common agree by the debiased contrastive loss on the means of their
frame codes. One stage; in use all frames are seen.

From the authors' published settings: width 256, 12 blocks of 6 heads, decoder 192 wide, 2 blocks of 3
heads, mask .75, temperature .5, prior .1, Adam 1e-4 × .9 every 20 epochs down to 1e-5, batch 512, 805
epochs. Nothing is ours but the scale of the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from ..config import option
from .base import Batch, Decay, Method, Schedule, Shape
from .masked import Attention, MaskedDecoder, TokenHash, debiased_contrast, masked, orders


@dataclass(frozen=True)
class Options(Schedule):
    """Of shapes and training."""

    epochs: int = option(805, "passes over the training videos")
    batch: int = option(512, "videos per step")
    lr: float = option(1e-4, "learning rate")
    decay: Decay = option("step", "of the learning rate")  # noqa: RUF009
    width: int = option(256, "of a token")
    depth: int = option(12, "blocks of the encoder")
    heads: int = option(6, "of its attention")
    decoder_width: int = option(192, "of a token in the decoder")
    decoder_depth: int = option(2, "blocks of the decoder")
    decoder_heads: int = option(3, "of its attention")
    mask: float = option(0.75, "share of the frames that are hidden")
    contrast: float = option(1.0, "weight of the contrastive loss")
    temperature: float = option(0.5, "of the contrastive loss")
    prior: float = option(0.1, "how probable a negative of the same kind is")


class Teacher(nn.Module):
    """Decoder, reconstruction and contrast."""

    def __init__(self, shape: Shape, options: Options):
        super().__init__()
        self.options = options
        mixer = partial(Attention, heads=options.decoder_heads)
        self.decoder = MaskedDecoder(shape, options.decoder_width, options.decoder_depth, mixer)

    def forward(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """Both views."""
        o, frames = self.options, batch.v.shape[1]
        order = orders(len(batch.v), frames)
        views = (order, order.flip(1))
        kept = frames - int(o.mask * frames)
        (one, first), (other, second) = (masked(encoder, self.decoder, batch.v, v, kept) for v in views)
        contrast = debiased_contrast(one, other, temperature=o.temperature, prior=o.prior)
        return first + second + o.contrast * contrast


def make(shape: Shape, options: Options) -> tuple[nn.Module, nn.Module]:
    """Encoder and teacher."""
    mixer = partial(Attention, heads=options.heads)
    return TokenHash(shape, options.width, options.depth, mixer), Teacher(shape, options)


METHOD = Method(
    __doc__,
    ours="the scale of the features",
    missing="",
    supervised=False,
    options=Options,
    make=make,
    narrow={
        "width": 64,
        "depth": 2,
        "heads": 2,
        "decoder_width": 64,
        "decoder_depth": 1,
        "decoder_heads": 2,
        "batch": 256,
        "epochs": 30,
        "lr": 1e-3,
    },
)
