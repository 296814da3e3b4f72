"""How the fused model was chosen: split, axes, ridge and rotation, measured on clips kept for that.

    python -m benchmarks.near_duplicates.fused_choices

Near-duplicate search as in ``run.py``, but among the ``tune`` clips of real10, of
which the benchmark and the projection have seen none; 48 of them × 15 transformations. The CNN
features are those of the bundled int8 file. Writes results/fused_choices.json.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, command_line, write_result
from benchmarks.near_duplicates.clips import Original, queries, real10_original
from benchmarks.near_duplicates.metrics import FIGURES, Pairs, Ranking
from benchmarks.near_duplicates.tools import hamming
from training.clips import read_frames, split
from training.features import features_of, kept
from training.fused import FusedModel
from training.projection import discriminant_axes, random_rotation, within_covariance
from training.train_fused import DEFAULT, LOW8, SMALL, TrainConfig

QUERIES = 6  # of each class
SEEDS = 4  # rotations that each variant is averaged over


def tune_originals(data: Path) -> list[Original]:
    found: list[Original] = []
    for path in split(data)["tune"]:
        label = path.split("/")[0]
        asked = sum(o.query and o.path.parent.name == label for o in found)
        found.append(real10_original(data, path, query=asked < QUERIES))
    return found


def encode(paths: list[Path]) -> dict[str, NDArray[np.float32]]:
    """Embedding and mean luma picture of each clip, by the bundled int8 file."""
    from vhash_sdk import Encoder

    encoder = Encoder("default")
    model = FusedModel(DEFAULT.model)
    embeddings, lumas = [], []
    for path in paths:
        frames = read_frames(path, encoder.spec.sampling, encoder.spec.resize)
        embeddings.append(encoder.encode_frames(frames[None, None])[2][0])
        x = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() - 127) / 128
        with torch.inference_mode():
            lumas.append(model.luma(x).mean(0)[0].numpy())
    return {"embedding": np.stack(embeddings), "luma": np.stack(lumas)}


def phash_bits(luma: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.bool_]:
    config = replace(DEFAULT.model, phash_rows=LOW8[:rows], phash_columns=LOW8[:columns])
    with torch.inference_mode():
        return FusedModel(config).phash(torch.from_numpy(luma)).numpy() >= 0


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    clips = tune_originals(options.data)
    asked = queries(clips, CACHE / "tune")
    paths = [clip.path for clip in clips] + [query.path for query in asked]
    names = {clip.name: i for i, clip in enumerate(clips)}
    truth = np.array([names[query.original.name] for query in asked])
    scenes = [{q.original.scene, q.background.scene if q.background else None} for q in asked]
    shared = np.array([[clip.scene in found for clip in clips] for found in scenes])
    every = np.ones_like(shared)
    every[np.arange(len(asked)), truth] = False
    kinds = {"different scenes": Pairs(truth, every & ~shared), "all": Pairs(truth, every)}
    found = kept(
        CACHE / "fused" / "tune", [str(p) for p in paths] + [DEFAULT.model.name], lambda: encode(paths)
    )
    clean, copies = features_of(
        FusedModel(DEFAULT.model),
        options.data,
        split(options.data)["fit"],
        CACHE / "fused",
        seed=DEFAULT.augment_seed,
    )
    base = clean["embedding"].astype(np.float64)
    within = within_covariance({name: d.astype(np.float64) for name, d in copies.items()})

    def figures(bits: NDArray[np.bool_]) -> list[float]:
        packed = np.packbits(bits, axis=1)
        matrix = hamming(packed[len(clips) :], packed[: len(clips)]).astype(np.float64)
        ones = np.ones(len(asked))
        return [float(x) for pairs in kinds.values() for x in Ranking(matrix, pairs).figures(ones)]

    def cnn(bits: int, dimensions: int | None, ridge: float, seed: int) -> NDArray[np.bool_]:
        if dimensions is None:  # plain random projection of the centred feature
            return (found["embedding"] - base.mean(0)) @ random_rotation(base.shape[1], bits, seed) >= 0
        mean, axes = discriminant_axes(base, within, dimensions=dimensions, ridge=ridge)
        return (found["embedding"] - mean) @ axes @ random_rotation(dimensions, bits, seed) >= 0

    results: list[dict[str, Any]] = []

    def report(
        label: str, bits: int, grid: tuple[int, int], dimensions: int | None, ridge: float, seeds: range
    ) -> None:
        phash = phash_bits(found["luma"], *grid) if grid[0] else np.zeros((len(paths), 0), bool)
        each = [
            figures(np.concatenate([cnn(bits, dimensions, ridge, seed), phash], axis=1)) for seed in seeds
        ]
        mean = np.mean(each, axis=0)
        keys = [f"{kind}: {figure}" for kind in kinds for figure in FIGURES]
        results.append({
            "variant": label, "cnn bits": bits, "phash bits": grid[0] * grid[1], "axes": dimensions,
            "ridge": ridge, "seeds": list(seeds), **dict(zip(keys, mean.tolist(), strict=True)),
        })  # fmt: skip
        print(
            f"{label:42s} {bits:4d} + {grid[0] * grid[1]:2d}  " + "  ".join(f"{x:.3f}" for x in mean),
            flush=True,
        )

    seeds = range(SEEDS)
    axes, ridge = DEFAULT.dimensions, DEFAULT.ridge
    for bits, grid in ((256, (0, 0)), (224, (4, 8)), (192, (8, 8))):
        report("random projection", bits, grid, None, 0.0, seeds)
        report("discriminant axes", bits, grid, axes, ridge, seeds)
    for dimensions in (64, 96, 192):
        report(f"discriminant axes, {dimensions}", 192, (8, 8), dimensions, ridge, seeds)
    for other in (0.03, 0.1, 1.0):
        report(f"discriminant axes, ridge {other}", 192, (8, 8), axes, other, seeds)
    for bits, grid in ((64, (0, 0)), (48, (4, 4)), (40, (4, 6)), (32, (4, 8))):
        report("small", bits, grid, SMALL.dimensions, ridge, seeds)
    report("small, 48 axes", 48, (4, 4), 48, ridge, seeds)
    for seed in range(8):
        report(f"default, seed {seed}", 192, (8, 8), axes, ridge, range(seed, seed + 1))
        report(f"small, seed {seed}", 48, (4, 4), SMALL.dimensions, ridge, range(seed, seed + 1))
    chosen = {"default": config_of(DEFAULT), "small": config_of(SMALL)}
    print(write_result("fused_choices", {"benchmark": "fused_choices", **chosen, "variants": results}))


def config_of(config: TrainConfig) -> dict[str, Any]:
    return {"dimensions": config.dimensions, "ridge": config.ridge, "rotation_seed": config.rotation_seed}


if __name__ == "__main__":
    main()
