"""Frame features of videos, kept in a memory-mapped store: progress, resume, bad files listed and skipped.

    python -m training.frame_features STORE --videos FOLDER_OR_MANIFEST --backbone lite0 --size 192
    python -m training.frame_features STORE --videos clips/ --backbone vgg16 --weights vgg16-397923af.pth
    python -m training.frame_features STORE --videos clips/ --backbone my_network.onnx

A store is a folder: ``features.npy`` float16 ``[n, T, F]``, ``state.npy`` (0 to do, 1 done, 2 failed),
``store.json`` (names, settings, errors). Frames are decoded exactly as the SDK does. An ONNX
backbone takes float32 ``[n, 3, H, W]`` in 0 to 255 and gives ``[n, F]``; a bundled model's file
(``sdk/vhash_sdk/models/lite0-phash-256.int8.onnx``, with its own ``--frames 25 --size 192``) gives the
frame features that its embedding is the mean of.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vhash_sdk.spec import Resize, Sampling

Frames = NDArray[np.uint8]
Backbone = Callable[[Frames], NDArray[np.float32]]
"""uint8 frames ``[T, H, W, 3]`` → features ``[T, F]``."""
SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".m4v")
TODO, DONE, FAILED = 0, 1, 2


@dataclass(frozen=True)
class FeatureStore:
    """An open store; ``features`` and ``state`` are memory-mapped."""

    folder: Path
    names: list[str]
    settings: dict[str, Any]
    errors: dict[str, str]
    features: NDArray[np.float16]
    state: NDArray[np.uint8]

    @property
    def done(self) -> set[int]:
        """Rows that hold features."""
        return set(np.flatnonzero(self.state == DONE).tolist())

    @classmethod
    def create(
        cls, folder: Path, names: Sequence[str], *, frames: int, width: int, settings: dict[str, Any]
    ) -> FeatureStore:
        """A new store, or the one that is there if it is for the same names and settings.

        Raises:
            ValueError: the folder holds a store of something else.
        """
        about = {"names": list(names), "settings": {**settings, "frames": frames, "width": width}}
        if (folder / "store.json").exists():
            store = cls.open(folder, mode="r+")
            if {"names": store.names, "settings": store.settings} != about:
                raise ValueError(
                    f"{folder} holds features of other videos or settings; choose another folder"
                )
            return store
        folder.mkdir(parents=True, exist_ok=True)
        shape = (len(names), frames, width)
        np.lib.format.open_memmap(folder / "features.npy", mode="w+", dtype=np.float16, shape=shape).flush()
        np.lib.format.open_memmap(folder / "state.npy", mode="w+", dtype=np.uint8, shape=shape[:1]).flush()
        _write_json(folder / "store.json", {**about, "errors": {}})
        return cls.open(folder, mode="r+")

    @classmethod
    def open(cls, folder: Path, *, mode: str = "r") -> FeatureStore:
        """Open a store for reading (``r``) or writing (``r+``)."""
        about = json.loads((folder / "store.json").read_text())
        arrays = [np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("features", "state")]  # type: ignore[call-overload]
        return cls(folder, about["names"], about["settings"], about["errors"], *arrays)

    def write(self, row: int, features: NDArray[np.float32]) -> None:
        """Keep one video's features; they are on disk before the row counts as done."""
        if not np.isfinite(features).all():
            raise ValueError("the backbone gave a feature that is not finite")
        self.features[row] = features
        self.features.flush()
        self.state[row] = DONE
        self.state.flush()
        self.errors.pop(self.names[row], None)

    def fail(self, row: int, error: Exception) -> None:
        """List one video as failed; a later run tries it again."""
        self.state[row] = FAILED
        self.errors[self.names[row]] = f"{type(error).__name__}: {error}"
        self.save_errors()

    def save_errors(self) -> None:
        """Write names, settings and errors."""
        _write_json(
            self.folder / "store.json",
            {"names": self.names, "settings": self.settings, "errors": self.errors},
        )


def extract(
    store: FeatureStore, root: Path, backbone: Backbone, *, sampling: Sampling, resize: Resize,
    progress: Callable[[int, int, int], None] | None = None,
) -> FeatureStore:  # fmt: skip
    """Fill every row that is not done; a file that fails is listed and skipped.

    Args:
        store: to fill; names are paths below ``root``.
        backbone: features of one video's frames.
        sampling, resize: which frames, at which size.
        progress: called with (done, failed, all) after each video.
    """
    from .clips import read_frames

    rows = [i for i, state in enumerate(store.state) if state != DONE]
    failed = 0
    with ThreadPoolExecutor(1) as pool:  # the next video is decoded while this one goes through the network
        ahead = [pool.submit(read_frames, root / store.names[row], sampling, resize) for row in rows[:2]]
        for place, row in enumerate(rows):
            frames = ahead.pop(0)
            if place + 2 < len(rows):
                ahead.append(pool.submit(read_frames, root / store.names[rows[place + 2]], sampling, resize))
            try:
                store.write(row, backbone(frames.result()))
            except Exception as error:  # one bad file must not end a run over thousands
                store.fail(row, error)
                failed += 1
            if progress:
                progress(len(store.names) - len(rows) + place + 1 - failed, failed, len(store.names))
    store.save_errors()
    return store


def backbone_of(name: str, weights: Path | None = None, *, threads: int = 0) -> tuple[Backbone, int]:
    """(function, feature width) of ``lite0``, ``vgg16``, ``resnet50`` or an ONNX file."""
    if name.endswith(".onnx"):
        return _onnx_backbone(Path(name), threads)
    if name == "lite0":
        from .efficientnet_lite import FEATURES, folded, load_imagenet

        maps, width = folded(load_imagenet(weights)), FEATURES
        network: Callable[[Tensor], Tensor] = lambda x: maps(x).mean(dim=(2, 3))  # noqa: E731
        scale = lambda x: (x - 127) / 128  # noqa: E731
    else:
        from . import imagenet_backbones

        if weights is None:
            raise ValueError(f"backbone {name!r} needs weights: a torchvision-format file of yours")
        network = imagenet_backbones.load(name, weights)
        width, scale = imagenet_backbones.KINDS[name].width, lambda x: x
    if threads:
        torch.set_num_threads(threads)

    @torch.inference_mode()
    def features(frames: Frames) -> NDArray[np.float32]:
        x = torch.from_numpy(frames).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        return network(scale(x)).float().numpy()

    return features, width


def _onnx_backbone(file: Path, threads: int) -> tuple[Backbone, int]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    if session.get_inputs()[0].name == "frames":
        return _bundled_backbone(file, options)
    entry, shape = session.get_inputs()[0].name, session.get_outputs()[0].shape
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(f"{file} gives {shape}; expected [frames, features] with a fixed width")

    def features(frames: Frames) -> NDArray[np.float32]:
        return session.run(None, {entry: frames.transpose(0, 3, 1, 2).astype(np.float32)})[0]

    return features, shape[1]


def _bundled_backbone(file: Path, options: Any) -> tuple[Backbone, int]:
    """Frame features of a model file of ours: what its embedding is the mean of."""
    import onnx
    import onnxruntime as ort

    model = onnx.load(file)
    mean = next(node for node in model.graph.node if "embedding" in node.output)
    embedding = next(output for output in model.graph.output if output.name == "embedding")
    width = embedding.type.tensor_type.shape.dim[-1].dim_value
    model.graph.output.append(onnx.helper.make_tensor_value_info(mean.input[0], onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def features(frames: Frames) -> NDArray[np.float32]:
        return session.run([mean.input[0]], {"frames": frames[None, None]})[0][0]

    return features, width


def video_names(videos: Path) -> tuple[Path, list[str]]:
    """(root, names below it) of a folder of videos, or of a manifest with a column ``path``."""
    if videos.suffix == ".csv":
        with videos.open(newline="") as lines:
            return videos.parent, [row["path"] for row in csv.DictReader(lines)]
    found = sorted(str(p.relative_to(videos)) for p in videos.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"{videos} holds no video ({', '.join(SUFFIXES)})")
    return videos, found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument(
        "--videos", type=Path, required=True, help="folder, or manifest.csv with a column path"
    )
    parser.add_argument("--backbone", default="lite0", help="lite0, vgg16, resnet50 or a .onnx file")
    parser.add_argument("--weights", type=Path, help="for vgg16 and resnet50: a torchvision-format file")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--size", type=int, default=224, help="frames are squashed to size x size")
    parser.add_argument("--threads", type=int, default=0)
    o = parser.parse_args()
    root, names = video_names(o.videos)
    backbone, width = backbone_of(o.backbone, o.weights, threads=o.threads)
    settings = {"backbone": Path(o.backbone).name, "size": o.size}
    store = FeatureStore.create(o.store, names, frames=o.frames, width=width, settings=settings)
    start = time.monotonic()

    def progress(done: int, failed: int, total: int) -> None:
        if (done + failed) % 20 == 0 or done + failed == total:
            print(f"{done} of {total} done, {failed} failed, {time.monotonic() - start:.0f} s", flush=True)

    extract(
        store, root, backbone, sampling=Sampling("uniform", o.frames), resize=Resize("exact", o.size, o.size),
        progress=progress,
    )  # fmt: skip
    for name, error in store.errors.items():
        print(f"failed: {name}: {error}")


def _write_json(file: Path, value: dict[str, Any]) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps(value) + "\n")
    new.replace(file)


if __name__ == "__main__":
    main()
