"""Train UVVH or one of its ablations: read from top to bottom.

The paper's schedule, full width, 64 bits, on the UCF101 features (CPU; a GPU is used if there is one)::

    python -m training.train_uvvh --data DATA/features/ucf101_14c_vgg16 --output runs/uvvh64

A quick look at an ablation on PCA-512 features with narrowed layers::

    python -m training.train_uvvh --data DATA/features/ucf101_14c_vgg16 --output runs/bl2 \\
        --variant bl2 --pca 512 --widths 256 256 128 --projection 1024 --hidden 128

Writes ``model.safetensors`` (+ ``.json``), ``curve.json``, ``curve.png``; ``--resume`` goes on from
``last.safetensors`` exactly where it stopped. Labels are used for the mAP curve only, never for training.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from . import checkpoint
from .config import from_command_line, option
from .data import load_ucf101_14c, synthetic, train_database_queries
from .losses import kl_divergence, quantisation, reconstruction
from .metrics import average_precision, hamming
from .plots import training_curve
from .reduce import Reduced, reduce
from .uvvh import UVVH, UVVHConfig, ablation

Variant = Literal["uvvh-2", "uvvh-1", "uvh", "nopro", "q", "bl1", "bl2", "bl3"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run."""

    data: str = option("synthetic", "folder of the UCF101 features, or 'synthetic'")
    output: Path = option(Path("runs/uvvh"), "folder for checkpoint and curves")  # noqa: RUF009
    variant: Variant = option(  # noqa: RUF009
        "uvvh-2", "uvh: stage 1 throughout; uvvh-1: stage 2 throughout; the rest: ablations"
    )
    bits: int = option(64, "code length")
    pca: int = option(0, "reduce frame features to this many principal components; 0 = full width")
    widths: tuple[int, ...] = option((512, 512, 256), "channels of the three convolutions")
    kernels: tuple[int, ...] = option((7, 4, 4), "kernels of the three convolutions")
    projection: int = option(4096, "width of the projection layer")
    hidden: int = option(256, "LSTM state")
    stage1: int = option(50, "epochs without KL, z = mu")
    stage2: int = option(30, "epochs with KL and sampled z")
    batch: int = option(256, "videos per step")
    lr: float = option(1e-3, "Adam's learning rate")
    weight_decay: float = option(1e-4, "Adam's L2 term")
    alpha1: float = option(1.0, "weight of KL in stage 2")
    alpha2: float = option(1.0, "weight of the reconstruction")
    alpha3: float = option(1.0, "weight of the quantisation loss (variant q)")
    log_sigma_bias: float = option(0.0, "starting bias of the log sigma head, untrained until stage 2")
    seed: int = option(0, "of weights, order, dropout and sampling")
    precision: Literal["fp32", "bf16"] = option("fp32", "bf16: automatic mixed precision")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int = option(0, "CPU threads; 0 = all")
    validation: bool = option(False, "queries from the train split (groups 8-13): for tuning")
    measure_every: int = option(5, "epochs between two points of the mAP curve")
    resume: bool = option(False, "go on from last.safetensors in the output folder")

    def stages(self) -> tuple[int, int]:
        """Epochs of stage 1 and stage 2: UVH and UVVH-1 spend all of them in one."""
        total = self.stage1 + self.stage2
        return {"uvh": (total, 0), "uvvh-1": (0, total)}.get(self.variant, (self.stage1, self.stage2))

    def network(self, features: int) -> UVVHConfig:
        """The network's configuration for features of a width."""
        (a, b, c), (k, m, n) = self.widths, self.kernels
        base = UVVHConfig(
            self.pca or features, self.bits, kernels=(k, m, n), widths=(a, b, c), projection=self.projection,
            hidden=self.hidden, raw_features=features if self.pca else 0,
        )  # fmt: skip
        return ablation(base, self.variant if self.variant not in ("uvvh-2", "uvvh-1", "uvh") else "uvvh")


def main(config: TrainConfig) -> None:
    """Read the features, train, save."""
    if config.threads:
        torch.set_num_threads(config.threads)
    data = synthetic() if config.data == "synthetic" else load_ucf101_14c(Path(config.data))
    database, queries = train_database_queries(data, validation=config.validation)
    model, curve = train(config, reduce(database, queries, config.pca), verbose=True)
    described = {**asdict(config), "data": data.name, "output": "", "network": asdict(model.config)}
    checkpoint.save(config.output / "model.safetensors", model.state_dict(), described)
    (config.output / "curve.json").write_text(
        json.dumps({"config": described, "curve": curve}, indent=1) + "\n"
    )
    training_curve(curve, config.output / "curve.png", title=f"{config.variant}, {config.bits} bits")


def train(config: TrainConfig, data: Reduced, *, verbose: bool = False) -> tuple[UVVH, list[dict[str, Any]]]:
    """Train on ``data.database`` without labels; returns the model in evaluation mode and its curve."""
    device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else
                          "cpu" if config.device == "auto" else config.device)  # fmt: skip
    torch.manual_seed(config.seed)
    model = UVVH(config.network(data.raw_width))
    with torch.no_grad():
        model.log_sigma.bias.fill_(config.log_sigma_bias)
    model.set_input(data.scale, data.centre, data.basis)
    model.to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    stage1, stage2 = config.stages()
    last, curve, first = config.output / "last.safetensors", [], 0
    if config.resume and last.exists():
        tensors, state = checkpoint.load(last)
        checkpoint.restore(tensors, model, optimiser)
        curve, first = state["curve"], state["epoch"] + 1

    for epoch in range(first, stage1 + stage2):
        start, sampled = time.perf_counter(), epoch >= stage1
        model.train()
        sums = np.zeros(3)
        order = torch.randperm(len(data.database))
        for rows in order.split(config.batch):
            if len(rows) < 2:  # batch norm needs two
                continue
            v = data.database[rows].to(device).float() * data.scale
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                coded = model.code(v, sample=sampled)
                out = model.reconstruct(coded)
            rec, kl = reconstruction(out, v), kl_divergence(coded.mu, coded.log_sigma)
            loss = config.alpha2 * rec
            if sampled:
                loss = loss + config.alpha1 * kl
            if not model.config.straight_through:
                loss = loss + config.alpha3 * quantisation(coded.z, coded.h)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            sums += (
                len(rows)
                / len(order)
                * np.array([float(loss.detach()), float(rec.detach()), float(kl.detach())])
            )
        point = {
            "epoch": epoch,
            "stage": 1 + sampled,
            "loss": sums[0],
            "reconstruction": sums[1],
            "kl": sums[2],
        }
        point["seconds"] = time.perf_counter() - start
        if epoch % config.measure_every == config.measure_every - 1 or epoch == stage1 + stage2 - 1:
            point |= measure(model, data, precision=config.precision)
            if verbose:
                checkpoint.save(
                    last,
                    checkpoint.training_state(model, optimiser),
                    {"epoch": epoch, "curve": [*curve, point]},
                )
        if verbose:
            print(json.dumps({k: round(v, 4) for k, v in point.items()}), flush=True)
        curve.append(point)
    return model.eval(), curve


def measure(model: UVVH, data: Reduced, *, precision: str = "fp32") -> dict[str, float]:
    """mAP@5, @100 and of the whole ranking, tie-aware, queries against database."""
    codes = [encode(model, part, data.scale, precision=precision) for part in (data.queries, data.database)]
    ap = average_precision(hamming(*codes), data.relevant, (5, 100, None))
    five, hundred, full = np.nanmean(ap, axis=0)
    return {"map@5": float(five), "map@100": float(hundred), "map": float(full)}


@torch.inference_mode()
def encode(model: UVVH, features: Tensor, scale: float, *, precision: str = "fp32") -> np.ndarray:
    """Packed codes ``uint8 [n, bytes]`` of reduced, unscaled features ``[n, T, F]``."""
    model.eval()
    device = model.scale.device
    out = []
    for chunk in features.split(256):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            mu = model.mu(model.embed(chunk.to(device).float() * scale)).float()
        out.append((mu.mean(dim=1) if mu.ndim == 3 else mu).cpu())
    return np.packbits((torch.cat(out) >= 0).numpy(), axis=1, bitorder="little")


if __name__ == "__main__":
    main(from_command_line(TrainConfig, description=__doc__))
