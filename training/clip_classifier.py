"""A clip network with a classifier: what is fine-tuned before hashing (separately), or with it (jointly)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from . import checkpoint
from .clip_model import ClipConfig, empty_backbone, make_pooling, tokens_of
from .hash_net import HashConfig, HashNetwork


class ClipClassifier(nn.Module):
    """Clips or tokens → class scores.

    Args:
        config: of the network; ``classes`` > 0; ``bits`` = 0 puts Dropout(0.8) and one linear layer on
            the feature (the paper's separate training), else the hash network (joint training).
        backbone: made for ``config``; None: random weights.
        frozen: the backbone is not part of what is trained, and inputs are its tokens.
    """

    def __init__(self, config: ClipConfig, backbone: nn.Module | None = None, *, frozen: bool = False):
        super().__init__()
        self.config, self.frozen = config, frozen
        backbone = backbone if backbone is not None else empty_backbone(config)
        width = backbone.width
        self.pooling = make_pooling(backbone, config.pooling, frames=config.frames, norm=config.norm)
        self.backbone = None if frozen else backbone
        if config.bits:
            self.head: nn.Module = HashNetwork(HashConfig(width, config.bits, config.classes))
        else:
            linear = nn.Linear(width, config.classes)
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
            self.head = nn.Sequential(nn.Dropout(0.8), linear)

    def feature(self, x: Tensor, *, save_memory: bool = False) -> Tensor:
        """Pooled features ``[n, width]`` of normalised clips ``[n, 3, T, H, W]`` or tokens ``[n, T', C]``.

        ``save_memory`` computes the backbone's activations again in the backward pass.
        """
        if self.backbone is not None:
            if save_memory and self.training:
                x = recompute(tokens_of, self.backbone, x, use_reentrant=False)
            else:
                x = tokens_of(self.backbone, x)
        return self.pooling(x)

    def forward(self, x: Tensor, *, save_memory: bool = False) -> Tensor:
        """Class scores ``[n, classes]``."""
        return self.head(self.feature(x, save_memory=save_memory))


def save(model: ClipClassifier, file: Path, **about: Any) -> None:
    """Write the classifier; ``about``, JSON, is kept beside its configuration."""
    document = {"clip_classifier": {"config": asdict(model.config), "frozen": model.frozen, **about}}
    checkpoint.save(file, model.state_dict(), document)


def load(file: Path) -> tuple[ClipClassifier, dict[str, Any]]:
    """Read what `save` wrote, in evaluation mode.

    Raises:
        ValueError: the file is no clip classifier.
    """
    tensors, document = checkpoint.load(file)
    about = document.get("clip_classifier")
    if about is None:
        raise ValueError(f"{file} is no clip classifier; training/train_clip_bert.py makes them")
    model = ClipClassifier(ClipConfig(**about["config"]), frozen=about["frozen"])
    model.load_state_dict(tensors)
    return model.eval(), about
