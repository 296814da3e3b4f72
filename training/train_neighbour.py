"""Train neighbour-uvvh (see `training.neighbour`): read from top to bottom; seconds on a CPU.

    python -m training.train_neighbour --data DATA/features/ucf101_14c_vgg16 --output runs/neighbour64

Writes ``model.safetensors`` (+ ``.json``), ``curve.json`` and ``curve.png``. Labels are used for the
mAP curve only. Defaults were chosen with ``--validation`` (queries from the train split).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import checkpoint
from .baselines import pack, principal_components, unit_length
from .config import from_command_line, option
from .data import FeatureSet, load_store, load_ucf101_14c, relevance, synthetic, train_database_queries
from .losses import bit_balance, bit_decorrelation, neighbour_contrast, sign_straight_through
from .metrics import average_precision, hamming
from .neighbour import NeighbourConfig, NeighbourHash, diffuse, neighbour_graph, positives
from .plots import training_curve


@dataclass(frozen=True)
class NeighbourTraining:
    """Everything that decides a run."""

    data: str = option("synthetic", "folder of the UCF101 features, a feature store, or 'synthetic'")
    manifest: str = option("", "manifest.csv of a feature store")
    output: Path = option(Path("runs/neighbour"), "folder for checkpoint and curve")  # noqa: RUF009
    bits: int = option(64, "code length")
    encoder: Literal["mean", "conv"] = option("mean", "mean over frames, or order-aware 1-D CNN")
    pca: int = option(0, "principal components of the unit-length features; 0 = by length, see `tuned`")
    hidden: int = option(512, "width of the hidden layer")
    dropout: float = option(0.2, "on input and hidden layer")
    graph: int = option(15, "k of the k-NN graph")
    restart: float = option(0.03, "of the random walk; 1 = plain nearest neighbours")
    share: float = option(0.028, "diffusion neighbours that are positives, as a share of the training videos")
    temperature: float = option(0.0, "of the contrastive loss; 0 = by length, see `tuned`")
    relax: Literal["tanh", "sign"] = option(
        "tanh", "what the loss sees: tanh(z), or sign(z) straight through"
    )
    decorrelation: float = option(0.3, "weight of the bit decorrelation")
    balance: float = option(0.0, "weight of the bit balance (batch norm already keeps bits balanced)")
    refresh: int = option(0, "epochs between new neighbours from the learned codes; 0 = never")
    epochs: int = option(0, "epochs, the learning rate falls along a cosine; 0 = by length, see `tuned`")
    batch: int = option(256, "videos per step")
    lr: float = option(1e-3, "Adam's learning rate")
    weight_decay: float = option(1e-5, "Adam's L2 term")
    seed: int = option(0, "of weights, order and dropout")
    validation: bool = option(False, "queries from the train split (groups 8-13): for tuning")

    def tuned(self) -> NeighbourTraining:
        """Settings left at 0 replaced by what validation chose for this code length.

        A short code gains from longer training on fewer components and a softer contrast; a long
        one loses mAP@5 by it (``python -m benchmarks.retrieval.unsupervised_tuning`` measures it).

        >>> tuned = NeighbourTraining(bits=16, epochs=5).tuned()
        >>> tuned.pca, tuned.temperature, tuned.epochs
        (64, 0.4, 5)
        """
        pca, temperature, epochs = (
            (64, 0.4, 80) if self.bits <= 16 else (128, 0.3, 40) if self.bits <= 32 else (128, 0.3, 20)
        )
        return replace(
            self,
            pca=self.pca or pca,
            temperature=self.temperature or temperature,
            epochs=self.epochs or epochs,
        )


def main(config: NeighbourTraining) -> None:
    """Read the features, train, save."""
    if config.manifest:
        data = load_store(Path(config.data), Path(config.manifest))
    else:
        data = synthetic() if config.data == "synthetic" else load_ucf101_14c(Path(config.data))
    database, queries = train_database_queries(data, validation=config.validation)
    model, curve = train(config, database.features, queries.features, relevance(queries, database))
    described = {**asdict(config), "data": data.name, "output": "", "network": asdict(model.config)}
    described["manifest"] = ""
    checkpoint.save(config.output / "model.safetensors", model.state_dict(), described)
    (config.output / "curve.json").write_text(
        json.dumps({"config": described, "curve": curve}, indent=1) + "\n"
    )
    training_curve(curve, config.output / "curve.png", title=f"neighbour-uvvh, {config.bits} bits")
    print(json.dumps(curve[-1]))


def train(
    config: NeighbourTraining,
    database: NDArray[np.floating],
    queries: NDArray[np.floating] | None = None,
    relevant: NDArray[np.bool_] | None = None,
    *,
    twins: NDArray[np.integer] | None = None,
) -> tuple[NeighbourHash, list[dict[str, Any]]]:
    """Train on ``database`` ``[n, T, F]`` without labels; queries and relevance only measure.

    Args:
        config: the run.
        database, queries: stored frame features.
        relevant: bool ``[queries, database]``.
        twins: a number for each database row; rows with the same one are versions of one video and
            always positives of each other (near-duplicate views).

    Returns:
        the model in evaluation mode, and its curve.
    """
    config = config.tuned()
    torch.manual_seed(config.seed)
    width = database.shape[2]
    model = NeighbourHash(
        NeighbourConfig(
            width, config.pca, config.bits, config.encoder, config.hidden, config.dropout, database.shape[1]
        )
    )
    model.set_input(*input_map(config, database))
    seen = see_all(model, database)
    pooled = seen if seen.ndim == 2 else seen.mean(dim=1)
    target = neighbours(config, pooled.numpy(), twins)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    steps = config.epochs * -(-len(seen) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    curve: list[dict[str, Any]] = []
    for epoch in range(config.epochs):
        if config.refresh and epoch and epoch % config.refresh == 0:
            learned = relaxed(model, seen).tanh().numpy()
            target = neighbours(
                config, np.concatenate([unit_length(learned), unit_length(pooled.numpy())], 1), twins
            )
        model.train()
        total = 0.0
        for rows in torch.randperm(len(seen)).split(config.batch):
            if len(rows) < 8:  # too few for batch norm and for a neighbour to be among them
                schedule.step()
                continue
            z = model.code(seen[rows])
            h = z.tanh() if config.relax == "tanh" else sign_straight_through(z)
            loss = neighbour_contrast(h, target[rows][:, rows], temperature=config.temperature)
            loss = loss + config.decorrelation * bit_decorrelation(z) + config.balance * bit_balance(z)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows) / len(seen)
        point = {"epoch": epoch, "loss": total}
        if queries is not None and relevant is not None and (epoch % 4 == 3 or epoch == config.epochs - 1):
            ap = average_precision(
                hamming(codes(model, queries), codes(model, database)), relevant, (5, 100, None)
            )
            point |= dict(zip(("map@5", "map@100", "map"), np.nanmean(ap, axis=0).tolist(), strict=True))
        curve.append(point)
    return model.eval(), curve


def input_map(config: NeighbourTraining, database: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    """(centre, basis) of the PCA of unit-length pooled features, scaled to mean square 1 per component."""
    x = unit_length(np.stack([np.asarray(f, np.float32).mean(axis=0) for f in database]))
    centre, basis = principal_components(x, config.pca)
    y = (x - centre) @ basis
    basis = basis * np.float32(np.sqrt(config.pca / np.square(y).sum(axis=1).mean()))
    return torch.from_numpy(centre), torch.from_numpy(basis)


def neighbours(
    config: NeighbourTraining, seen: NDArray[np.float32], twins: NDArray[np.integer] | None
) -> Tensor:
    """Positives ``[n, n]`` by diffusion through the k-NN graph, and the twins.

    The graph holds the first row of each set of twins only: with all of them in it, a video's
    neighbours would be its own copies. What is near to the first row is near to all its twins.
    """
    if twins is not None:
        _, first, place = np.unique(twins, return_index=True, return_inverse=True)
        near = neighbours(config, seen[first], None)[place][:, place]
        same = torch.from_numpy(place[:, None] == place[None])
        return torch.where(same, 1.0, near).fill_diagonal_(0)
    if config.restart < 1:
        affinity = diffuse(neighbour_graph(seen, config.graph), restart=config.restart)
    else:  # a walk that never leaves knows no neighbour: take the nearest by cosine
        affinity = unit_length(seen) @ unit_length(seen).T
    return torch.from_numpy(positives(affinity, max(2, round(config.share * len(seen))))).float()


@torch.inference_mode()
def see_all(model: NeighbourHash, features: NDArray[np.floating]) -> Tensor:
    """`NeighbourHash.see` of a whole set, in parts that fit in memory."""
    parts = range(0, len(features), 128)
    return torch.cat(
        [model.see(torch.from_numpy(np.ascontiguousarray(features[i : i + 128]))) for i in parts]
    ).clone()


@torch.inference_mode()
def relaxed(model: NeighbourHash, seen: Tensor) -> Tensor:
    """Logits of seen features, in evaluation mode."""
    return model.eval().code(seen)


def codes(model: NeighbourHash, features: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Packed codes ``uint8 [n, bytes]`` of stored features ``[n, T, F]``."""
    return pack(relaxed(model, see_all(model, features)).numpy())


def train_and_code(
    config: NeighbourTraining, database: FeatureSet, queries: FeatureSet
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[dict[str, Any]]]:
    """Codes of the database and the queries by a fresh model, and its curve."""
    model, curve = train(config, database.features, queries.features, relevance(queries, database))
    return codes(model, database.features), codes(model, queries.features), curve


if __name__ == "__main__":
    main(from_command_line(NeighbourTraining, description=__doc__))
