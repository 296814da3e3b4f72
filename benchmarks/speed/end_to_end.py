"""A file to its nearest neighbours: every stage, end to end, and throughput against batch size.

    python -m benchmarks.speed.end_to_end [--video FILE] [--rounds 60]

One 10 s 320×240 H.264 file (made from the sample clips unless given), the default model, and an index of a
million 256-bit codes. Each backend that runs here takes part: on a machine with a GPU that is ONNX Runtime
CUDA and TensorRT too, with NVDEC where the encoder uses it. Writes results/end_to_end.json and .webp.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import CACHE, RESULTS, command_line, interleave, summary, write_result
from benchmarks.speed.backends import CPU_CASES, GPU_CASES, cpu_timed, label
from benchmarks.speed.encode import make_video
from vhash_sdk import Encoder, Index
from vhash_sdk.errors import VhashError
from vhash_sdk.video import open_source

CODES = 1_000_000
BATCHES = (1, 2, 4, 8)
FILES = 8
PAPER = 0.544  # seconds for the same in paper [A], on its own machine


def encoders(absent: dict[str, str]) -> dict[str, Encoder]:
    """Every backend that runs the default model here; why the others do not goes into ``absent``."""
    found = {}
    for backend, device, precision in CPU_CASES + GPU_CASES:
        try:
            found[label(backend, device, precision)] = Encoder(
                device=device,
                backend=backend,  # type: ignore[arg-type]
                precision=precision,  # type: ignore[arg-type]
            )
        except VhashError as error:
            absent[label(backend, device, precision)] = str(error)
    return found


def make_index(encoder: Encoder, path: Path) -> Index:
    """A million codes, random but for the one of the video itself."""
    codes = np.random.default_rng(0).integers(0, 256, (CODES, encoder.spec.bits // 8), dtype=np.uint8)
    codes[CODES // 2] = encoder.encode(path).code
    index = Index(encoder.spec.bits, model=encoder.spec.fingerprint)
    index.add(codes)
    return index


def stages(name: str, encoder: Encoder, index: Index, path: Path) -> dict[str, Callable[[], object]]:
    """Each stage by itself, and all of them in one."""
    spec = encoder.spec

    def decode() -> np.ndarray:
        with open_source(path) as reader:
            return reader.sample(spec.sampling, spec.resize).frames

    batch, code = decode()[None, None], encoder.encode(path)
    (found,) = index.search(code, k=1).ids[0]
    assert found == CODES // 2, f"{name} does not find the video: it found {found}"
    return {
        "decode and frames": decode,
        "network": partial(encoder.encode_frames, batch),
        "search": lambda: index.search(code, k=10),
        "file to neighbours": lambda: index.search(encoder.encode(path), k=10),
    }


def throughput(found: dict[str, Encoder], path: Path, rounds: int) -> dict[str, Any]:
    """Videos a second: the network alone by batch size, and ``encode_many`` with the decoder; all in turn."""
    spec = next(iter(found.values())).spec
    with open_source(path) as reader:
        frames = reader.sample(spec.sampling, spec.resize).frames
    cases: dict[str, Callable[[], object]] = {}
    for name, encoder in found.items():
        for batch in BATCHES:
            clips = np.broadcast_to(frames, (batch, 1, *frames.shape)).copy()
            cases[f"{name}|{batch}"] = partial(encoder.encode_frames, clips)
        cases[f"{name}|files"] = lambda encoder=encoder: list(encoder.encode_many([path] * FILES))  # type: ignore[misc]
    seconds = {name: min(times) for name, times in interleave(cases, rounds=rounds).items()}
    return {
        name: {
            "network": {str(batch): batch / seconds[f"{name}|{batch}"] for batch in BATCHES},
            "file to code": FILES / seconds[f"{name}|files"],
        }
        for name in found
    }


def plot(result: dict[str, Any], file: Path) -> None:
    """Medians of the stages beside throughput against batch size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    names = list(result["seconds"])
    bottom = np.zeros(len(names))
    for stage in ("decode and frames", "network", "search"):
        heights = np.array([1e3 * result["seconds"][name][stage]["p50"] for name in names])
        left.bar(names, heights, bottom=bottom, label=stage)
        bottom += heights
    whole = [1e3 * result["seconds"][name]["file to neighbours"]["p50"] for name in names]
    left.plot(names, whole, "k_", markersize=18, label="file to neighbours")
    left.set_ylabel("ms, median")
    left.tick_params(axis="x", rotation=20)
    left.legend()
    for name, row in result["throughput"].items():
        right.plot(list(map(int, row["network"])), list(row["network"].values()), "o-", label=name)
    right.set_xlabel("batch")
    right.set_ylabel("videos a second, network alone")
    right.set_ylim(0)
    right.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110, pil_kwargs={"lossless": True})


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    path = args.video or make_video(CACHE / "encode" / "samples_320x240.mp4")
    absent: dict[str, str] = {}
    found = encoders(absent)
    index = make_index(next(iter(found.values())), path)
    cases = {name: stages(name, encoder, index, path) for name, encoder in found.items()}
    # every stage of every backend in turn, so that a busy moment hits all alike
    flat = {f"{name}|{stage}": case for name, table in cases.items() for stage, case in table.items()}
    cpu: dict[str, list[float]] = {key: [] for key in flat}
    timed = {key: partial(cpu_timed, case, cpu[key]) for key, case in flat.items()}
    seconds = interleave(timed, rounds=args.rounds, warmup=2)
    result = {
        "command": "python -m benchmarks.speed.end_to_end",
        "video": {"name": path.name, "bytes": path.stat().st_size},
        "codes": CODES,
        "load average": os.getloadavg()[0],
        "decoders": {name: encoder.info()["decoder"] for name, encoder in found.items()},
        "seconds": {
            name: {
                stage: {
                    **summary(seconds[f"{name}|{stage}"]),
                    "cpu_p50": float(np.median(cpu[f"{name}|{stage}"][2:])),
                }
                for stage in table
            }
            for name, table in cases.items()
        },
        "throughput": throughput(found, path, max(2, args.rounds // 15)),
        "paper [A], its machine": {"file to neighbours": PAPER},
        "did not run": absent,
    }
    for name, table in result["seconds"].items():
        for stage, row in table.items():
            times = " ".join(f"{1e3 * row[key]:8.2f}" for key in ("p50", "p95", "p99", "cpu_p50"))
            print(f"{name:28} {stage:20} {times}")
    plot(result, RESULTS / "end_to_end.webp")
    write_result("end_to_end", result)


if __name__ == "__main__":
    main()
