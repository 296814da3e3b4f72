"""The one training loop of the registry, the codes that come out of it, and its checkpoints."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import checkpoint
from ..baselines import pack
from ..reduce import Reduced
from .base import Batch, Head, Method, Schedule, Shape

SAVE_EVERY = 60.0
"""Seconds between two saves of a run that may be resumed."""


@dataclass(frozen=True)
class Trained:
    """A head in evaluation mode, the loss of each epoch, and the CPU seconds, over all resumptions."""

    head: Head
    losses: list[float]
    cpu_seconds: float


def train(
    method: Method,
    options: Schedule,
    data: Reduced,
    labels: NDArray[np.bool_],
    *,
    bits: int,
    seed: int,
    last: Path | None = None,
    stop: int | None = None,
) -> Trained:
    """Train on ``data.database``; unsupervised methods get labels of zeros.

    Args:
        method, options: from the registry.
        data: seen features; its queries are not read.
        labels: bool ``[n, classes]`` of the database.
        bits, seed: of the run; one seed always gives the same model on one machine.
        last: where a run is kept from time to time; one that is there is gone on with.
        stop: epoch to stop before, as if killed there.
    """
    cpu = time.process_time()
    torch.manual_seed(seed)
    n, frames, width = data.database.shape
    shape = Shape(data.raw_width, width, bits, frames, labels.shape[1] if method.supervised else 0)
    encoder, teacher = method.make(shape, options)
    head = Head(shape, encoder)
    head.set_input(data.scale, data.centre, data.basis)
    seen = data.database.float() * data.scale
    y = torch.from_numpy(labels).float() if method.supervised else torch.zeros(n, 1)
    if hasattr(teacher, "solve"):
        teacher.solve(encoder, seen, y, seed)
        return Trained(head.eval(), [], time.process_time() - cpu)
    if hasattr(teacher, "start"):
        teacher.start(encoder, seen)
    if hasattr(teacher, "prepare"):
        teacher.prepare(seen, y)
    both = nn.ModuleDict({"encoder": encoder, "teacher": teacher})
    optimiser = make_optimiser(options, both)
    losses: list[float] = []
    spent, saved = 0.0, time.monotonic()
    about = {"method": method.title, "options": asdict(options), "shape": asdict(shape), "seed": seed}
    if last is not None and last.exists():
        tensors, state = checkpoint.load(last)
        if state["run"] != about:
            raise ValueError(
                f"{last} is of another run: {state['run']}; give another folder, or remove the file"
            )
        checkpoint.restore(tensors, both, optimiser)
        losses, spent = state["losses"], state["cpu_seconds"]
    for epoch in range(len(losses), options.epochs if stop is None else stop):
        losses.append(one_epoch(options, both, optimiser, seen, y, epoch))
        if last is not None and (time.monotonic() - saved > SAVE_EVERY or epoch + 1 == stop):
            now = spent + time.process_time() - cpu
            state = {"run": about, "losses": losses, "cpu_seconds": now}
            checkpoint.save(last, checkpoint.training_state(both, optimiser), state)
            saved = time.monotonic()
    if hasattr(teacher, "finish"):
        teacher.finish(encoder, seen, y)
    return Trained(head.eval(), losses, spent + time.process_time() - cpu)


def make_optimiser(options: Schedule, both: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that the options name."""
    if options.optimiser == "sgd":
        return torch.optim.SGD(both.parameters(), options.lr, 0.9, weight_decay=options.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.optimiser]
    return kind(both.parameters(), options.lr, weight_decay=options.weight_decay)


def one_epoch(
    options: Schedule,
    both: nn.ModuleDict,
    optimiser: torch.optim.Optimizer,
    seen: Tensor,
    y: Tensor,
    epoch: int,
) -> float:
    """One pass in a random order; the mean loss."""
    both.train()
    for group in optimiser.param_groups:
        group["lr"] = options.rate(epoch)
    total = 0.0
    for rows in torch.randperm(len(seen)).split(options.batch or len(seen)):
        if len(rows) < 8:  # too few for batch norm and for pairs
            continue
        loss = both["teacher"](both["encoder"], Batch(seen[rows], rows, y[rows], epoch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(rows) / len(seen)
    return total


@torch.inference_mode()
def encode(head: Head, features: Tensor) -> NDArray[np.uint8]:
    """Packed codes of reduced, unscaled features ``[n, T, F]``."""
    parts = [head.encoder(chunk.float() * head.scale) for chunk in features.split(128)]
    return pack(torch.cat(parts).numpy())


def forget(last: Path) -> None:
    """Remove what a run that is done had kept to go on from."""
    for file in (last, last.with_suffix(".json")):
        file.unlink(missing_ok=True)


def save(path: Path, name: str, options: Schedule, trained: Trained, about: dict[str, Any]) -> None:
    """The checkpoint: what a code needs, and how it was made."""
    described = {"method": name, "options": asdict(options), "shape": asdict(trained.head.shape), **about}
    checkpoint.save(path, trained.head.state_dict(), described)
