"""Which real clips may shape a model, and how training reads them: through the SDK's own decoder.

The near-duplicate benchmark owns 12 clips of each real10 class. Everything here comes from the
remaining ones, in two halves: ``fit`` (centring, projection, calibration) and ``tune`` (choices
between variants, agreement checks).
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vhash_sdk.spec import Resize, Sampling

FOLDER = Path("videos") / "real10"
BENCHMARK_SEED, SPLIT_SEED = 7, 11
BENCHMARK_CLIPS = 12  # of each class


def manifest(data: Path) -> list[dict[str, str]]:
    """Rows of real10's manifest, in its order."""
    with (data / FOLDER / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def benchmark_clips(data: Path) -> dict[str, list[str]]:
    """Class → the 12 clips that are originals of the near-duplicate benchmark, in drawn order."""
    classes: dict[str, list[str]] = {}
    for row in manifest(data):
        classes.setdefault(row["label"], []).append(row["path"])
    generator = random.Random(BENCHMARK_SEED)
    return {label: generator.sample(paths, BENCHMARK_CLIPS) for label, paths in classes.items()}


def split(data: Path) -> dict[str, list[str]]:
    """``fit`` and ``tune``: the clips outside the benchmark, halved within each class; paths below real10.

    In ``tune`` the clips of a class follow each other in random order.
    """
    used = {path for paths in benchmark_clips(data).values() for path in paths}
    classes: dict[str, list[str]] = {}
    for row in manifest(data):
        if row["path"] not in used:
            classes.setdefault(row["label"], []).append(row["path"])
    generator = random.Random(SPLIT_SEED)
    halves: dict[str, list[str]] = {"fit": [], "tune": []}
    for paths in classes.values():
        generator.shuffle(paths)
        halves["fit"] += paths[: len(paths) // 2]
        halves["tune"] += paths[len(paths) // 2 :]
    return halves


def read_frames(path: Path, sampling: Sampling, resize: Resize) -> NDArray[np.uint8]:
    """Frames ``uint8[T, H, W, 3]`` of one clip, exactly as ``Encoder`` sees them. Raises VideoError."""
    from vhash_sdk.video.pyav import PyavDecoder

    with PyavDecoder().open(path) as reader:
        return reader.sample(sampling, resize).frames
