"""Pictures without labels for the copy descriptor: photographs, frames of clips that no benchmark owns."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vhash_sdk.spec import Resize, Sampling

from . import clips, copy_edits

SIDE = 224  # of what is kept: the shorter side of a picture, a frame's own size
HELD = 120
"""Pictures that are only for validation: one of each of so many sources."""
MAKEUP_GROUPS = 12
"""Clips of UCF101's ApplyEyeMakeup up to this group may be trained on; the others are for reporting."""


@dataclass(frozen=True)
class Pictures:
    """Pictures ``uint8[h, w, 3]`` of their own sizes, and which source (video or photograph) each is of."""

    pixels: list[NDArray[np.uint8]]
    source: NDArray[np.int64]

    def only(self, rows: NDArray[np.int64]) -> Pictures:
        """Those of some rows."""
        return Pictures([self.pixels[row] for row in rows], self.source[rows])


def read_pictures(data: Path, *, frames: int, limit: int = 0) -> Pictures:
    """All photographs under ``data`` and ``frames`` of each clip, in a fixed order; ``limit`` for trials."""
    photographs = sorted((data / "images").glob("*/*.jpg")) + sorted((data / "images").glob("*/*.png"))
    halves = clips.split(data)
    videos = [data / clips.FOLDER / path for path in (*halves["fit"], *halves["tune"])]
    makeup = data / "videos" / "ucf101_applyeyemakeup_25f"
    videos += [p for p in sorted(makeup.glob("*.mp4")) if int(p.stem.split("_g")[1][:2]) <= MAKEUP_GROUPS]
    if limit:
        photographs, videos = photographs[:limit], videos[:limit]
    pixels, source = [], []
    for number, file in enumerate((*photographs, *videos)):
        found = [_photograph(file)] if number < len(photographs) else list(_frames(file, frames))
        pixels += found
        source += [number] * len(found)
    return Pictures(pixels, np.array(source, np.int64))


def _photograph(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as picture:
        picture = picture.convert("RGB")
        share = min(1.0, SIDE / min(picture.size))
        return np.asarray(picture.resize((round(picture.width * share), round(picture.height * share))))


def _frames(file: Path, count: int) -> NDArray[np.uint8]:
    return clips.read_frames(
        file, Sampling("uniform", count), Resize("short_side", SIDE, SIDE, filter="area")
    )


def held_out(pictures: Pictures, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, and rows to validate on: no source is in both."""
    sources = sorted(set(pictures.source.tolist()))
    held = set(random.Random(seed).sample(sources, min(HELD, len(sources) // 4)))
    inside = np.array([s in held for s in pictures.source])
    first = np.unique(pictures.source, return_index=True)[1]
    return np.flatnonzero(~inside), np.array([row for row in first if inside[row]], np.int64)


def teacher_targets(teacher: Path, pictures: Pictures, cache: Path) -> Tensor:
    """What the teacher says of each unedited picture and its mirror image, their mean: float32 ``[N, 512]``.

    Args:
        teacher: ``sscd.onnx`` (input uint8 ``[n, H, W, 3]``, output ``embedding``), or Meta's TorchScript
            file ``sscd_disc_mixup.torchscript.pt``.
        pictures: to describe.
        cache: folder where the result is kept; by the digests of teacher and pictures.
    """
    digest = hashlib.sha256(teacher.read_bytes())
    for pixels in pictures.pixels:
        digest.update(pixels.tobytes())
    kept = cache / f"teacher-{digest.hexdigest()[:16]}.npy"
    if kept.exists():
        return torch.from_numpy(np.load(kept))
    describe = describer(teacher)
    found = []
    for start in range(0, len(pictures.pixels), 16):
        batch = np.stack([_square(pixels) for pixels in pictures.pixels[start : start + 16]])
        found.append(describe(batch) + describe(np.ascontiguousarray(batch[:, :, ::-1])))
    targets = np.concatenate(found)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    cache.mkdir(parents=True, exist_ok=True)
    new = kept.with_suffix(".new.npy")
    np.save(new, targets.astype(np.float32))
    new.replace(kept)
    return torch.from_numpy(targets.astype(np.float32))


def _square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return copy_edits.squashed(Image.fromarray(pixels), SIDE)


def describer(teacher: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The teacher as a function: pictures ``uint8[n, H, W, 3]`` → unit vectors ``float32[n, 512]``."""
    return _torchscript(teacher) if teacher.suffix == ".pt" else _onnx(teacher)


def _onnx(file: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def describe(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        (x,) = session.run(["embedding"], {name: batch})
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return describe


def _torchscript(file: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    network = torch.jit.load(str(file), map_location="cpu").eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def describe(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            x = network(((torch.from_numpy(batch).float() / 255 - mean) / std).permute(0, 3, 1, 2))
        return torch.nn.functional.normalize(x).numpy()

    return describe


class Views(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Edited views ``(uint8[size, size, 3], row)``: view i of a seed is always the same.

    Args:
        pictures: to edit.
        seed: of what is drawn.
        size: of a view.
        first, count: views ``first`` to ``first + count``.
    """

    def __init__(self, pictures: Pictures, *, seed: int, size: int, first: int, count: int) -> None:
        self.pictures, self.seed, self.size, self.first, self.count = pictures, seed, size, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        view, total = self.first + i, len(self.pictures.pixels)
        # every picture once an epoch, in another order each time
        epoch, place = divmod(view, total)
        row = int(np.random.default_rng((self.seed, epoch)).permutation(total)[place])
        rng = random.Random(f"{self.seed} {view}")

        def others() -> Image.Image:
            return Image.fromarray(self.pictures.pixels[rng.randrange(total)])

        seen = copy_edits.view(Image.fromarray(self.pictures.pixels[row]), others, rng, self.size)
        return torch.from_numpy(seen.copy()), row
