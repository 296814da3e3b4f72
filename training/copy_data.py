"""Pictures without labels for the copy descriptor: photographs, frames of clips that no benchmark owns."""

from __future__ import annotations

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
MORE_SIDE = 448  # of further pictures, of which windows are taken
TEACHER_SIDE = 224
"""Height and width of what the teacher sees."""
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

    def __add__(self, others: Pictures) -> Pictures:
        """These, then others, whose sources are others, too."""
        behind = 1 + max(self.source.tolist(), default=-1)
        return Pictures(self.pixels + others.pixels, np.concatenate([self.source, others.source + behind]))


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


def more_pictures(folder: Path) -> Pictures:
    """Every JPEG and PNG below a folder, each its own source."""
    files = sorted(file for kind in ("*.jpg", "*.jpeg", "*.png") for file in folder.rglob(kind))
    return Pictures([_photograph(file, MORE_SIDE) for file in files], np.arange(len(files)))


def _photograph(file: Path, side: int = SIDE) -> NDArray[np.uint8]:
    with Image.open(file) as picture:
        picture = picture.convert("RGB")
        share = min(1.0, side / min(picture.size))
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


Describe = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def describer(teacher: Path, device: str = "cpu") -> Describe:
    """The teacher as a function: pictures ``uint8[n, H, W, 3]`` → unit vectors ``float32[n, 512]``.

    Args:
        teacher: ``sscd.onnx`` (input uint8 ``[n, H, W, 3]``, output ``embedding``), or Meta's TorchScript
            file ``sscd_disc_mixup.torchscript.pt``.
        device: where a TorchScript file runs; an ONNX file always runs on the CPU.
    """
    return _torchscript(teacher, device) if teacher.suffix == ".pt" else _onnx(teacher)


def _onnx(file: Path) -> Describe:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def describe(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        (x,) = session.run(["embedding"], {name: batch})
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return describe


def _torchscript(file: Path, device: str) -> Describe:
    network = torch.jit.load(str(file), map_location=device).eval()
    mean, std = (torch.tensor(x, device=device) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))

    def describe(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(device).float() / 255
            x = network(((pixels - mean) / std).permute(0, 3, 1, 2))
        return torch.nn.functional.normalize(x).cpu().numpy()

    return describe


class Views(torch.utils.data.Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Subjects and their views: number i of a seed is always the same.

    A subject is a picture made for this one occasion: a window of a picture, often mixed with another one,
    composed with others or edited. The teacher says of each anew what it is ("consistent and patient", Beyer
    et al. 2022: a student that only ever sees the same few thousand answers learns them by heart).

    Gives the subject as the teacher sees it, ``uint8[TEACHER_SIDE, TEACHER_SIDE, 3]``; as the student does,
    as it is and edited, ``uint8[2, size, size, 3]``; and the sources of what it was made of, ``int64[2]``,
    twice the same where there is one.

    Args:
        pictures: to make subjects of.
        seed: of what is drawn.
        size: of a view.
        first, count: subjects ``first`` to ``first + count``.
    """

    def __init__(self, pictures: Pictures, *, seed: int, size: int, first: int, count: int) -> None:
        self.pictures, self.seed, self.size, self.first, self.count = pictures, seed, size, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        number, total = self.first + i, len(self.pictures.pixels)
        # every picture once an epoch, in another order each time
        epoch, place = divmod(number, total)
        row = int(np.random.default_rng((self.seed, epoch)).permutation(total)[place])
        rng = random.Random(f"{self.seed} {number}")
        other = rng.randrange(total)

        def others() -> Image.Image:
            return Image.fromarray(self.pictures.pixels[rng.randrange(total)])

        subject, mixed = copy_edits.subject(
            Image.fromarray(self.pictures.pixels[row]),
            Image.fromarray(self.pictures.pixels[other]),
            others,
            rng,
        )
        seen = copy_edits.squashed(subject, self.size), copy_edits.view(subject, others, rng, self.size)
        sources = self.pictures.source[[row, other if mixed else row]]
        answer = copy_edits.squashed(subject, TEACHER_SIDE)
        return torch.from_numpy(answer.copy()), torch.from_numpy(np.stack(seen)), torch.from_numpy(sources)
