"""Labelled video sets in their official layouts, and clips of them for training.

Decoding goes through the SDK's own decoder, so that a network sees in training exactly what it
sees in use. The paper's input (shared notes A3): frames scaled to 128 × 170, 32 consecutive ones;
for training a random start, a crop of {128, 112, 96, 84} at one of 13 places, scaled to 112, and
a mirror image half of the time.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from vhash_sdk.spec import Resize, Sampling

from .clip_model import ClipConfig

CROP_SCALES = (1.0, 0.875, 0.75, 0.65625)  # of the frame's height: 128, 112, 96, 84 of 128


@dataclass(frozen=True)
class VideoSet:
    """Videos with labels.

    Attributes:
        name: of the set, for reports.
        root: folder that ``paths`` are below.
        paths: of the videos.
        labels: class of each, str ``[n]``.
        groups: videos of one group are not independent, str ``[n]``.
        split: ``train``, ``test`` or anything else for neither, str ``[n]``.
    """

    name: str
    root: Path
    paths: list[str]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    split: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, sorted; targets are places in this list."""
        return sorted(set(self.labels.tolist()))

    def only(self, rows: NDArray[np.integer]) -> VideoSet:
        """The set of these rows.

        >>> names = np.array(["a", "b"])
        >>> VideoSet("set", Path(), ["a.mp4", "b.mp4"], names, names, names).only(np.array([1])).paths
        ['b.mp4']
        """
        paths = [self.paths[row] for row in rows]
        return VideoSet(self.name, self.root, paths, self.labels[rows], self.groups[rows], self.split[rows])

    def targets(self) -> NDArray[np.int64]:
        """Class numbers ``[n]``."""
        return np.searchsorted(self.classes, self.labels)


def read_ucf101(videos: Path, splits: Path, *, split: int = 1) -> VideoSet:
    """UCF101: ``videos/Class/v_Class_g##_c##.avi``, ``splits/trainlist0N.txt`` and ``testlist0N.txt``.

    Raises:
        ValueError: a list is missing or has a line of another form.
    """
    paths, parts = [], []
    for part in ("train", "test"):
        for line in _lines(splits / f"{part}list{split:02d}.txt"):
            paths.append(line.split()[0])
            parts.append(part)
    names = [Path(path).stem.split("_") for path in paths]
    if any(len(name) != 4 or not name[2].startswith("g") for name in names):
        raise ValueError(f"{splits}: names are not of the form Class/v_Class_g01_c01.avi")
    return VideoSet(
        f"UCF101 split {split}",
        videos,
        paths,
        np.array([path.split("/")[0] for path in paths]),
        np.array([f"{name[1]}_{name[2]}" for name in names]),
        np.array(parts),
    )


def read_hmdb51(videos: Path, splits: Path, *, split: int = 1) -> VideoSet:
    """HMDB51: ``videos/class/name.avi`` and ``class_test_splitN.txt`` (1 = train, 2 = test, 0 = unused).

    A group is the film that a clip was cut from: what stands before the class in its name.
    """
    files = sorted(splits.glob(f"*_test_split{split}.txt"))
    if not files:
        raise ValueError(f"{splits} has no *_test_split{split}.txt")
    paths, labels, groups, parts = [], [], [], []
    for file in files:
        label = file.name.removesuffix(f"_test_split{split}.txt")
        for line in _lines(file):
            name, use = line.split()
            paths.append(f"{label}/{name}")
            labels.append(label)
            groups.append(f"{label}/{name.split(f'_{label}_')[0]}")
            parts.append({"1": "train", "2": "test"}.get(use, "unused"))
    arrays = (np.array(x) for x in (labels, groups, parts))
    return VideoSet(f"HMDB51 split {split}", videos, paths, *arrays)


def read_manifest(manifest: Path) -> VideoSet:
    """Any tree of videos with a ``manifest.csv``: columns path, label, split, and group where it matters.

    Raises:
        ValueError: a column is missing.
    """
    with manifest.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    missing = {"path", "label", "split"} - set(rows[0] if rows else ())
    if missing:
        raise ValueError(f"{manifest} has no column {', '.join(sorted(missing))}")
    return VideoSet(
        manifest.parent.name,
        manifest.parent,
        [row["path"] for row in rows],
        np.array([row["label"] for row in rows]),
        np.array([row.get("group") or row["path"] for row in rows]),
        np.array([row["split"] for row in rows]),
    )


def read_set(kind: str, videos: Path, splits: Path | None, *, split: int = 1) -> VideoSet:
    """A set by its kind: ``ucf101``, ``hmdb51``, or ``manifest`` (then ``videos`` is the CSV file)."""
    if kind == "manifest":
        return read_manifest(videos)
    readers = {"ucf101": read_ucf101, "hmdb51": read_hmdb51}
    if kind not in readers or splits is None:
        raise ValueError(
            f"set {kind!r} with splits {splits}; allowed: manifest, and ucf101 or hmdb51 with splits"
        )
    return readers[kind](videos, splits, split=split)


def carve_validation(data: VideoSet, *, share: float, seed: int = 0) -> tuple[NDArray, NDArray]:
    """(training rows, validation rows) of the train split; no group is in both, every class in training.

    Args:
        data: the set; its test split is never touched.
        share: of each class's train videos to hold back, by whole groups.
        seed: of the choice of groups.
    """
    rng, held = np.random.default_rng(seed), []
    train = data.split == "train"
    for label in data.classes:
        rows = np.flatnonzero(train & (data.labels == label))
        groups = rng.permutation(np.unique(data.groups[rows]))
        wanted, taken = share * len(rows), 0
        for group in groups[:-1]:  # one group at least stays
            if taken >= wanted:
                break
            members = rows[data.groups[rows] == group]
            held.append(members)
            taken += len(members)
    validation = np.sort(np.concatenate(held)) if held else np.array([], np.int64)
    return np.setdiff1d(np.flatnonzero(train), validation), validation


def whole_frames(config: ClipConfig) -> Resize:
    """The resize rule before any crop."""
    return Resize("exact", config.height, config.width, filter=config.filter)  # type: ignore[arg-type]


def read_clip(path: Path, config: ClipConfig, *, start: float | None = None) -> NDArray[np.uint8]:
    """Whole scaled frames ``uint8[T, height, width, 3]`` of one clip.

    Args:
        path: of the video.
        config: frames, sampling, size.
        start: None: sampled as in use; 0 to 1: T consecutive frames from that share of the possible
            starts (a shorter video wraps around).
    """
    from vhash_sdk.video.pyav import PyavDecoder

    with PyavDecoder().open(path) as reader:
        if start is None:
            return reader.sample(
                Sampling(config.sampling, config.frames),  # type: ignore[arg-type]
                whole_frames(config),
            ).frames
        info = reader.info
        rate = info.rate or 25.0
        count = max(1, info.frames or round(info.duration * rate))
        first = round(start * max(0, count - config.frames))
        shown = np.arange(first, min(first + config.frames, count))
        frames = reader.frames_at((shown + 0.5) / rate, whole_frames(config)).frames
        return frames[np.arange(config.frames) % len(frames)]


def crop_places(height: int, width: int, side: int) -> list[tuple[int, int]]:
    """The 13 (top, left) of multi-scale cropping: corners, centre, and halfway between them.

    >>> len(set(crop_places(128, 170, 112)))
    13
    """
    v, h = (height - side) / 4, (width - side) / 4
    places = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (0, 2), (4, 2), (2, 0), (2, 4)]
    places += [(1, 1), (1, 3), (3, 1), (3, 3)]
    return [(round(a * v), round(b * h)) for a, b in places]


def augment(frames: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random multi-scale crop of ``uint8[T, H, W, 3]``, perhaps mirrored: ``uint8[T, size, size, 3]``."""
    height, width = frames.shape[1:3]
    scale = CROP_SCALES[int(torch.randint(len(CROP_SCALES), (), generator=generator))]
    side = min(round(scale * height), width)
    places = crop_places(height, width, side)
    top, left = places[int(torch.randint(len(places), (), generator=generator))]
    out = frames[:, top : top + side, left : left + side]
    if torch.rand((), generator=generator) < 0.5:
        out = out.flip(2)
    if side != size:
        x = functional.interpolate(out.permute(0, 3, 1, 2).float(), (size, size), mode="bilinear")
        out = x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return out.contiguous()


class Clips(Dataset[tuple[Tensor, int]]):
    """(clip ``uint8[T, side, side, 3]``, class number) of some videos of a set.

    Args:
        data: the set.
        rows: of the videos.
        config: of the network's input.
        training: random start and augmentation; else the centre crop of the frames seen in use.
        seed: with the epoch and the video it decides the augmentation.
    """

    def __init__(
        self, data: VideoSet, rows: Sequence[int], config: ClipConfig, *, training: bool, seed: int = 0
    ):
        self.data, self.rows, self.config, self.training = data, list(rows), config, training
        self.targets, self.seed, self.epoch = data.targets(), seed, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        row, size = self.rows[place], self.config.crop or self.config.height
        path = self.data.root / self.data.paths[row]
        if not self.training:
            frames = torch.from_numpy(read_clip(path, self.config))
            top, left = (frames.shape[1] - size) // 2, (frames.shape[2] - size) // 2
            return frames[:, top : top + size, left : left + size], int(self.targets[row])
        generator = torch.Generator().manual_seed(hash((self.seed, self.epoch, row)) % (1 << 31))
        start = float(torch.rand((), generator=generator))
        frames = torch.from_numpy(read_clip(path, self.config, start=start))
        return augment(frames, size, generator), int(self.targets[row])


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        raise ValueError(f"{file} is not there: it comes with the data set's official splits")
    return [line for line in file.read_text().splitlines() if line.strip()]
