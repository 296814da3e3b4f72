"""Which frame descriptor finds the copies that people make? Floats of single frames, before any code.

    python -m benchmarks.near_duplicates.copy_descriptors --teacher sscd.onnx --student model.safetensors

Eight frames of each video, spread evenly, the whole picture squashed to a square. Two likenesses: the cosine
of the mean descriptors (*mean*), and the mean cosine of the first frames, the second ones and so on (*in
order*). Copies of ``copies`` with their originals against all pairs of strangers: recall at no false match
and at 1 in 1,000. Descriptors are kept in the cache. Writes benchmarks/results/copy_descriptors.json.
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
from benchmarks.near_duplicates.metrics import Pairs, Ranking
from training.clips import read_frames
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
    parser.add_argument("--size", type=int, default=224)
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
        "size": arguments.size, "descriptors": {},
    }  # fmt: skip
    tools = {} if arguments.teacher is None else {"SSCD": (teacher(arguments.teacher), arguments.teacher)}
    tools |= {str(file): (student(file), file) for file in arguments.student}
    for name, (describe, file) in tools.items():
        key = hashlib.sha256(file.read_bytes()).hexdigest()
        queries = described([copy.path for copy in made], describe, key, arguments.size)
        database = described([clip.path for clip in gallery], describe, key, arguments.size)
        found = {
            label: figures(likeness, made, pairs) for label, likeness in likenesses(queries, database).items()
        }
        result["descriptors"][name] = found
        print(name, json.dumps(found), flush=True)
    if not arguments.no_result:
        result["command"] = "python -m benchmarks.near_duplicates.copy_descriptors"
        print(write_result("copy_descriptors", result))


if __name__ == "__main__":
    main()
