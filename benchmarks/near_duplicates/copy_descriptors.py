"""Which frame descriptor finds the copies that people make, and what is left of that in codes?

    python -m benchmarks.near_duplicates.copy_descriptors --teacher sscd.onnx --student model.safetensors

Descriptors are floats: of eight frames of each video, spread evenly, the whole picture squashed to a square
of the size that each was trained at. Two likenesses: the cosine of the mean descriptors (*mean*), and the
mean cosine of the first frames, the second ones and so on (*in order*). Beside them what a library keeps, of
all views: the distance of its codes, and the verified distance of its second look. Copies of ``copies`` with
their originals against all pairs of strangers: recall at no false match and at 1 in 1,000. Descriptors are
kept in the cache. Writes benchmarks/results/copy_descriptors.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, command_line, write_result
from benchmarks.near_duplicates.copies import COPIES, Copy, copy_set
from benchmarks.near_duplicates.decisions import filled
from benchmarks.near_duplicates.metrics import Pairs, Ranking
from training.clips import read_frames
from vhash_sdk import Encoder, Library
from vhash_sdk.library.searching import StoredViews
from vhash_sdk.matching.second_look import nearest_views
from vhash_sdk.spec import Resize, Sampling

FOLDER = CACHE / "copies"
FRAMES, STRANGERS = 8, 80
Describe = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def teacher(file: Path) -> Describe:
    """SSCD, as its ONNX file or Meta's TorchScript file."""
    from training.copy_data import describer

    return describer(file)


def student(file: Path) -> Describe:
    """A checkpoint of ``training.train_copy``."""
    import torch

    from training import checkpoint
    from training.copy_model import CopyNetwork
    from training.efficientnet_lite import EfficientNetLite0

    tensors, _ = checkpoint.load(file)
    network = CopyNetwork(EfficientNetLite0())
    network.load_state_dict(tensors)
    network.eval()

    def describe(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(torch.from_numpy(frames)).numpy()
        return found

    return describe


def described(files: Sequence[Path], describe: Describe, key: str, size: int) -> NDArray[np.float32]:
    """``float32[n, FRAMES, 512]`` of unit vectors, from the cache where they are there."""
    digest = hashlib.sha256(f"{key} {size} {FRAMES}".encode())
    for file in files:
        digest.update(f"{file} {file.stat().st_mtime_ns}".encode())
    kept = CACHE / "copy_descriptors" / f"{digest.hexdigest()[:16]}.npy"
    if not kept.exists():
        sampling, resize = Sampling("uniform", FRAMES), Resize("exact", size, size, filter="area")
        found = np.stack([describe(read_frames(file, sampling, resize)) for file in files])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, found)
    return np.load(kept)


def likenesses(a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """``[len(a), len(b)]`` of each likeness."""
    means = [x.mean(1) / np.linalg.norm(x.mean(1), axis=1, keepdims=True) for x in (a, b)]
    return {"mean": means[0] @ means[1].T, "in order": np.einsum("qfd,rfd->qr", a, b) / FRAMES}


def of_codes(
    encoder: Encoder, queries: Sequence[Path], gallery: Sequence[Path]
) -> dict[str, NDArray[np.float32]]:
    """``[queries, gallery]``: distances of codes, and verified distances of second looks, negative."""
    where, bits = FOLDER / "libraries" / encoder.spec.fingerprint[:8] / "whole", encoder.spec.bits
    filled(where, encoder, [*queries, *gallery])
    with Library(where, encoder=encoder, create=False) as library:
        views, ids = StoredViews(library._db, library.spec), {entry.path: entry.id for entry in library}
        look = None if library.calibration is None else library.calibration.second_look
        assert look is not None
        codes = np.full((len(queries), len(gallery)), -bits, np.float32)
        verified = codes.copy()
        theirs = [views.of(ids[str(path.resolve())]) for path in gallery]
        for row, path in enumerate(queries):
            mine = views.of(ids[str(path.resolve())])
            for column, other in enumerate(theirs):
                codes[row, column] = -nearest_views(mine, other)[0]
                if -codes[row, column] <= look.radius:
                    verified[row, column] = -look.evidence.verified(mine, other, bits)
    return {"codes": codes, "verified": verified}


def figures(likeness: NDArray[np.float32], made: Sequence[Copy], pairs: Pairs) -> dict[str, Any]:
    """Recall at two rates over all kinds, and of each kind at no false match of any."""
    ranking = Ranking(-likeness, pairs)
    none, some, _ = ranking.figures(np.ones(len(likeness)))
    own = likeness[np.arange(len(made)), pairs.truth]
    found = -own <= ranking.threshold(0.0)
    kinds = np.array([copy.kind for copy in made])
    return {
        "recall_0": float(none),
        "recall_1e-3": float(some),
        "kinds": {kind: float(found[kinds == kind].mean()) for kind in dict.fromkeys(kinds.tolist())},
    }


def main() -> None:
    """Make the copies, describe them, count."""
    parser = command_line(__doc__)
    parser.add_argument("--teacher", type=Path, help="SSCD's file; left out where none is given")
    parser.add_argument("--student", type=Path, action="append", default=[])
    parser.add_argument("--originals", type=int, default=40)
    parser.add_argument("--size", type=int, default=224, help="of the teacher's frames")
    parser.add_argument("--student-size", type=int, default=160)
    parser.add_argument("--model", default="default", help="of which codes are compared")
    parser.add_argument("--no-result", action="store_true")
    arguments = parser.parse_args()
    asked = copy_set(
        CACHE / "copies", originals_=arguments.originals, strangers=STRANGERS, kinds=list(COPIES)
    )
    clips, made, gallery = asked.clips, asked.made, [*asked.clips, *asked.strangers]
    place = {clip.name: i for i, clip in enumerate(gallery)}
    truth = np.array([place[copy.original.name] for copy in made])
    pairs = Pairs(truth, np.arange(len(gallery))[None] != truth[:, None])
    result: dict[str, Any] = {
        "originals": len(clips), "copies": len(made), "stranger_pairs": int(pairs.negative.sum()),
        "descriptors": {},
    }  # fmt: skip
    given = [] if arguments.teacher is None else [("SSCD", teacher, arguments.teacher, arguments.size)]
    given += [(file.stem, student, file, arguments.student_size) for file in arguments.student]
    asked_for, kept = [copy.path for copy in made], [clip.path for clip in gallery]

    def told(name: str, size: int | None, found: dict[str, NDArray[np.float32]]) -> None:
        counted = {label: figures(likeness, made, pairs) for label, likeness in found.items()}
        result["descriptors"][name] = {"size": size, **counted}
        print(name, json.dumps(counted), flush=True)

    for name, make, file, size in given:
        describe, key = make(file), hashlib.sha256(file.read_bytes()).hexdigest()
        sides = [described(files, describe, key, size) for files in (asked_for, kept)]
        told(name, size, likenesses(*sides))
    with Encoder(arguments.model) as encoder:
        told(f"vhash {encoder.spec.name}", None, of_codes(encoder, asked_for, kept))
    if not arguments.no_result:
        result["command"] = "python -m benchmarks.near_duplicates.copy_descriptors"
        print(write_result("copy_descriptors", result))


if __name__ == "__main__":
    main()
