"""Checkpoints: tensors in safetensors, everything else as JSON in its header. No pickle, ever."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


def save(path: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Write ``path`` and, readable by eye, ``path`` with ``.json``; replaced as a whole or not at all.

    Args:
        tensors: names to tensors (contiguous copies are made).
        config: anything JSON can hold; comes back from `load` unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, sort_keys=True)
    new = path.with_name(path.name + ".new")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, new, {"config": text})
    path.with_suffix(".json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    os.replace(new, path)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration that `save` wrote.

    Raises:
        ValueError: the file has no configuration of ours in it.
    """
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("config")
        if text is None:
            raise ValueError(f"{path} carries no config: it was not written by training/")
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(text)  # noqa: SIM118


def training_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Model, optimiser and random state as named tensors, enough to go on exactly where it stopped."""
    out = {f"model.{k}": v for k, v in model.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        out |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
    out["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        out["random.cuda"] = torch.cuda.get_rng_state()
    return out


def restore(tensors: dict[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put back what `training_state` took."""
    model.load_state_dict(part(tensors, "model"))
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in part(tensors, "optimiser").items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it.

    >>> part({"a.x": torch.ones(1), "b.x": torch.ones(1)}, "a")
    {'x': tensor([1.])}
    """
    return {k.removeprefix(prefix + "."): v for k, v in tensors.items() if k.startswith(prefix + ".")}
