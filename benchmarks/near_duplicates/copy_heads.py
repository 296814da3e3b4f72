"""Which head makes the best bits of the copy descriptor: ITQ, as bundled, or one that learns?

    python -m benchmarks.near_duplicates.copy_heads            # 47 kinds of copies and held-out pictures
    python -m benchmarks.near_duplicates.copy_heads --only itq csq --bits 64

Every head sees the descriptors of the bundled model's network, of pictures (`training.train_copy_hash`) as
they are and of edited views of them; *contrast* is what that module trains, the others are of
`training.methods`: without labels, or with each picture as a class of its own, of which the views are the
members (so many classes that only `CLASSES` pictures are taken). Asked twice: edited views of held-out
pictures against all other pictures, and the mean descriptors of the copies of ``copies`` against all
originals and strangers: recall at no false match and at 1 in 1,000. No views, no frame codes, no second look:
the bits alone. Descriptors are kept in ``.cache``. Writes results/copy_heads.json, a head at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import CACHE, DATA, command_line, load, write_result
from benchmarks.near_duplicates.copies import COPIES, copy_set
from benchmarks.near_duplicates.metrics import Pairs, Ranking
from training import train_copy_hash
from training.baselines import lsh, pack
from training.clips import read_frames
from training.copy_data import held_out, read_pictures
from training.methods.registry import METHODS
from training.methods.train import encode, train
from training.metrics import hamming
from training.reduce import Reduced
from training.train_copy_hash import Described, HashTraining
from training.uvvh import feature_scale
from vhash_sdk import Encoder
from vhash_sdk.models.zoo import model_path

NAME = "copy_heads"
FOLDER = CACHE / NAME
BITS = (256, 64, 128)
OWN = ("uncoded", "itq", "contrast", "lsh")
HEADS = (*OWN, "mfh", "dh", "dbh", "csq", "dhwcm", "dnnh", "ksh")
STRANGERS, HELD_SEED, CLASSES, EPOCHS = 80, 0, 1000, 20
Coder = Callable[[Tensor], NDArray[Any]]
"""Unit descriptors ``[n, 512]`` → packed codes, or floats."""


class Network(nn.Module):
    """The bundled model's network: uint8 ``[n, H, W, 3]`` → unit descriptors ``[n, 512]``."""

    def __init__(self, model: Path):
        super().__init__()
        graph = onnx.load(model)
        (mean,) = (
            node for node in graph.graph.node if "embedding" in node.output
        )  # of the frames of a video
        frames = onnx.helper.make_tensor_value_info(mean.input[0], onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(frames)
        self.session = onnxruntime.InferenceSession(graph.SerializeToString())
        self.output, self.frames = mean.input[0], self.session.get_inputs()[0].shape[2]

    def forward(self, pictures: Tensor) -> Tensor:
        """A whole number of videos is described at a time; the rest of the last one is black."""
        padded = np.zeros((-(-len(pictures) // self.frames) * self.frames, *pictures.shape[1:]), np.uint8)
        padded[: len(pictures)] = pictures.numpy()
        videos = padded.reshape(-1, 1, self.frames, *pictures.shape[1:])
        (found,) = self.session.run([self.output], {self.session.get_inputs()[0].name: videos})
        return torch.from_numpy(found.reshape(len(padded), -1)[: len(pictures)])


@dataclass(frozen=True)
class Asked:
    """What is searched for: queries and gallery ``[n, 512]``, and which pairs count."""

    queries: Tensor
    gallery: Tensor
    pairs: Pairs

    def recalls(self, code: Coder) -> list[float]:
        """Recall at no false match and at 1 in 1,000."""
        sides = [code(side) for side in (self.queries, self.gallery)]
        packed = sides[0].dtype == np.uint8
        distances = hamming(*sides) if packed else -sides[0] @ sides[1].T
        none, some, _ = Ranking(distances.astype(np.float32), self.pairs).figures(np.ones(len(sides[0])))
        return [round(float(none), 4), round(float(some), 4)]


def pictures() -> tuple[Described, Asked]:
    """What heads learn from, and the held-out pictures."""
    model = model_path("copy-256", "fp32")
    config = HashTraining(data=DATA, network=model, output=FOLDER / "x", size=160, views=3)
    read = read_pictures(DATA, frames=config.frames)
    known = train_copy_hash.described(Network(model), read, config)
    fit, held = (torch.from_numpy(rows) for rows in held_out(read, HELD_SEED))
    own = Described(known.clean[fit], known.views[:, fit], known.source[fit])
    views = known.views[:, held]
    truth = np.tile(np.arange(len(held)), len(views))
    pairs = Pairs(truth, np.arange(len(held))[None] != truth[:, None])
    return own, Asked(views.flatten(0, 1), known.clean[held], pairs)


def videos() -> Asked:
    """The copies, their originals and strangers, by their mean descriptors."""
    asked = copy_set(CACHE / "copies", originals_=40, strangers=STRANGERS, kinds=list(COPIES))
    gallery = [*asked.clips, *asked.strangers]
    place = {clip.name: i for i, clip in enumerate(gallery)}
    truth = np.array([place[copy.original.name] for copy in asked.made])
    kept = FOLDER / "videos.npy"
    if not kept.exists():
        with Encoder("copy-256", precision="fp32") as encoder:
            spec = encoder.spec
            found = [
                encoder.encode_frames(read_frames(clip.path, spec.sampling, spec.resize)[None, None])
                for clip in (*asked.made, *gallery)
            ]
        np.save(kept, np.concatenate([each.embeddings for each in found]))
    means = torch.nn.functional.normalize(torch.from_numpy(np.load(kept)).float())
    pairs = Pairs(truth, np.arange(len(gallery))[None] != truth[:, None])
    return Asked(means[: len(truth)], means[len(truth) :], pairs)


def own_head(name: str, own: Described, bits: int) -> Coder:
    """One of `OWN`."""
    if name == "uncoded":
        return lambda x: x.numpy()
    if name == "lsh":
        return lambda x: lsh(own.clean.numpy(), bits, seed=0).code(x.numpy())
    project = train_copy_hash.itq(own.clean, bits, 0)
    if name == "contrast":
        train_copy_hash.train(project, own, HashTraining(bits=bits))
    return lambda x: pack(project(x).detach().numpy())


def learned(name: str, own: Described, bits: int) -> Coder:
    """A method of the registry: each view is a video of one frame."""
    method = METHODS[name]
    rows = torch.randperm(len(own.clean), generator=torch.Generator().manual_seed(0))[:CLASSES]
    stack = torch.cat([own.clean[rows], *own.views[:, rows]])
    labels = np.tile(np.eye(len(rows), dtype=bool), (1 + len(own.views), 1))
    if not method.supervised:
        stack, labels = own.clean, np.zeros((len(own.clean), 1), bool)
    seen, width = stack[:, None], stack.shape[1]
    data = Reduced(seen, seen[:0], feature_scale(seen), width, None, None, np.zeros((0, len(seen)), bool))
    options = method.options(**{**method.narrow, "epochs": EPOCHS} if method.supervised else method.narrow)
    head = train(method, options, data, labels, bits=bits, seed=0).head
    return lambda x: encode(head, x[:, None])


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", nargs="*", choices=HEADS, help="heads to do (default: all)")
    parser.add_argument("--bits", nargs="*", type=int, default=BITS)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    own, still = pictures()
    moving = videos()
    try:
        heads = load(NAME)["heads"]
    except FileNotFoundError:
        heads = {}
    for bits in options.bits:
        for name in options.only or HEADS:
            title = name if name == "uncoded" else f"{name} {bits}"
            if title in heads:
                continue
            start = time.process_time()
            code = own_head(name, own, bits) if name in OWN else learned(name, own, bits)
            row = {"cpu_seconds": round(time.process_time() - start, 1)}
            heads[title] = row | {"pictures": still.recalls(code), "videos": moving.recalls(code)}
            print(title, heads[title], flush=True)
            about = {"copies": len(moving.queries), "strangers": len(moving.gallery) - 1}
            about |= {"views of held-out pictures": len(still.queries), "pictures": len(own.clean)}
            figures = "recall at no false match, and at 1 in 1,000"
            command = f"python -m benchmarks.near_duplicates.{NAME}"
            write_result(NAME, {"command": command, "figures": figures, **about, "heads": heads})


if __name__ == "__main__":
    main()
