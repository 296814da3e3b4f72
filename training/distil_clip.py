"""Distil a clip network from I3D, without labels: read from top to bottom. For a GPU; a CPU takes days.

    python -m training.distil_clip --videos ../shared/data/videos/real10/manifest.csv \\
        --weights ../shared/data/weights/i3d_rgb_kinetics400_fp16.npz --output runs/distilled --precision bf16

The student sees an altered view of a clip (another span and speed, crop, mirror, light, bars, overlay …),
the teacher the same view at its own size; the student's mean token, through one linear layer, has to
point where the teacher's does, measured from the mean of all clips. All clips are decoded once and stay
on the device. Clips of the test split are never seen; of the rest a part, by whole groups, chooses
the epoch. Writes ``model.safetensors`` (student and linear layer, fp16), ``curve.json``; ``--resume``
goes on from ``last.safetensors``.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vhash_sdk.spec import Resize, Sampling

from . import checkpoint
from .augment import AUGMENTATIONS
from .clip_backbone import BackboneName, make_backbone
from .clip_data import VideoSet, carve_validation, read_manifest
from .config import from_command_line, option

USED = ("crop", "mirror", "light", "coarse", "overlay", "borders", "several")
"""Of the augmentations, those that leave what happens in a clip to be seen."""


@dataclass(frozen=True)
class Distillation:
    """Everything that decides a run."""

    videos: Path = option(Path("manifest.csv"), "the clips; their labels only share out the validation part")  # noqa: RUF009
    weights: str = option("", "I3D's published weights; none = random, for a trial")
    student: BackboneName = option("r2plus1d_18", "the network to be trained, from random weights")  # noqa: RUF009
    output: Path = option(Path("runs/distilled"), "folder for checkpoints and curve")  # noqa: RUF009
    frames: int = option(32, "T, frames of a view")
    stored: int = option(48, "frames of a clip that views are taken from")
    size: int = option(112, "height and width that the student sees")
    teacher_size: int = option(160, "height and width that the teacher sees")
    epochs: int = option(150, "passes over the clips")
    batch: int = option(16, "views to one step")
    lr: float = option(5e-4, "AdamW's largest learning rate; a tenth of the steps warm up, then a cosine")
    weight_decay: float = option(0.05, "AdamW's weight decay")
    validation: float = option(0.15, "share of the train split, by groups, that chooses the epoch")
    precision: Literal["fp32", "bf16"] = option("fp32", "bf16: automatic mixed precision")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int = option(8, "that decode")
    seed: int = option(0, "of weights, order, views")
    minutes: float = option(0.0, "stop after so long, saving the state for --resume; 0 = never")
    resume: bool = option(False, "go on from last.safetensors in the output folder")


class Student(nn.Module):
    """A backbone and a linear layer: clips ``uint8[n, T, H, W, 3]`` or float in 0 to 255 → ``[n, width]``.

    Args:
        backbone: whose mean token is taken.
        width: of the teacher's feature.
    """

    def __init__(self, backbone: nn.Module, width: int):
        super().__init__()
        self.backbone, self.project = backbone, nn.Linear(backbone.width, width)  # type: ignore[arg-type]

    def features(self, clips: Tensor) -> Tensor:
        """The mean token ``[n, backbone.width]``, before the linear layer."""
        return mean_token(self.backbone, clips)

    def forward(self, clips: Tensor) -> Tensor:
        """What has to point where the teacher's feature does, ``[n, width]``."""
        return self.project(self.features(clips))


def main(config: Distillation) -> None:
    """Decode, train, save."""
    data = read_manifest(config.videos)
    clips = decode(data, stored=config.stored, side=round(1.1 * config.teacher_size), threads=config.threads)
    _, curve = distil(config, data, clips, verbose=True)
    print(json.dumps(curve[-1]))


def decode(data: VideoSet, *, stored: int, side: int, threads: int) -> Tensor:
    """Frames of every clip, uniformly sampled and scaled: ``uint8[n, stored, side, side, 3]``.

    Raises:
        VideoError: a clip cannot be read.
    """
    from vhash_sdk.video.pyav import PyavDecoder

    sampling, resize = Sampling("uniform", stored), Resize("exact", side, side, filter="area")

    def read(path: str) -> Tensor:
        with PyavDecoder().open(data.root / path) as reader:
            return torch.from_numpy(reader.sample(sampling, resize).frames)

    with ThreadPoolExecutor(threads) as pool:
        return torch.stack(list(pool.map(read, data.paths)))


def distil(
    config: Distillation, data: VideoSet, clips: Tensor, *, verbose: bool = False
) -> tuple[Student, list[dict[str, Any]]]:
    """Train on the train split; returns the best epoch's student, in evaluation mode, and the curve."""
    device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else
                          "cpu" if config.device == "auto" else config.device)  # fmt: skip
    torch.manual_seed(config.seed)
    start = time.monotonic()
    clips = clips.to(device)
    teacher = make_backbone("i3d", weights=Path(config.weights) if config.weights else None).to(device).eval()
    student = Student(make_backbone(config.student), teacher.width).to(device)  # type: ignore[arg-type]
    if device.type == "cuda":
        for network in (teacher, student):
            network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    fit, held = (torch.from_numpy(rows) for rows in carve_validation(data, share=config.validation))
    steps = config.epochs * -(-len(fit) // config.batch)
    optimiser = torch.optim.AdamW(student.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    mixed = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": config.precision == "bf16"}
    curve: list[dict[str, Any]] = []
    best, last = config.output / "model.safetensors", config.output / "last.safetensors"
    if config.resume and last.exists():
        tensors, state = checkpoint.load(last)
        checkpoint.restore(tensors, student, optimiser)
        curve = state["curve"]
    with torch.inference_mode(), torch.autocast(**mixed):
        seen = [plain(clips[rows], config.frames) for rows in (fit, held)]
        targets = [in_batches(teacher, part, config.teacher_size, config.batch) for part in seen]
    centre = targets[0].mean(0)

    for epoch in range(len(curve), config.epochs):
        began, losses = time.perf_counter(), []
        student.train()
        generator = torch.Generator().manual_seed(1000 * config.seed + epoch)
        for i, rows in enumerate(torch.randperm(len(fit), generator=generator).split(config.batch)):
            if len(rows) < 2:  # batch norm needs two
                continue
            done = (epoch * -(-len(fit) // config.batch) + i) / steps
            for group in optimiser.param_groups:
                group["lr"] = config.lr * min(10 * done + 0.01, 0.5 + 0.5 * np.cos(np.pi * done))
            with torch.no_grad(), torch.autocast(**mixed):
                views = altered(clips[fit[rows].to(device)], config.frames, generator)
                wanted = mean_token(teacher, scaled(views, config.teacher_size)).float() - centre
            with torch.autocast(**mixed):
                found = student(scaled(views, config.size))
            loss = 1 - functional.cosine_similarity(found.float(), wanted).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        with torch.inference_mode(), torch.autocast(**mixed):
            student.eval()
            found = in_batches(student, seen[1], config.size, config.batch)
        agreement = functional.cosine_similarity(found.float(), targets[1].float() - centre).mean()
        point = {"epoch": epoch, "loss": float(torch.stack(losses).mean()), "agreement": float(agreement),
                 "seconds": time.perf_counter() - began}  # fmt: skip
        curve.append(point)
        if point["agreement"] >= max(p["agreement"] for p in curve):
            half = {
                name: t.half() if t.is_floating_point() else t for name, t in student.state_dict().items()
            }
            checkpoint.save(best, half, {"training": _plain(config), "point": point})
        out_of_time = 0 < 60 * config.minutes < time.monotonic() - start
        if out_of_time or epoch + 1 == config.epochs or epoch % 10 == 9:
            checkpoint.save(last, checkpoint.training_state(student, optimiser), {"curve": curve})
            (config.output / "curve.json").write_text(json.dumps(curve, indent=1) + "\n")
        if verbose:
            print(json.dumps({k: round(v, 4) for k, v in point.items()}), flush=True)
        if out_of_time:
            break
    tensors, _ = checkpoint.load(best)
    student.load_state_dict(tensors)
    return student.eval(), curve


def plain(clips: Tensor, frames: int) -> Tensor:
    """Clips as they are in use: ``frames`` of those stored, spread uniformly."""
    times = ((torch.arange(frames) + 0.5) / frames * clips.shape[1]).long()
    return clips[:, times.to(clips.device)]


def altered(clips: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """A view of each clip ``uint8[n, S, H, W, 3]``: float ``[n, T, H, W, 3]`` in 0 to 255."""
    out, stored = [], clips.shape[1]
    for i in range(len(clips)):
        low, share, two = torch.rand(3, generator=generator).tolist()
        length = stored * (0.5 + 0.5 * share)
        times = (low * (stored - length) + (torch.arange(frames) + 0.5) / frames * length).long()
        view = clips[i, times.to(clips.device)].permute(0, 3, 1, 2).float()
        for _ in range(1 + round(two)):
            name = USED[int(torch.randint(len(USED), (), generator=generator))]
            view = AUGMENTATIONS[name](view, view, generator)
        out.append(view.permute(0, 2, 3, 1))
    return torch.stack(out)


def scaled(clips: Tensor, side: int) -> Tensor:
    """Clips ``[n, T, H, W, 3]`` at another size, float."""
    n, t = clips.shape[:2]
    flat = clips.flatten(0, 1).permute(0, 3, 1, 2).float()
    small = functional.interpolate(flat, (side, side), mode="bilinear", antialias=True)
    return small.permute(0, 2, 3, 1).unflatten(0, (n, t))


def mean_token(backbone: nn.Module, clips: Tensor) -> Tensor:
    """Clips in 0 to 255 ``[n, T, H, W, 3]`` → mean over the feature map ``[n, C]``."""
    mean, std = (torch.tensor(x, device=clips.device) for x in (backbone.mean, backbone.std))
    x = ((clips.float() / 255 - mean) / std).permute(0, 4, 1, 2, 3)
    return backbone(x).mean((2, 3, 4))


def in_batches(network: nn.Module, clips: Tensor, side: int, batch: int) -> Tensor:
    """What a student (or a teacher's mean token) makes of clips, a few at a time."""
    run = network if isinstance(network, Student) else lambda x: mean_token(network, x)
    return torch.cat([run(scaled(few, side)).float() for few in clips.split(batch)])


def _plain(config: Distillation) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}


if __name__ == "__main__":
    main(from_command_line(Distillation, description=__doc__))
