"""Models that a CPU cannot train in reasonable time (see run.py): UVVH at the paper's width, distillation.

    python -m benchmarks.gpu --parts models --minutes 4.5   # GPU machine, data unpacked to .cache/gpu
    python -m benchmarks.gpu.models                         # afterwards: codes join those of the other runs

No case starts after ``--minutes``: a part of the distillation takes over four, and counts for nothing if a
call of ten minutes cuts it off. Its state is in .cache/gpu/distilled: the next part has to run on
the same machine, which gives the student back in pieces:
``split -b 15M .cache/gpu/distilled/model.safetensors "$OUT"/student.``

Data as `carry` brings it: ``ucf101_14c_vgg16`` (features), ``real10`` (clips) and ``weights`` (I3D).
"""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.common import CACHE, RESULTS, command_line
from benchmarks.retrieval.real10_unseen import uncoded

if TYPE_CHECKING:
    from training.clip_data import VideoSet
    from training.distil_clip import Distillation, Student

Case = tuple[str, Callable[[], dict[str, Any]]]
DATA = CACHE / "gpu"
SEEDS = (0, 1, 2)
FULL = "F = 4096"
RUNS: dict[str, dict[str, Any]] = {
    f"uvvh-2, {FULL}": {},
    f"uvvh-2, {FULL}, 20 + 30 epochs": {"stage1": 20, "stage2": 30},
    **{f"{name}, {FULL}": {"variant": name} for name in ("uvh", "uvvh-1", "nopro", "q", "bl1", "bl2", "bl3")},
}
DISTILLED = DATA / "distilled"
CASES, MINUTES = 4, 4.0  # distillation is cut into cases of some minutes, each goes on where the last stopped


def models(dry: bool) -> Iterator[Case]:
    """UVVH and its ablations at full width, 64 bits, three seeds; R(2+1)D-18 distilled from I3D."""
    for case in range(1, 2 if dry else CASES + 1):
        yield (
            f"r2plus1d-18 distilled from i3d, part {case} of {CASES}",
            lambda c=case: dry_distilled() if dry else distilled(c),  # type: ignore[misc]
        )
    for seed in SEEDS[: 1 if dry else None]:
        for name in list(RUNS)[: 1 if dry else None]:
            yield f"{name}, seed {seed}", lambda n=name, s=seed: uvvh(n, s, dry)  # type: ignore[misc]


def uvvh(name: str, seed: int, dry: bool) -> dict[str, Any]:
    """One training by `training.train_uvvh`: figures on test queries, seconds, packed codes."""
    from training.data import load_ucf101_14c, synthetic, train_database_queries
    from training.metrics import average_precision, hamming
    from training.reduce import reduce
    from training.train_uvvh import TrainConfig, encode, train

    data = synthetic() if dry else load_ucf101_14c(DATA / "ucf101_14c_vgg16")
    small = {"widths": (16, 16, 16), "projection": 32, "hidden": 16, "stage1": 1, "stage2": 1} if dry else {}
    reduced = reduce(*train_database_queries(data, validation=False), 0)
    config = TrainConfig(
        bits=64, seed=seed, precision="fp32" if dry else "bf16", measure_every=80, **(RUNS[name] | small)
    )
    start = time.monotonic()
    model, curve = train(config, reduced)
    seconds = time.monotonic() - start
    database, queries = (encode(model, part, reduced.scale) for part in (reduced.database, reduced.queries))
    ap = average_precision(hamming(queries, database), reduced.relevant, (5, 100, None))
    figures = dict(zip(("mAP@5", "mAP@100", "mAP"), np.nanmean(ap, axis=0).round(4).tolist(), strict=True))
    codes = {"database": _text(database), "queries": _text(queries)}
    return {**figures, "seconds": round(seconds, 1), "loss": round(curve[-1]["loss"], 4), "codes": codes}


def distilled(case: int) -> dict[str, Any]:
    """Some minutes more of it; what `measured` says of the student so far.

    Raises:
        FileNotFoundError: an earlier part ran on another machine, so that there is nothing to go on from.
    """
    from training.clip_data import read_manifest
    from training.distil_clip import Distillation, decode, distil

    if case > 1 and not (DISTILLED / "last.safetensors").is_file():
        raise FileNotFoundError(
            f"{DISTILLED} has no last.safetensors: the parts before this one ran on another machine; do all "
            "of them on one (take their entries out of gpu.json)"
        )
    data = read_manifest(DATA / "real10" / "manifest.csv")
    weights = DATA / "weights" / "i3d_rgb_kinetics400_fp16.npz"
    config = Distillation(
        weights=str(weights), output=DISTILLED, precision="bf16", minutes=MINUTES, resume=case > 1
    )
    clips = decode(data, stored=config.stored, side=round(1.1 * config.teacher_size), threads=16)
    return measured(config, data, clips, *distil(config, data, clips))


def dry_distilled() -> dict[str, Any]:
    """The same with noise and small networks."""
    from training.distil_clip import Distillation, distil

    data, clips = pretended()
    with tempfile.TemporaryDirectory() as folder:
        config = Distillation(
            student="r2plus1d_10", frames=4, size=32, teacher_size=32, epochs=2, batch=4,
            output=Path(folder), validation=0.5,
        )  # fmt: skip
        return measured(config, data, clips, *distil(config, data, clips)) | {"passed": True}


def measured(
    config: Distillation, data: VideoSet, clips: torch.Tensor, student: Student, curve: list[dict[str, Any]]
) -> dict[str, Any]:
    """Agreement of the student with the teacher, and mAP of both on classes left out, uncoded."""
    from training.distil_clip import in_batches, plain
    from training.i3d import I3D, load_weights
    from training.unseen import Labelled, unseen_classes

    place = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = (load_weights(Path(config.weights)) if config.weights else I3D()).eval().to(place)
    seen = plain(clips, config.frames)
    found: dict[str, Any] = {
        "epochs": len(curve), "of": config.epochs, "agreement": max(p["agreement"] for p in curve),
        "seconds an epoch": round(float(np.median([p["seconds"] for p in curve])), 2),
        "passed": len(curve) < 2 or curve[-1]["loss"] < curve[0]["loss"],
    }  # fmt: skip
    labelled = Labelled(data.labels, data.groups, data.split == "test")
    with torch.inference_mode():
        for name, network, side in (
            ("student", student, config.size), ("teacher", teacher, config.teacher_size),
        ):  # fmt: skip
            parts = [in_batches(network, few.to(place), side, config.batch).cpu() for few in seen.split(64)]
            x = torch.cat(parts).numpy()
            result = unseen_classes(labelled, uncoded(x), seeds=(0,)).summary()
            found[f"{name}, unseen classes, mAP"] = {d: result[d]["mAP"] for d in result}
    return found


def pretended() -> tuple[VideoSet, torch.Tensor]:
    """Clips of noise in three classes, for the dry run."""
    from training.clip_data import VideoSet

    n = 24
    labels = np.array([f"class {i % 3}" for i in range(n)])
    groups = np.array([f"group {i // 3}" for i in range(n)])
    split = np.array(["test" if i >= n // 2 else "train" for i in range(n)])
    data = VideoSet("noise", Path(), [f"{i}" for i in range(n)], labels, groups, split)
    clips = torch.randint(0, 256, (n, 6, 36, 36, 3), generator=torch.Generator().manual_seed(0))
    return data, clips.to(torch.uint8)


def _text(codes: np.ndarray) -> str:
    return base64.b64encode(codes.tobytes()).decode("ascii")


def main() -> None:
    """Put the codes of ``results/gpu.json`` beside those of `unsupervised_runs`, for its report."""
    parser = command_line(__doc__)
    parser.parse_args()
    book = json.loads((RESULTS / "gpu.json").read_text("utf-8"))
    cases = book["parts"].get("models", {})
    gpu = book["device"].get("name", "GPU").removeprefix("NVIDIA ").split()[0]  # H100, H200 …
    for name, case in cases.items():
        if "codes" in case:
            method, _, seed = name.rpartition(", seed ")
            codes = {
                part: np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 8)
                for part, text in case["codes"].items()
            }
            file = CACHE / "retrieval" / "test" / f"{method}, {gpu}_64_{seed}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, **codes, curve="[]", cpu_seconds=np.nan)  # a GPU's seconds are no CPU's
            print(file)


if __name__ == "__main__":
    main()
