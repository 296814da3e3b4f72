"""Frame-feature sets: the readers, and who is query, database and training data."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VALIDATION_GROUPS = frozenset(range(8, 14))
"""UCF101 groups of the train split whose videos are queries while tuning; test videos never are."""


@dataclass(frozen=True)
class FeatureSet:
    """Videos as frame features.

    Attributes:
        name: of the set, for reports.
        features: ``[n, T, F]`` float16 or float32, in memory or memory-mapped.
        labels: bool ``[n, classes]``; a video may have several.
        ids: a name for each video.
        groups: what is not independent shares a group (a UCF101 ``g##`` within its class).
        split: ``train`` or ``test`` of each video.
        number: the bare UCF101 group number, −1 where there is none.

    >>> len(synthetic(videos=30, classes=3, width=8))
    30
    """

    name: str
    features: NDArray[np.floating]
    labels: NDArray[np.bool_]
    ids: list[str]
    groups: NDArray[np.str_]
    split: NDArray[np.str_]
    number: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> FeatureSet:
        """The videos at ``rows`` (indices or a mask), in that order."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            features=self.features[rows],
            labels=self.labels[rows],
            ids=[self.ids[i] for i in rows],
            groups=self.groups[rows],
            split=self.split[rows],
            number=self.number[rows],
        )

    def mean_pooled(self) -> NDArray[np.float32]:
        """Mean over frames, ``[n, F]``."""
        return np.stack([np.asarray(f, np.float32).mean(axis=0) for f in self.features])


def relevance(queries: FeatureSet, database: FeatureSet) -> NDArray[np.bool_]:
    """Which pairs share a label: bool ``[queries, database]``."""
    return (queries.labels.astype(np.float32) @ database.labels.astype(np.float32).T) > 0


def train_database_queries(data: FeatureSet, *, validation: bool) -> tuple[FeatureSet, FeatureSet]:
    """(database, queries); the database is also what is trained on, without its labels.

    Args:
        data: the whole set.
        validation: True = both from the train split, queries are groups 8–13: for tuning.
            False = train split and test split: only for the figures that are reported.
    """
    if not validation:
        return data.take(data.split == "train"), data.take(data.split == "test")
    train = data.take(data.split == "train")
    held = np.isin(train.number, list(VALIDATION_GROUPS))
    if not held.any() or held.all():
        raise ValueError(f"{data.name} has no group numbers {sorted(VALIDATION_GROUPS)} in its train split")
    return train.take(~held), train.take(held)


def load_ucf101_14c(folder: Path, *, features: bool = True) -> FeatureSet:
    """The 1,865 UCF101 videos in ``folder`` (``index.csv`` and one ``.npz``), float16 ``[1865, 25, 4096]``.

    Args:
        folder: of the two files.
        features: False = names, labels and groups only; ``features`` is then ``[1865, 0, 0]``.
    """
    rows = _table(folder / "index.csv")
    found = _unpacked(folder, len(rows)) if features else np.empty((len(rows), 0, 0), np.float16)
    return FeatureSet(
        "ucf101_14c_vgg16",
        found,
        _one_hot([r["label"] for r in rows]),
        [r["ucf101_name"] for r in rows],
        np.array([f"{r['label']}_g{int(r['group']):02d}" for r in rows]),
        np.array([r["split01"] for r in rows]),
        np.array([int(r["group"]) for r in rows]),
    )


def _unpacked(folder: Path, videos: int) -> NDArray[np.float16]:
    """The archive packs two 4-bit values a byte, the even column in the high nibble.

    value = (nibble / 15)² × ``scale[video]``.
    """
    with np.load(folder / "vgg16_relu_25x4096_u4sqrt.npz") as archive:
        packed, scale = archive["packed"], archive["scale"].astype(np.float32)
    if videos != len(packed):
        raise ValueError(f"{folder}: index.csv has {videos} rows, the archive {len(packed)} videos")
    level = (np.arange(16, dtype=np.float32) / 15) ** 2
    features = np.empty((*packed.shape[:2], packed.shape[2] * 2), np.float16)
    for i, nibbles in enumerate(packed):
        features[i, :, 0::2] = level[nibbles >> 4] * scale[i]
        features[i, :, 1::2] = level[nibbles & 15] * scale[i]
    return features


def load_store(store: Path, manifest: Path, *, path_column: str = "path") -> FeatureSet:
    """Features extracted by ``training/frame_features.py`` with labels from a ``manifest.csv``.

    The manifest needs columns path, label, group, split; videos that the store could not read are left out.
    """
    from .frame_features import FeatureStore

    found = FeatureStore.open(store)
    place = {name: i for i, name in enumerate(found.names)}
    rows = [r for r in _table(manifest) if place.get(r[path_column], -1) in found.done]
    if not rows:
        raise ValueError(f"{store} holds no video of {manifest}: extract it with training/frame_features.py")
    return FeatureSet(
        manifest.parent.name,
        found.features[[place[r[path_column]] for r in rows]],
        _one_hot([r["label"] for r in rows]),
        [r[path_column] for r in rows],
        np.array([r["group"] for r in rows]),
        np.array([r["split"] for r in rows]),
        np.full(len(rows), -1),
    )


def load_hdf5(train: Path, test: Path, labels: Path, *, name: str = "hdf5") -> FeatureSet:
    """The public layout of FCVID, ActivityNet and YFCC features (SSVH, BTH, ConMH, S5VH).

    Args:
        train, test: HDF5 files with a data set ``feats`` ``[n, T, F]``; they stay on disk and are
            read row by row.
        labels: MATLAB file of the test split with one matrix ``[n, classes]`` of 0 and 1
            (``labels``, ``re_label`` or ``q_label``). The train split needs none.

    Raises:
        ImportError: h5py is missing (``pip install h5py``); version 7.3 label files need it too.
        ValueError: the files do not have that layout.
    """
    sets = [_feats(file) for file in (train, test)]
    wanted = _label_matrix(labels)
    if len(wanted) != len(sets[1]):
        raise ValueError(f"{labels} labels {len(wanted)} videos, {test} has {len(sets[1])}")
    n = [len(s) for s in sets]
    return FeatureSet(
        name,
        np.concatenate(sets),
        np.concatenate([np.zeros((n[0], wanted.shape[1]), bool), wanted]),
        [f"{kind}/{i}" for kind, count in zip(("train", "test"), n, strict=True) for i in range(count)],
        np.array([f"{i}" for i in range(sum(n))]),
        np.repeat(["train", "test"], n),
        np.full(sum(n), -1),
    )


def _feats(file: Path) -> NDArray[np.floating]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{file} is HDF5: pip install h5py") from error
    with h5py.File(file, "r") as archive:
        if "feats" not in archive or archive["feats"].ndim != 3:
            raise ValueError(f"{file} has {list(archive)}; expected a data set feats [n, T, F]")
        feats = archive["feats"]
        out = np.empty(feats.shape, np.float16)
        for start in range(0, len(feats), 512):
            out[start : start + 512] = feats[start : start + 512]
    return out


def _label_matrix(file: Path) -> NDArray[np.bool_]:
    from scipy.io import loadmat

    try:
        found = {k: v for k, v in loadmat(file).items() if not k.startswith("__")}
    except NotImplementedError:  # MATLAB 7.3 is HDF5, stored column by column
        import h5py

        with h5py.File(file, "r") as archive:
            found = {k: np.asarray(v).T for k, v in archive.items()}
    for name in ("labels", "re_label", "q_label"):
        if name in found and found[name].ndim == 2:
            return np.asarray(found[name]) > 0
    raise ValueError(f"{file} holds {sorted(found)}; expected a matrix labels, re_label or q_label")


def synthetic(
    *, videos: int = 300, classes: int = 10, width: int = 64, frames: int = 25, seed: int = 0
) -> FeatureSet:
    """Made-up features with class, group and time structure, for tests where the real ones are absent."""
    rng = np.random.default_rng(seed)
    label = np.arange(videos) % classes
    number = 1 + np.arange(videos) // classes % 25
    centre, drift = rng.normal(size=(2, classes, width))
    group = rng.normal(size=(classes, 26, width))
    time = np.linspace(-1, 1, frames)[None, :, None]
    x = centre[label, None] + time * drift[label, None] + 0.7 * group[label, number][:, None]
    x = np.maximum(x + 1.5 * rng.normal(size=(videos, frames, width)), 0)
    names = [f"class{c}" for c in label]
    return FeatureSet(
        "synthetic",
        x.astype(np.float16),
        _one_hot(names),
        [f"v_{n}_g{g:02d}_{i}" for i, (n, g) in enumerate(zip(names, number, strict=True))],
        np.array([f"{n}_g{g:02d}" for n, g in zip(names, number, strict=True)]),
        np.where(number <= 7, "test", "train"),
        number.astype(np.int64),
    )


def _one_hot(names: list[str]) -> NDArray[np.bool_]:
    classes, index = np.unique(names, return_inverse=True)
    return np.eye(len(classes), dtype=bool)[index]


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
