"""Train the copy descriptor by distillation and contrast on edited views: read from top to bottom.

    python -m training.train_copy --data ../shared/data --teacher sscd.onnx --output runs/copy --minutes 60
    python -m training.train_copy … --pictures FOLDER            # the more pictures, the better
    python -m training.train_copy … --resume                     # as long as it gets better
    python -m training.train_copy … --resume --size 192 --views 300000 --decay 60000

A subject is a picture that was never seen before: a window of one, mixed, composed or edited (``copy_data``).
The student sees it as it is and edited (``copy_edits``); both descriptors have to point where the teacher's
does for the subject (SSCD, Pizzi et al. 2022), to find it among the last few thousand, and to keep away from
strangers (KoLeo). No labels. With the same few thousand pictures again and again, and one answer for each,
the student learned them by heart: cosine .75 to the teacher on pictures that it knew, .45 on others.
The rate is constant after its warm-up, so that a run may be prolonged at will, and falls to zero over the
last ``decay`` views. Writes ``model.safetensors`` (fp16), ``last.safetensors`` for ``--resume``,
``curve.json``.

The teacher is only run: a file with Meta's weights (MIT), as ``--teacher``. Nothing of it is kept but what
the student learned.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from . import checkpoint
from .config import from_command_line, option
from .copy_data import Describe, Pictures, Views, describer, held_out, more_pictures, read_pictures
from .copy_model import WIDTH, CopyNetwork, contrast, distillation, spread
from .copy_validation import trial
from .efficientnet_lite import load_imagenet


@dataclass(frozen=True)
class CopyTraining:
    """Everything that decides a run."""

    data: Path = option(Path("../shared/data"), "folder with images and videos")  # noqa: RUF009
    teacher: Path = option(Path("sscd.onnx"), "the teacher's network, .onnx or TorchScript .pt")  # noqa: RUF009
    pictures: Path | None = option(None, "folder of further pictures, none of which is held out")  # noqa: RUF009
    output: Path = option(Path("runs/copy"), "folder for checkpoints and curve")  # noqa: RUF009
    frames: int = option(6, "of each clip")
    limit: int = option(0, "photographs and clips at most, for a trial; 0 = all")
    size: int = option(128, "height and width of a view")
    views: int = option(1_000_000, "where training ends; a subject has two")
    decay: int = option(50_000, "views over which the rate falls to zero at the end")
    warmup: int = option(5_000, "views over which it rises at the start")
    batch: int = option(48, "views to one step")
    lr: float = option(4e-4, "AdamW's rate for the network from ImageNet")
    head_lr: float = option(2e-3, "its rate for pooling and the linear layer")
    weight_decay: float = option(0.02, "AdamW's weight decay")
    contrast: float = option(0.2, "weight of the contrast with other subjects")
    bank: int = option(8192, "subjects in that contrast, the latest ones")
    temperature: float = option(0.07, "of that contrast")
    spread: float = option(0.1, "weight of the differential entropy")
    every: int = option(15_000, "views between two validations")
    workers: int = option(1, "processes that edit pictures")
    device: str = option("auto", "auto, cpu or cuda")
    seed: int = option(0, "of weights, order, views")
    minutes: float = option(0.0, "stop after so long, saving the state for --resume; 0 = never")
    resume: bool = option(False, "go on from last.safetensors in the output folder")


def main(config: CopyTraining) -> None:
    """Read, train, save."""
    pictures = read_pictures(config.data, frames=config.frames, limit=config.limit)
    fit, held = held_out(pictures, config.seed)
    known = pictures.only(fit)
    if config.pictures is not None:
        known = known + more_pictures(config.pictures)
    print(f"{len(known.pixels)} pictures of {len(set(known.source.tolist()))} sources", flush=True)
    teacher = describer(config.teacher, _device(config))
    curve = train(config, known, pictures.only(held), teacher, verbose=True)
    print(json.dumps(curve[-1]))


def train(
    config: CopyTraining, known: Pictures, held: Pictures, teacher: Describe, *, verbose: bool = False
) -> list[dict[str, Any]]:
    """Train on ``known`` until ``views`` or ``minutes`` are over; gives the curve."""
    start = time.monotonic()
    device = torch.device(_device(config))
    torch.manual_seed(config.seed)
    asked = trial(held, known, seed=config.seed, size=config.size)
    network = CopyNetwork(load_imagenet()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    backbone = set(network.backbone.parameters())
    optimiser = torch.optim.AdamW([
        {"params": list(network.backbone.parameters()), "base": config.lr},
        {"params": [p for p in network.parameters() if p not in backbone], "base": config.head_lr},
    ], lr=config.lr, weight_decay=config.weight_decay)  # fmt: skip
    curve: list[dict[str, Any]] = []
    done, last = 0, config.output / "last.safetensors"
    if config.resume and last.exists():
        tensors, state = checkpoint.load(last)
        checkpoint.restore(tensors, network, optimiser)
        curve, done = state["curve"], state["views"]
    bank = torch.empty(0, WIDTH, device=device)  # after a resumption it fills anew
    sources = torch.empty(0, 2, dtype=torch.int64, device=device)

    while done < config.views:
        began, losses = time.perf_counter(), []
        network.train()
        stop = min(config.views, done + config.every)
        views = Views(known, seed=config.seed, size=config.size, first=done // 2, count=(stop - done) // 2)
        # a last batch of one would have no neighbours, and batch norm nothing to go by
        loader = DataLoader(views, config.batch // 2, num_workers=config.workers, drop_last=True)
        for subjects, seen, made_of in loader:
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * rate(config, done)
            answers = torch.from_numpy(teacher(subjects.numpy())).to(device)
            bank = torch.cat([answers, bank])[: config.bank]
            sources = torch.cat([made_of.to(device), sources])[: config.bank]
            found = network(seen.to(device).flatten(0, 1))
            rows = torch.arange(len(answers), device=device).repeat_interleave(2)
            parts = torch.stack((
                distillation(found, answers[rows]),
                contrast(found, rows, bank, sources, config.temperature),
                spread(found, sources[rows]),
            ))  # fmt: skip
            loss = parts @ parts.new_tensor([1.0, config.contrast, config.spread])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(parts.detach())
            done += len(rows)
            if out_of_time := 0 < 60 * config.minutes < time.monotonic() - start:
                break
        done = done if out_of_time else stop
        point = {"views": done, "size": config.size, "seconds": time.perf_counter() - began}
        names = ("distance", "contrast", "spread")
        point |= dict(zip(names, torch.stack(losses).mean(0).tolist(), strict=True))
        point |= asked.measure(network, device)
        curve.append(point)
        _save(config, network, optimiser, curve, done)
        if verbose:
            print(json.dumps({k: round(v, 4) for k, v in point.items() if k != "kinds"}), flush=True)
        if out_of_time:
            break
    return curve


def _device(config: CopyTraining) -> str:
    if config.device != "auto":
        return config.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def rate(config: CopyTraining, done: int) -> float:
    """The share of the full learning rate after so many views."""
    return min(1.0, (done + config.batch) / config.warmup, max(0.0, config.views - done) / config.decay)


def _save(
    config: CopyTraining,
    network: CopyNetwork,
    optimiser: torch.optim.Optimizer,
    curve: list[dict[str, Any]],
    done: int,
) -> None:
    training = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}
    half = {name: t.half() if t.is_floating_point() else t for name, t in network.state_dict().items()}
    checkpoint.save(config.output / "model.safetensors", half, {"training": training, "point": curve[-1]})
    state = {"curve": curve, "views": done}
    checkpoint.save(config.output / "last.safetensors", checkpoint.training_state(network, optimiser), state)
    (config.output / "curve.json").write_text(json.dumps(curve, indent=1) + "\n")


if __name__ == "__main__":
    main(from_command_line(CopyTraining, description=__doc__))
